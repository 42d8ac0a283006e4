"""Assets: by hashed name, for ever, and nothing else of the disk."""

from __future__ import annotations

import re

import pytest

from tests.support.own_pages import OWN, OwnPages


async def test_everything_that_a_page_names_is_there_for_ever(own: OwnPages) -> None:
    shown = await own.browser().get(f"{OWN}/login")
    named = set(re.findall(rf'"({OWN}/assets/[^"]+)"', shown.text))
    assert len(named) == 2

    for path in named:
        page = await own.browser().get(path)

        assert page.status == 200
        assert page.headers.getall("Cache-Control") == ["public, max-age=31536000, immutable"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["sidegate.css", "sidegate.000000000000.css", "..%2frender.py", "%2e%2e", "x%00"])
async def test_any_other_name_is_404(own: OwnPages, name: str) -> None:
    assert (await own.browser().get(f"{OWN}/assets/{name}")).status in {400, 404}
