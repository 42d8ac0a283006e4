"""What templates see of the look leads no further."""

from __future__ import annotations

from typing import get_type_hints

from proxy.pages.look import Look, SharedLook, ShownPicture


def test_templates_see_texts_and_numbers_alone() -> None:
    plain = {str, int, bool, ShownPicture, ShownPicture | None}

    for seen in (SharedLook, ShownPicture):
        assert set(get_type_hints(seen).values()) <= plain


def test_a_look_is_a_value() -> None:
    one, other = (Look(title="A", description="", own_path="/o", home="/", form_origins=()) for _ in range(2))

    assert one == other
    assert (one.accent, one.logo_file, one.icon_file, one.templates_dir) == (None, None, None, None)
