"""``/frontchannel-logout`` at the level of HTTP: whom it ends, whom it tells, and how little a stranger can do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from proxy.core.session import BySid, EndCause
from proxy.web.frontchannel import BURST
from tests.support.own_pages import OWN, OwnPages, Page, make_login_grant
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = f"{OWN}/frontchannel-logout"


async def ask(own: OwnPages, *pairs: tuple[str, str], address: str = "203.0.113.9") -> Page:
    """Load the page as a browser does in a frame of another site: without cookies of ours."""
    query: Sequence[tuple[str, str]] = pairs or (("iss", ISSUER), ("sid", "sid-1"))
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    return await own.browser(address=address).send("GET", f"{PATH}?{urlencode(query)}", headers=headers)


class TestObeyed:
    async def test_the_session_of_the_sid_ends_without_a_cookie(self, own: OwnPages) -> None:
        browser, other = await own.signed_in(), await own.signed_in()

        page = await ask(own)

        assert page.status == 200
        assert await own.live(browser) is None
        assert await own.live(other) is not None
        assert own.observer.ended == {EndCause.FRONTCHANNEL: 1}

    async def test_it_stays_ended(self, own: OwnPages) -> None:
        await own.signed_in()
        own.sessions.calls.clear()

        await ask(own)

        assert own.sessions.calls == ["find", "mark_ended", "delete_matching"]
        assert await own.sessions.inner.has_ended(
            issuer=ISSUER, client_id="legacy-app", sid="sid-1", subject="alice-id", issued_at=0
        )

    async def test_the_trail_and_the_figures_know(self, own: OwnPages) -> None:
        await own.signed_in()

        await ask(own)

        event = own.observer.audits[-1]
        assert (event.event, event.username, event.sessions_affected) == ("logout.frontchannel", "alice", 1)
        assert (event.subject, event.address) == ("alice-id", "203.0.113.9")
        assert own.observer.logouts == ["frontchannel"]

    async def test_any_text_is_a_sid(self, own: OwnPages) -> None:
        sid = "a b&c=d;e/f?g#h%20+ß"
        own.provider.answer = make_login_grant(sid=sid)
        browser = await own.signed_in()

        await ask(own, ("iss", ISSUER), ("sid", sid))

        assert await own.live(browser) is None

    async def test_the_page_may_be_framed_by_the_issuer_alone_and_is_kept_by_nobody(self, own: OwnPages) -> None:
        page = await ask(own)

        assert "frame-ancestors https://sso.example.com" in page.headers["Content-Security-Policy"]
        assert "'none'" not in page.headers["Content-Security-Policy"].partition("frame-ancestors")[2]
        assert "X-Frame-Options" not in page.headers
        assert page.headers["Cache-Control"] == "no-store"
        assert page.set_cookies == {}


class TestHarmless:
    async def test_an_unknown_session_is_answered_as_a_known_one(self, own: OwnPages) -> None:
        await own.signed_in()
        known = await ask(own)

        unknown = await ask(own, ("iss", ISSUER), ("sid", "never-heard-of"))

        assert (unknown.status, unknown.text) == (known.status, known.text)

    async def test_an_unknown_session_leaves_no_trace(self, own: OwnPages) -> None:
        await ask(own, ("iss", ISSUER), ("sid", "never-heard-of"))

        assert own.sessions.calls == ["find"]
        assert (own.observer.audits, own.observer.logouts) == ([], [])

    @pytest.mark.parametrize(
        ("pairs", "reason"),
        [
            ((("x", "y"),), "missing_iss"),
            ((("sid", "sid-1"),), "missing_iss"),
            ((("iss", ISSUER),), "missing_sid"),
            ((("iss", ISSUER), ("sid", "")), "malformed_sid"),
            ((("iss", ISSUER), ("sid", "a\0b")), "malformed_sid"),
            ((("iss", ISSUER), ("sid", "x" * 2049)), "malformed_sid"),
            ((("iss", ISSUER), ("sid", "sid-1"), ("sid", "sid-1")), "missing_sid"),
            ((("iss", ISSUER), ("iss", ISSUER), ("sid", "sid-1")), "missing_iss"),
            ((("iss", "https://evil.example"), ("sid", "sid-1")), "wrong_issuer"),
            ((("iss", f"{ISSUER}/"), ("sid", "sid-1")), "wrong_issuer"),
        ],
    )
    async def test_what_names_no_session_of_our_issuer_is_400_and_ends_nothing(
        self, own: OwnPages, pairs: tuple[tuple[str, str], ...], reason: str
    ) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        page = await ask(own, *pairs)

        assert page.status == 400
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert await own.live(browser) is not None
        assert own.sessions.calls == []
        assert (own.observer.audits[-1].event, own.observer.audits[-1].reason) == ("logout.rejected", reason)

    async def test_one_address_may_not_guess_for_ever(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        for number in range(BURST):
            assert (await ask(own, ("iss", ISSUER), ("sid", f"guess-{number}"))).status == 200
        asked = len(own.sessions.calls)

        page = await ask(own)

        assert (page.status, int(page.headers["Retry-After"]) > 0) == (429, True)
        assert len(own.sessions.calls) == asked
        assert await own.live(browser) is not None
        assert (await ask(own, address="198.51.100.7")).status == 200
        assert await own.live(browser) is None

    @pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
    async def test_only_a_get_ends_anything(self, own: OwnPages, method: str) -> None:
        browser = await own.signed_in()

        page = await own.browser().send(method, f"{PATH}?{urlencode({'iss': ISSUER, 'sid': 'sid-1'})}")

        assert page.status == 405
        assert await own.live(browser) is not None


@pytest.mark.parametrize("operation", ["find", "mark_ended", "delete_matching"])
async def test_while_the_store_is_away_it_is_503_and_the_next_one_works(own: OwnPages, operation: str) -> None:
    browser = await own.signed_in()
    own.sessions.away = {operation}

    page = await ask(own)

    assert page.status == 503
    own.sessions.come_back()
    assert await own.sessions.inner.find(BySid(ISSUER, "sid-1")) != ()
    assert (await ask(own)).status == 200
    assert await own.live(browser) is None
