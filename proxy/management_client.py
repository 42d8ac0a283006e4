"""The management API of a running Sidegate, as our own commands ask it: ``web.administration`` over HTTP.

Every fault is one sentence with the remedy; the token is sent to the configured address and nowhere else.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
from msgspec import Struct

from proxy.errors import SidegateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from proxy.core.secret import Secret

PATIENCE_S: Final = 30.0
"""Seconds for a whole answer; for a stream only to its begin."""

SILENCE_S: Final = 60.0
"""Seconds of silence after which a stream counts as broken; the API sends an empty line every 15."""

MAX_LINE: Final = 1024 * 1024
"""Bytes of one event."""

_REFUSALS: Final = {
    "not_configured": "it was started without management.admin_token; set it in its file and start it anew",
    "wrong_token": "its management.admin_token is another one; use the file that it runs with",
    "too_many_tries": "too many wrong tokens came from this address; wait a minute",
    "token_unreadable": "it cannot read its management.admin_token; its log says why",
}
"""What is to be done, by the code of the problem."""


class ApiAddress(Struct, frozen=True):
    """Where the API listens: ``url`` without a path, or the path of a unix socket besides."""

    url: str
    unix_path: str | None = None

    def __str__(self) -> str:
        """Return what a person knows it by."""
        return self.url.removeprefix("http://") if self.unix_path is None else f"unix:{self.unix_path}"


class ManagementClient:
    """Ask a running process; an asynchronous context manager."""

    def __init__(self, address: ApiAddress, token: Secret) -> None:
        """Ask nothing yet."""
        self._address = address
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Make the connector."""
        path = self._address.unix_path
        connector = aiohttp.TCPConnector() if path is None else aiohttp.UnixConnector(path)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Authorization": f"Bearer {self._token.reveal()}", "User-Agent": "sidegate"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
            read_bufsize=MAX_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    # --- web.administration.Administration ----------------------------------------------------------------------------

    async def list_sessions(self, *, user: str | None, sid: str | None, limit: int) -> dict[str, object]:
        """Return live sessions."""
        return await self._document("GET", "/api/sessions", user=user, sid=sid, limit=str(limit))

    async def end_sessions(self, *, user: str | None, sid: str | None) -> dict[str, object]:
        """End somebody's sessions."""
        return await self._document("DELETE", "/api/sessions", user=user, sid=sid)

    async def end_every_session(self) -> dict[str, object]:
        """End every session."""
        return await self._document("DELETE", "/api/sessions", all="true")

    async def read_audit(self, *, user: str | None, since: float, limit: int) -> dict[str, object]:
        """Return events."""
        return await self._document("GET", "/api/audit", user=user, since=repr(since), limit=str(limit))

    async def follow_audit(self, *, user: str | None, since: float, limit: int) -> AsyncIterator[dict[str, object]]:
        """Yield events as they come."""
        query = {"user": user, "since": repr(since), "limit": str(limit), "follow": "true"}
        patience = aiohttp.ClientTimeout(total=None, connect=PATIENCE_S, sock_read=SILENCE_S)
        async with self._answer("GET", "/api/audit", query, timeout=patience) as answer:
            async for line in answer.content:
                if line.strip():
                    yield _parsed(line)
        raise SidegateError(
            f"the stream from {self._address} ended, for Sidegate shuts down; ask again when it is back"
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _document(self, method: str, path: str, **query: str | None) -> dict[str, object]:
        async with self._answer(method, path, query) as answer:
            return _parsed(await answer.read())

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, query: dict[str, str | None], **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give an answer of status 200.

        Raises:
            SidegateError: nobody answers, or the answer is a refusal.
        """
        if self._session is None:
            raise SidegateError("the client of the management API was not opened")
        given = {name: value for name, value in query.items() if value is not None}
        url = self._address.url + path
        try:
            async with self._session.request(method, url, params=given, allow_redirects=False, **options) as answer:
                if answer.status != 200:
                    raise SidegateError(self._refusal(answer.status, await answer.read()))
                yield answer
        except TimeoutError as error:
            raise SidegateError(f"the management API at {self._address} takes too long; look at its log") from error
        except (aiohttp.ClientError, OSError) as error:
            raise SidegateError(
                f"no management API answers at {self._address}; "
                "start `sidegate run` with this file, or mend management.api_listen"
            ) from error

    def _refusal(self, status: int, body: bytes) -> str:
        try:
            problem = _parsed(body)
        except SidegateError:
            problem = {}
        code, detail = problem.get("code"), problem.get("detail")
        what = _REFUSALS.get(str(code)) or (str(detail) if detail else f"it answers {status}; is this a Sidegate?")
        return f"the management API at {self._address} refuses: {what}"


def _parsed(raw: bytes) -> dict[str, object]:
    loads: Callable[[bytes], object] = json.loads
    try:
        document = loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise SidegateError("what answers is no Sidegate; mend management.api_listen")
    return document
