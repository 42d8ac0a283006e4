"""A person ends sessions of theirs on other devices: here first, then at the provider with their own token.

What the provider makes of it never undoes what has ended here; it is said. A provider session that this browser's own
session lives by too (same ``sid``) is left alone there, else the person would sign themselves out.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy import errors, keys
from proxy.core.session import BySid, EndCause, EndedMark
from proxy.ports import AccountAnswer, AuditEvent
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiohttp import web

    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.web.device_list import Device

PATIENCE_S: Final = 2.0
"""Seconds for which a person waits for the provider; the calls go on without them."""


class AtProvider(StrEnum):
    """What became of it there; the words of the JSON answer, and ``devices.said.<word>`` of the page."""

    ENDED = "ended"
    NOT_ASKED = "not_asked"
    """There was nothing to end there, or it is this browser's own session too."""
    PENDING = "pending"
    NO_ENDPOINT = "no_endpoint"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"


_GRAVEST_FIRST: Final = (AtProvider.REFUSED, AtProvider.UNAVAILABLE, AtProvider.NO_ENDPOINT, AtProvider.ENDED)

_ANSWERS: Final = {
    AccountAnswer.ENDED: AtProvider.ENDED,
    AccountAnswer.REFUSED: AtProvider.REFUSED,
    AccountAnswer.NO_ENDPOINT: AtProvider.NO_ENDPOINT,
}


class DevicesEnded(Struct, frozen=True):
    """How many sessions ended here, and what the provider made of it."""

    count: int
    at_provider: AtProvider


async def end_devices(
    request: web.Request, session: Session, *, cookie_value: Secret, devices: Sequence[Device]
) -> DevicesEnded:
    """End these sessions of the person whose ``session`` this is.

    Raises:
        StoreUnavailable: some may have ended; the list tells.
    """
    sessions = request.app[keys.SESSIONS]
    ended = [one for one in devices if await sessions.delete(one.session.key, EndCause.DEVICE)]
    _tell(request, session, sessions_affected=len(ended))
    sids = {one.session.sid for one in ended if one.session.sid is not None} - {session.sid}
    if not sids:
        return DevicesEnded(len(ended), AtProvider.NOT_ASKED)
    work = request.app[keys.TASKS].finish(_end_at_provider(request, session, cookie_value=cookie_value, sids=sids))
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            return DevicesEnded(len(ended), await work)
    return DevicesEnded(len(ended), AtProvider.PENDING)


async def _end_at_provider(
    request: web.Request, session: Session, *, cookie_value: Secret, sids: Iterable[str]
) -> AtProvider:
    """End provider sessions, one after the other, and return the gravest answer."""
    answers: set[AtProvider] = set()
    try:
        fresh = await _with_fresh_token(request, session, cookie_value)
        for sid in sorted(sids):
            answers.add(await _end_one(request, fresh, sid))
    except errors.SidegateError as error:
        _warn(request, str(error), error.reason)
        answers.add(AtProvider.UNAVAILABLE)
    return next(answer for answer in _GRAVEST_FIRST if answer in answers)


async def _with_fresh_token(request: web.Request, session: Session, cookie_value: Secret) -> Session:
    refresher = request.app[keys.REFRESHER]
    fresh = session if refresher.ready(session) else await refresher.fresh(cookie_value, session)
    if fresh is None:
        raise errors.SessionEnded("the person's own session ended at the provider meanwhile")
    return fresh


async def _end_one(request: web.Request, session: Session, sid: str) -> AtProvider:
    answer = _ANSWERS[await request.app[keys.PROVIDER].end_other_session(session, sid)]
    if answer is AtProvider.ENDED:
        await _mark_ended(request, BySid(session.identity.issuer, sid))
    else:
        _warn(request, "the provider does not let a person end a session of theirs", answer.value)
    return answer


async def _mark_ended(request: web.Request, which: BySid) -> None:
    """Keep a login that is under way from bringing it back.

    Only what ended at the provider is marked: where it goes on, its next login here has the same sid, and would be
    refused until the mark is forgotten.
    """
    now = request.app[keys.CLOCK].now()
    keep_until = now + request.app[OPTIONS].sessions.remember_ended_s
    try:
        await request.app[keys.SESSIONS].mark_ended(EndedMark(which, ended_at=now, keep_until=keep_until))
    except errors.StoreFault as error:  # the provider's own back-channel logout brings the same mark
        request.app[keys.OBSERVER].warning(f"an end at the provider was not noted: {error}", reason=error.reason)


def _warn(request: web.Request, message: str, reason: str) -> None:
    request.app[keys.OBSERVER].warning(
        f"a session was ended on another device here but not at the provider: {message}",
        reason=reason,
        request_id=caller_of(request).request_id,
    )


def _tell(request: web.Request, session: Session, *, sessions_affected: int) -> None:
    caller, observer = caller_of(request), request.app[keys.OBSERVER]
    observer.logout("device")
    observer.audit(
        AuditEvent(
            event="session.revoked",
            request_id=caller.request_id,
            subject=session.identity.subject,
            username=session.identity.username,
            address=caller.address,
            user_agent=user_agent_of(request),
            sessions_affected=sessions_affected,
            reason=EndCause.DEVICE.value,
        )
    )
