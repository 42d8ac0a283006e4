"""Colours: read as CSS writes them, measured as WCAG does, and moved until people can read them.

What lives here: arithmetic on three bytes. What must not: which colour is used where; ``pages`` knows that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT_CONTRAST: Final = 4.5
"""WCAG 2.2, 1.4.3 (AA): text against what is behind it."""

EDGE_CONTRAST: Final = 3.0
"""WCAG 2.2, 1.4.11 and 2.4.13: borders that carry meaning, and the ring around what has the focus."""

STEPS: Final = 100
"""Into so many parts the way to black or white is cut; a finer step is not seen."""

_HEX: Final = re.compile(r"#(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")


class Colour(Struct, frozen=True):
    """A colour that lets nothing through; each part is 0 to 255, of sRGB."""

    red: int
    green: int
    blue: int

    @property
    def luminance(self) -> float:
        """Return the relative luminance, 0 (black) to 1 (white).

        Source: WCAG 2.2, "relative luminance".
        """
        return 0.2126 * _linear(self.red) + 0.7152 * _linear(self.green) + 0.0722 * _linear(self.blue)

    def mixed(self, other: Colour, share: float) -> Colour:
        """Return this colour with ``share`` (0 to 1) of another laid over it."""
        pairs = zip((self.red, self.green, self.blue), (other.red, other.green, other.blue), strict=True)
        return Colour(*(round(own + (its - own) * share) for own, its in pairs))

    def __str__(self) -> str:
        """Return ``#rrggbb``."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


BLACK: Final = Colour(0, 0, 0)
WHITE: Final = Colour(255, 255, 255)


def parse_colour(text: str) -> Colour:
    """Return a colour from ``#rgb``, ``#rgba``, ``#rrggbb`` or ``#rrggbbaa``; one that lets through is laid on white.

    Raises:
        ValueError: it is none of them.

    Source: CSS Color Module Level 4 §5.2.
    """
    if not _HEX.fullmatch(text):
        raise ValueError("no hexadecimal colour")
    digits = text[1:]
    if len(digits) < 6:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return WHITE.mixed(Colour(red, green, blue), alpha / 255)


def contrast(one: Colour, other: Colour) -> float:
    """Return how well one is told from the other, 1 (not at all) to 21.

    Source: WCAG 2.2, "contrast ratio".
    """
    dark, light = sorted((one.luminance, other.luminance))
    return (light + 0.05) / (dark + 0.05)


def readable(colour: Colour, grounds: Sequence[Colour], least: float) -> Colour:
    """Return the colour, moved no further than needed towards black or white, so that it shows on every ground.

    Args:
        grounds: of one kind, all light or all dark; black or white must show on all of them.
        least: the contrast that is asked for.
    """
    goal = max((BLACK, WHITE), key=lambda end: _least_contrast(end, grounds))
    ways = (colour.mixed(goal, step / STEPS) for step in range(STEPS))
    return next((way for way in ways if _least_contrast(way, grounds) >= least), goal)


def _least_contrast(colour: Colour, grounds: Sequence[Colour]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def _linear(part: int) -> float:
    value = part / 255
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
