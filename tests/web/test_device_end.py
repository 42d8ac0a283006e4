"""Ending sessions on other devices: here first, then at the provider, and what the provider made of it is said."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.errors import Draining, ProviderUnavailable, StoreUnavailable
from proxy.ports import AccountAnswer
from proxy.web import device_end
from tests.support.eventually import eventually
from tests.support.own_pages import OWN, Browser, OwnPages, make_login_grant
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from tests.support.own_pages import Page

SESSIONS = f"{OWN}/sessions"
JSON = {"Accept": "application/json"}


async def two(own: OwnPages) -> tuple[Browser, Browser]:
    """Two browsers of alice."""
    return await own.signed_in(), await own.signed_in()


async def end_others(browser: Browser, **headers: str) -> Page:
    return await browser.post(f"{SESSIONS}/others/end", **{**JSON, **headers})


async def test_the_session_ends_here_with_its_cause_and_at_the_provider_with_ones_own_token(own: OwnPages) -> None:
    one, other = await two(own)
    sid = (await own.live(other)).sid

    page = await end_others(one)

    assert json.loads(page.text) == {"success": True, "sessions_ended": 1, "at_provider": "ended"}
    assert await own.live(other) is None
    assert own.observer.ended[EndCause.DEVICE] == 1
    tombstone = await own.sessions.tombstone(Secret(other.cookies["__Host-sidegate"]))
    assert tombstone.cause is EndCause.DEVICE
    assert own.provider.ended_elsewhere == [("alice-id", sid)]
    assert await own.live(one) is not None


async def test_what_ended_at_the_provider_stays_ended(own: OwnPages) -> None:
    one, other = await two(own)
    sid = (await own.live(other)).sid

    await end_others(one)

    marks: dict[str, Any] = {"issuer": ISSUER, "client_id": "legacy-app", "subject": "alice-id"}
    assert await own.sessions.has_ended(**marks, sid=sid, issued_at=own.clock.now())


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (AccountAnswer.REFUSED, "refused"),
        (AccountAnswer.NO_ENDPOINT, "no_endpoint"),
        (ProviderUnavailable("away"), "unavailable"),
    ],
)
async def test_what_the_provider_refused_is_said_and_ends_here_all_the_same(
    own: OwnPages, answer: Any, word: str
) -> None:
    one, other = await two(own)
    sid = (await own.live(other)).sid
    own.provider.account_answer = answer

    page = await end_others(one)

    assert json.loads(page.text) == {"success": True, "sessions_ended": 1, "at_provider": word}
    assert await own.live(other) is None
    assert any(fields["reason"] for _, fields in own.observer.warnings)
    marks: dict[str, Any] = {"issuer": ISSUER, "client_id": "legacy-app", "subject": "alice-id"}
    assert not await own.sessions.has_ended(**marks, sid=sid, issued_at=own.clock.now())


async def test_a_provider_session_that_this_browser_lives_by_too_is_left_alone(own: OwnPages) -> None:
    own.provider.answer = make_login_grant(sid="shared")
    one, other = await two(own)

    page = await end_others(one)

    assert json.loads(page.text)["at_provider"] == "not_asked"
    assert own.provider.ended_elsewhere == []
    assert await own.live(one) is not None
    assert await own.live(other) is None


async def test_each_provider_session_is_ended_once(own: OwnPages) -> None:
    one = await own.signed_in()
    own.provider.answer = make_login_grant(sid="shared")
    _ = await own.signed_in(), await own.signed_in()

    await end_others(one)

    assert own.provider.ended_elsewhere == [("alice-id", "shared")]


async def test_sessions_without_a_sid_end_here(own: OwnPages) -> None:
    one = await own.signed_in()
    own.provider.answer = make_login_grant(sid=None)
    other = await own.signed_in()

    page = await end_others(one)

    assert json.loads(page.text)["at_provider"] == "not_asked"
    assert await own.live(other) is None


async def test_a_stale_token_is_refreshed_first(own: OwnPages) -> None:
    one, _ = await two(own)
    own.refresher.is_ready = False
    own.refresher.answer = replace(await own.live(one), notes={"fresh": "yes"})

    page = await end_others(one)

    assert own.refresher.refreshed == 1
    assert json.loads(page.text)["at_provider"] == "ended"


@pytest.mark.parametrize("answer", [None, ProviderUnavailable("away"), Draining("ending"), StoreUnavailable("away")])
async def test_a_token_that_cannot_be_refreshed_does_not_keep_the_session_alive(own: OwnPages, answer: Any) -> None:
    one, other = await two(own)
    own.refresher.is_ready, own.refresher.answer = False, answer

    page = await end_others(one)

    assert json.loads(page.text) == {"success": True, "sessions_ended": 1, "at_provider": "unavailable"}
    assert await own.live(other) is None
    assert own.provider.ended_elsewhere == []


async def test_a_slow_provider_is_not_waited_for(own: OwnPages, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = await two(own)
    answered, asked = asyncio.Event(), own.provider.end_other_session

    async def slowly(session: Any, sid: str) -> AccountAnswer:
        await answered.wait()
        return await asked(session, sid)

    monkeypatch.setattr(own.provider, "end_other_session", slowly)
    monkeypatch.setattr(device_end, "PATIENCE_S", 0.01)

    page = await end_others(one)

    assert json.loads(page.text)["at_provider"] == "pending"
    answered.set()

    async def ended() -> int:
        return len(own.provider.ended_elsewhere)

    await eventually(ended, 1, within_s=10)


async def test_a_store_that_goes_away_before_the_mark_is_no_failure(own: OwnPages) -> None:
    one, _ = await two(own)
    own.sessions.away = {"mark_ended"}

    page = await end_others(one)

    assert json.loads(page.text)["at_provider"] == "ended"
    assert any("was not noted" in message for message, _ in own.observer.warnings)


async def test_the_event_says_who_and_how_many(own: OwnPages) -> None:
    one, _ = await two(own)
    _ = await own.signed_in()

    await end_others(one, User_Agent="curl/8")

    event = own.observer.audits[-1]
    assert (event.event, event.reason, event.sessions_affected) == ("session.revoked", "device", 2)
    assert (event.username, event.address, event.user_agent) == ("alice", "203.0.113.7", "curl/8")
    assert own.observer.logouts == ["device"]
