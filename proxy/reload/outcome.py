"""What became of a reload: a word for the metric, and what ``/readyz`` says while the file on disk is not what runs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from proxy import ports

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SHOWN = 300
"""Characters of the first problem that ``/readyz`` shows; the log has all of it, and all the others."""


class Outcome(StrEnum):
    """The label of ``sidegate_config_reloads_total``."""

    APPLIED = "applied"
    RESTART_NEEDED = "restart_needed"
    """Applied, but for keys that wait for a restart."""
    REFUSED = "refused"
    """Nothing of it was applied: what ran before runs on."""


class ReloadObserver(ports.Observer, Protocol):
    """An observer that counts reloads too."""

    def config_reload(self, outcome: str, *, succeeded: bool) -> None:
        """A reload has ended."""


class Reloaded(Struct, frozen=True):
    """How one reload ended.

    Attributes:
        problems: why the file is refused, one sentence each, as ``sidegate check`` prints them.
        waiting: keys that wait for a restart.
    """

    outcome: Outcome
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def detail(self) -> str | None:
        """Return in what the file on disk is not what runs; None when it is."""
        if self.outcome is Outcome.REFUSED:
            return f"the file on disk is not what runs: {_first_of(self.problems)}"
        if self.waiting:
            return f"the file on disk is not all of what runs: restart to apply {', '.join(self.waiting)}"
        return None


def applied(waiting: Sequence[str] = ()) -> Reloaded:
    """Return that the file runs, but for ``waiting``."""
    return Reloaded(Outcome.RESTART_NEEDED if waiting else Outcome.APPLIED, waiting=tuple(waiting))


def refused(problems: Sequence[str]) -> Reloaded:
    """Return that the file does not run, and why."""
    return Reloaded(Outcome.REFUSED, tuple(problems))


def _first_of(problems: Sequence[str]) -> str:
    first, *others = problems
    shown = first if len(first) <= MOST_SHOWN else first[:MOST_SHOWN] + "…"
    return f"{shown} (and {len(others)} more)" if others else shown
