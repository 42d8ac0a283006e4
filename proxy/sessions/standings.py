"""Which logins go on, as far as this replica has heard: for who shows a token again and again, and has no record here.

Pure bookkeeping: no clock, no I/O. A login was looked up in the marks (``redis_marks``); Redis tells when one of the
marks that could end it is written, and then the standing of that login does not hold any more. A change that arrives
while the marks are still being read overtakes the answer, as in ``cache``.

What is here is held by those who hold a :class:`LoginStanding`, so it is bounded by their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class _Mark:
    """One name under which a mark may be written; shared by all whom that mark would end."""

    __slots__ = ("__weakref__", "is_written")

    def __init__(self) -> None:
        self.is_written = False


_WRITTEN = _Mark()
_WRITTEN.is_written = True


class LoginStanding:
    """``ports.LoginStanding`` of a login that no mark named when it was looked up."""

    __slots__ = ("_is_trusted", "_marks")

    def __init__(self, marks: tuple[_Mark, ...], is_trusted: Callable[[], bool]) -> None:
        """``marks``: those that could end the login; ``is_trusted``: says whether changes of them would be told."""
        self._marks = marks
        self._is_trusted = is_trusted

    def holds(self) -> bool:
        """Say whether nothing that could end the login was heard of, and would have been."""
        for mark in self._marks:
            if mark.is_written:
                return False
        return self._is_trusted()


class Standings:
    """The names that those who hold a standing wait for."""

    def __init__(self, is_trusted: Callable[[], bool]) -> None:
        """``is_trusted``: says whether changes would be told; while they would not, no standing holds."""
        self._is_trusted = is_trusted
        self._marks: WeakValueDictionary[bytes, _Mark] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many names are waited for."""
        return len(self._marks)

    def begin(self, names: Iterable[bytes]) -> LoginStanding:
        """Hear that the marks of these names are about to be read; what is heard from now on counts."""
        if not self._is_trusted():
            # What is written before somebody tells again would not be heard.
            return LoginStanding((_WRITTEN,), self._is_trusted)
        return LoginStanding(tuple(self._mark(name) for name in names), self._is_trusted)

    def changed(self, name: bytes) -> None:
        """Hear that the mark of this name was written."""
        mark = self._marks.pop(name, None)
        if mark is not None:
            mark.is_written = True

    def everything_changed(self) -> None:
        """Hear that any mark may have been written."""
        for mark in list(self._marks.values()):
            mark.is_written = True
        self._marks.clear()

    def _mark(self, name: bytes) -> _Mark:
        mark = self._marks.get(name)
        if mark is None:
            mark = self._marks[name] = _Mark()
        return mark
