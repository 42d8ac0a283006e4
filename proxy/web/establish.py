"""The end of every login: a verified grant becomes a session, under an id that nobody knew before (law 8)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from msgspec import Struct, field

from proxy import keys
from proxy.core.secret import Secret
from proxy.core.session import NEVER, EndCause, LoginOrigin, Persistence, Session, session_key
from proxy.ports import AuditEvent
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.cookies import Established, session_cookie
from proxy.web.first_login import FIRST_LOGIN
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from proxy.core.tokens import Grant

COOKIE_BYTES = 32
"""Random bytes of a session cookie: 256 bits (contract §6)."""


class LoginManner(Struct, frozen=True, kw_only=True):
    """How somebody signed in; ``notes`` are copied into the session."""

    origin: LoginOrigin
    persistence: Persistence = Persistence.LASTING
    notes: Mapping[str, str] = field(default_factory=dict)


async def establish(request: web.Request, grant: Grant, manner: LoginManner) -> Established:
    """End this browser's old session, store the new one; the caller sets the cookie.

    The old record goes first: were it the other way round, a fault between the two would leave a live session behind
    that no cookie of this browser names any more.

    Raises:
        StoreUnavailable, StoreFull, SessionEnded: as ``SessionStore.create``.
    """
    sessions = request.app[keys.SESSIONS]
    old = session_cookie(request)
    if old is not None:
        await sessions.delete(session_key(old), EndCause.REPLACED)
    cookie_value = new_cookie_value(request)
    session = session_of(request, grant, manner, cookie_value)
    await sessions.create(cookie_value, session)
    tell_login(request, session, session.origin.value)
    request.app[FIRST_LOGIN].seen(session.tokens)
    return Established(cookie_value, session)


def new_cookie_value(request: web.Request) -> Secret:
    """Return a session cookie that nobody knew before."""
    return Secret(urlsafe_b64encode(request.app[keys.RANDOM_BYTES](COOKIE_BYTES)).rstrip(b"=").decode())


def session_of(request: web.Request, grant: Grant, manner: LoginManner, cookie_value: Secret) -> Session:
    """Return the session that a grant becomes, as a login of now; nothing is stored."""
    options, now = request.app[OPTIONS], request.app[keys.CLOCK].now()
    is_lasting = manner.persistence is Persistence.LASTING
    browser_lifetime_s = min(options.sessions.browser_lifetime_s, options.sessions.lifetime_s)
    return Session(
        key=session_key(cookie_value),
        client_id=options.client_id,
        identity=grant.identity,
        tokens=grant.tokens,
        sid=grant.sid,
        origin=manner.origin,
        issued_at=grant.issued_at,
        authenticated_at=_authenticated_at(grant, manner, now),
        acr=grant.acr,
        created_at=now,
        expires_at=now + (options.sessions.lifetime_s if is_lasting else browser_lifetime_s),
        idle_timeout_s=options.sessions.idle_timeout_s,
        persistence=manner.persistence,
        user_agent=user_agent_of(request),
        address=caller_of(request).address,
        notes=manner.notes,
        portal=options.portal,
    )


def _authenticated_at(grant: Grant, manner: LoginManner, now: float) -> float:
    """Return when the person was asked for proof.

    Our form asked just now. The provider's page may have asked nothing, because it knew the browser from days before;
    when it does not say, nobody knows (OIDC Core 1.0 §2: without ``max_age`` the claim ``auth_time`` is optional).
    A time to come (another unit, another clock) counts as now: else no route would ever find it too old.
    """
    if grant.auth_time is not None:
        return min(grant.auth_time, now)
    return now if manner.origin is LoginOrigin.FORM else NEVER


def tell_login(request: web.Request, session: Session, reason: str) -> None:
    """Count a login and write its event."""
    observer = request.app[keys.OBSERVER]
    observer.login(session.origin.value, "success")
    observer.audit(
        AuditEvent(
            event="login.succeeded",
            request_id=caller_of(request).request_id,
            subject=session.identity.subject,
            username=session.identity.username,
            address=session.address,
            user_agent=session.user_agent,
            sessions_affected=1,
            reason=reason,
        )
    )
