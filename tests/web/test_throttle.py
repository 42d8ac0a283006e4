"""The throttle at the login form: who is refused, what it costs the provider, and who is never locked out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy import ports
from proxy.core.throttle import Rate, ThrottleRules
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, StoreUnavailable, TokenRejected
from proxy.sessions.memory_throttle import MemoryFailures
from proxy.web.options import LoginOptions
from proxy.web.throttle import waiting_time
from tests.support.own_pages import OWN, Browser, OwnPages, Page, open_own_pages, submit_login
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIN = f"{OWN}/login"
KNOWN = "__Host-sidegate-known"
PER_USER, PER_ADDRESS = 3, 8
RULES = ThrottleRules(issuer=ISSUER, per_user=Rate(PER_USER, 300), per_address=Rate(PER_ADDRESS, 300))


@pytest.fixture
async def own(aiohttp_client: Any) -> OwnPages:
    return await open_own_pages(aiohttp_client, throttle=RULES)


async def fail(own: OwnPages, times: int, *, browser: Browser | None = None, **form: str) -> Page:
    browser = browser or own.browser()
    for _ in range(times):
        page = await submit_login(browser, **{"password": "wrong", **form})
    return page


async def fail_from(own: OwnPages, address: str, times: int, **form: str) -> Page:
    return await fail(own, times, browser=own.browser(address=address), **form)


class TestARefusal:
    async def test_after_too_many_failures_the_page_says_how_long_and_keeps_the_name(self, own: OwnPages) -> None:
        await fail(own, PER_USER, username="Alice")

        page = await submit_login(own.browser(), username="Alice")

        assert (page.status, page.headers["Retry-After"]) == (429, "299")
        assert "Too many failed tries. Please wait 5 minutes, then try again." in page.text
        assert page.field("csrf_token")
        assert 'value="Alice"' in page.text

    async def test_further_tries_do_not_reach_the_provider(self, own: OwnPages) -> None:
        await fail(own, PER_USER + 20)

        assert len(own.provider.passwords) == PER_USER

    async def test_the_right_password_is_refused_too_and_makes_no_session(self, own: OwnPages) -> None:
        await fail(own, PER_USER)
        browser = own.browser()

        assert (await submit_login(browser)).status == 429
        assert "__Host-sidegate" not in browser.cookies

    async def test_a_program_is_told_in_members(self, own: OwnPages) -> None:
        await fail(own, PER_USER)
        browser = own.browser()
        token = json.loads((await browser.get(LOGIN, Accept="application/json")).text)["csrf_token"]
        form = {"username": "alice", "password": "secret words", "csrf_token": token}

        page = await browser.post(LOGIN, form, Accept="application/json")

        answer = json.loads(page.text)
        assert (page.status, page.headers["Retry-After"]) == (429, "299")
        assert (answer["success"], answer["code"], answer["retry_after"]) == (False, "throttled", 299)
        assert answer["csrf_token"]

    async def test_it_comes_on_the_same_grid_as_every_other(self, own: OwnPages) -> None:
        await fail(own, PER_USER)
        own.slept.clear()

        await submit_login(own.browser())

        assert own.slept == [0.5]

    async def test_it_is_told_to_the_trail_and_counted(self, own: OwnPages) -> None:
        await fail(own, PER_USER + 1)

        event = own.observer.audits[-1]
        assert own.observer.audit_names == ["login.failed"] * PER_USER + ["login.throttled"]
        assert (event.username, event.address, event.reason) == ("alice", "203.0.113.7", "throttled_user")
        assert own.observer.logins[-1] == ("form", "throttled")
        assert own.observer.throttles == ["user"]

    async def test_it_ends_by_itself(self, own: OwnPages) -> None:
        await fail(own, PER_USER)
        own.clock.advance(301)

        assert (await submit_login(own.browser())).status == 303

    async def test_it_takes_no_slot_and_does_not_wait_for_one(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(max_concurrent=1, max_wait_s=30), throttle=RULES)
        await fail(own, PER_USER)
        arrived, release = hold(own)

        async def meanwhile() -> Page:
            await arrived.wait()
            page = await asyncio.wait_for(submit_login(own.browser()), timeout=10)
            release.set()
            return page

        first, second = await asyncio.gather(submit_login(own.browser(), username="bob"), meanwhile())

        assert (first.status, second.status) == (303, 429)


def hold(own: OwnPages) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the provider answer only when the second event is set; the first says that it was asked."""
    arrived, release, ask = asyncio.Event(), asyncio.Event(), own.provider.password_grant

    async def asked(*arguments: Any, **options: Any) -> Any:
        arrived.set()
        await release.wait()
        return await ask(*arguments, **options)

    own.provider.password_grant = asked  # type: ignore[method-assign]
    return arrived, release


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, 1), (119, 119), (120, 120), (121, 180), (299, 300), (7199, 7200), (7201, 10800)]
)
def test_people_are_told_to_wait_rather_too_long(seconds: int, said: int) -> None:
    assert waiting_time(seconds) == said


