"""How tokens are kept fresh: one call for many requests, nothing revived, nothing lost, nobody put out by an outage."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.identity import Identity
from proxy.core.refresh import RefreshPolicy
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, EndedMark, LoginOrigin, session_key
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, Draining, ProviderUnavailable, StoreUnavailable, TokenRejected
from proxy.sessions import refresher as refresher_module
from proxy.sessions.backoff import FAULTS_IN_A_ROW, MAX_INTERVAL_S, SESSION_RETRY_S
from proxy.sessions.refresher import MAX_AT_PROVIDER
from tests.support.clocks import START
from tests.support.eventually import eventually
from tests.support.refresh_stage import OVER_AFTER, SOON_AFTER, A, RefreshStage
from tests.support.sessions import ISSUER, make_grant, make_session, make_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session
    from proxy.core.tokens import Grant


@pytest.fixture
async def stage() -> AsyncIterator[RefreshStage]:
    made = RefreshStage()
    yield made
    await made.end()


# --- when ------------------------------------------------------------------------------------------------------------


async def test_fresh_tokens_are_used_as_they_are(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(239)

    assert stage.refresher.ready(session)
    assert await stage.refresher.fresh(A, session) is session
    assert stage.provider.refreshed == []


async def test_tokens_soon_over_carry_the_request_and_are_refreshed_behind_it(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    stage.provider.hold()

    assert not stage.refresher.ready(session)
    assert await stage.refresher.fresh(A, session) is session
    await stage.settle()
    assert stage.refresher.ready(session), "while somebody refreshes, the others need not"
    stage.provider.let_go()
    await stage.settle()

    stored = await stage.stored()
    assert stored is not None
    assert stored.tokens.access_token == Secret("access-2")


async def test_a_request_waits_for_tokens_that_are_over(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)

    assert not stage.refresher.ready(session)
    renewed = await stage.refresher.fresh(A, session)

    assert renewed is not None
    assert (renewed.version, renewed.tokens.access_token) == (2, Secret("access-2"))
    assert renewed == await stage.stored()
    assert stage.refresher.ready(renewed)
    assert stage.observer.refreshes == ["refreshed"]


async def test_roles_follow_the_new_tokens_at_once(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    identity = Identity(issuer=ISSUER, subject="alice-id", roles=frozenset({"admin"}))
    stage.provider.answers = [replace(stage.next_grant(session), identity=identity)]

    renewed = await stage.refresher.fresh(A, session)

    assert renewed is not None
    assert renewed.identity.roles == {"admin"}


async def test_what_belongs_to_the_login_is_kept(stage: RefreshStage) -> None:
    session = await stage.sign_in(acr="gold", authenticated_at=START - 5)
    stage.clock.advance(OVER_AFTER)
    grant = stage.next_grant(session)
    stage.provider.answers = [replace(grant, issued_at=START + 300, auth_time=START + 300, acr="1")]

    renewed = await stage.refresher.fresh(A, session)

    assert renewed == dataclasses.replace(session, version=2, tokens=grant.tokens)


# --- one call --------------------------------------------------------------------------------------------------------


async def test_a_hundred_requests_make_one_call(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    requests = [stage.ask(session) for _ in range(100)]
    await stage.settle()
    stage.provider.let_go()

    answers = await asyncio.gather(*requests)

    assert stage.provider.refreshed == ["refresh-1"]
    assert {answer.version for answer in answers if answer is not None} == {2}
    assert None not in answers


async def test_a_request_with_an_older_copy_spends_no_old_refresh_token(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    await stage.refresher.fresh(A, session)

    late = await stage.refresher.fresh(A, session)

    assert late is not None
    assert late.version == 2
    assert stage.provider.refreshed == ["refresh-1"]


async def test_sessions_are_refreshed_independently(stage: RefreshStage) -> None:
    other = Secret("cookie-b")
    first, second = await stage.sign_in(), await stage.sign_in(other, subject="bob-id")
    stage.clock.advance(OVER_AFTER)

    answers = await asyncio.gather(stage.refresher.fresh(A, first), stage.refresher.fresh(other, second))

    assert [answer.identity.subject for answer in answers if answer is not None] == ["alice-id", "bob-id"]
    assert len(stage.provider.refreshed) == 2


async def test_refreshes_at_the_provider_at_once_are_bounded(stage: RefreshStage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(3 * MAX_AT_PROVIDER)]
    sessions = [await stage.sign_in(cookie, subject=cookie.reveal()) for cookie in cookies]
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    pairs = zip(cookies, sessions, strict=True)
    requests = [stage.ask(session, cookie) for cookie, session in pairs]
    await stage.settle()
    stage.provider.let_go()

    answers = await asyncio.gather(*requests)

    assert None not in answers
    assert stage.provider.most_at_once == MAX_AT_PROVIDER


async def test_nothing_is_left_of_flights_that_ended(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    await stage.refresher.fresh(A, session)
    await stage.settle()

    assert stage.refresher._flights == {}


# --- the client hangs up ---------------------------------------------------------------------------------------------


async def test_a_client_that_hangs_up_loses_no_rotated_token(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    stage.provider.let_go()
    await stage.settle()

    stored = await stage.stored()
    assert stored is not None
    assert stored.tokens.refresh_token == Secret("refresh-2")


async def test_a_client_that_hangs_up_takes_nothing_from_who_waits_with_it(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    gone, waiting = (stage.ask(session) for _ in range(2))
    await stage.settle()
    gone.cancel()
    await stage.settle()
    stage.provider.let_go()

    renewed = await waiting

    assert renewed is not None
    assert renewed.version == 2
    assert stage.provider.refreshed == ["refresh-1"]


async def test_closing_lets_a_flight_end(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    closing = stage.requests.start(stage.refresher.close())
    await stage.settle()
    stage.provider.let_go()
    await closing

    assert await request is not None


async def test_who_waits_for_a_flight_that_the_end_of_the_process_cut_off_is_told_so(
    stage: RefreshStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher_module, "CLOSE_GRACE_S", 0.01)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    await stage.refresher.close()

    with pytest.raises(Draining):
        await request


# --- the session ends ------------------------------------------------------------------------------------------------


async def test_a_refused_refresh_token_ends_the_session(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [GrantRefusal.INVALID_GRANT]

    assert await stage.refresher.fresh(A, session) is None

    assert await stage.stored() is None
    assert stage.observer.ended == {EndCause.REFRESH_REFUSED: 1}
    (event,) = stage.observer.audits
    assert (event.event, event.subject, event.sessions_affected, event.reason) == (
        "refresh.failed",
        "alice-id",
        1,
        "invalid_grant",
    )


async def test_an_early_refresh_that_is_refused_ends_the_session_too(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    stage.provider.answers = [GrantRefusal.INVALID_GRANT]

    await stage.refresher.fresh(A, session)
    await stage.settle()

    assert await stage.stored() is None


async def test_the_refusal_of_an_old_token_does_not_end_a_session_that_was_refreshed_meanwhile(
    stage: RefreshStage,
) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [GrantRefusal.INVALID_GRANT]
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    elsewhere = await stage.store.replace(A, dataclasses.replace(session, tokens=stage.next_grant(session).tokens))
    stage.provider.let_go()

    assert await request == elsewhere
    assert await stage.stored() == elsewhere


async def test_a_refresh_in_flight_does_not_revive_a_logged_out_session(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    await stage.store.delete(session.key, EndCause.BACKCHANNEL)
    stage.provider.let_go()

    assert await request is None
    assert await stage.stored() is None
    assert await stage.store.count() == 0


async def test_a_refresh_in_flight_does_not_outlive_a_mark_of_what_ended(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    who = BySubject(ISSUER, "alice-id")
    await stage.store.mark_ended(EndedMark(who, ended_at=stage.clock.now(), keep_until=stage.clock.now() + 60))
    await stage.store.delete_matching(who, EndCause.BACKCHANNEL)
    stage.provider.let_go()

    assert await request is None


async def test_a_refresh_that_leads_into_an_ended_provider_session_ends_ours(stage: RefreshStage) -> None:
    session = await stage.sign_in(sid="living")
    stage.clock.advance(OVER_AFTER)
    over = EndedMark(BySid(ISSUER, "over"), ended_at=stage.clock.now(), keep_until=stage.clock.now() + 60)
    await stage.store.mark_ended(over)
    stage.provider.answers = [replace(stage.next_grant(session), sid="over")]

    assert await stage.refresher.fresh(A, session) is None
    assert await stage.stored() is None
    assert stage.observer.ended == {EndCause.BACKCHANNEL: 1}


@pytest.mark.parametrize(
    ("origin", "ended"), [(LoginOrigin.FORM, ["refresh-2"]), (LoginOrigin.CODE, [])], ids=["form", "code"]
)
async def test_tokens_that_came_too_late_are_ended_where_that_ends_nothing_else(
    stage: RefreshStage, origin: LoginOrigin, ended: list[str]
) -> None:
    session = await stage.sign_in(origin=origin)
    stage.clock.advance(OVER_AFTER)
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    await stage.store.delete(session.key, EndCause.LOGOUT)
    stage.provider.let_go()
    await request
    await stage.settle()

    assert stage.provider.ended == ended


async def test_a_provider_that_cannot_end_late_tokens_is_a_warning(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.end_session_fault = ProviderUnavailable("away")
    stage.provider.hold()
    request = stage.ask(session)
    await stage.settle()
    await stage.store.delete(session.key, EndCause.LOGOUT)
    stage.provider.let_go()

    assert await request is None
    await stage.settle()
    assert len(stage.observer.warnings) == 1
    assert stage.observer.errors == []


async def test_a_session_without_refresh_token_ends_with_its_access_token(stage: RefreshStage) -> None:
    session = await stage.sign_in(tokens=make_tokens(refresh_token=None, refresh_expires_at=None))
    stage.clock.advance(299)
    assert stage.refresher.ready(session)
    stage.clock.advance(1)

    assert not stage.refresher.ready(session)
    assert await stage.refresher.fresh(A, session) is None
    assert await stage.stored() is None
    assert stage.observer.ended == {EndCause.EXPIRED: 1}


async def test_a_session_whose_refresh_token_is_over_ends_with_its_access_token(stage: RefreshStage) -> None:
    session = await stage.sign_in(tokens=make_tokens(refresh_expires_at=START + 300))
    stage.clock.advance(300)

    assert await stage.refresher.fresh(A, session) is None
    assert stage.observer.ended == {EndCause.EXPIRED: 1}
    assert stage.provider.refreshed == []


async def test_tokens_whose_end_nobody_named_live_as_long_as_the_session(stage: RefreshStage) -> None:
    tokens = make_tokens(refresh_token=None, access_expires_at=None, refresh_expires_at=None)
    session = await stage.sign_in(tokens=tokens)
    stage.clock.advance(6 * 86400)

    assert stage.refresher.ready(session)
    assert await stage.refresher.fresh(A, session) is session


async def test_where_no_end_was_named_only_the_providers_refusal_ends_the_session(stage: RefreshStage) -> None:
    session = await stage.sign_in(tokens=make_tokens(access_expires_at=None, refresh_expires_at=None))
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away"), GrantRefusal.INVALID_GRANT]

    during_the_outage = await stage.refresher.fresh(A, session)
    stage.clock.advance(86400)
    afterwards = await stage.refresher.fresh(A, session)

    assert (during_the_outage, afterwards) == (session, None)
    assert stage.observer.ended == {EndCause.REFRESH_REFUSED: 1}


async def test_a_session_that_is_gone_is_not_refreshed(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    await stage.store.delete(session.key, EndCause.LOGOUT)
    stage.clock.advance(OVER_AFTER)

    assert await stage.refresher.fresh(A, session) is None
    assert stage.provider.refreshed == []


async def test_tokens_that_shrink_towards_the_end_of_the_providers_session_do_not_loop(stage: RefreshStage) -> None:
    end = START + 400

    def shrinking(session: Session) -> Grant:
        now = stage.clock.now()
        tokens = make_tokens(
            session.version + 1, obtained_at=now, access_expires_at=min(now + 300, end), refresh_expires_at=end
        )
        return make_grant(session, tokens=tokens)

    stage.provider.answer_for = shrinking
    session: Session | None = await stage.sign_in(tokens=make_tokens(refresh_expires_at=end))
    while session is not None and stage.clock.now() < end + 10:
        if not stage.refresher.ready(session):
            session = await stage.refresher.fresh(A, session)
            await stage.settle()
        session = await stage.stored()
        stage.clock.advance(0.5)

    assert session is None
    assert len(stage.provider.refreshed) <= 2
    assert stage.observer.ended == {EndCause.EXPIRED: 1}


# --- the provider is away --------------------------------------------------------------------------------------------

FAULTS = [ProviderUnavailable("away"), ClientMisconfigured("401"), TokenRejected("bad", reason="wrong_issuer")]


@pytest.mark.parametrize("fault", FAULTS, ids=["unavailable", "misconfigured", "rejected"])
async def test_a_fault_keeps_the_session_and_serves_it_while_its_access_token_lives(
    stage: RefreshStage, fault: Exception
) -> None:
    session = await stage.sign_in()
    stage.clock.advance(299)
    stage.provider.answers = [fault]

    assert await stage.refresher.fresh(A, session) is session

    assert await stage.stored() == session
    assert stage.observer.ended == {}


@pytest.mark.parametrize("fault", FAULTS, ids=["unavailable", "misconfigured", "rejected"])
async def test_a_fault_after_the_access_token_is_over_refuses_the_request_and_keeps_the_session(
    stage: RefreshStage, fault: Exception
) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [fault]

    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)

    assert await stage.stored() == session
    assert stage.observer.ended == {}
    assert len(stage.observer.warnings) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"), list(zip(FAULTS, ["unavailable", "misconfigured", "rejected"], strict=True))
)
async def test_each_fault_has_its_outcome_in_the_metrics(stage: RefreshStage, fault: Exception, outcome: str) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    stage.provider.answers = [fault]

    await stage.refresher.fresh(A, session)
    await stage.settle()

    assert stage.observer.refreshes == [outcome]
    assert stage.observer.errors == []


async def test_the_session_goes_on_when_the_provider_is_back(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away")]
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    stage.clock.advance(SESSION_RETRY_S)

    renewed = await stage.refresher.fresh(A, session)

    assert renewed is not None
    assert renewed.version == 2


async def test_requests_of_a_session_do_not_hammer_a_provider_that_just_failed(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away")]

    for _ in range(100):
        with pytest.raises(ProviderUnavailable):
            await stage.refresher.fresh(A, session)

    assert len(stage.provider.refreshed) == 1


async def test_one_sessions_fault_does_not_hold_up_another(stage: RefreshStage) -> None:
    other = Secret("cookie-b")
    first, second = await stage.sign_in(), await stage.sign_in(other, subject="bob-id")
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away")]
    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, first)

    assert await stage.refresher.fresh(other, second) is not None


async def test_in_an_outage_all_sessions_together_try_once_in_an_interval(stage: RefreshStage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(50)]
    sessions = [await stage.sign_in(cookie, subject=cookie.reveal()) for cookie in cookies]
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: ProviderUnavailable("away")

    for _ in range(120):
        for cookie, session in zip(cookies, sessions, strict=True):
            with pytest.raises(ProviderUnavailable):
                await stage.refresher.fresh(cookie, session)
        stage.clock.advance(0.5)

    assert len(stage.provider.refreshed) <= FAULTS_IN_A_ROW + 60 / MAX_INTERVAL_S + 5
    assert await stage.store.count() == 50


async def test_after_an_outage_everybody_goes_on_within_the_longest_interval(stage: RefreshStage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(20)]
    sessions = [await stage.sign_in(cookie, subject=cookie.reveal()) for cookie in cookies]
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away")] * 9
    for _ in range(200):
        for cookie, session in zip(cookies, sessions, strict=True):
            await asyncio.gather(stage.refresher.fresh(cookie, session), return_exceptions=True)
        stage.clock.advance(0.5)
        if not stage.provider.answers:
            break
    stage.clock.advance(MAX_INTERVAL_S)

    pairs = zip(cookies, sessions, strict=True)
    answers = [await stage.refresher.fresh(cookie, session) for cookie, session in pairs]

    assert [answer.version for answer in answers if answer is not None] == [2] * 20


# --- the store is away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["load", "replace"])
async def test_a_store_that_is_away_refuses_the_request_and_deletes_nothing(
    stage: RefreshStage, operation: str
) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.store.away = {operation}

    with pytest.raises(StoreUnavailable):
        await stage.refresher.fresh(A, session)

    assert "delete" not in stage.store.calls
    assert stage.provider.ended == []
    assert await stage.stored() == session


async def test_a_refused_refresh_whose_session_cannot_be_deleted_is_tried_again(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.store.away = {"delete"}
    stage.provider.answers = [GrantRefusal.INVALID_GRANT, GrantRefusal.INVALID_GRANT]
    with pytest.raises(StoreUnavailable):
        await stage.refresher.fresh(A, session)
    stage.store.come_back()

    assert await stage.refresher.fresh(A, session) is None
    assert await stage.stored() is None


async def test_a_broken_refresh_is_said_and_keeps_the_session(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(SOON_AFTER)
    stage.provider.answers = [ZeroDivisionError("a defect")]
    await stage.refresher.fresh(A, session)
    await stage.settle()

    async def heard() -> int:
        return len(stage.observer.errors)

    await eventually(heard, 1)
    assert await stage.stored() == session
    assert session_key(A) not in stage.refresher._flights


# --- jitter ----------------------------------------------------------------------------------------------------------


async def begins_after(stage: RefreshStage, session: Session, replica: bytes) -> float:
    """Seconds after START at which this replica begins to refresh this session early."""
    refresher = stage.replica(name=replica)
    passed = 235.0
    stage.clock.set_wall_clock(START + passed)
    while refresher.ready(session):
        passed += 0.5
        stage.clock.set_wall_clock(START + passed)
    return passed


async def test_replicas_and_sessions_begin_at_different_times_within_a_quarter_of_the_lead(stage: RefreshStage) -> None:
    sessions = [make_session(Secret(f"cookie-{n}")) for n in range(20)]

    of_replicas = [await begins_after(stage, sessions[0], str(n).encode()) for n in range(20)]
    of_sessions = [await begins_after(stage, session, b"one") for session in sessions]

    for begun in (of_replicas, of_sessions):
        assert len(set(begun)) > 8
        assert min(begun) >= 240
        assert max(begun) <= 255.5


async def test_the_jitter_of_a_session_on_a_replica_is_always_the_same(stage: RefreshStage) -> None:
    session = make_session(A)

    assert await begins_after(stage, session, b"x") == await begins_after(stage, session, b"x")


# --- an outage is bridged --------------------------------------------------------------------------------------------

BRIDGED = RefreshPolicy(outage_grace_s=600)


async def test_a_session_is_served_for_the_grace_while_the_provider_is_away(stage: RefreshStage) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: ProviderUnavailable("away")

    served = [await refresher.fresh(A, session) for _ in range(5)]
    stage.clock.advance(600)

    assert served == [session] * 5
    assert stage.observer.outages_served == 5
    with pytest.raises(ProviderUnavailable):
        await refresher.fresh(A, session)
    assert await stage.stored() == session


async def test_the_beginning_of_an_outage_is_said_once_and_that_of_the_next_one_too(stage: RefreshStage) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    for _ in range(2):
        stage.clock.advance(OVER_AFTER)
        stage.provider.answer_for = lambda _: ProviderUnavailable("away")
        for _ in range(3):
            await refresher.fresh(A, session)
        stage.provider.answer_for = stage.next_grant
        stage.clock.advance(MAX_INTERVAL_S)
        renewed = await refresher.fresh(A, session)
        assert renewed is not None
        session = renewed

    assert [message for message, _ in stage.observer.warnings if "served beyond" in message] == [
        "the provider is away: sessions are served beyond the end of their access tokens"
    ] * 2


@pytest.mark.parametrize(
    "fault",
    [ClientMisconfigured("401"), TokenRejected("bad", reason="wrong_issuer")],
    ids=["misconfigured", "rejected"],
)
async def test_a_provider_that_refuses_us_is_no_outage_to_bridge(stage: RefreshStage, fault: Exception) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: fault

    for _ in range(3):  # the second and third hear of the first one's fault
        with pytest.raises(ProviderUnavailable):
            await refresher.fresh(A, session)

    assert stage.observer.outages_served == 0


async def test_a_refused_refresh_token_ends_the_grace(stage: RefreshStage) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answers = [ProviderUnavailable("away"), GrantRefusal.INVALID_GRANT]

    assert await refresher.fresh(A, session) == session
    stage.clock.advance(SESSION_RETRY_S)
    assert await refresher.fresh(A, session) is None
    assert await stage.stored() is None


async def test_a_store_that_is_away_is_no_outage_to_bridge(stage: RefreshStage) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.store.go_away()

    with pytest.raises(StoreUnavailable):
        await refresher.fresh(A, session)


async def test_a_session_whose_refresh_token_ends_during_the_outage_ends(stage: RefreshStage) -> None:
    refresher = stage.replica(RefreshPolicy(outage_grace_s=86400))
    session = await stage.sign_in()
    stage.provider.answer_for = lambda _: ProviderUnavailable("away")
    stage.clock.advance(OVER_AFTER)
    assert await refresher.fresh(A, session) == session
    stage.clock.advance(1800)

    assert await refresher.fresh(A, session) is None
    assert stage.observer.ended == {EndCause.EXPIRED: 1}


async def test_without_a_grace_nothing_is_served_beyond_the_access_token(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: ProviderUnavailable("away")

    with pytest.raises(ProviderUnavailable):
        await stage.refresher.fresh(A, session)
    assert stage.observer.outages_served == 0


async def test_while_the_provider_rests_a_bridged_request_costs_the_store_nothing(stage: RefreshStage) -> None:
    refresher = stage.replica(BRIDGED)
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    stage.provider.answer_for = lambda _: ProviderUnavailable("away")
    await refresher.fresh(A, session)
    before = len(stage.store.calls)

    for _ in range(10):
        await refresher.fresh(A, session)

    assert len(stage.store.calls) == before
