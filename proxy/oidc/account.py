"""A person's own sessions at the provider, ended with their own access token: Keycloak's account API.

No standard has this, and discovery does not name it. It is asked only where the issuer looks like Keycloak's (its path
ends in ``/realms/<name>``); elsewhere there is no such place, and nothing is sent anywhere.

Measured against Keycloak 26.7: 204 when it is done, also for an id that is unknown or another person's (then nothing
happens); 401 when the token is not for ``account`` or is over; 403 without the role ``manage-account``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from proxy.errors import ProviderUnavailable
from proxy.ports import AccountAnswer

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.oidc.http_client import HttpClient, ProviderAnswer
    from proxy.oidc.metadata import Addresses

_REALM = re.compile(r"(?:/[^/?#]+)*/realms/[^/?#]+/?")
"""The path of Keycloak's issuers; something may precede it (``/auth``)."""

_NO_SEGMENTS = frozenset({"", ".", ".."})
"""Ids that cannot be named in a path: with them the address would be that of something else."""

_ANSWERS = {
    200: AccountAnswer.ENDED,
    204: AccountAnswer.ENDED,
    401: AccountAnswer.REFUSED,
    403: AccountAnswer.REFUSED,
    404: AccountAnswer.NO_ENDPOINT,
    405: AccountAnswer.NO_ENDPOINT,
}


def account_sessions_url(addresses: Addresses) -> str | None:
    """Return where this process reaches the list of a person's sessions; None when the issuer is not Keycloak's."""
    parts = urlsplit(addresses.issuer)
    if parts.query or parts.fragment or not _REALM.fullmatch(parts.path):
        return None
    return addresses.internal(addresses.issuer.rstrip("/") + "/account/sessions")


class Account:
    """Ends sessions in the name of the person whose access token it is."""

    def __init__(self, http: HttpClient, *, sessions_url: str | None) -> None:
        """Keep the address of :func:`account_sessions_url`."""
        self._http = http
        self._sessions_url = sessions_url

    async def end_all(self, access_token: Secret) -> AccountAnswer:
        """End every online session of the person, the token's own included; offline ones stay.

        Raises:
            ProviderUnavailable
        """
        return await self._delete(access_token, "?current=true")

    async def end_one(self, access_token: Secret, sid: str) -> AccountAnswer:
        """End one session of the person; raises as :meth:`end_all`."""
        if sid in _NO_SEGMENTS:
            return AccountAnswer.NO_ENDPOINT
        return await self._delete(access_token, f"/{quote(sid, safe='')}")

    async def _delete(self, access_token: Secret, rest: str) -> AccountAnswer:
        if self._sessions_url is None:
            return AccountAnswer.NO_ENDPOINT
        headers = {"Authorization": f"Bearer {access_token.reveal()}", "Accept": "application/json"}
        return _parsed(await self._http.delete("account", self._sessions_url + rest, headers=headers))


def _parsed(answer: ProviderAnswer) -> AccountAnswer:
    known = _ANSWERS.get(answer.status)
    if known is None:
        # Without the address, which may hold a session's id.
        raise ProviderUnavailable(f"the provider's account API answers {answer.status}")
    return known
