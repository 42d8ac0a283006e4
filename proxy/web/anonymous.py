"""No answer says what software made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


async def forget_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Take away the ``Server`` field that aiohttp adds (contract §4: no server version)."""
    response.headers.popall("Server", None)
