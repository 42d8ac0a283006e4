"""``/status``: who is signed in, for pages that ask from time to time; it never counts as activity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import keys
from proxy.web.person import STRANGER, person
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from proxy.core.session import Session


async def show_status(request: web.Request) -> web.StreamResponse:
    """Return the person and the times of the session in Unix seconds.

    Raises:
        StoreUnavailable: nobody can say; "nobody" would send every page to the login.
    """
    session = (await visitor_of(request)).session
    if session is None:
        return web.json_response({"authenticated": False, **STRANGER, "session": None})
    last_seen_at = await request.app[keys.SESSIONS].last_seen(session)
    document = {"authenticated": True, **person(session.identity), "session": _times(session, last_seen_at)}
    return web.json_response(document)


def _times(session: Session, last_seen_at: float) -> dict[str, int]:
    return {
        "created_at": int(session.created_at),
        "expires_at": int(session.expires_at),
        "idle_expires_at": int(min(session.expires_at, last_seen_at + session.idle_timeout_s)),
    }
