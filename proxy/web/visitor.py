"""The browser before us: its session cookie and the live session that it names, without counting as activity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import keys
from proxy.ports import NotCached
from proxy.web.cookies import session_cookie
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.secret import Secret
    from proxy.core.session import Session


class Visitor(Struct, frozen=True):
    """A browser; a session only together with the cookie that names it."""

    cookie_value: Secret | None
    session: Session | None


async def visitor_of(request: web.Request) -> Visitor:
    """Return who is there.

    Raises:
        StoreUnavailable: nobody can say; it is never taken for "nobody" (law 6).
    """
    cookie_value = session_cookie(request)
    if cookie_value is None:
        return Visitor(None, None)
    session = await _session(request, cookie_value)
    is_ours = session is not None and session.home == request.app[OPTIONS].home_of_sessions
    return Visitor(cookie_value, session if is_ours else None)


async def _session(request: web.Request, cookie_value: Secret) -> Session | None:
    sessions = request.app[keys.SESSIONS]
    session = sessions.cached(cookie_value)
    return await sessions.load(cookie_value) if isinstance(session, NotCached) else session