class TestWhatCounts:
    @pytest.mark.parametrize("spelling", ["ALICE", " alice", "alice ", "álice", "al\u200bice"])
    async def test_spellings_of_one_name_count_together(self, own: OwnPages, spelling: str) -> None:
        await fail(own, PER_USER, username=spelling)

        assert (await submit_login(own.browser())).status == 429

    async def test_an_address_counts_over_all_names(self, own: OwnPages) -> None:
        for number in range(PER_ADDRESS):
            await fail(own, 1, username=f"user-{number}")

        assert (await submit_login(own.browser(), username="bob")).status == 429
        assert own.observer.throttles == ["address"]
        assert (await submit_login(own.browser(address="203.0.113.8"), username="bob")).status == 303

    async def test_an_ipv6_network_is_one_address(self, own: OwnPages) -> None:
        for number in range(PER_ADDRESS):
            await fail_from(own, f"2001:db8:1:2::{number}", 1, username=f"user-{number}")

        assert (await submit_login(own.browser(address="2001:db8:1:2:ffff::"), username="bob")).status == 429
        assert (await submit_login(own.browser(address="2001:db8:1:3::"), username="bob")).status == 303

    async def test_who_signs_in_is_not_counted(self, own: OwnPages) -> None:
        for number in range(3 * PER_ADDRESS):
            assert (await submit_login(own.browser(), username=f"user-{number % 2}")).status == 303

    async def test_a_success_does_not_wipe_out_failures_of_the_address(self, own: OwnPages) -> None:
        for number in range(PER_ADDRESS):
            await fail(own, 1, username=f"user-{number}")
            if number < PER_ADDRESS - 1:
                await submit_login(own.browser(), username="mallory")

        assert (await submit_login(own.browser(), username="mallory")).status == 429

    @pytest.mark.parametrize(
        "fault", [ProviderUnavailable("away"), ClientMisconfigured("refused"), TokenRejected("bad", reason="expired")]
    )
    async def test_nobody_is_counted_for_a_provider_that_is_away(self, own: OwnPages, fault: Any) -> None:
        own.provider.answer = fault
        await fail(own, 2 * PER_USER, password="secret words")
        own.provider.answer = None

        assert (await submit_login(own.browser())).status == 303

    async def test_an_account_that_wants_setting_up_is_not_counted(self, own: OwnPages) -> None:
        own.provider.answer = GrantRefusal.ACCOUNT_SETUP_REQUIRED
        await fail(own, 2 * PER_USER)
        own.provider.answer = None

        assert (await submit_login(own.browser())).status == 303

    async def test_unknown_wrong_locked_and_disabled_are_throttled_alike(self, own: OwnPages) -> None:
        seen = set()
        for number, answer in enumerate((GrantRefusal.INVALID_CREDENTIALS, GrantRefusal.ACCOUNT_DISABLED)):
            own.provider.answer = answer
            pages = [await fail(own, 1, username=f"user-{number}") for _ in range(PER_USER + 1)]
            seen.add(tuple((page.status, page.headers.get("Retry-After")) for page in pages))

        assert seen == {((401, None),) * PER_USER + ((429, "299"),)}

    async def test_a_form_that_cannot_be_right_is_neither_asked_nor_counted(self, own: OwnPages) -> None:
        await fail(own, 2 * PER_USER, password="")

        assert own.provider.passwords == []
        assert (await submit_login(own.browser())).status == 303

    async def test_of_many_tries_at_once_no_more_reach_the_provider(self, own: OwnPages) -> None:
        pages = await asyncio.gather(*(fail(own, 1) for _ in range(20)))

        assert len(own.provider.passwords) == PER_USER
        assert sorted(page.status for page in pages) == [401] * PER_USER + [429] * (20 - PER_USER)

    async def test_an_office_that_signs_in_at_nine_is_not_refused(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(max_concurrent=4), throttle=RULES)

        pages = await asyncio.gather(*(submit_login(own.browser(), username=f"user-{n}") for n in range(40)))

        assert {page.status for page in pages} == {303}

    async def test_a_store_that_is_away_is_no_pass(self, own: OwnPages, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(*_: Any) -> Any:
            raise StoreUnavailable("away")

        monkeypatch.setattr(MemoryFailures, "get_moving_window", away)
        monkeypatch.setattr(MemoryFailures, "acquire_entry", away)

        assert (await submit_login(own.browser())).status == 503
        assert own.provider.passwords == []


class TestAKnownBrowser:
    async def test_a_login_marks_it_for_180_days(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await submit_login(browser)

        mark = page.set_cookies[KNOWN]
        assert (mark["max-age"], mark["httponly"], mark["secure"], mark["samesite"]) == (
            str(180 * 86400), True, True, "Lax",
        )  # fmt: skip
        assert "alice" not in mark.value

    async def test_it_stays_known_after_signing_out(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        await browser.post(f"{OWN}/logout")

        assert KNOWN in browser.cookies
        assert "__Host-sidegate" not in browser.cookies

    async def test_a_refused_login_marks_nothing(self, own: OwnPages) -> None:
        browser = own.browser()

        await fail(own, 1, browser=browser)

        assert KNOWN not in browser.cookies

    async def test_strangers_cannot_lock_it_out(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        await fail_from(own, "198.51.100.1", 2 * PER_USER)

        assert (await submit_login(own.browser())).status == 429
        assert (await submit_login(forgetful(browser))).status == 303

    async def test_it_is_known_by_the_name_that_was_typed_and_by_the_providers(self, own: OwnPages) -> None:
        from tests.support.own_pages import make_login_grant

        own.provider.answer = make_login_grant("alice")
        browser = await own.signed_in(username="Alice@Example.com")
        own.provider.answer = None
        for name in ("alice", "alice@example.com"):
            await fail_from(own, "198.51.100.1", PER_USER, username=name)

        for name in ("alice", "ALICE@example.com"):
            assert (await submit_login(forgetful(browser), username=name)).status == 303

    async def test_one_by_code_is_marked_too(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()
        await fail_from(own, "198.51.100.1", PER_USER)

        assert (await submit_login(forgetful(browser))).status == 303

    async def test_it_is_known_for_its_own_people_only(self, own: OwnPages) -> None:
        browser = await own.signed_in(username="mallory")
        await fail_from(own, "198.51.100.1", PER_USER)

        assert (await submit_login(forgetful(browser))).status == 429

    async def test_it_has_a_budget_of_its_own(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        await fail(own, PER_USER + 3, browser=forgetful(browser))

        assert own.observer.throttles == ["known_browser"] * 3
        assert len(own.provider.passwords) == 1 + PER_USER

    async def test_it_is_under_the_limit_of_its_address(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        for number in range(PER_ADDRESS):
            await fail(own, 1, username=f"user-{number}")

        assert (await submit_login(forgetful(browser))).status == 429
        assert own.observer.throttles == ["address"]

    @pytest.mark.parametrize(
        "forge",
        [
            lambda mark: mark[:-1] + ("0" if mark[-1] != "0" else "1"),
            lambda mark: "0" + mark[1:],
            lambda _: "1",
            lambda mark: f"{mark}; {KNOWN}={mark}",
            lambda mark: mark.upper(),
        ],
    )
    async def test_a_forged_one_counts_for_nothing(self, own: OwnPages, forge: Callable[[str], str]) -> None:
        browser = await own.signed_in()
        await fail_from(own, "198.51.100.1", PER_USER)
        browser.cookies[KNOWN] = forge(browser.cookies[KNOWN])

        assert (await submit_login(forgetful(browser))).status == 429

    async def test_it_stays_after_a_change_of_the_server_key(self, aiohttp_client: Any) -> None:
        before = await open_own_pages(aiohttp_client, throttle=RULES)
        mark = (await before.signed_in()).cookies[KNOWN]
        own = await open_own_pages(aiohttp_client, throttle=RULES, server_key=b"n" * 32, older_keys=(b"k" * 32,))
        await fail(own, PER_USER)

        assert (await submit_login(Browser(own.client, cookies={KNOWN: mark}))).status == 303


def forgetful(browser: Browser) -> Browser:
    """The same browser without its session, from elsewhere, as after a logout on the way to work."""
    cookies = {name: value for name, value in browser.cookies.items() if name == KNOWN}
    return Browser(browser.client, cookies=cookies)


class TestTheAddress:
    async def test_it_goes_to_the_provider(self, own: OwnPages) -> None:
        await submit_login(own.browser(address="203.0.113.7"))
        await submit_login(own.browser(address="::ffff:203.0.113.9"))
        await submit_login(own.browser(address="2001:db8::7"))
        await submit_login(own.browser(address="no address"))

        assert own.provider.addresses == ["203.0.113.7", "203.0.113.9", "2001:db8::7", None]

    async def test_behind_an_undeclared_proxy_the_limit_is_off_and_the_log_says_so_once(self, own: OwnPages) -> None:
        for number in range(2 * PER_ADDRESS):
            browser = ProxiedBrowser(own.client, address="10.0.0.1")
            await submit_login(browser, username=f"user-{number}", password="wrong")

        assert len(own.provider.passwords) == 2 * PER_ADDRESS
        assert set(own.provider.addresses) == {None}
        [(warning, fields)] = own.observer.warnings
        assert "server.trusted_proxies" in warning
        assert fields["peer"] == "10.0.0.1"

    async def test_behind_it_the_limit_of_the_user_holds(self, own: OwnPages) -> None:
        for _ in range(PER_USER + 1):
            page = await submit_login(ProxiedBrowser(own.client, address="10.0.0.1"), password="wrong")

        assert page.status == 429

    async def test_a_unix_socket_is_said_with_another_remedy(self, own: OwnPages) -> None:
        await submit_login(ProxiedBrowser(own.client, address=""))

        assert "unix socket" in own.observer.warnings[0][0]


class ProxiedBrowser(Browser):
    """A browser of which the gate says that its address is a proxy's."""

    async def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Page:
        said = {ports.OWN_ADDRESS_OF.decode(): ports.AddressOf.PROXY.value}
        return await super().send(method, path, headers={**said, **(headers or {})}, **body)
