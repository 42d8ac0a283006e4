"""How sessions in Redis end, and what follows: tombstone, events, the streams of this replica.

Of all who want to end a session at the same time one does, the one whose ``DEL`` took the record; only that one says
so. Other replicas hear of the record's end from Redis, and find the cause in the tombstone, which was set before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.session import EndCause, EverySessionOf, LoginOrigin, Tombstone, subject_hash
from proxy.ports import AuditEvent
from proxy.sessions.memory import AUDITED
from proxy.sessions.redis_commands import Step
from proxy.sessions.redis_times import cause_of_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from proxy.core.session import SessionKey
    from proxy.sessions.codec import RecordSummary
    from proxy.sessions.redis_commands import Command
    from proxy.sessions.redis_marks import Watermark
    from proxy.sessions.redis_workings import Workings

ENDED_TOGETHER: Final = 40
"""Sessions that are ended in one call, with about seven commands each."""


class Endings:
    """Ends sessions, and says of one whether its time has come."""

    def __init__(self, workings: Workings, announce: Callable[[Iterable[str]], Awaitable[None]]) -> None:
        """``announce``: tells the other replicas of records that changed, where Redis does not."""
        self._workings = workings
        self._announce = announce

    # --- ending ------------------------------------------------------------------------------------------------------

    async def end(self, over: Sequence[RecordSummary], cause: EndCause) -> list[RecordSummary]:
        """End these sessions; return those that were still there.

        Raises:
            StoreUnavailable: some may have ended.
        """
        ended: list[RecordSummary] = []
        for start in range(0, len(over), ENDED_TOGETHER):
            part = over[start : start + ENDED_TOGETHER]
            buried = [self._burial(summary, cause) for summary in part]
            ended += await self._removed(part, Step(buried, must_succeed=False))
        for summary in ended:
            self._has_ended(summary, cause)
        return ended

    async def remove(self, summary: RecordSummary) -> None:
        """Take out a session that never lived: no tombstone, no event.

        Raises:
            StoreUnavailable
        """
        _ = await self._removed([summary], Step([]))

    async def remove_unread(self, key: SessionKey) -> None:
        """Take out a record that cannot be read: nobody knows whose it was.

        Raises:
            StoreUnavailable
        """
        names, record = self._workings.names, self._workings.names.record(key)
        cleaned = [("DEL", names.touch(key)), self._workings.indexes.striking_off(key)]
        steps = Step([("DEL", record)], replicated=[record]), Step(cleaned, must_succeed=False)
        await self._workings.commands.in_order("delete", *steps)
        await self._announce([record])

    async def _removed(self, part: Sequence[RecordSummary], before: Step) -> list[RecordSummary]:
        """Remove records, then what leads to them; return those of which this call removed the record."""
        records = [self._workings.names.record(summary.key) for summary in part]
        # Before and after: Redis may tell of it before it answers, and that is then no news from another replica.
        for summary in part:
            self._workings.cache.forget(summary.key)
        _, counts, _ = await self._workings.commands.in_order(
            "delete",
            before,
            Step([("DEL", name) for name in records], replicated=records),
            # What stays behind leads nowhere and is found stale; the sessions are gone, and that is what was asked.
            Step(list(self._cleaning(part)), must_succeed=False),
        )
        for summary in part:
            self._workings.cache.forget(summary.key)
            self._workings.touches.forget(summary.key)
        await self._announce(records)
        return [summary for summary, count in zip(part, counts, strict=True) if count]

    def _burial(self, summary: RecordSummary, cause: EndCause) -> Command:
        return self._workings.records.burial(summary.key, tombstone_of(summary, cause, self._workings.clock.now()))

    def _cleaning(self, part: Sequence[RecordSummary]) -> Iterator[Command]:
        for summary in part:
            yield ("DEL", self._workings.names.touch(summary.key))
            yield from self._workings.indexes.striking(summary)

    def _has_ended(self, summary: RecordSummary, cause: EndCause) -> None:
        self._workings.live.session_ended(summary.key, cause)
        self._workings.observer.session_ended(cause)
        if cause in AUDITED:
            self._workings.observer.audit(_audit_event(summary, cause))

    # --- judging -----------------------------------------------------------------------------------------------------

    def cause_of_end(self, summary: RecordSummary, last_seen_at: float) -> EndCause | None:
        """Return why its time is over, or None; a watermark aside."""
        return cause_of_end(summary, last_seen_at, self._workings.clock.now())

    async def is_live(self, summary: RecordSummary, last_seen_at: float) -> bool:
        """Say whether a session may be served; one whose time has come, or that a watermark covers, is ended.

        Raises:
            StoreUnavailable
        """
        cause = self.cause_of_end(summary, last_seen_at)
        if cause is None and await self.is_covered(summary):
            cause = EndCause.ADMIN
        if cause is not None:
            await self.end([summary], cause)
        return cause is None

    async def is_covered(self, summary: RecordSummary) -> bool:
        """Say whether the watermark of its client covers a session; asks when it is not known here.

        Raises:
            StoreUnavailable
        """
        watermark = await self.watermark(EverySessionOf(summary.issuer, summary.client_id))
        return watermark.covers(summary.issued_at, self._workings.clock.now())

    async def watermark(self, client: EverySessionOf) -> Watermark:
        """Return up to when the logins of a client are over; asks when it is not known here.

        Raises:
            StoreUnavailable
        """
        workings = self._workings
        watermark = workings.watermarks.of(client)
        if watermark is None:
            begun = workings.watermarks.begin()
            asking = workings.marks.asking_for_watermark(client)
            watermark = workings.marks.watermark_from(await workings.commands.together("watermark", asking))
            workings.watermarks.keep(client, watermark, begun)
        return watermark


def tombstone_of(summary: RecordSummary, cause: EndCause, now: float) -> Tombstone:
    """Return what is left of a session that ends now."""
    return Tombstone(subject_hash(summary.issuer, summary.subject), cause, now, LoginOrigin(summary.origin))


def _audit_event(summary: RecordSummary, cause: EndCause) -> AuditEvent:
    return AuditEvent(
        event=AUDITED[cause],
        subject=summary.subject,
        username=summary.username,
        address=summary.address,
        user_agent=summary.user_agent,
        sessions_affected=1,
        reason=cause.value,
    )
