"""What has ended and stays ended, in the memory of one process.

A logout may arrive before the session that it ends is made, or while its tokens are refreshed; a mark outlives both.
Marks are bounded. The one that would end first goes at the cap, and raises a *floor*: every login issued up to the
time of what was forgotten counts as ended for those who are new (``may_have_covered``). Logins are seconds old when
their session is made and marks at the cap far older, so the floor touches nobody who signs in; it is there so that
forgetting never lets anybody in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy.core.session import BySid, BySubject, EndedMark, EverySessionOf
from proxy.sessions.expiring import ExpiringMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.login import Login


class EndedMarks:
    """Provider sessions, and persons up to an instant, whose logins are over.

    Attributes:
        changes: counts the marks that came: what was judged before the last of them must be judged anew.
    """

    def __init__(self, cap: int) -> None:
        """Begin with nothing ended; ``cap`` is a number of marks."""
        self.changes = 0
        self._marks: ExpiringMap[BySid | BySubject | EverySessionOf, EndedMark] = ExpiringMap(cap)
        self._floor = float("-inf")

    def __len__(self) -> int:
        """Return how many marks are held."""
        return len(self._marks)

    def put(self, mark: EndedMark, now: float) -> None:
        """Keep a mark; of two for the same thing the later end and the longer keeping count."""
        self.changes += 1
        known = self._marks.get(mark.what, now)
        if known is not None:
            ended_at, keep_until = max(known.ended_at, mark.ended_at), max(known.keep_until, mark.keep_until)
            mark = replace(mark, ended_at=ended_at, keep_until=keep_until)
        elif self._marks.is_full(now) and (oldest := self._marks.pop_first()) is not None:
            self._floor = max(self._floor, oldest.ended_at)
        self._marks.put(mark.what, mark, mark.keep_until)

    def cover(
        self, *, issuer: str, client_id: str, sid: str | None, subject: str, issued_at: float, now: float
    ) -> bool:
        """Say whether a mark names this login."""
        if sid is not None and self._marks.get(BySid(issuer, sid), now) is not None:
            return True
        many = (
            self._marks.get(BySubject(issuer, subject), now),
            self._marks.get(EverySessionOf(issuer, client_id), now),
        )
        return any(mark is not None and is_at_or_before(issued_at, mark.ended_at) for mark in many)

    def may_have_covered(self, issued_at: float) -> bool:
        """Say whether a mark that had to be forgotten at the cap could have named a login of that instant."""
        return is_at_or_before(issued_at, self._floor)


class MemoryStanding:
    """``ports.LoginStanding``: a login is held against the marks again when there are new ones."""

    __slots__ = ("_has_ended", "_judged_at", "_login", "_marks")

    def __init__(self, login: Login, marks: EndedMarks, has_ended: Callable[[Login], bool]) -> None:
        """The login was held against all ``marks`` that there are by now."""
        self._login = login
        self._marks = marks
        self._has_ended = has_ended
        self._judged_at = marks.changes

    def holds(self) -> bool:
        """Say whether the login goes on."""
        if self._judged_at == self._marks.changes:
            return True
        if self._has_ended(self._login):
            return False
        self._judged_at = self._marks.changes
        return True


def is_at_or_before(issued_at: float, ended_at: float) -> bool:
    """Compare whole seconds, because ``iat`` has no finer grain: the same second is included (contract §4)."""
    return issued_at // 1 <= ended_at // 1
