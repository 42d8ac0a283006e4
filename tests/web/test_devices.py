"""``/sessions``: what a person sees of their devices, and that nobody ends or sees another's."""

from __future__ import annotations

import dataclasses
import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import SessionKey, session_key
from proxy.web.device_list import MAX_SHOWN
from proxy.web.session_ids import SessionIds
from tests.support.clocks import START
from tests.support.own_pages import OWN, PUBLIC_URL, Browser, OwnPages, make_login_grant

if TYPE_CHECKING:
    from tests.support.own_pages import Page

SESSIONS = f"{OWN}/sessions"
JSON = {"Accept": "application/json"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


async def listed(browser: Browser) -> dict[str, Any]:
    page = await browser.get(SESSIONS, **JSON)
    assert page.status == 200, page.text
    document: dict[str, Any] = json.loads(page.text)
    return document


async def id_of(browser: Browser) -> str:
    """The id of the browser's own session."""
    return next(str(one["id"]) for one in (await listed(browser))["sessions"] if one["current"])


async def end(browser: Browser, device_id: str, data: Any = None, **headers: str) -> Page:
    return await browser.send("POST", f"{SESSIONS}/{device_id}/end", data=data, headers=headers)


async def sign_in_from(own: OwnPages, user_agent: str) -> Browser:
    """A browser of alice that calls itself so."""
    browser = own.browser(address="198.51.100.9")
    token = json.loads((await browser.get(f"{OWN}/login", **JSON)).text)["csrf_token"]
    form = {"username": "alice", "password": "secret words", "csrf_token": token, "remember_me": "true"}
    page = await browser.post(f"{OWN}/login", form, User_Agent=user_agent)
    assert page.status == 303
    return browser


class TestTheList:
    async def test_it_holds_every_session_of_the_person_this_one_first(self, own: OwnPages) -> None:
        telephone = await sign_in_from(own, SAFARI)
        own.clock.advance(60)
        desk = await sign_in_from(own, FIREFOX)

        document = await listed(desk)

        assert set(document) == {"sessions", "csrf_token"}
        first, second = document["sessions"]
        assert first["current"] is True
        assert (first["browser"], first["system"], first["user_agent"]) == ("Firefox 127", "Linux", FIREFOX)
        assert second == {
            "id": await id_of(telephone),
            "current": False,
            "created_at": int(START),
            "last_seen": int(START),
            "expires_at": int(START + 30 * 86400),
            "user_agent": SAFARI,
            "browser": "Mobile Safari 17",
            "system": "iOS",
            "address": "198.51.100.9",
        }

    async def test_ids_are_no_store_keys_and_no_sids(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        document = json.dumps(await listed(browser))

        value = browser.cookies["__Host-sidegate"]
        assert value not in document
        assert session_key(Secret(value)) not in document
        assert (await own.live(browser)).sid not in document

    async def test_nobody_sees_anothers(self, own: OwnPages) -> None:
        alice, bob = await own.signed_in(), await own.signed_in(username="bob")

        assert [one["id"] for one in (await listed(alice))["sessions"]] == [await id_of(alice)]
        assert await id_of(bob) not in json.dumps(await listed(alice))

    @pytest.mark.parametrize("of_portal", [{"client_id": "another-app"}, {"portal": "admin"}])
    async def test_sessions_at_another_portal_are_another_list(self, own: OwnPages, of_portal: dict[str, str]) -> None:
        browser = await own.signed_in()
        session = await own.live(browser)
        value = Secret("another portal")
        elsewhere = dataclasses.replace(session, key=session_key(value), sid="x", **of_portal)
        await own.sessions.create(value, elsewhere)

        assert len((await listed(browser))["sessions"]) == 1
        device_id = SessionIds(own.options.server_key).id_of(elsewhere.key)
        assert (await end(browser, device_id, Sec_Fetch_Site="same-origin")).status == 404
        await browser.post(f"{SESSIONS}/others/end")
        assert await own.sessions.load(value) is not None

    async def test_looking_is_no_activity(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.clock.advance(3600)

        await listed(browser)
        await browser.get(SESSIONS)

        assert (await listed(browser))["sessions"][0]["last_seen"] == int(START)

    async def test_it_says_no_store_and_answers_head(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.send("HEAD", SESSIONS)

        assert (page.status, page.text, page.headers["Cache-Control"]) == (200, "", "no-store")

    async def test_a_store_that_is_away_is_503_and_ends_nothing(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.away = {"find"}

        assert (await browser.get(SESSIONS)).status == 503
        assert (await browser.post(f"{SESSIONS}/others/end")).status == 503

    async def test_more_than_a_page_holds_are_cut_but_all_end(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        session = await own.live(browser)
        own.sessions.inner._limits = replace(own.sessions.inner._limits, max_per_user=0)
        for number in range(MAX_SHOWN + 5):
            value = Secret(f"cookie {number}")
            await own.sessions.create(
                value, dataclasses.replace(session, key=session_key(value), sid=f"other-{number % 3}")
            )

        document = await listed(browser)

        assert len(document["sessions"]) == MAX_SHOWN
        assert document["sessions"][0]["current"]
        page = await browser.post(f"{SESSIONS}/others/end", **JSON)
        assert json.loads(page.text)["sessions_ended"] == MAX_SHOWN + 5


class TestThePage:
    async def test_it_names_each_device_in_words_and_marks_this_one(self, own: OwnPages) -> None:
        _ = await sign_in_from(own, SAFARI)
        own.clock.advance(7200)
        browser = await sign_in_from(own, FIREFOX)

        text = (await browser.get(SESSIONS)).text

        assert "Firefox 127 on Linux" in text
        assert "Mobile Safari 17 on iOS" in text
        assert "2 hours ago" in text
        assert text.count("This browser") == 1
        assert text.index("Firefox") < text.index("This browser") < text.index("Safari")

    async def test_a_huge_and_hostile_user_agent_is_text_and_cut(self, own: OwnPages) -> None:
        browser = await sign_in_from(own, "<script>alert(1)</script>" + "x" * 5000)

        text = (await browser.get(SESSIONS)).text

        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text
        assert "x" * 257 not in text

    async def test_alone_there_is_nothing_to_end_elsewhere(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        assert "others/end" not in (await browser.get(SESSIONS)).text

    async def test_its_forms_work_without_script_and_lead_back_with_a_sentence(self, own: OwnPages) -> None:
        other, browser = await own.signed_in(), await own.signed_in()
        shown = await browser.get(SESSIONS)
        (action,) = [path for path in re.findall(r'action="([^"]*)"', shown.text) if await id_of(other) in path]

        page = await browser.send("POST", unescape(action), data={"csrf_token": shown.field("csrf_token")})
        back = await browser.get(page.location)

        assert page.status == 303
        assert page.location.startswith(f"{SESSIONS}?said=")
        assert "Signed out there." in back.text
        assert "over at the sign-in service as well" in back.text
        assert await own.live(other) is None

    async def test_what_had_ended_before_is_said(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.post(f"{SESSIONS}/others/end")

        assert "That was over already." in (await browser.get(page.location)).text

    async def test_nobody_else_writes_a_sentence_on_it(self, own: OwnPages) -> None:
        browser, mallory = await own.signed_in(), await own.signed_in(username="mallory")
        _ = await own.signed_in(username="mallory")
        stolen = (await mallory.post(f"{SESSIONS}/others/end")).location

        for said in (stolen, f"{SESSIONS}?said=ended~x", f"{SESSIONS}?said=ended", f"{SESSIONS}?said=~"):
            page = await browser.get(said)
            assert page.status == 200
            assert 'role="status"' not in page.text


class TestWhoIsNotSignedIn:
    async def test_a_person_is_led_to_the_login_and_back(self, own: OwnPages) -> None:
        page = await own.browser().get(SESSIONS)

        assert (page.status, page.location) == (302, f"{OWN}/login?return_to=%2F_sidegate%2Fsessions")

    async def test_and_really_comes_back(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = await browser.get((await browser.get(SESSIONS)).location)

        assert shown.field("return_to") == SESSIONS

    async def test_a_program_is_told_401(self, own: OwnPages) -> None:
        for page in (
            await own.browser().get(SESSIONS, **JSON),
            await own.browser().post(f"{SESSIONS}/others/end", **JSON),
            await own.browser().post(f"{SESSIONS}/{'x' * 22}/end", **JSON),
        ):
            assert page.status == 401
            assert json.loads(page.text)["login_url"] == f"{OWN}/login"

    async def test_a_post_of_nobody_leads_to_the_login(self, own: OwnPages) -> None:
        for path in ("others", "x" * 22):
            assert (await own.browser().post(f"{SESSIONS}/{path}/end")).status == 303


class TestEnding:
    async def test_anothers_id_is_404_and_ends_nothing(self, own: OwnPages) -> None:
        alice, bob = await own.signed_in(), await own.signed_in(username="bob")

        page = await end(alice, await id_of(bob), Sec_Fetch_Site="same-origin")

        assert page.status == 404
        assert await own.live(bob) is not None

    @pytest.mark.parametrize(
        "forged",
        ["x" * 22, "x" * 21, "x" * 23, "..", "%2e%2e", "others%2f", "é" * 22, "x" * 4000, "%00" * 22, "'" * 22],
    )
    async def test_a_forged_id_is_404(self, own: OwnPages, forged: str) -> None:
        browser = await own.signed_in()

        page = await end(browser, forged, Sec_Fetch_Site="same-origin")

        assert page.status in {404, 405}
        assert await own.live(browser) is not None

    async def test_a_store_key_or_a_cookie_is_no_id(self, own: OwnPages) -> None:
        browser, other = await own.signed_in(), await own.signed_in()
        value = other.cookies["__Host-sidegate"]

        for guess in (value, value[:22], session_key(Secret(value)), session_key(Secret(value))[:22]):
            assert (await end(browser, guess, Sec_Fetch_Site="same-origin")).status == 404

        assert await own.live(other) is not None

    async def test_the_id_of_a_session_that_ended_is_404(self, own: OwnPages) -> None:
        browser, other = await own.signed_in(), await own.signed_in()
        device_id = await id_of(other)
        await end(browser, device_id, Sec_Fetch_Site="same-origin")

        assert (await end(browser, device_id, Sec_Fetch_Site="same-origin")).status == 404

    async def test_this_ones_own_is_a_logout(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await end(browser, await id_of(browser), Sec_Fetch_Site="same-origin")

        assert page.status == 303
        assert page.location.startswith(f"{OWN}/logged-out?state=")
        assert "__Host-sidegate" not in browser.cookies
        assert own.observer.logouts == ["local"]
        assert len(own.provider.ended) == 1

    async def test_this_ones_own_of_the_code_flow_leaves_by_the_provider(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()

        page = await end(browser, await id_of(browser), Sec_Fetch_Site="same-origin")

        assert page.status == 200
        assert page.field("id_token_hint")

    async def test_json_with_the_token_of_the_list_ends_it_from_anywhere(self, own: OwnPages) -> None:
        other, browser = await own.signed_in(), await own.signed_in()
        token = (await listed(browser))["csrf_token"]

        body = {"csrf_token": token}
        page = await browser.send("POST", f"{SESSIONS}/{await id_of(other)}/end", json=body, headers=JSON)

        assert (page.status, json.loads(page.text)["sessions_ended"]) == (200, 1)

    async def test_the_one_token_of_a_session_serves_logout_too(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        assert (await listed(browser))["csrf_token"] == (await browser.get(f"{OWN}/logout")).field("csrf_token")

    @pytest.mark.parametrize("path", ["others", "other"])
    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "cross-site"},
        ],
    )
    async def test_another_site_ends_nothing(self, own: OwnPages, path: str, said: dict[str, str]) -> None:
        other, browser = await own.signed_in(), await own.signed_in()
        path = f"{SESSIONS}/{await id_of(other) if path == 'other' else path}/end"

        page = await browser.send("POST", path, headers=said)
        program = await browser.send("POST", path, headers={**said, **JSON})

        assert page.status == 403
        assert 'role="alert"' in page.text
        assert (program.status, json.loads(program.text)["code"]) == (403, "csrf_rejected")
        assert await own.live(other) is not None

    async def test_the_token_of_another_session_of_mine_does_not_fit(self, own: OwnPages) -> None:
        other, browser = await own.signed_in(), await own.signed_in()
        token = (await listed(other))["csrf_token"]

        page = await browser.post(f"{SESSIONS}/others/end", {"csrf_token": token})

        assert page.status == 403
        assert await own.live(other) is not None

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
    async def test_only_a_post_ends_anything(self, own: OwnPages, method: str) -> None:
        other, browser = await own.signed_in(), await own.signed_in()

        for path in (await id_of(other), "others"):
            page = await browser.send(method, f"{SESSIONS}/{path}/end", headers={"Sec-Fetch-Site": "same-origin"})
            assert page.status == 405

        assert await own.live(other) is not None

    async def test_a_session_of_another_person_with_the_same_sid_stays(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant("bob", sid="shared")
        bob = await own.signed_in()
        own.provider.answer = make_login_grant("alice", sid="shared")
        _, alice = await own.signed_in(), await own.signed_in()

        await alice.post(f"{SESSIONS}/others/end")

        assert await own.live(bob) is not None

    async def test_others_end_spares_this_one_and_other_people(self, own: OwnPages) -> None:
        browser, bob = await own.signed_in(), await own.signed_in(username="bob")
        mine = [await own.signed_in() for _ in range(3)]

        page = await browser.post(f"{SESSIONS}/others/end", **JSON)

        assert json.loads(page.text)["sessions_ended"] == 3
        assert [await own.live(one) for one in mine] == [None] * 3
        assert await own.live(browser) is not None
        assert await own.live(bob) is not None


def test_an_unknown_key_gives_an_id_all_the_same() -> None:
    assert len(SessionIds(b"k" * 32).id_of(SessionKey(""))) == 22
