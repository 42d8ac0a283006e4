"""``/start`` at the level of HTTP: what the provider is asked, and who may ask how often."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import ProviderUnavailable
from proxy.web.flow_quota import FLOW_QUOTA, FLOWS_PER_ADDRESS
from proxy.web.options import Feature, LoginOptions
from tests.support.own_pages import (
    AUTHORIZATION,
    OWN,
    PUBLIC_URL,
    OwnPages,
    callback_query,
    open_own_pages,
    query_of,
)

START = f"{OWN}/start"
CALLBACK = f"{OWN}/callback"


class TestStart:
    async def test_the_browser_goes_to_the_provider_with_pkce_state_and_nonce(self, own: OwnPages) -> None:
        page = await own.browser().get(f"{START}?return_to=/app")

        assert page.status == 302
        assert page.location.startswith(f"{AUTHORIZATION}?")
        asked = query_of(page.location)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "legacy-app"
        assert asked["redirect_uri"] == f"{PUBLIC_URL}{OWN}/callback"
        assert asked["scope"] == "openid profile email"
        assert asked["code_challenge_method"] == "S256"
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
        assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))

    async def test_a_link_may_name_broker_hint_and_action(self, own: OwnPages) -> None:
        page = await own.browser().get(
            f"{START}?provider=google&login_hint=al%20ice&prompt=login%20nonsense&kc_action=UPDATE_PASSWORD"
        )

        asked = query_of(page.location)
        assert asked["kc_idp_hint"] == "google"
        assert asked["login_hint"] == "al ice"
        assert asked["prompt"] == "login"
        assert asked["kc_action"] == "UPDATE_PASSWORD"

    async def test_registration_is_asked_only_where_it_is_switched_on(self, aiohttp_client: Any, own: OwnPages) -> None:
        willing = await open_own_pages(aiohttp_client, LoginOptions(registration=Feature.ON))

        assert query_of((await willing.browser().get(f"{START}?register=1")).location)["prompt"] == "create"
        assert "prompt" not in query_of((await own.browser().get(f"{START}?register=1")).location)

    async def test_further_parameters_never_replace_ours(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, auth_params={"ui_locales": "de", "state": "fixed", "nonce": "fixed"})

        asked = query_of((await own.browser().get(START)).location)

        assert asked["ui_locales"] == "de"
        assert "fixed" not in {asked["state"], asked["nonce"]}

    async def test_without_metadata_nobody_is_sent_anywhere(self, own: OwnPages) -> None:
        own.provider.metadata_answer = ProviderUnavailable("not had yet")

        page = await own.browser().get(START)

        assert page.status == 503
        assert len(own.authentications) == 0

    async def test_one_address_cannot_fill_the_store(self, own: OwnPages) -> None:
        for number in range(FLOWS_PER_ADDRESS):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]

        page = await own.browser().get(START)

        assert (page.status, page.headers["Retry-After"]) == (429, "60")
        assert len(own.authentications) == 0
        assert (await own.browser(address="203.0.113.8").get(START)).status == 302

    @pytest.mark.parametrize("cookie", ["", "__Host-sidegate-login=" + "x" * 43, "another browser's"])
    async def test_a_callback_that_takes_no_tab_frees_no_place(self, own: OwnPages, cookie: str) -> None:
        other = own.browser()
        await other.get(START)
        cookie = f"__Host-sidegate-login={other.cookies['__Host-sidegate-login']}" if "another" in cookie else cookie
        for number in range(FLOWS_PER_ADDRESS - 2):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]
        started = await own.browser().get(START)

        for state in ("0", "1", query_of(started.location)["state"]):
            await own.browser().get(f"{CALLBACK}?{callback_query(started, state=state)}", Cookie=cookie)

        assert (await own.browser().get(START)).status == 429
        assert len(own.authentications) == 2

    async def test_a_callback_frees_its_place_once(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)
        for number in range(FLOWS_PER_ADDRESS - 1):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]

        for _ in range(3):
            await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert (await own.browser().get(START)).status == 302
        assert (await own.browser().get(START)).status == 429

    @pytest.mark.parametrize(("answer", "status"), [({}, 302), ({"code": None, "error": "access_denied"}, 400)])
    async def test_flows_that_came_to_their_end_do_not_count(
        self, own: OwnPages, answer: dict[str, str | None], status: int
    ) -> None:
        browser, quota = own.browser(), own.client.app[FLOW_QUOTA]  # type: ignore[index]
        for number in range(FLOWS_PER_ADDRESS - 1):
            quota.admit("203.0.113.7", str(number))

        for _ in range(3):
            started = await browser.get(START)
            assert (await browser.get(f"{CALLBACK}?{callback_query(started, **answer)}")).status == status
