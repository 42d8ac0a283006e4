"""What operators do with sessions and the audit trail, however they ask: by the management API or by a command.

No HTTP here: words come in, documents of JSON's own types go out. Ids of sessions are those of the devices page, so no
key of the store leaves the process.

What an operator ends is ended here alone. It is not marked as ended at the provider: there it goes on, and whoever is
still signed in there may come back. Only "all" sets the watermark of the client, so that nothing under way survives it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from proxy import errors
from proxy.core.session import BySid, ByUsername, EndCause, EndedMark, EverySessionOf
from proxy.ports import AuditEvent
from proxy.web.session_ids import SessionIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from proxy.core.session import SessionsFilter, SessionSummary
    from proxy.ports import AuditRecord, AuditTrail, Clock, Observer, SessionStore

DEFAULT_LIMIT: Final = 100
"""Sessions or events that are listed when nobody says how many."""

MAX_LIMIT: Final = 10_000
"""Sessions or events in one answer: about 4 MB."""

MAX_NAMED: Final = 50
"""Events for one act, one for each person; an act that ends more people's sessions is one event without names."""

REMEMBER_ENDED_S: Final = 24 * 3600.0
"""Seconds for which the watermark of "all" is kept: at least the longest life of a token that was issued before it."""

LATEST_SINCE: Final = 253_402_300_799
"""The last second of the year 9999: what is later no store takes for an instant."""

AT_ONCE: Final = 500
"""Sessions ended before the loop gets its turn."""

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class ManagedSite:
    """A site whose sessions these are: one, or that of each portal."""

    portal: str
    issuer: str
    client_id: str
    server_key: bytes = field(repr=False)


class Operator(Struct, frozen=True):
    """Who asks, for the audit trail: ``by`` is the way (``management_api``, ``command``)."""

    by: str
    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


class AdministrationParts(Struct, frozen=True, kw_only=True):
    """What :class:`StoreAdministration` works on: at least one site; ``trail`` is None where nothing is kept."""

    sites: tuple[ManagedSite, ...]
    sessions: SessionStore
    trail: AuditTrail | None
    observer: Observer
    clock: Clock


class Administration(Protocol):
    """What the commands need; one speaks to the store, the other to a running process."""

    async def list_sessions(self, *, user: str | None, sid: str | None, limit: int) -> Document:
        """Return ``{"sessions": […], "total": N}``, the most recently used first.

        Raises:
            StoreUnavailable
            RequestRefused: user and sid together, or a limit out of range.
        """

    async def end_sessions(self, *, user: str | None, sid: str | None) -> Document:
        """End the sessions of exactly one of the two; return ``{"sessions_ended": N, "sessions": […]}``.

        Raises:
            StoreUnavailable
            RequestRefused: neither of the two, or both.
        """

    async def end_every_session(self) -> Document:
        """End every session of all sites, and whatever login is under way; as :meth:`end_sessions`."""

    async def read_audit(self, *, user: str | None, since: float, limit: int) -> Document:
        """Return ``{"events": […]}``, the newest last.

        Raises:
            StoreUnavailable
            RequestRefused: a limit out of range.
            ManagementRefused: ``audit.keep`` is 0 (``audit_not_kept``).
        """

    def follow_audit(self, *, user: str | None, since: float, limit: int) -> AsyncIterator[Document]:
        """Yield the last events and then each further one; raises as :meth:`read_audit` at its first step."""


