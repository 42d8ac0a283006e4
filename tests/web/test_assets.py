"""Assets: by hashed name, for ever, and nothing else of the disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from proxy.pages.look import Look
from proxy.pages.render import JinjaPages
from proxy.web.assets import ASSETS, IMMUTABLE, show_asset
from tests.support.own_pages import OWN, OwnPages
from tests.support.pictures import LOGO_SVG

if TYPE_CHECKING:
    from pathlib import Path

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


async def test_a_logo_is_served_as_what_it_is_and_its_script_never_runs(aiohttp_client: Any, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(LOGO_SVG)
    look = Look(title="", description="", own_path="", home="/", form_origins=(), logo_file=tmp_path / "logo.png")
    app = web.Application()
    app[ASSETS] = JinjaPages(look).assets
    app.router.add_get("/assets/{name}", show_asset)
    client = await aiohttp_client(app)

    async with client.get(next(f"/assets/{name}" for name in app[ASSETS] if name.startswith("logo."))) as answer:
        assert (answer.status, await answer.read()) == (200, LOGO_SVG)
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == IMMUTABLE


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
