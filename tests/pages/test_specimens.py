"""Specimens have every name of their context, in both fillings."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from proxy.pages.contexts import CONTEXT_OF
from proxy.pages.specimens import TEXT, specimens


@pytest.mark.parametrize("page", sorted(CONTEXT_OF))
def test_every_name_is_there_and_both_fillings_differ(page: str) -> None:
    full, empty = specimens(page)
    names = get_type_hints(CONTEXT_OF[page]).keys()

    assert full.keys() == empty.keys() == names
    assert full != empty or not names


def test_texts_lists_switches_and_what_may_be_absent_are_filled() -> None:
    full, empty = specimens("login")

    assert (full["username"], empty["username"]) == (TEXT, "")
    assert (full["notice"], empty["notice"]) == (TEXT, None)
    assert (full["remember_me"], empty["remember_me"]) == (True, False)
    assert (full["providers"][0], empty["providers"]) == ({"label": TEXT, "url": TEXT}, [])


def test_a_text_of_choice_stands_in_every_place() -> None:
    full, _ = specimens("devices", text="<b>")
    seen: list[Any] = [full]
    texts: list[str] = []
    while seen:
        one = seen.pop()
        seen += one.values() if isinstance(one, dict) else one if isinstance(one, list | tuple) else []
        texts += [one] if isinstance(one, str) else []

    assert set(texts) <= {"<b>", ""}
    assert len(texts) > 8
