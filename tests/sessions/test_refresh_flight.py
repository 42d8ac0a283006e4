"""One refresh over replicas: exactly one call, whoever is killed, frozen, cut off or slow; a test for each row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.core.tokens import GrantRefusal
from proxy.errors import (
    AnswerLost,
    ClientMisconfigured,
    GrantUnverified,
    ProviderUnavailable,
    StoreUnavailable,
    TokenRejected,
)
from proxy.sessions import refresh_flight
from proxy.sessions.refresh_flight import POLL_S, VERIFY_EVERY_S, VERIFY_FOR_S, WAIT_S
from proxy.sessions.refresher import MAX_AT_PROVIDER
from tests.support.refresh_stage import OVER_AFTER, SOON_AFTER, A, RefreshStage
from tests.support.sessions import make_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def stage() -> AsyncIterator[RefreshStage]:
    made = RefreshStage()
    yield made
    await made.end()


# --- one call over replicas ------------------------------------------------------------------------------------------


async def test_two_hundred_requests_on_three_replicas_make_one_call(stage: RefreshStage) -> None:
    replicas = [stage.refresher, stage.replica(name=b"two"), stage.replica(name=b"three")]
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    requests = [stage.ask(session, at=replicas[n % 3]) for n in range(200)]
    await stage.pass_time(3)
    stage.provider.let_go()
    await stage.pass_time(2 * POLL_S)

    answers = await asyncio.gather(*requests)

    assert stage.provider.refreshed == ["refresh-1"]
    assert {answer.version for answer in answers if answer is not None} == {2}
    assert None not in answers
    assert stage.leases.held == {}


async def test_who_has_no_lease_goes_on_when_the_holder_failed(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    elsewhere = await stage.leases.acquire(session.key)
    assert elsewhere is not None
    request = stage.ask(session)
    await stage.pass_time(1)
    assert stage.provider.refreshed == []
    await elsewhere.release()
    await stage.pass_time(2 * POLL_S)

    renewed = await request

    assert renewed is not None
    assert renewed.version == 2


async def test_who_waits_for_another_replica_is_refused_in_the_end(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    await stage.leases.acquire(session.key)
    request = stage.ask(session)
    await stage.pass_time(WAIT_S + 1)

    with pytest.raises(ProviderUnavailable, match="another replica"):
        await request
    assert await stage.stored() == session
    assert stage.provider.refreshed == []


async def test_while_the_access_token_lives_nobody_waits_for_another_replica(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    await stage.leases.acquire(session.key)

    assert await stage.refresher.fresh(A, session) is session
    assert stage.refresher.ready(session)


async def test_a_session_that_ends_while_another_replica_refreshes_it_is_no_session(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    await stage.leases.acquire(session.key)
    request = stage.ask(session)
    await stage.pass_time(1)
    await stage.store.delete(session.key, EndCause.BACKCHANNEL)
    await stage.pass_time(2 * POLL_S)

    assert await request is None


async def test_without_the_store_of_leases_nothing_is_asked_and_nothing_deleted(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.leases.is_away = True

    with pytest.raises(StoreUnavailable):
        await stage.refresher.fresh(A, session)
    assert stage.provider.refreshed == []
    assert await stage.stored() == session


# --- the lease is lost -----------------------------------------------------------------------------------------------


async def test_a_lease_that_was_lost_before_the_call_spends_nothing(stage: RefreshStage) -> None:
    others = [Secret(f"cookie-{n}") for n in range(MAX_AT_PROVIDER)]
    sessions = [await stage.sign_in(cookie, subject=cookie.reveal()) for cookie in others]
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    crowd = [stage.ask(one, cookie) for one, cookie in zip(sessions, others, strict=True)]
    await stage.settle()
    request = stage.ask(session)  # waits for its turn at the provider, with the lease
    await stage.settle()
    stage.leases.lose(session.key)
    elsewhere = await stage.store.replace(A, replace(session, tokens=stage.next_grant(session).tokens))
    stage.provider.refreshed.clear()
    stage.provider.let_go()
    await asyncio.gather(*crowd)
    await stage.pass_time(2 * POLL_S)

    assert await request == elsewhere
    assert stage.provider.refreshed == []


async def test_when_the_lease_is_lost_during_the_call_the_store_judges(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    frozen = stage.ask(session)
    await stage.settle()
    stage.leases.lose(session.key)
    second = stage.ask(session, at=stage.replica(name=b"two"))
    await stage.settle()
    stage.provider.let_go()
    await stage.settle()

    answers = await asyncio.gather(frozen, second)

    assert [answer and answer.version for answer in answers] == [2, 2]
    assert answers[0] == answers[1] == await stage.stored()
    assert stage.leases.held == {}


async def test_a_lease_that_somebody_else_has_now_is_left_to_them(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    stage.leases.lose(session.key)
    theirs = await stage.leases.acquire(session.key)
    stage.provider.let_go()
    await request

    assert stage.leases.held == {session.key: theirs}


@pytest.mark.parametrize(
    "answer",
    [GrantRefusal.INVALID_GRANT, ProviderUnavailable("away"), TokenRejected("bad"), ZeroDivisionError("a defect")],
    ids=["refused", "away", "rejected", "defect"],
)
async def test_however_a_refresh_ends_the_lease_is_given_back(
    stage: RefreshStage, answer: GrantRefusal | Exception
) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    stage.provider.answers = [answer]

    await stage.refresher.fresh(A, session)
    await stage.settle()

    assert stage.provider.refreshed == ["refresh-1"]
    assert stage.leases.held == {}


async def test_a_process_that_ends_gives_its_leases_back(stage: RefreshStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.sessions.refresher.CLOSE_GRACE_S", 0.01)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()

    await stage.refresher.close()

    assert stage.leases.held == {}
    await asyncio.gather(request, return_exceptions=True)


# --- the answer is lost ----------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_asked_for_once_more_at_once(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [AnswerLost("it hung up without an answer")]

    renewed = await stage.refresher.fresh(A, session)

    assert renewed is not None
    assert stage.provider.refreshed == ["refresh-1"] * 2
    assert len(stage.observer.warnings) == 1


async def test_what_the_provider_says_to_the_second_try_decides(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [AnswerLost("it hung up without an answer"), GrantRefusal.INVALID_GRANT]

    assert await stage.refresher.fresh(A, session) is None
    assert stage.observer.ended == {EndCause.REFRESH_REFUSED: 1}


async def test_an_answer_that_is_lost_twice_is_an_outage(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [AnswerLost("gone"), AnswerLost("gone again")]

    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    assert stage.provider.refreshed == ["refresh-1"] * 2
    assert stage.observer.refreshes == ["unavailable"]
    assert await stage.stored() == session


# --- the answer cannot be verified yet -------------------------------------------------------------------------------


async def test_tokens_that_cannot_be_verified_yet_keep_others_from_spending_the_old_one(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [GrantUnverified("no keys"), GrantUnverified("no keys")]
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    elsewhere = stage.ask(session, at=stage.replica(name=b"two"))
    await stage.pass_time(VERIFY_EVERY_S + POLL_S)

    assert len(stage.provider.refreshed) == 2, "only the replica that has the answer goes on with it"
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    await stage.pass_time(VERIFY_EVERY_S + 2 * POLL_S)

    renewed = await elsewhere
    assert renewed is not None
    assert renewed.version == 2
    assert await stage.refresher.fresh(A, session) == renewed
    assert stage.leases.held == {}


async def test_tokens_that_can_never_be_verified_give_the_lease_back_in_the_end(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: GrantUnverified("no keys")
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    assert session.key in stage.leases.held

    await stage.pass_time(VERIFY_FOR_S + 2 * VERIFY_EVERY_S)

    assert stage.leases.held == {}
    assert await stage.stored() == session


@pytest.mark.parametrize("fault", [TokenRejected("bad"), ClientMisconfigured("401")], ids=["rejected", "misconfigured"])
async def test_an_answer_that_turns_out_wrong_ends_the_trying(stage: RefreshStage, fault: Exception) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [GrantUnverified("no keys"), fault]
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)

    await stage.pass_time(2 * VERIFY_EVERY_S)

    assert stage.leases.held == {}
    assert len(stage.provider.refreshed) == 2
    assert stage.observer.errors == []


async def test_a_session_that_ends_before_its_tokens_are_verified_is_not_revived(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [GrantUnverified("no keys")]
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    await stage.store.delete(session.key, EndCause.BACKCHANNEL)

    await stage.pass_time(2 * VERIFY_EVERY_S)

    assert await stage.stored() is None
    assert stage.leases.held == {}


async def test_answers_that_wait_to_be_verified_are_bounded(
    stage: RefreshStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_flight, "MAX_UNVERIFIED", 2)
    cookies = [Secret(f"cookie-{n}") for n in range(4)]
    sessions = [await stage.sign_in(cookie, subject=cookie.reveal()) for cookie in cookies]
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: GrantUnverified("no keys")

    for cookie, session in zip(cookies, sessions, strict=True):
        with pytest.raises(ProviderUnavailable):
            await stage.refresher.fresh(cookie, session)

    assert len(stage.leases.held) == 2


# --- nothing to refresh ----------------------------------------------------------------------------------------------


async def test_tokens_that_another_replica_refreshed_are_used_as_they_are(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    renewed = await stage.refresher.fresh(A, session)

    assert await stage.replica(name=b"two").fresh(A, session) == renewed
    assert stage.provider.refreshed == ["refresh-1"]
    assert stage.leases.held == {}


async def test_a_session_that_can_no_longer_be_refreshed_ends_and_leaves_no_lease(stage: RefreshStage) -> None:
    session = await stage.sign_in(tokens=make_tokens(refresh_token=None, refresh_expires_at=None))
    stage.clock.advance(OVER_AFTER)

    assert await stage.refresher.fresh(A, session) is None
    assert stage.leases.held == {}
