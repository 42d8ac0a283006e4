"""Many tabs of one browser, at the level of HTTP: each leads on, none to an error page, and no stranger's gets in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.authentication import MAX_ATTEMPTS, MAX_TABS, TabStatus
from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key
from proxy.core.tokens import GrantRefusal
from proxy.errors import StoreUnavailable
from proxy.web.flow_quota import FLOW_QUOTA, FLOWS_PER_ADDRESS
from proxy.web.flow_states import FlowStates
from proxy.web.form_tokens import claimed
from proxy.web.login_flights import SHARED_FOR_S
from proxy.web.sign_in import LOGIN_FLIGHTS
from tests.support.eventually import eventually
from tests.support.own_pages import (
    AUTHORIZATION,
    OWN,
    Browser,
    OwnPages,
    Page,
    callback_query,
    query_of,
    submit_login,
)
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import Coroutine

LOGIN, START, CALLBACK = f"{OWN}/login", f"{OWN}/start", f"{OWN}/callback"
ROOT, SESSION = "__Host-sidegate-login", "__Host-sidegate"
AS_JSON = {"Accept": "application/json"}


def filled(shown: Page, **changes: str) -> dict[str, str]:
    """The form of a page as alice sends it."""
    return {
        "username": "alice",
        "password": "secret words",
        "csrf_token": shown.field("csrf_token"),
        "return_to": shown.field("return_to"),
        **changes,
    }


def with_cookies_of(browser: Browser) -> dict[str, str]:
    """The field Cookie as it is now, for a request that is sent later."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


async def together(own: OwnPages, *sent: Coroutine[Any, Any, Page], asked: int = 1, under_way: int = 1) -> list[Page]:
    """Send all of it while the provider thinks about the first; it answers none before it was asked ``asked`` times,
    and at least so many different logins are ``under_way``.
    """

    async def all_there() -> bool:
        return len(own.client.app[LOGIN_FLIGHTS]) >= under_way  # type: ignore[index]

    waiting, go, usual = asyncio.Semaphore(0), asyncio.Event(), own.provider.password_grant

    async def slow(*args: Any, **more: Any) -> Any:
        waiting.release()
        await go.wait()
        return await usual(*args, **more)

    async def think() -> None:
        async with asyncio.timeout(10):
            for _ in range(asked):
                await waiting.acquire()
        await eventually(all_there, True)  # noqa: FBT003 - what is expected
        go.set()

    own.provider.password_grant = slow  # type: ignore[method-assign]
    *pages, _ = await asyncio.gather(*sent, think())
    return pages


async def open_at_provider(browser: Browser, *ways: str) -> list[Page]:
    return [await browser.get(f"{START}?return_to={way}") for way in ways]


