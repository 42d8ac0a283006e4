"""Streams of bearers end at ``exp``, and when the login behind the token ends; no session stands behind them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndedMark, EverySessionOf
from proxy.errors import StoreUnavailable
from proxy.sessions.live import SLACK
from proxy.sessions.stream_keeper import MAX_ASKING, TICK_S
from tests.sessions.test_stream_keeper import Stage
from tests.support.clocks import START
from tests.support.eventually import eventually
from tests.support.sessions import ISSUER, make_bearer
from tests.support.streams import ENDED, FakeStream, admit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from proxy.core.bearer import Bearer
    from proxy.core.login import Login
    from proxy.ports import LoginStanding

TOKEN = Secret("header.payload.signature")


class OfThisMoment:
    """A standing of a store that would not tell of changes: the login goes on, as of now."""

    def holds(self) -> bool:
        return False


@pytest.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    made = Stage()
    yield made
    await made.keeper.close()
    assert made.observer.errors == []


def opens(stage: Stage, bearer: Bearer | None = None) -> FakeStream:
    bearer = make_bearer(TOKEN) if bearer is None else bearer
    stream = FakeStream(admit(None, session=bearer), began_at=stage.clock.monotonic())
    stage.live.opened_by_bearer(stream, bearer)
    return stream


async def end(stage: Stage, what: Any, *, ended_at: float = START) -> None:
    await stage.store.mark_ended(EndedMark(what, ended_at=ended_at, keep_until=START + 86_400))


async def test_a_stream_of_a_bearer_ends_at_exp(stage: Stage) -> None:
    stream = opens(stage)
    await stage.pass_time(299)
    assert stream.ends == []

    await stage.pass_time(1)

    assert stream.ends == [ENDED]
    await stage.keeper.tick()
    assert len(stage.keeper) == 0


@pytest.mark.parametrize(
    "what", [BySid(ISSUER, "sid-of-token"), BySubject(ISSUER, "alice-id"), EverySessionOf(ISSUER, "legacy-app")]
)
async def test_it_ends_at_once_when_the_login_behind_the_token_ends(stage: Stage, what: Any) -> None:
    stream = opens(stage)
    await stage.pass_time(1)

    await end(stage, what)
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert stream.ends == [ENDED]


async def test_a_login_that_ended_between_decision_and_stream_is_found_at_the_next_tick(stage: Stage) -> None:
    await end(stage, BySid(ISSUER, "sid-of-token"))
    stream = opens(stage)

    await stage.pass_time(TICK_S)

    assert stream.ends == [ENDED]


async def test_the_logout_of_somebody_else_leaves_it_open(stage: Stage) -> None:
    stream = opens(stage)
    await stage.pass_time(1)

    await end(stage, BySid(ISSUER, "another"))
    await end(stage, BySubject(ISSUER, "bob-id"))
    await stage.keeper.look_at_doubts()
    await stage.pass_time(40)

    assert stream.ends == []


async def test_while_its_standing_holds_the_store_is_asked_once(stage: Stage) -> None:
    opens(stage)

    await stage.pass_time(120)

    assert stage.store.calls.count("standing") == 1


async def test_while_the_store_would_not_tell_of_an_end_it_is_asked_at_each_tick(stage: Stage) -> None:
    ended = False

    async def standing(_login: Login) -> LoginStanding | None:
        return None if ended else OfThisMoment()

    stage.store.inner.standing = standing
    stream = opens(stage)
    await stage.pass_time(5)
    assert stream.ends == []
    assert stage.store.calls.count("standing") >= 5

    ended = True
    await stage.pass_time(TICK_S)

    assert stream.ends == [ENDED]


async def test_an_end_that_is_told_while_the_store_is_asked_is_asked_about_at_once(stage: Stage) -> None:
    answers: list[LoginStanding | None] = [OfThisMoment(), None]
    may_answer = asyncio.Event()

    async def standing(_login: Login) -> LoginStanding | None:
        answer = answers.pop(0)
        await may_answer.wait()
        return answer

    stage.store.inner.standing = standing
    stream = opens(stage)
    await stage.keeper.tick()
    await stage.settle()

    stage.live.bearers_in_doubt()
    await stage.keeper.look_at_doubts()
    may_answer.set()
    await stage.settle()

    assert stream.ends == [ENDED]


async def test_the_store_is_asked_about_few_bearers_at_a_time(stage: Stage) -> None:
    at_once = most = 0

    async def slow(_login: Login) -> LoginStanding | None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return OfThisMoment()

    stage.store.inner.standing = slow
    for number in range(MAX_ASKING * 3):
        opens(stage, make_bearer(Secret(f"token-{number}")))

    await stage.keeper.tick()
    await stage.settle()

    assert most == MAX_ASKING


async def test_it_closes_when_nobody_can_say_whether_the_login_goes_on(stage: Stage) -> None:
    stage.store.go_away()
    stream = opens(stage)

    async def ends() -> list[str]:
        return stream.ends

    await stage.keeper.tick()
    await eventually(ends, expected=[StoreUnavailable.reason])


async def test_every_stream_of_one_token_ends_and_of_another_stays(stage: Stage) -> None:
    theirs = [opens(stage), opens(stage)]
    other = opens(stage, make_bearer(Secret("another"), sid="other"))
    await stage.pass_time(1)

    await end(stage, BySid(ISSUER, "sid-of-token"))
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert [stream.ends for stream in theirs] == [[ENDED], [ENDED]]
    assert other.ends == []


async def test_of_one_token_at_two_clients_of_ours_the_streams_of_the_one_whose_logins_ended_close(
    stage: Stage,
) -> None:
    here, there = opens(stage), opens(stage, make_bearer(TOKEN, client_id="wiki"))
    await stage.pass_time(1)

    await end(stage, EverySessionOf(ISSUER, "wiki"))
    await stage.keeper.look_at_doubts()
    await stage.pass_time(TICK_S)

    assert (here.ends, there.ends) == ([], [ENDED])


async def test_sessions_are_not_looked_at_because_of_bearers(stage: Stage) -> None:
    session = await stage.signed_in(sid="sid-of-session")
    stage.opens(session)
    opens(stage)

    await end(stage, BySid(ISSUER, "another"))

    assert stage.live.take_doubts() == {make_bearer(TOKEN).key}


async def test_bearers_whose_streams_are_over_are_forgotten(stage: Stage) -> None:
    for number in range(10 * SLACK):
        bearer = make_bearer(Secret(f"token-{number}"))
        stage.live.over(opens(stage, bearer), bearer.key)

    assert len(stage.live) == 0
    assert len(stage.live._bearers) <= SLACK + 1  # the bound has no other sign


async def test_a_refused_token_stays_refused_for_streams_that_open_late(stage: Stage) -> None:
    opens(stage)
    await stage.pass_time(1)
    await end(stage, BySid(ISSUER, "sid-of-token"))
    await stage.keeper.look_at_doubts()
    await stage.settle()

    late = opens(stage)
    await stage.settle()

    assert late.ends == [ENDED]
