"""One colour becomes a palette that everybody can read, whatever the colour."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.colour import EDGE_CONTRAST, TEXT_CONTRAST, Colour, contrast, parse_colour
from proxy.pages.assets import load_assets
from proxy.pages.theme import DARK, DEFAULT_ACCENT, LIGHT, Scheme, palette, theme_css

if TYPE_CHECKING:
    from collections.abc import Mapping

PART = st.integers(0, 255)
ACCENTS = st.builds(Colour, PART, PART, PART)
STYLE = load_assets()["sidegate.css"].content.decode()


def declared(style: str) -> list[dict[str, str]]:
    """Colours of each ``:root``, by name: light, then dark."""
    roots = re.findall(r":root\s*\{([^}]*)\}", style)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", root)) for root in roots]


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@given(accent=ACCENTS)
def test_every_accent_gives_colours_that_can_be_read(scheme: Scheme, accent: Colour) -> None:
    made = palette(accent, scheme)
    grounds = (scheme.ground, scheme.card, made["tint"])

    for fill in (made["accent"], made["accent-strong"]):
        assert contrast(made["on-accent"], fill) >= TEXT_CONTRAST
    for ground in grounds:
        assert contrast(made["link"], ground) >= TEXT_CONTRAST
        assert contrast(made["link-strong"], ground) >= TEXT_CONTRAST
        assert contrast(made["accent-edge"], ground) >= EDGE_CONTRAST
        assert contrast(scheme.text, ground) >= TEXT_CONTRAST


@given(accent=ACCENTS)
def test_a_dark_card_shows_every_button(accent: Colour) -> None:
    assert contrast(palette(accent, DARK)["accent"], DARK.card) >= EDGE_CONTRAST


def test_a_black_button_is_a_light_one_by_night_not_one_that_looks_switched_off() -> None:
    assert contrast(palette(parse_colour("#111"), DARK)["accent"], DARK.card) >= 12
    assert palette(parse_colour("#001f5b"), DARK)["on-accent"] == parse_colour("#fff")


@given(accent=ACCENTS)
def test_by_day_the_button_is_the_very_colour(accent: Colour) -> None:
    assert palette(accent, LIGHT)["accent"] == accent


def test_the_style_sheet_holds_the_palette_of_the_colour_that_nobody_chose() -> None:
    light, dark = declared(STYLE)[:2]

    for colours, scheme in ((light, LIGHT), (dark, DARK)):
        made: Mapping[str, Colour] = palette(DEFAULT_ACCENT, scheme)
        wanted = {**made, "ground": scheme.ground, "card": scheme.card, "text": scheme.text}
        assert {name: colours[name] for name in wanted} == {name: str(colour) for name, colour in wanted.items()}


@pytest.mark.parametrize("scheme", [0, 1])
def test_what_no_accent_changes_can_be_read_too(scheme: int) -> None:
    colours = {name: parse_colour(text) for name, text in declared(STYLE)[scheme].items()}

    for name, ground, least in (
        ("soft", "ground", TEXT_CONTRAST),
        ("soft", "card", TEXT_CONTRAST),
        ("alert", "alert-ground", TEXT_CONTRAST),
        ("alert", "card", EDGE_CONTRAST),
        ("edge", "card", EDGE_CONTRAST),
    ):
        assert contrast(colours[name], colours[ground]) >= least, (name, ground)


def test_the_generated_sheet_has_the_same_names_in_both_schemes_and_nothing_else() -> None:
    style = theme_css(parse_colour("#0f766e")).decode()
    light, dark = declared(style)

    assert light.keys() == dark.keys() == palette(DEFAULT_ACCENT, LIGHT).keys()
    assert light["accent"] == "#0f766e"
    assert re.sub(r"--[\w-]+:#[0-9a-f]{6};?", "", style) == (":root{}\n@media (prefers-color-scheme:dark){:root{}}\n")
    assert len(style) < 700
