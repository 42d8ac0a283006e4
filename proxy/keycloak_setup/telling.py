"""What a person reads: the client, each change with its place in the console and its reason, and what to know.

Pure. Lines of at most 80 columns, but for addresses, which are never broken. What Keycloak says is made printable:
whoever may write a client's name shall not write to an operator's terminal.
"""

from __future__ import annotations

import textwrap
from enum import Enum
from typing import TYPE_CHECKING, Final

from proxy.observe.redaction import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.keycloak_setup.difference import Change, Plan

WIDTH: Final = 80


class Ink(Enum):
    """How it is drawn: ``PLAIN`` for a file, a pipe and ``NO_COLOR``."""

    PLAIN = "plain"
    COLOURS = "colours"


_CODES: Final = {"bold": "1", "gone": "31", "come": "32", "why": "2", "note": "33"}
"""SGR parameters (ECMA-48 §8.3.117); plus and minus say the same without colour."""


def plan_lines(plan: Plan, ink: Ink) -> Iterable[str]:
    """Give the changes and the notes."""
    for change in plan.changes:
        yield ""
        yield from _change_lines(change, ink)
    for note in plan.notes:
        yield ""
        yield from (_drawn(line, "note", ink) for line in _wrapped(f"note: {_safe(note)}", "  ", "    "))


def counted(plan: Plan) -> str:
    """Return how many changes there are, in words."""
    count = len(plan.changes)
    return "1 change" if count == 1 else f"{count} changes"


def _change_lines(change: Change, ink: Ink) -> Iterable[str]:
    yield _drawn(f"  {_safe(change.where)}", "bold", ink)
    for sign, values in (("-", change.gone), ("+", change.come)):
        for value in values:
            yield _drawn(f"    {sign} {_safe(value)}", "gone" if sign == "-" else "come", ink)
    yield from (_drawn(line, "why", ink) for line in _wrapped(change.why, "      ", "      "))


def _wrapped(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _drawn(line: str, role: str, ink: Ink) -> str:
    return f"\x1b[{_CODES[role]}m{line}\x1b[0m" if ink is Ink.COLOURS else line


def _safe(text: str) -> str:
    return str(printable(text))
