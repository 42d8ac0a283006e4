"""Colours: as CSS writes them, measured as WCAG does, and readable wherever they are moved to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.colour import BLACK, EDGE_CONTRAST, TEXT_CONTRAST, WHITE, Colour, contrast, parse_colour, readable

PART = st.integers(0, 255)
COLOURS = st.builds(Colour, PART, PART, PART)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#2457c5", Colour(0x24, 0x57, 0xC5)),
        ("#2457C5", Colour(0x24, 0x57, 0xC5)),
        ("#f0a", Colour(0xFF, 0, 0xAA)),
        ("#000000ff", BLACK),
        ("#0000", WHITE),
        ("#00000080", Colour(127, 127, 127)),
    ],
)
def test_hexadecimal_colours_of_css_are_read(text: str, colour: Colour) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize("text", ["", "#", "2457c5", "#12345", "#1234567", "#ggg", "blue", "#fff ", "#fff;}x", "#٣٣٣"])
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="no hexadecimal colour"):
        parse_colour(text)


@given(COLOURS)
def test_what_is_written_is_read_again(colour: Colour) -> None:
    assert parse_colour(str(colour)) == colour


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000", "#fff", 21.0), ("#777", "#fff", 4.48), ("#888", "#fff", 3.54), ("#2457c5", "#fff", 6.47)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(parse_colour(one), parse_colour(other)) == pytest.approx(ratio, abs=0.02)
    assert contrast(parse_colour(other), parse_colour(one)) == contrast(parse_colour(one), parse_colour(other))


@given(COLOURS, st.sampled_from([EDGE_CONTRAST, TEXT_CONTRAST]), st.sampled_from([WHITE, Colour(24, 30, 40)]))
def test_every_colour_becomes_readable(colour: Colour, least: float, ground: Colour) -> None:
    assert contrast(readable(colour, [ground], least), ground) >= least


@given(COLOURS)
def test_a_readable_colour_stays_what_it_is(colour: Colour) -> None:
    moved = readable(colour, [WHITE], TEXT_CONTRAST)

    assert (moved == colour) == (contrast(colour, WHITE) >= TEXT_CONTRAST)


def test_half_of_each_lies_between() -> None:
    assert WHITE.mixed(BLACK, 0.5) == Colour(128, 128, 128)
    assert WHITE.mixed(BLACK, 0.0) == WHITE
