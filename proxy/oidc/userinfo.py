"""Claims by access token: OIDC Core 1.0 §5.3. Asked only when ``claims_from`` names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core import token_claims as read
from proxy.core.token_claims import MAX_SUBJECT_LENGTH
from proxy.errors import ClientMisconfigured, ProviderUnavailable, TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret
    from proxy.oidc.http_client import HttpClient, ProviderAnswer
    from proxy.oidc.jwks import KeyStore

_SIGNED = "application/jwt"


class Userinfo:
    """Asks for the claims of a person and checks that they are about the same one."""

    def __init__(self, http: HttpClient, keys: KeyStore, *, issuer: str, client_id: str) -> None:
        """Keep what each request needs."""
        self._http = http
        self._keys = keys
        self._issuer = issuer
        self._client_id = client_id

    async def fetch(self, url: str, *, access_token: Secret, subject: str) -> Mapping[str, object]:
        """Return the claims.

        Raises:
            ProviderUnavailable: no answer, or nonsense.
            ClientMisconfigured: the endpoint refuses a token that was just issued (scope openid, lightweight token).
            TokenRejected: ``wrong_subject`` (OIDC Core 1.0 §5.3.2: compared exactly), or a bad signature.
        """
        headers = {"Authorization": f"Bearer {access_token.reveal()}", "Accept": f"application/json, {_SIGNED}"}
        answer = await self._http.get("userinfo", url, headers=headers)
        _require_success(answer)
        claims = await self._signed(answer) if answer.media_type == _SIGNED else answer.json_object()
        if read.required_text(claims, "sub", limit=MAX_SUBJECT_LENGTH) != subject:
            raise TokenRejected("userinfo is about another sub than the ID token", reason="wrong_subject")
        return claims

    async def _signed(self, answer: ProviderAnswer) -> Mapping[str, object]:
        """OIDC Core 1.0 §5.3.2: a signed answer names its issuer and its audience."""
        compact = answer.body.decode("ascii", errors="replace").strip()
        payload = (await self._keys.verify(compact, purpose="userinfo")).payload
        read.require_issuer(payload, self._issuer)
        if self._client_id not in read.audience(payload):
            raise TokenRejected("the signed userinfo is for another client", reason="wrong_audience")
        return payload


def _require_success(answer: ProviderAnswer) -> None:
    if answer.status in {401, 403}:
        raise ClientMisconfigured(
            f"{answer.url} refuses the access token ({answer.status}); "
            "is the scope openid granted, and the token no lightweight one?"
        )
    if answer.status != 200:
        raise ProviderUnavailable(f"{answer.url} answers {answer.status}")
