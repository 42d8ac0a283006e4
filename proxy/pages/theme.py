"""The one colour that a company chooses, made into those that pages need: readable on light and on dark in any case.

The chosen colour itself fills the main button as long as it can be told from the card; text on it is white where that
can be read, else as dark as needed. Links, borders and the ring of the focus are the colour, moved as little as needed.
``sidegate.css`` holds the same names for the colour that nobody chose; a test holds that they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.colour import (
    BLACK,
    EDGE_CONTRAST,
    TEXT_CONTRAST,
    WHITE,
    Colour,
    contrast,
    parse_colour,
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

GREY_SPREAD: Final = 24
"""A colour whose parts differ by less is taken for a grey."""

LIGHT_GREY_FILL: Final = 12.0
"""Contrast to a dark card of a button whose colour is as dark."""

DEFAULT_ACCENT: Final = parse_colour("#2457c5")


class Scheme(Struct, frozen=True, kw_only=True):
    """What does not depend on the accent, as ``sidegate.css`` has it.

    Attributes:
        ground: of the page.
        card: on which everything stands; text is written on it.
        tint_share: how much of the accent a tinted ground has, 0 to 1.
        least_fill: contrast of the main button's ground to the card; 1 where any will do, for its border is seen.
    """

    ground: Colour
    card: Colour
    text: Colour
    tint_share: float
    least_fill: float


LIGHT: Final = Scheme(
    ground=parse_colour("#f4f6f9"), card=WHITE, text=parse_colour("#171e2c"), tint_share=0.08, least_fill=1.0
)
DARK: Final = Scheme(
    ground=parse_colour("#0f131a"),
    card=parse_colour("#181e28"),
    text=parse_colour("#e9edf4"),
    tint_share=0.16,
    # A dark button on a dark card looks like one that is switched off.
    least_fill=EDGE_CONTRAST,
)


def palette(accent: Colour, scheme: Scheme) -> Mapping[str, Colour]:
    """Return the colours of the style sheet that come from the accent, by the name of their property.

    Text (``on-accent`` on both fills, ``link`` and ``link-strong`` on page, card and tint) has a contrast of at least
    4.5, ``accent-edge`` has 3 (WCAG 2.2, 1.4.3 and 1.4.11).
    """
    fill = readable(accent, [scheme.card], _least_fill(accent, scheme))
    on_fill = next(ink for ink in (WHITE, fill.mixed(BLACK, 0.8), BLACK) if contrast(ink, fill) >= TEXT_CONTRAST)
    tint = scheme.card.mixed(fill, scheme.tint_share)
    grounds = [scheme.ground, scheme.card, tint]
    link = readable(accent, grounds, TEXT_CONTRAST)
    return {
        "accent": fill,
        # Away from the text on it, so that its contrast only grows.
        "accent-strong": fill.mixed(BLACK if on_fill == WHITE else WHITE, 0.16),
        "accent-edge": readable(fill, grounds, EDGE_CONTRAST),
        "on-accent": on_fill,
        "link": link,
        "link-strong": link.mixed(scheme.text, 0.35),
        "tint": tint,
    }


def _least_fill(accent: Colour, scheme: Scheme) -> float:
    parts = (accent.red, accent.green, accent.blue)
    is_grey = max(parts) - min(parts) < GREY_SPREAD
    # Black would become a middle grey on a dark card; its counterpart there is nearly white.
    return (
        LIGHT_GREY_FILL
        if is_grey and scheme is DARK and contrast(accent, scheme.card) < scheme.least_fill
        else scheme.least_fill
    )


def theme_css(accent: Colour) -> bytes:
    """Return the style sheet that comes after ``sidegate.css``."""
    light, dark = (_declarations(palette(accent, scheme)) for scheme in (LIGHT, DARK))
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n".encode()


def _declarations(colours: Mapping[str, Colour]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())
