"""Ending sessions, and telling the clients (OIDC Back-Channel Logout 1.0): one by one, once, five seconds each.

Keycloak never repeats a logout token and does not care what is answered. It keeps its connections open between two, so
a receiver that restarts loses a token unless it answers with ``Connection: close``; here too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import aiohttp

from proxy.demo.misbehaviour import TokenKind
from proxy.demo.tokens import logout_claims

if TYPE_CHECKING:
    from proxy.demo.clients import Client
    from proxy.demo.realm import Realm
    from proxy.demo.sessions import UserSession

PATIENCE_S: Final = 5.0
#: What Keycloak's HTTP client says of itself.
HEADERS: Final = {
    "User-Agent": "Apache-HttpClient/4.5.14 (Java/17.0.15)",
    "Accept-Encoding": "gzip,deflate",
    "Connection": "Keep-Alive",
}

_log = logging.getLogger(__name__)


class BackchannelSender:
    """Ends sessions of a realm. Open it before use, close it after."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        self._http = aiohttp.ClientSession(timeout=timeout, headers=HEADERS, skip_auto_headers=["Accept"])

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def end(self, session: UserSession) -> None:
        """End the session, then tell each of its clients; returns when the last has answered or had its time."""
        self._realm.sessions.remove(session)
        for client_id in list(session.clients):
            client = self._realm.clients.get(client_id)
            if client is not None and client.backchannel_url is not None:
                await self._tell(client, client.backchannel_url, session)

    async def _tell(self, client: Client, url: str, session: UserSession) -> None:
        if self._http is None:
            raise RuntimeError("the sender was not opened")
        token = self._realm.sign(TokenKind.LOGOUT, logout_claims(self._realm, client, session))
        try:
            async with self._http.post(url, data={"logout_token": token}, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            _log.info("back-channel logout of %s was not taken: %r", client.client_id, failure)
