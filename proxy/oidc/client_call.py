"""A request to an endpoint that asks who the client is: the form, and with it the proof.

Secrets and keys are rotated while we run, and two places change at two moments: the file here, the client at the
provider. So when the provider refuses the *client*, the request is made once more, and no oftener, with another proof
if there is one: what stands in the file now, or what the provider took the last time. The client is judged before
anything else of a request is looked at (RFC 6749 §3.2.1; measured with Keycloak 26.7: a wrong password counts no
failure then), so nothing is done or counted twice.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from proxy.errors import ClientMisconfigured, ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret
    from proxy.oidc.client_auth import ClientAuthentication, Credentials
    from proxy.oidc.http_client import HttpClient, ProviderAnswer
    from proxy.ports import Observer

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_REFUSING = frozenset({400, 401})

_CLIENT_REFUSED: tuple[object, ...] = ("invalid_client", "unauthorized_client")
"""RFC 6749 §5.2. Keycloak says the second of a wrong secret, with 401, or with 400 when it was an assertion."""


class ClientCalls:
    """Posts forms as one client."""

    def __init__(
        self, http: HttpClient, *, authentication: ClientAuthentication, audience: str, observer: Observer
    ) -> None:
        """Keep what each request needs; ``audience`` is that of client assertions: the issuer."""
        self._http = http
        self._authentication = authentication
        self._audience = audience
        self._observer = observer
        self._taken: Secret | None = None
        self._complained_of: Secret | None = None

    async def post(
        self, operation: str, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] = _NO_HEADERS
    ) -> ProviderAnswer:
        """POST the form, and the proof with it.

        Raises:
            ProviderUnavailable: as ``HttpClient.get``.
            ClientMisconfigured: there is no proof to be had; nothing was sent.
        """
        credentials = self._authentication.credentials(audience=self._audience)
        answer = await self._send(operation, url, form, headers=headers, credentials=credentials)
        other = self._other_than(credentials) if _refuses_client(answer) else None
        if other is not None:
            second = await self._send(operation, url, form, headers=headers, credentials=other)
            if not _refuses_client(second):
                self._tell(credentials, other)
                answer, credentials = second, other
        if answer.status < 300:
            self._taken = credentials.made_of
        return answer

    async def _send(
        self, operation: str, url: str, form: Mapping[str, str], *, headers: Mapping[str, str], credentials: Credentials
    ) -> ProviderAnswer:
        fields = {"Accept": "application/json", **headers, **credentials.headers}
        return await self._http.post_form(operation, url, form={**form, **credentials.form}, headers=fields)

    def _other_than(self, refused: Credentials) -> Credentials | None:
        """Return another proof than the one that was refused: the file's when it has changed, else the one before."""
        try:
            now = self._authentication.credentials(audience=self._audience)
        except ClientMisconfigured:
            now = refused
        if now.made_of != refused.made_of:
            return now
        if self._taken is None or self._taken == refused.made_of:
            return None
        return self._authentication.credentials(audience=self._audience, made_of=self._taken)

    def _tell(self, refused: Credentials, other: Credentials) -> None:
        """Say once that the file is ahead of the provider; that it was behind for a moment is nobody's concern."""
        if other.made_of == self._taken and refused.made_of != self._complained_of:
            self._complained_of = refused.made_of
            self._observer.warning(
                "the provider refuses the client's new secret or key and still takes the one before; "
                "give it to the provider too, for it is asked twice until then"
            )


def _refuses_client(answer: ProviderAnswer) -> bool:
    """Say whether the client is refused; what else is wrong with an answer is said by whoever reads it."""
    if answer.status not in _REFUSING:
        return False
    try:
        return answer.json_object().get("error") in _CLIENT_REFUSED
    except ProviderUnavailable:
        return False
