"""The script for pages of the app, on a page that needs no login; with a real session see ``tests/browser``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from proxy.pages.assets import load_assets
from tests.gallery.exhibits import ORIGIN

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = load_assets()["session.js"].content
PUBLIC = '<!doctype html><script src="/_sidegate/assets/session.js" defer></script><p data-sidegate="user">who</p>'


async def test_a_public_page_stays_when_a_session_is_over_that_nobody_ended_yet(sheet: Page) -> None:
    asked: list[str] = []
    over_at = int(time.time()) - 60
    times = {"created_at": over_at - 60, "expires_at": over_at + 86400, "idle_expires_at": over_at}

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        asked.append(path)
        if path.endswith("session.js"):
            await route.fulfill(content_type="text/javascript", body=SCRIPT)
        elif path.endswith("/status"):
            await route.fulfill(json={"authenticated": True, "username": "alice", "name": "Alice", "session": times})
        else:
            # The login page leads somebody who is signed in back at once.
            await route.fulfill(content_type="text/html", body=PUBLIC)

    await sheet.route(f"{ORIGIN}/**", answer)
    await sheet.goto(f"{ORIGIN}/public")
    await sheet.wait_for_function("document.querySelector('p').textContent === ''")

    assert [path for path in asked if "/login" in path] == []
    assert sheet.url == f"{ORIGIN}/public"
