"""The login form as it is drawn."""

from __future__ import annotations

from typing import Any

from proxy.web.options import Feature, LoginOptions, ProviderButton
from tests.support.own_pages import OWN, open_own_pages


async def test_the_page_shows_what_is_switched_on_and_nothing_else(aiohttp_client: Any) -> None:
    login = LoginOptions(
        registration=Feature.ON, forgot_password=Feature.ON, providers=(ProviderButton("g", "<b>Google</b>"),)
    )
    rich, plain = await open_own_pages(aiohttp_client, login), await open_own_pages(aiohttp_client)

    full = (await rich.browser().get(f"{OWN}/login?return_to=/app")).text
    bare = (await plain.browser().get(f"{OWN}/login")).text

    for link in ("provider=g", "register=1", "prompt=login"):
        assert link in full
        assert link not in bare
    assert "&lt;b&gt;Google&lt;/b&gt;" in full
    assert "<b>Google" not in full