class StoreAdministration:
    """:class:`Administration` of whoever has the store and the trail in hand."""

    def __init__(self, parts: AdministrationParts, operator: Operator) -> None:
        """Work for this operator."""
        self._sites = parts.sites
        self._ids = {site.portal: SessionIds(site.server_key) for site in parts.sites}
        self._sessions = parts.sessions
        self._trail = parts.trail
        self._observer = parts.observer
        self._clock = parts.clock
        self._operator = operator

    async def list_sessions(self, *, user: str | None, sid: str | None, limit: int) -> Document:
        """Return live sessions; see :class:`Administration`."""
        if user is not None and sid is not None:
            raise errors.RequestRefused("user and sid are two ways to choose; name one of them", reason="two_filters")
        wanted, which = checked_limit(limit), self._which(user=user, sid=sid)
        listed = [one for each in which for one in await self._sessions.find(each)] if which else None
        found = sorted(await self._sessions.find() if listed is None else listed, key=lambda one: -one.last_seen_at)
        return {"sessions": [self._document(one) for one in found[:wanted]], "total": len(found)}

    async def end_sessions(self, *, user: str | None, sid: str | None) -> Document:
        """End somebody's sessions; see :class:`Administration`."""
        which = self._which(user=user, sid=sid)
        if not which or (user is not None and sid is not None):
            raise errors.RequestRefused("name whose sessions end: user or sid", reason="one_filter_needed")
        ended = [one for each in which for one in await self._sessions.delete_matching(each, EndCause.ADMIN)]
        return self._ended(ended, asked="user" if sid is None else "sid")

    async def end_every_session(self) -> Document:
        """End every session of all sites; see :class:`Administration`.

        The marks come first: from then on nothing of before is served, here or on any replica.
        """
        now, clients = self._clock.now(), {site.client_id for site in self._sites}
        found = [one for one in await self._sessions.find() if one.client_id in clients]
        for everyone in {EverySessionOf(site.issuer, site.client_id) for site in self._sites}:
            await self._sessions.mark_ended(EndedMark(everyone, ended_at=now, keep_until=now + REMEMBER_ENDED_S))
        for number, one in enumerate(found):
            await self._sessions.delete(one.key, EndCause.ADMIN)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return self._ended(found, asked="all")

    async def read_audit(self, *, user: str | None, since: float, limit: int) -> Document:
        """Return events; see :class:`Administration`."""
        trail, wanted = self._kept(), checked_limit(limit)
        records = await trail.read(username=user, since=_checked_since(since), limit=wanted)
        return {"events": [event_document(record) for record in records]}

    async def follow_audit(self, *, user: str | None, since: float, limit: int) -> AsyncIterator[Document]:
        """Yield events; see :class:`Administration`."""
        trail, wanted = self._kept(), checked_limit(limit)
        async for record in trail.follow(username=user, since=_checked_since(since), limit=wanted):
            yield event_document(record)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _which(self, *, user: str | None, sid: str | None) -> tuple[SessionsFilter, ...]:
        """Return what finds them, for each provider; nothing when neither is named."""
        issuers = dict.fromkeys(site.issuer for site in self._sites)
        if user is not None:
            return tuple(ByUsername(issuer, user) for issuer in issuers)
        return () if sid is None else tuple(BySid(issuer, sid) for issuer in issuers)

    def _ended(self, ended: Sequence[SessionSummary], *, asked: str) -> Document:
        self._tell(ended, asked=asked)
        return {"sessions_ended": len(ended), "sessions": [self._document(one) for one in ended[:MAX_LIMIT]]}

    def _kept(self) -> AuditTrail:
        if self._trail is None:
            raise errors.ManagementRefused(
                "audit.keep is 0s, so events are in the log alone; set it to keep them", reason="audit_not_kept"
            )
        return self._trail

    def _document(self, session: SessionSummary) -> Document:
        # What is left of a portal that the file has no more has an id too, by which nobody else knows it.
        ids = self._ids.get(session.portal) or next(iter(self._ids.values()))
        of_portal = {"portal": session.portal} if session.portal else {}
        return {
            "id": ids.id_of(session.key),
            **of_portal,
            "username": session.username,
            "subject": session.subject,
            "client_id": session.client_id,
            "sid": session.sid,
            "created_at": int(session.created_at),
            "last_seen": int(session.last_seen_at),
            "expires_at": int(session.expires_at),
            "address": session.address,
            "user_agent": session.user_agent,
        }

    def _tell(self, ended: Iterable[SessionSummary], *, asked: str) -> None:
        """Write one event for each person, so that each is found by their name; of a crowd one for all."""
        people = Counter((one.subject, one.username) for one in ended)
        if not people or len(people) > MAX_NAMED:
            self._tell_one(people.total(), asked=asked)
            return
        for (subject, username), count in people.items():
            self._tell_one(count, asked=asked, subject=subject, username=username)

    def _tell_one(self, count: int, *, asked: str, subject: str | None = None, username: str | None = None) -> None:
        operator = self._operator
        self._observer.audit(
            AuditEvent(
                event="session.revoked",
                request_id=operator.request_id,
                subject=subject,
                username=username,
                address=operator.address,
                user_agent=operator.user_agent,
                sessions_affected=count,
                reason=EndCause.ADMIN.value,
                details={"by": operator.by, "asked": asked},
            )
        )


def event_document(record: AuditRecord) -> Document:
    """Return an event with the names of the log's lines, ``at`` first (ISO 8601, UTC)."""
    event = record.event
    document: Document = {
        "at": datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": event.event,
        "request_id": event.request_id,
        "route": event.route,
        "subject": event.subject,
        "username": event.username,
        "address": event.address,
        "user_agent": event.user_agent,
        "sessions_affected": event.sessions_affected,
        "reason": event.reason,
    }
    return {**document, "details": dict(event.details)} if event.details else document


def checked_limit(limit: int) -> int:
    """Return the limit.

    Raises:
        RequestRefused: it is out of range.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise errors.RequestRefused(f"limit is a number from 1 to {MAX_LIMIT}", reason="bad_limit")
    return limit


def _checked_since(since: float) -> float:
    if not -LATEST_SINCE <= since <= LATEST_SINCE:  # NaN neither
        raise errors.RequestRefused("since is a Unix time in seconds", reason="bad_since")
    return since
