"""What the provider says of a token: RFC 7662.

Keycloak 26.7 answers ``{"active": false}`` for whatever it does not tell: a token that is over, revoked or garbage, and
every token to a client that is not in its audience (measured). So it is asked only about tokens that cannot be read
here, and what it says is held against what is known: our issuer, our clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import ClientMisconfigured, ProviderUnavailable
from proxy.oidc.http_client import shown
from proxy.oidc.token_endpoint import parse_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret
    from proxy.oidc.client_call import ClientCalls
    from proxy.oidc.http_client import ProviderAnswer

MAX_TOKEN_CHARACTERS = 16 * 1024
"""Characters of a token that is asked about; Keycloak's have some thousands. A longer one is not active."""


class Introspection:
    """Asks as one client."""

    def __init__(self, calls: ClientCalls, *, issuer: str) -> None:
        """Keep what each request needs."""
        self._calls = calls
        self._issuer = issuer

    async def fetch(self, url: str, *, token: Secret) -> Mapping[str, object] | None:
        """Return the claims of an active token, or None (RFC 7662 §2.2).

        Raises:
            ProviderUnavailable: no answer, or nonsense.
            ClientMisconfigured: this client may not ask.
        """
        text = token.reveal()
        if not text or not text.isascii() or not text.isprintable() or len(text) > MAX_TOKEN_CHARACTERS:
            return None
        form = {"token": text, "token_type_hint": "access_token"}
        return self._claims(await self._calls.post("introspect", url, form))

    def _claims(self, answer: ProviderAnswer) -> Mapping[str, object] | None:
        if answer.status != 200:
            error, description = parse_error(answer)
            raise ClientMisconfigured(f"{answer.url} refuses this client: {shown(error)}: {shown(description)}")
        claims = answer.json_object()
        active = claims.pop("active", None)
        if not isinstance(active, bool):
            raise ProviderUnavailable(f"{answer.url} does not say whether a token is active")
        return claims if active and self._agrees(claims, answer.received_at) else None

    def _agrees(self, claims: Mapping[str, object], now: float) -> bool:
        """Say whether the claims do not contradict ``active``; both are optional (RFC 7662 §2.2)."""
        expires_at = claims.get("exp", now + 1)
        if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or expires_at <= now:
            return False
        return claims.get("iss", self._issuer) == self._issuer
