"""Assets: by hashed name, for ever, and nothing else of the disk."""

from __future__ import annotations

import re

import pytest

from tests.support.own_pages import OWN, OwnPages

SCRIPT = f"{OWN}/assets/session.js"


async def test_everything_that_a_page_names_is_there_for_ever(own: OwnPages) -> None:
    shown = await own.browser().get(f"{OWN}/login")
    named = set(re.findall(rf'"({OWN}/assets/[^"]+)"', shown.text))
    assert len(named) == 3

    for path in named:
        page = await own.browser().get(path)

        assert page.status == 200
        assert page.headers.getall("Cache-Control") == ["public, max-age=31536000, immutable"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["sidegate.css", "sidegate.000000000000.css", "..%2frender.py", "%2e%2e", "x%00"])
async def test_any_other_name_is_404(own: OwnPages, name: str) -> None:
    assert (await own.browser().get(f"{OWN}/assets/{name}")).status in {400, 404}


class TestTheScriptForPagesOfTheApp:
    async def test_it_has_a_name_to_write_down_and_is_kept_for_a_while(self, own: OwnPages) -> None:
        page = await own.browser().get(SCRIPT)

        assert page.status == 200
        assert page.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert page.headers["Cache-Control"] == "public, max-age=300"
        assert "Stay signed in" in page.text
        assert not page.set_cookies

    async def test_a_browser_that_has_this_version_is_sent_nothing(self, own: OwnPages) -> None:
        etag = (await own.browser().get(SCRIPT)).headers["ETag"]

        again = await own.browser().send("GET", SCRIPT, headers={"If-None-Match": etag})
        changed = await own.browser().send("GET", SCRIPT, headers={"If-None-Match": '"an older one"'})

        assert (again.status, again.text, again.headers["ETag"]) == (304, "", etag)
        assert again.headers["Cache-Control"] == "public, max-age=300"
        assert (changed.status, changed.headers["ETag"]) == (200, etag)