class TestTheSameFormTwice:
    async def test_a_double_click_is_one_login_and_both_answers_name_it(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(f"{LOGIN}?return_to=/app")
        sent = with_cookies_of(browser)

        pages = await together(own, *(browser.post(LOGIN, filled(shown, otp="123456"), **sent) for _ in range(2)))

        assert [(page.status, page.location) for page in pages] == [(303, "/app")] * 2
        assert len(own.provider.passwords) == 1, "a one-time code would be refused the second time"
        assert pages[0].set_cookies[SESSION].value == pages[1].set_cookies[SESSION].value
        assert await own.sessions.count() == 1

    async def test_a_browser_that_did_not_see_the_answer_gets_it_again(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(LOGIN)
        sent = with_cookies_of(browser)
        first = await browser.post(LOGIN, filled(shown), **sent)
        own.clock.advance(SHARED_FOR_S - 1)

        again = await browser.post(LOGIN, filled(shown), **sent)

        assert again.set_cookies[SESSION].value == first.set_cookies[SESSION].value
        assert len(own.provider.passwords) == 1

    async def test_after_that_a_used_form_signs_nobody_in(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(LOGIN)
        sent = with_cookies_of(browser)
        await browser.post(LOGIN, filled(shown), **sent)
        own.clock.advance(SHARED_FOR_S)

        replayed = await own.browser().post(LOGIN, filled(shown), **sent)

        assert replayed.status == 403
        assert SESSION not in replayed.set_cookies
        assert own.observer.audits[-1].reason == "form_used"
        assert len(own.provider.passwords) == 1

    @pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "bob"}, {"otp": "1"}])
    async def test_what_differs_shares_nothing_and_one_form_signs_in_once(
        self, own: OwnPages, changes: dict[str, str]
    ) -> None:
        browser = own.browser()
        shown = await browser.get(LOGIN)
        root_id, sent = browser.cookies[ROOT], with_cookies_of(browser)

        pages = await together(
            own,
            own.browser().post(LOGIN, filled(shown, **changes), **sent),
            browser.post(LOGIN, filled(shown), **sent),
            under_way=2,
        )

        assert [page.status for page in pages].count(303) == 1
        assert [SESSION in page.set_cookies for page in pages].count(True) == 1
        assert await own.sessions.count() == 1
        assert [tab.status for tab in await own.authentications.tabs(root_id)] == [TabStatus.USED]

    async def test_the_same_words_from_another_browser_share_nothing(self, own: OwnPages) -> None:
        browsers = [own.browser(), own.browser()]

        await together(own, *(submit_login(browser) for browser in browsers), asked=2)

        assert browsers[0].cookies[SESSION] != browsers[1].cookies[SESSION]

    async def test_all_tabs_of_a_restored_window_that_post_at_once_are_one_login(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = [await browser.get(f"{LOGIN}?return_to=/page/{n}") for n in range(30)]
        sent = with_cookies_of(browser)

        pages = await together(own, *(browser.post(LOGIN, filled(page), **sent) for page in shown))

        assert [page.location for page in pages] == [f"/page/{n}" for n in range(30)]
        assert (await own.sessions.count(), len(own.provider.passwords)) == (1, 1)
        assert await own.live(browser) is not None


class TestAnotherTabSignedIn:
    @pytest.mark.parametrize("typed", ["alice", "Alice@Example.com ", ""])
    async def test_a_form_that_was_open_leads_on_without_asking_the_provider(self, own: OwnPages, typed: str) -> None:
        browser = own.browser()
        first, second = await browser.get(LOGIN), await browser.get(f"{LOGIN}?return_to=/second")
        await browser.post(LOGIN, filled(first))

        page = await browser.post(LOGIN, filled(second, username=typed, password="anything"))

        assert (page.status, page.location) == (303, "/second")
        assert page.set_cookies == {}
        assert len(own.provider.passwords) == 1
        assert own.slept == []

    async def test_it_leads_on_too_where_the_form_does_not_say_where(self, own: OwnPages) -> None:
        browser = own.browser()
        second = await browser.get(f"{LOGIN}?return_to=/second")
        await submit_login(browser)
        form = filled(second)
        del form["return_to"]

        assert (await browser.post(LOGIN, form)).location == "/second"

    async def test_a_program_hears_who_is_signed_in(self, own: OwnPages) -> None:
        browser = own.browser()
        second = await browser.get(f"{LOGIN}?return_to=/second")
        await submit_login(browser)

        page = await browser.post(LOGIN, filled(second), **AS_JSON)

        assert page.status == 200
        assert '"redirect_url": "/second"' in page.text
        assert '"username": "alice"' in page.text

    async def test_whoever_types_another_name_is_not_led_into_her_session(self, own: OwnPages) -> None:
        browser = own.browser()
        second = await browser.get(f"{LOGIN}?return_to=/second")
        await submit_login(browser)

        page = await browser.post(LOGIN, filled(second, username="bob"))
        assert page.status == 403
        page = await browser.post(LOGIN, filled(page, username="bob"))

        assert (page.status, page.location) == (303, "/second")
        assert (await own.live(browser)).identity.username == "bob"

    async def test_a_page_that_is_asked_for_leads_on(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        assert [(await browser.get(f"{LOGIN}?return_to=/page/{n}")).location for n in range(30)] == [
            f"/page/{n}" for n in range(30)
        ]

    async def test_a_flow_at_the_provider_leads_on_where_it_wanted(self, own: OwnPages) -> None:
        browser = own.browser()
        one, two = await open_at_provider(browser, "/one", "/two")
        await browser.get(f"{CALLBACK}?{callback_query(one)}")
        session = browser.cookies[SESSION]

        for _ in range(2):
            page = await browser.get(f"{CALLBACK}?{callback_query(two)}")
            assert (page.status, page.location) == (302, "/two")

        assert browser.cookies[SESSION] == session, "it signs nobody in anew"
        assert len(own.provider.exchanges) == 1

    async def test_a_login_by_the_form_does_the_same_for_it(self, own: OwnPages) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/flow")
        await submit_login(browser)

        assert (await browser.get(f"{CALLBACK}?{callback_query(flow)}")).location == "/flow"
        assert own.provider.exchanges == []

    async def test_an_answer_that_comes_twice_leads_on_where_it_wanted(self, own: OwnPages) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/flow")

        pages = [await browser.get(f"{CALLBACK}?{callback_query(flow)}") for _ in range(3)]

        assert [page.location for page in pages] == ["/flow"] * 3
        assert len(own.provider.exchanges) == 1

    async def test_all_that_come_back_at_once_are_one_login(self, own: OwnPages) -> None:
        usual = own.provider.exchange_code

        async def slow(*args: Any, **more: Any) -> Any:
            await asyncio.sleep(0.05)
            return await usual(*args, **more)

        own.provider.exchange_code = slow  # type: ignore[method-assign]
        browser = own.browser()
        flows = await open_at_provider(browser, *(f"/page/{n}" for n in range(5)))
        sent = with_cookies_of(browser)

        pages = await asyncio.gather(*(browser.get(f"{CALLBACK}?{callback_query(flow)}", **sent) for flow in flows))

        assert len(own.provider.exchanges) == 1
        assert await own.sessions.count() == 1
        signed_in = [page for page in pages if SESSION in page.set_cookies]
        led = [query_of(page.location)["return_to"] for page in pages if page.location.startswith(LOGIN)]
        assert sorted([*(page.location for page in signed_in), *led]) == [f"/page/{n}" for n in range(5)]

    async def test_the_store_failing_at_the_end_takes_no_login_back(self, own: OwnPages) -> None:
        async def away(_: str) -> Any:
            raise StoreUnavailable("away")

        own.authentications.tabs = away  # type: ignore[method-assign]
        browser = await own.signed_in()

        assert await own.live(browser) is not None
        assert own.observer.warnings[-1][1]["reason"] == "store_unavailable"


class TestAFormThatIsOver:
    async def test_left_open_overnight_it_comes_again_with_name_and_way(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(f"{LOGIN}?return_to=/app")
        own.clock.advance(12 * 3600)
        del browser.cookies[ROOT]

        page = await browser.post(LOGIN, filled(shown))

        assert (page.status, page.field("return_to")) == (403, "/app")
        assert 'value="alice"' in page.text
        assert "secret words" not in page.text
        assert "open too long" in page.text
        assert (await browser.post(LOGIN, filled(page))).location == "/app"

    async def test_what_its_link_asked_for_is_kept(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(f"{LOGIN}?return_to=/app&ui_locales=de")
        own.clock.advance(1800)

        page = await browser.post(LOGIN, filled(shown))
        form = filled(page)
        token = (await browser.post(LOGIN, {**form, "password": "wrong"})).field("csrf_token")

        assert claimed(token) == ("/app", {"ui_locales": "de"})

    async def test_when_somebody_signed_in_meanwhile_it_leads_on(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(f"{LOGIN}?return_to=/app")
        own.clock.advance(1800)
        await submit_login(browser)

        assert (await browser.post(LOGIN, filled(shown))).location == "/app"

    async def test_refused_too_often_it_begins_anew(self, own: OwnPages) -> None:
        browser = own.browser()
        first = page = await browser.get(LOGIN)
        for _ in range(MAX_ATTEMPTS):
            page = await browser.post(LOGIN, filled(page, password="wrong"))
            assert page.status == 401

        assert (await browser.post(LOGIN, filled(first))).status == 403
        assert own.observer.audits[-1].reason == "form_exhausted"
        assert (await browser.post(LOGIN, filled(page))).status == 303, "the last page is a fresh tab"

    async def test_the_back_button_after_a_refusal_brings_a_form_that_works(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(LOGIN)
        await browser.post(LOGIN, filled(shown, password="wrong"))

        assert (await browser.post(LOGIN, filled(shown))).status == 303

    async def test_the_back_button_after_a_login_brings_a_form_that_leads_on(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get(f"{LOGIN}?return_to=/app")
        await browser.post(LOGIN, filled(shown))

        assert (await browser.post(LOGIN, filled(shown))).location == "/app"
        assert len(own.provider.passwords) == 1


class TestRestoredWindows:
    async def test_thirty_tabs_asked_for_at_once_have_one_root(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        await own.sessions.delete(session_key(Secret(browser.cookies[SESSION])), EndCause.IDLE)
        del browser.cookies[ROOT]
        sent = with_cookies_of(browser)

        shown = await asyncio.gather(*(browser.get(f"{LOGIN}?return_to=/page/{n}", **sent) for n in range(30)))

        assert len({page.set_cookies[ROOT].value for page in shown}) == 1
        assert len(own.authentications) == 1, "the login before; the pages stored nothing"
        assert (await browser.post(LOGIN, filled(shown[17]))).location == "/page/17"

    async def test_after_a_logout_the_old_root_cannot_be_had_again(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        shown = await browser.get(f"{LOGIN}?prompt=login")
        await browser.post(f"{OWN}/logout")

        await browser.get(LOGIN)

        assert (await browser.post(LOGIN, filled(shown))).status == 403

    async def test_a_tab_that_gave_way_to_newer_ones_begins_again_by_itself(self, own: OwnPages) -> None:
        browser = own.browser()
        flows = await open_at_provider(browser, *(f"/page/{n}" for n in range(30)))
        assert len(own.authentications) == MAX_TABS

        again = await browser.get(f"{CALLBACK}?{callback_query(flows[0])}")

        assert again.location.startswith(f"{AUTHORIZATION}?")
        assert (await browser.get(f"{CALLBACK}?{callback_query(again)}")).location == "/"
        places = [(await browser.get(f"{CALLBACK}?{callback_query(flow)}")).location for flow in flows[1:]]
        # The one that began again took a place too.
        known = MAX_TABS - 1
        assert places == ["/"] * (29 - known) + [f"/page/{n}" for n in range(30 - known, 30)]

    async def test_it_begins_again_only_once(self, own: OwnPages) -> None:
        browser = own.browser()
        flows = await open_at_provider(browser, "/one")
        for _ in range(2):
            await own.authentications.drop_root(browser.cookies[ROOT])
            flows.append(await browser.get(f"{CALLBACK}?{callback_query(flows[-1])}"))

        assert [page.status for page in flows] == [302, 302, 400]
        assert f'href="{LOGIN}' in flows[-1].text

    @pytest.mark.parametrize("answer", [{"code": None, "error": "login_required"}, {"code": None}])
    async def test_it_does_not_when_the_provider_gave_no_code(
        self, own: OwnPages, answer: dict[str, str | None]
    ) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/one")
        await own.authentications.drop_root(browser.cookies[ROOT])

        assert (await browser.get(f"{CALLBACK}?{callback_query(flow, **answer)}")).status == 400


class TestRoots:
    @pytest.mark.parametrize("way", ["form", "code"])
    async def test_a_login_renews_the_root(self, own: OwnPages, way: str) -> None:
        browser = own.browser()
        await browser.get(LOGIN)
        planted = browser.cookies[ROOT]

        if way == "form":
            await submit_login(browser)
        else:
            (flow,) = await open_at_provider(browser, "/")
            await browser.get(f"{CALLBACK}?{callback_query(flow)}")

        assert browser.cookies[ROOT] not in {planted, ""}

    async def test_who_planted_a_root_has_nothing_of_it_after_the_login(self, own: OwnPages) -> None:
        thief = own.browser()
        (flow,) = await open_at_provider(thief, "/theirs")
        form = await thief.get(LOGIN)
        victim = own.browser(cookies={ROOT: thief.cookies[ROOT]})
        await submit_login(victim)

        by_flow = await thief.get(f"{CALLBACK}?{callback_query(flow)}")
        in_the_victim = await victim.get(f"{CALLBACK}?{callback_query(flow, code='the thiefs')}")
        by_form = await victim.post(LOGIN, filled(form, username="thief"))

        assert SESSION not in {**by_flow.set_cookies, **in_the_victim.set_cookies, **by_form.set_cookies}
        assert own.provider.exchanges == []
        assert (await own.live(victim)).identity.username == "alice"

    async def test_a_foreign_answer_harms_no_tab_of_the_person(self, own: OwnPages) -> None:
        attacker, victim = own.browser(), own.browser()
        (theirs,) = await open_at_provider(attacker, "/theirs")
        (hers,) = await open_at_provider(victim, "/hers")
        form = await victim.get(f"{LOGIN}?return_to=/form")

        assert (await victim.get(f"{CALLBACK}?{callback_query(theirs)}")).status == 400
        assert (await victim.post(LOGIN, filled(form, csrf_token="forged"))).status == 403

        assert (await victim.get(f"{CALLBACK}?{callback_query(hers)}")).location == "/hers"
        assert (await attacker.get(f"{CALLBACK}?{callback_query(theirs)}")).location == "/theirs"

    async def test_an_answer_that_was_used_signs_nobody_in_again(self, own: OwnPages) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/app")
        await browser.get(f"{CALLBACK}?{callback_query(flow)}")
        del browser.cookies[SESSION]

        page = await browser.get(f"{CALLBACK}?{callback_query(flow)}")

        assert page.status == 400
        assert f'href="{LOGIN}?return_to=%2Fapp"' in page.text
        assert own.observer.audits[-1].reason == "used_state"

    async def test_the_record_of_a_form_is_no_flow(self, own: OwnPages) -> None:
        browser = own.browser()
        await submit_login(browser, password="wrong")
        ((root_id, tabs),) = own.authentications._roots.items()
        (state,) = tabs

        page = await browser.get(f"{CALLBACK}?{callback_query(await browser.get(START), state=state)}")

        assert page.status == 400
        assert own.provider.exchanges == []
        assert state.startswith("form.")
        assert await own.authentications.peek(root_id, state) is not None, "it goes on counting"
        assert root_id == browser.cookies[ROOT]

    @pytest.mark.parametrize("changes", [{"client_id": "other-app"}, {"issuer": "https://other.example"}])
    async def test_a_tab_of_another_client_is_none(self, own: OwnPages, changes: dict[str, str]) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/app")
        (tab,) = await own.authentications.tabs(browser.cookies[ROOT])
        await own.authentications.put(replace(tab, **changes))

        page = await browser.get(f"{CALLBACK}?{callback_query(flow, code=None, error='x')}")

        assert (page.status, own.observer.audits[-1].reason) == (400, "unknown_state")
        assert len(await own.authentications.tabs(browser.cookies[ROOT])) == 1, "it is there for whom it is"


class TestRecords:
    async def test_a_refusal_is_counted_and_a_login_leaves_only_what_is_used(self, own: OwnPages) -> None:
        browser = own.browser()
        page = await submit_login(browser, password="wrong")
        (tab,) = await own.authentications.tabs(browser.cookies[ROOT])
        assert (tab.attempts, tab.status) == (1, TabStatus.OPEN)
        old_root = browser.cookies[ROOT]

        await browser.post(LOGIN, filled(page))

        assert [kept.status for kept in await own.authentications.tabs(old_root)] == [TabStatus.USED]
        assert await own.authentications.tabs(browser.cookies[ROOT]) == ()

    async def test_setting_up_counts_as_no_refusal(self, own: OwnPages) -> None:
        own.provider.answer = GrantRefusal.ACCOUNT_SETUP_REQUIRED
        await submit_login(own.browser())

        assert len(own.authentications) == 0

    async def test_an_address_with_too_many_flows_is_refused_as_before_and_fills_nothing(self, own: OwnPages) -> None:
        quota = own.client.app[FLOW_QUOTA]  # type: ignore[index]
        for number in range(FLOWS_PER_ADDRESS):
            quota.admit("203.0.113.7", str(number))

        assert (await submit_login(own.browser(), password="wrong")).status == 401
        assert len(own.authentications) == 0
        assert (await submit_login(own.browser())).status == 303

    async def test_a_login_frees_the_places_of_all_its_tabs(self, own: OwnPages) -> None:
        quota, browser = own.client.app[FLOW_QUOTA], own.browser()  # type: ignore[index]
        await open_at_provider(browser, "/one", "/two")
        await submit_login(browser, password="wrong")
        for number in range(FLOWS_PER_ADDRESS - 3):
            quota.admit("203.0.113.7", str(number))
        assert (await own.browser().get(START)).status == 429

        await submit_login(browser)

        assert [(await own.browser().get(START)).status for _ in range(4)] == [302, 302, 302, 429]

    async def test_a_restart_is_the_same_tab_with_another_state(self, own: OwnPages) -> None:
        browser = own.browser()
        (flow,) = await open_at_provider(browser, "/app")
        (before,) = await own.authentications.tabs(browser.cookies[ROOT])
        said = {"error": "temporarily_unavailable", "error_description": "authentication_expired", "code": None}
        await browser.get(f"{CALLBACK}?{callback_query(flow, **said)}")

        (after,) = await own.authentications.tabs(browser.cookies[ROOT])

        assert (after.full_id, after.restarts, after.return_to) == (before.full_id, 1, "/app")
        assert not {after.state, after.nonce, after.code_verifier.reveal()} & {before.state, before.nonce}
        assert FlowStates(own.options.server_key).restarts_of(after.state, after.root_id) == 1
        assert after.issuer == ISSUER
