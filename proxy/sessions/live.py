"""The open streams of sessions and bearers: WebSockets and answers still being sent, which end when those do.

Synchronous bookkeeping for one loop. The streams themselves belong to the data path, and are told here that they end,
in slices: a thousand that close at once must not keep everybody else waiting. Who asks the store about sessions that
are in doubt, and keeps alive those of which only a stream is open, is ``stream_keeper.py``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from proxy.core.policy import Allow, StepUp, decide
from proxy.core.session import EndCause
from proxy.errors import RightsLost, SessionEnded, StreamsFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, KeysView, Sequence
    from collections.abc import Set as AbstractSet

    from proxy.core.bearer import Bearer
    from proxy.core.routing import Access, Preflight
    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.errors import SidegateError
    from proxy.ports import Forward, Observer, OpenStream

MAX_STREAMS = 100_000
"""Streams in one process; far above the sockets that a process is usually given (``ulimit -n`` 65536)."""

MAX_RECENT = 10_000
"""Sessions that ended or changed, remembered for streams that open a moment too late; the oldest goes."""

SLACK = 64
"""Bearers without streams that are tolerated before they are taken out."""

CLOSE_SLICE = 64
"""Streams closed in one turn of the loop: about 10 ms, at 0.15 ms for a WebSocket with both its sides."""

JUDGE_SLICE = 200
"""Streams judged by other rules in one turn of the loop: about 4 ms."""

_NONE: frozenset[OpenStream] = frozenset()


@dataclass(frozen=True, slots=True)
class Heir:
    """The session as which another one goes on (step-up), and the cookie that names it."""

    session: Session
    cookie_value: Secret = field(repr=False)


class LiveStreamRegistry:
    """``ports.LiveStreams`` of one process.

    Attributes:
        has_doubts: set when :meth:`take_doubts` has something to give.
    """

    def __init__(self, observer: Observer, *, max_streams: int = MAX_STREAMS) -> None:
        """Begin with no stream; ``max_streams`` is a number of streams."""
        self.has_doubts = asyncio.Event()
        self._observer = observer
        self._max_streams = max_streams
        self._count = 0
        self._streams: dict[SessionKey, set[OpenStream]] = {}
        # What became of a session lately: why it ended, the version that it has, or as what it goes on.
        self._recent: dict[SessionKey, EndCause | int | Heir] = {}
        # Where streams are that moved, and whose they are now: what they were admitted for does not say it any more.
        self._homes: dict[OpenStream, SessionKey] = {}
        self._heirs: dict[SessionKey, Heir] = {}
        # Which of them are streams of bearers; one that has none any more is taken out when there are many.
        self._bearers: set[SessionKey] = set()
        # What is demanded for a stream since the rules are others than those by which it was admitted.
        self._demanded: WeakKeyDictionary[OpenStream, Access] = WeakKeyDictionary()
        self._doubts: set[SessionKey] = set()
        self._hearers: list[Callable[[SessionKey], None]] = []
        self._closing: deque[tuple[OpenStream, SidegateError]] = deque()
        self._left_this_turn = CLOSE_SLICE
        self._next_turn: asyncio.Handle | None = None

    def __len__(self) -> int:
        """Return how many streams are open."""
        return self._count

    def hear(self, hearer: Callable[[SessionKey], None]) -> Callable[[], None]:
        """Tell ``hearer`` of each session that ended, or that changed as far as this replica knows, whether it has
        streams or not; until what is returned is called.
        """
        self._hearers.append(hearer)
        return lambda: self._hearers.remove(hearer)

    def _tell(self, key: SessionKey) -> None:
        for hearer in self._hearers:
            hearer(key)

    # --- ports.LiveStreams -------------------------------------------------------------------------------------------

    def opened(self, stream: OpenStream, key: SessionKey) -> None:
        """Register a stream; see ``ports.LiveStreams.opened``.

        Raises:
            StreamsFull: at the cap. A stream that nobody could close must not be opened.
        """
        if self._count >= self._max_streams:
            msg = f"{self._max_streams} streams are open, which is the cap; no further one is taken"
            raise StreamsFull(msg)
        self._count += 1
        streams = self._streams.get(key)
        if streams is None:
            self._streams[key] = {stream}
        else:
            streams.add(stream)
        if key in self._recent:
            self._opened_late(stream, key)

    def opened_by_bearer(self, stream: OpenStream, bearer: Bearer) -> None:
        """Register a stream of a bearer; see ``ports.LiveStreams.opened_by_bearer``.

        Raises:
            StreamsFull
        """
        key = bearer.key
        self.opened(stream, key)
        self._bearers.add(key)
        if len(self._bearers) > 2 * len(self._streams) + SLACK:
            self._bearers.intersection_update(self._streams)

    def over(self, stream: OpenStream, key: SessionKey) -> None:
        """Take out a stream that ended by itself; one that is being closed is out already."""
        streams = self._streams.get(key)
        if streams is None or stream not in streams:
            key = self._homes.pop(stream, key)
            streams = self._streams.get(key, set())
            if stream not in streams:
                return
        streams.remove(stream)
        self._count -= 1
        if not streams:
            del self._streams[key]
            self._heirs.pop(key, None)

    def session_ended(self, key: SessionKey, cause: EndCause) -> int:
        """Close every stream of the session; returns how many."""
        # That it goes on as another one says more than that it ended for it.
        if not isinstance(self._recent.get(key), Heir):
            self._remember(key, cause)
        self._tell(key)
        streams = self._taken(key)
        self._close(streams, SessionEnded(f"the session ended while the app answered: {cause}"))
        return len(streams)

    def session_changed(self, session: Session, now: float) -> int:
        """Close the streams that ``session`` would not be allowed any more; returns how many."""
        self._tell(session.key)
        self._remember(session.key, session.version)
        return self.judge(session, now)

    def moved(self, key: SessionKey, heir: Session, *, cookie_value: Secret, now: float) -> int:
        """Give the streams of ``key`` to the session as which it goes on; returns how many."""
        self._tell(key)
        self._remember(key, Heir(heir, cookie_value))
        streams = self._taken(key)
        for stream in streams:
            self._settle(stream, Heir(heir, cookie_value))
        self.judge(heir, now)
        return len(streams)

    def in_doubt(self, key: SessionKey) -> None:
        """Have the store asked about this session, if it has streams."""
        self._tell(key)
        if key in self._streams:
            self._doubts.add(key)
            self.has_doubts.set()

    def bearers_in_doubt(self) -> None:
        """Have the streams of every bearer looked at."""
        self._bearers.intersection_update(self._streams)
        if self._bearers:
            self._doubts.update(self._bearers)
            self.has_doubts.set()

    def all_in_doubt(self) -> None:
        """Have the store asked about every session that has streams."""
        if self._streams:
            self._doubts.update(self._streams)
            self.has_doubts.set()

    def session_keys(self) -> KeysView[SessionKey]:
        """Return the sessions that have streams; what is returned changes with them."""
        return self._streams.keys()

    # --- for the keeper ----------------------------------------------------------------------------------------------

    def streams_of(self, key: SessionKey) -> AbstractSet[OpenStream]:
        """Return the open streams of the session; what is returned changes with them."""
        return self._streams.get(key, _NONE)

    def heir(self, key: SessionKey) -> Heir | None:
        """Return whose the streams under ``key`` are, when they were admitted for another session."""
        return self._heirs.get(key)

    def judge(self, session: Session, now: float) -> int:
        """Do as :meth:`session_changed` does for a session that may not have changed at all."""
        streams = self._streams.get(session.key)
        if streams is None:
            return 0
        lost = [stream for stream in streams if not _is_allowed(self._demanded_of(stream), session, now)]
        return self._lose(lost, session.key)

    async def judge_anew(self, demanded: Callable[[Forward], Access | None], *, now: Callable[[], float]) -> None:
        """Judge every stream by other rules than those by which it was admitted, now and whenever its session changes.

        Args:
            demanded: says of what was admitted what is demanded for it now; None: nobody may have it.
            now: returns Unix seconds.
        """
        looked = 0
        for key in list(self._streams):
            for stream in list(self._streams.get(key, _NONE)):
                self._judge_by(stream, key, demanded(stream.admitted), now())
                looked += 1
                if looked % JUDGE_SLICE == 0:
                    await asyncio.sleep(0)
        # What their sessions are by now, the store knows.
        self.all_in_doubt()

    def _judge_by(self, stream: OpenStream, key: SessionKey, access: Access | None, now: float) -> None:
        if stream not in self._streams.get(key, _NONE):
            return  # it ended in a turn of the loop between
        bearer = stream.admitted.allow.bearer
        if access is None or (bearer is not None and not _is_allowed(access, bearer, now)):
            self._lose([stream], key)
        else:
            self._demanded[stream] = access

    def _demanded_of(self, stream: OpenStream) -> Access | Preflight:
        return self._demanded.get(stream, stream.admitted.allow.access)

    def _lose(self, lost: Sequence[OpenStream], key: SessionKey) -> int:
        for stream in lost:
            self.over(stream, key)
        self._close(lost, RightsLost("the session lost its right to the route while the app answered"))
        return len(lost)

    def unconfirmed(self, key: SessionKey, fault: SidegateError) -> int:
        """Close every stream of a session that lives, as far as anybody knows; returns how many."""
        streams = self._taken(key)
        self._close(streams, fault)
        return len(streams)

    def take_doubts(self) -> set[SessionKey]:
        """Return the sessions that are in doubt, and think of them as asked."""
        doubts, self._doubts = self._doubts, set()
        self.has_doubts.clear()
        return doubts

    # --- inside ------------------------------------------------------------------------------------------------------

    def _taken(self, key: SessionKey) -> AbstractSet[OpenStream]:
        """Take out the streams of a session, and what is known of them."""
        streams = self._streams.pop(key, _NONE)
        self._count -= len(streams)
        if self._heirs.pop(key, None) is not None:
            for stream in streams:
                self._homes.pop(stream, None)
        return streams

    def _settle(self, stream: OpenStream, heir: Heir) -> None:
        """Put in a stream that was admitted for another session."""
        key = heir.session.key
        self._count += 1
        self._streams.setdefault(key, set()).add(stream)
        self._homes[stream] = key
        self._heirs[key] = heir

    def _remember(self, key: SessionKey, what: EndCause | int | Heir) -> None:
        """What has ended may be remembered by key: those of sessions are random and never come back, and a token whose
        login has ended, or that is over, stays so.
        """
        self._recent.pop(key, None)
        if len(self._recent) >= MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = what

    def _opened_late(self, stream: OpenStream, key: SessionKey) -> None:
        """The session ended or changed between the decision and this moment, or had changed before the decision."""
        became, decided_for = self._recent[key], stream.admitted.allow.session
        if isinstance(became, Heir):
            self._opened_for_another(stream, key, became)
        elif isinstance(became, EndCause):
            asyncio.get_running_loop().call_soon(self.session_ended, key, became)
        elif decided_for is None or decided_for.version < became:
            self.in_doubt(key)

    def _opened_for_another(self, stream: OpenStream, key: SessionKey, heir: Heir) -> None:
        self.over(stream, key)
        self._settle(stream, heir)
        key = heir.session.key
        if isinstance(self._recent.get(key), EndCause | Heir):
            self._opened_late(stream, key)
        else:
            self.in_doubt(key)

    def _close(self, streams: Iterable[OpenStream], fault: SidegateError) -> None:
        self._closing.extend((stream, fault) for stream in streams)
        self._close_slice()

    def _close_slice(self) -> None:
        """Close what this turn of the loop has room for, and see to it that there is another turn."""
        if not self._closing:
            return
        while self._closing and self._left_this_turn > 0:
            self._left_this_turn -= 1
            self._close_one(*self._closing.popleft())
        if self._next_turn is None:
            self._next_turn = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._next_turn = None
        self._left_this_turn = CLOSE_SLICE
        self._close_slice()

    def _close_one(self, stream: OpenStream, fault: SidegateError) -> None:
        try:
            stream.end(fault)
        except Exception as defect:  # noqa: BLE001 - one stream's fault must not keep the others open
            self._observer.error("a stream of a session could not be closed", fault=repr(defect))


def _is_allowed(demanded: Access | Preflight, person: Session | Bearer, now: float) -> bool:
    """Ask what the gate asked when the stream began: one rule, one place.

    How strongly and how lately somebody proved who they are was asked when it began, and is not asked again: it is a
    fact of that moment, and a stream has no way to ask for new proof. A download behind ``max_age: 5m`` would end after
    five minutes, and a WebSocket would open again only for who navigates. Every right is asked again.
    """
    return isinstance(decide(demanded, person, now), Allow | StepUp)
