"""Pages that wait for the first who wants one, unless an operator's files are among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.errors import SettingsError
from proxy.pages.late import LatePages
from proxy.pages.look import Look
from proxy.pages.render import JinjaPages

if TYPE_CHECKING:
    from pathlib import Path

LOOK = Look(title="Acme", description="", own_path="/_sidegate", home="/", form_origins=("https://sso.test",))
ERROR = {"status": 403, "title": "Not allowed", "sentence": "No.", "request_id": "1", "login_url": ""}


def test_they_are_made_once_and_by_the_first_who_wants_one() -> None:
    pages = LatePages(LOOK)
    assert pages._made is None

    assert pages.language(["de"]) == "de"

    assert isinstance(pages.made, JinjaPages)
    assert pages.made is pages._made


def test_they_are_what_pages_that_do_not_wait_are() -> None:
    late, made = LatePages(LOOK), JinjaPages(LOOK)

    def drawn(pages: LatePages | JinjaPages) -> bytes:
        return pages.render("error", languages=["fr"], context=ERROR, language_url="/x?ui_locales=")

    assert drawn(late) == drawn(made)
    assert late.headers("login") == made.headers("login")
    assert [late.speaks(tag) for tag in ("es", "nl")] == [True, False]
    assert [late.language(tags) for tags in ([], ["fr-CH"])] == ["en", "fr"]


@pytest.mark.parametrize("key", ["logo_file", "icon_file", "templates_dir"])
def test_what_an_operator_gave_is_looked_at_at_once(key: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nothing" / "here.svg"

    with pytest.raises(SettingsError, match="nothing"):
        LatePages(replace(LOOK, **{key: nowhere}))
