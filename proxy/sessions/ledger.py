"""What ended and must stay so, in the memory of this process: what the store has yet to take, and what ended of late.

Pure bookkeeping: no clock, no I/O; instants are Unix seconds. Both have a cap; ``recovery`` says what happens at it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.core.login import Login
from proxy.core.session import BySid, BySubject, ByUsername, EndCause, EndedMark, EverySessionOf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.session import Session, SessionKey, SessionsFilter

MAX_KEPT = 10_000
"""Logouts that wait for the store; some 400 bytes each."""

MAX_REPEATED = 10_000
"""Endings that a failover would repeat; some 400 bytes each."""

REPEAT_FOR_S = 600.0
"""Seconds; replication lags by less than a second, but a failover may take minutes in which nobody writes."""


class Ending(Struct, frozen=True, kw_only=True):
    """Something that ended; applying it twice ends nothing more.

    Attributes:
        what: one session, those of a filter, or (by a mark alone) all of a client.
        cause: what tombstones say.
        at: Unix seconds at which it was asked for; what was made later is not meant.
        mark: the mark that goes with it, or None.
    """

    what: SessionKey | SessionsFilter | EverySessionOf
    cause: EndCause
    at: float
    mark: EndedMark | None = None

    def covers(self, session: Session) -> bool:
        """Say whether a session that ``what`` names is over."""
        if isinstance(self.what, str):
            return True
        if self.mark is None:
            return session.created_at <= self.at
        return self.covers_login(session.issued_at)

    def means(self, created_at: float) -> bool:
        """Say whether a session that the store found by ``what``, made at that instant, is one that ended."""
        return created_at <= self.at or (self.mark is not None and isinstance(self.what, BySid))

    def covers_login(self, issued_at: float) -> bool:
        """Say whether a login of that instant, which ``what`` names, is over by the mark."""
        if self.mark is None:
            return False
        # A provider session never comes back; of a person or a client, what was issued later is another login.
        return isinstance(self.what, BySid) or issued_at // 1 <= self.mark.ended_at // 1


Name = tuple[object, bool]
"""What ended, and whether by a mark: of the same thing there may be one of each."""


class Ledger:
    """Endings that the store has yet to take, and those of late; pure bookkeeping with instants of Unix time."""

    def __init__(self, *, max_kept: int = MAX_KEPT, max_repeated: int = MAX_REPEATED) -> None:
        """Begin empty."""
        self._max_kept = max_kept
        self._max_repeated = max_repeated
        self._kept: OrderedDict[Name, Ending] = OrderedDict()
        self._lately: OrderedDict[Name, Ending] = OrderedDict()

    @property
    def kept(self) -> int:
        """How many the store has yet to take."""
        return len(self._kept)

    def keep(self, ending: Ending) -> bool:
        """Keep what the store could not take; False at the cap, where it is not kept."""
        name = _name(ending)
        if name not in self._kept and len(self._kept) >= self._max_kept:
            return False
        self._kept[name] = _later(self._kept.get(name), ending)
        return True

    def took(self, ending: Ending) -> None:
        """Hear that the store took an ending, kept or new."""
        name = _name(ending)
        if self._kept.get(name) == ending:
            del self._kept[name]
        self._lately[name] = _later(self._lately.pop(name, None), ending)
        if len(self._lately) > self._max_repeated:
            self._lately.popitem(last=False)

    def waiting(self) -> tuple[Ending, ...]:
        """Return what the store has yet to take, the oldest first."""
        return tuple(self._kept.values())

    def lately(self, now: float) -> tuple[Ending, ...]:
        """Return what ended within :data:`REPEAT_FOR_S`, the oldest first; forget what is older."""
        for name in [name for name, ending in self._lately.items() if ending.at < now - REPEAT_FOR_S]:
            del self._lately[name]
        return tuple(self._lately.values())

    def is_over(self, session: Session) -> bool:
        """Say whether anything here names this session; what the store holds of it does not count."""
        return self.is_kept(session) or _cover(self._lately, session)

    def is_kept(self, session: Session) -> bool:
        """The same of what the store has yet to take alone."""
        return _cover(self._kept, session)

    def has_ended(self, login: Login) -> bool:
        """Say whether a mark here names this login."""
        for what in _groups_of(login):
            for endings in (self._kept, self._lately):
                ending = endings.get((what, True))
                if ending is not None and ending.covers_login(login.issued_at):
                    return True
        return False


def _name(ending: Ending) -> Name:
    return ending.what, ending.mark is not None


def _cover(endings: OrderedDict[Name, Ending], session: Session) -> bool:
    if not endings:
        return False
    found = (endings.get(name) for name in _names_of(session))
    return any(ending is not None and ending.covers(session) for ending in found)


def _names_of(session: Session) -> Iterator[Name]:
    identity = session.identity
    yield session.key, False
    if identity.username is not None:
        yield ByUsername(identity.issuer, identity.username), False
    for what in _groups_of(Login.of(session)):
        yield what, False
        yield what, True


def _groups_of(login: Login) -> Iterator[BySid | BySubject | EverySessionOf]:
    yield BySubject(login.issuer, login.subject)
    yield EverySessionOf(login.issuer, login.client_id)
    if login.sid is not None:
        yield BySid(login.issuer, login.sid)


def _later(known: Ending | None, ending: Ending) -> Ending:
    """Of two endings of the same, the later instants count."""
    if known is None:
        return ending
    mark = ending.mark
    if mark is not None and known.mark is not None:
        mark = replace(
            mark,
            ended_at=max(mark.ended_at, known.mark.ended_at),
            keep_until=max(mark.keep_until, known.mark.keep_until),
        )
    return replace(ending, at=max(ending.at, known.at), mark=mark)
