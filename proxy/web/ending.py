"""Ending sessions for good: first remember that it ended, so that nothing in flight brings it back, then delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import keys
from proxy.core.session import BySid, BySubject, EndedMark, EverySessionOf
from proxy.ports import AuditEvent
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from proxy.core.session import EndCause, SessionSummary

Ended = tuple["SessionSummary", ...]


async def end_for_good(request: web.Request, which: BySid | BySubject, cause: EndCause, *, ended_at: float) -> Ended:
    """End every session that matches, here and on every replica; those still to be made are refused.

    Args:
        ended_at: Unix seconds; for a person: what was issued up to then is over.

    Raises:
        StoreUnavailable: perhaps nothing has ended; the same call again is right.
    """
    await remember_ended(request, which, ended_at=ended_at)
    return await request.app[keys.SESSIONS].delete_matching(which, cause)


async def remember_ended(request: web.Request, which: BySid | BySubject, *, ended_at: float) -> None:
    """Refuse what was issued up to ``ended_at`` from now on; twice is as good as once.

    The first step of every logout, before anything is asked of the store: one that is away keeps it for later.

    Raises:
        StoreUnavailable
    """
    keep_until = request.app[keys.CLOCK].now() + request.app[OPTIONS].sessions.remember_ended_s
    await request.app[keys.SESSIONS].mark_ended(EndedMark(which, ended_at=ended_at, keep_until=keep_until))


async def end_without_sid(request: web.Request, which: BySubject, cause: EndCause) -> Ended:
    """End those sessions of a person that do not know their ``sid``: one of them may be the one that is meant.

    Raises:
        StoreUnavailable
    """
    sessions = request.app[keys.SESSIONS]
    nameless = [session for session in await sessions.find(which) if session.sid is None]
    return tuple([session for session in nameless if await sessions.delete(session.key, cause)])


async def end_everything_before(request: web.Request, instant: float) -> None:
    """End every session of our client that was issued up to ``instant`` (Unix seconds), and refuse such tokens.

    Records of a watermark go when they are next looked at, so it is kept for as long as the longest of them may lie
    unused.

    Raises:
        StoreUnavailable
    """
    options = request.app[OPTIONS]
    longest_s = max(options.sessions.remember_ended_s, options.sessions.lifetime_s)
    which = EverySessionOf(options.issuer, options.client_id)
    keep_until = request.app[keys.CLOCK].now() + longest_s
    await request.app[keys.SESSIONS].mark_ended(EndedMark(which, ended_at=instant, keep_until=keep_until))


def tell_ended(
    request: web.Request, kind: str, ended: Sequence[SessionSummary], *, reason: str, subject: str | None = None
) -> None:
    """Count a logout and write its event ``logout.<kind>``, naming the person when all that ended is of one."""
    request.app[keys.OBSERVER].logout(kind)
    usernames = {session.username for session in ended}
    subjects = {session.subject for session in ended}
    only_subject = subjects.pop() if len(subjects) == 1 else None
    request.app[keys.OBSERVER].audit(
        AuditEvent(
            event=f"logout.{kind}",
            request_id=caller_of(request).request_id,
            subject=subject or only_subject,
            username=usernames.pop() if len(usernames) == 1 else None,
            address=caller_of(request).address,
            user_agent=user_agent_of(request),
            sessions_affected=len(ended),
            reason=reason,
        )
    )
