"""``/status``: who is signed in, for pages that ask from time to time. GET never counts as activity; POST is activity.

POST is the click on "Stay signed in": it moves the idle end, never the absolute one, and only a page of our own origin
may send it, because else any site could keep a session alive that nobody uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.web.origin import Provenance, provenance
from proxy.web.person import STRANGER, person
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.core.tokens import TokenSet


async def show_status(request: web.Request) -> web.StreamResponse:
    """Return the person and the times of the session in Unix seconds.

    Raises:
        StoreUnavailable: nobody can say; "nobody" would send every page to the login.
    """
    session = (await visitor_of(request)).session
    if session is None:
        return _of_nobody()
    return _of_session(session, await request.app[keys.SESSIONS].last_seen(session))


async def count_activity(request: web.Request) -> web.StreamResponse:
    """Count a person's click as activity, with tokens that are fresh again when they were over; then the same answer.

    Raises:
        ForeignForm: no page of our own origin sent it, or nobody can say.
        StoreUnavailable, ProviderUnavailable: nothing was counted.
    """
    if provenance(request) is not Provenance.SAME_ORIGIN:
        raise errors.ForeignForm("activity was posted by another site, or by nobody knows whom")
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        return _of_nobody()
    session = await _fresh(request, visitor.session, cookie_value=visitor.cookie_value)
    if session is None:
        return _of_nobody()
    request.app[keys.SESSIONS].touch(session)
    return _of_session(session, request.app[keys.CLOCK].now())


async def _fresh(request: web.Request, session: Session, *, cookie_value: Secret) -> Session | None:
    """Return the session with a usable access token: the provider's idle time begins anew with a refresh."""
    refresher = request.app[keys.REFRESHER]
    return session if refresher.ready(session) else await refresher.fresh(cookie_value, session)


def _of_nobody() -> web.Response:
    return web.json_response({"authenticated": False, **STRANGER, "session": None})


def _of_session(session: Session, last_seen_at: float) -> web.Response:
    return web.json_response(
        {"authenticated": True, **person(session.identity), "session": _times(session, last_seen_at)}
    )


def _times(session: Session, last_seen_at: float) -> dict[str, int]:
    idle_ends_at = last_seen_at + session.idle_timeout_s
    ends = [end for end in (session.expires_at, idle_ends_at, _tokens_end_at(session.tokens)) if end is not None]
    return {
        "created_at": int(session.created_at),
        "expires_at": int(session.expires_at),
        "idle_expires_at": int(min(ends)),
    }


def _tokens_end_at(tokens: TokenSet) -> float | None:
    """Return when the tokens are over that nobody uses; None when nobody said.

    Activity moves this end too, by a refresh: it is the provider's own idle time, in a fresh Keycloak realm half an
    hour, and most sessions that are left alone end by it.
    """
    return tokens.access_expires_at if tokens.refresh_token is None else tokens.refresh_expires_at
