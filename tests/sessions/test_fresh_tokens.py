"""Fresh tokens reach the store, late if need be: by the replica that has them, and never over a logout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySubject, EndCause, EndedMark
from proxy.errors import StoreUnavailable
from proxy.sessions import fresh_tokens
from proxy.sessions.fresh_tokens import STORE_RETRY_S, UNSTORED_LIFETIME_S, FreshTokens
from proxy.sessions.refresh_flight import POLL_S
from tests.support.refresh_stage import OVER_AFTER, A, RefreshStage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session


@pytest.fixture
async def stage() -> AsyncIterator[RefreshStage]:
    made = RefreshStage()
    yield made
    made.store.come_back()
    await made.end()


def waiting(stage: RefreshStage) -> FreshTokens:
    return stage.refresher._flight_of_all.fresh_tokens


async def refreshed_while_the_store_is_away(stage: RefreshStage, cookie: Secret = A) -> Session:
    """Sign in, let the tokens end, and lose the store between the provider's answer and ``replace``."""
    session = await stage.sign_in(cookie, subject=cookie.reveal())
    stage.clock.advance(OVER_AFTER)
    stage.store.away = {"replace"}
    with pytest.raises(StoreUnavailable):
        await stage.refresher.fresh(cookie, session)
    return session


async def test_tokens_that_could_not_be_stored_are_stored_when_the_store_is_back_without_a_request(
    stage: RefreshStage,
) -> None:
    session = await refreshed_while_the_store_is_away(stage)
    await stage.pass_time(10 * STORE_RETRY_S)
    assert await stage.stored() == session
    stage.store.come_back()
    await stage.pass_time(2 * STORE_RETRY_S)

    stored = await stage.stored()
    assert stored is not None
    assert stored.tokens.refresh_token == Secret("refresh-2")
    assert len(waiting(stage)) == 0
    assert stage.leases.held == {}
    assert stage.observer.refreshes == ["not_stored", "refreshed"]


async def test_a_request_that_comes_first_stores_them(stage: RefreshStage) -> None:
    session = await refreshed_while_the_store_is_away(stage)
    stage.store.come_back()

    renewed = await stage.refresher.fresh(A, session)
    await stage.pass_time(10 * STORE_RETRY_S)

    assert renewed is not None
    assert renewed.tokens.refresh_token == Secret("refresh-2")
    assert stage.provider.refreshed == ["refresh-1"], "a refresh token spent twice ends the login"
    assert stage.observer.refreshes == ["not_stored", "refreshed"]


async def test_a_request_on_another_replica_spends_no_old_token_meanwhile(stage: RefreshStage) -> None:
    session = await refreshed_while_the_store_is_away(stage)
    request = stage.ask(session, at=stage.replica(name=b"two"))
    await stage.pass_time(5)
    stage.store.come_back()
    await stage.pass_time(2 * STORE_RETRY_S + POLL_S)

    renewed = await request

    assert renewed is not None
    assert renewed.tokens.refresh_token == Secret("refresh-2")
    assert stage.provider.refreshed == ["refresh-1"]


async def test_a_login_that_ended_while_the_store_took_its_tokens_and_then_went_away_is_over(
    stage: RefreshStage,
) -> None:
    session = await refreshed_while_the_store_is_away(stage)
    stage.store.come_back()
    # What the store did before it went away without a word: it took the tokens, and the logout was marked.
    unstored = waiting(stage)._unstored[session.key].renewed
    assert await stage.store.inner.replace(A, unstored) is not None
    at = stage.clock.now()
    mark = EndedMark(BySubject(session.identity.issuer, session.identity.subject), ended_at=at, keep_until=at + 3600)
    await stage.store.inner.mark_ended(mark)
    await stage.pass_time(2 * STORE_RETRY_S)

    assert await stage.stored() is None
    assert len(waiting(stage)) == 0


async def test_tokens_that_come_late_never_bring_back_a_session_that_ended_meanwhile(stage: RefreshStage) -> None:
    session = await refreshed_while_the_store_is_away(stage)
    await stage.store.delete(session.key, EndCause.BACKCHANNEL)
    stage.store.come_back()
    await stage.pass_time(2 * STORE_RETRY_S)

    assert await stage.stored() is None
    assert stage.provider.ended == ["refresh-2"], "a session of the form ends at the provider too"
    assert stage.leases.held == {}


async def test_one_record_that_cannot_be_stored_does_not_hold_up_the_others(stage: RefreshStage) -> None:
    cookies = [Secret("cookie-1"), Secret("cookie-2")]
    for cookie in cookies:
        await refreshed_while_the_store_is_away(stage, cookie)
    put = stage.store.inner.replace

    async def refuse_the_first(cookie_value: Secret, session: Session) -> Session | None:
        if cookie_value == cookies[0]:
            raise StoreUnavailable("wrong type")
        return await put(cookie_value, session)

    stage.store.come_back()
    stage.store.inner.replace = refuse_the_first  # type: ignore[method-assign]
    await stage.pass_time(3 * STORE_RETRY_S)

    second = await stage.stored(cookies[1])
    assert second is not None
    assert second.version == 2
    assert len(waiting(stage)) == 1


async def test_what_waits_is_bounded_and_what_is_lost_is_said(
    stage: RefreshStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh_tokens, "MAX_UNSTORED", 3)
    for n in range(5):
        await refreshed_while_the_store_is_away(stage, Secret(f"cookie-{n}"))

    assert len(waiting(stage)) == 3
    assert len(stage.leases.held) == 3
    assert len(stage.observer.errors) == 2


async def test_what_waits_for_too_long_is_given_up_and_said(stage: RefreshStage) -> None:
    await refreshed_while_the_store_is_away(stage)

    await stage.pass_time(UNSTORED_LIFETIME_S + 1)

    assert len(waiting(stage)) == 0
    assert stage.leases.held == {}
    assert len(stage.observer.errors) == 1


async def test_a_process_that_ends_tries_once_more(stage: RefreshStage) -> None:
    await refreshed_while_the_store_is_away(stage)
    stage.store.come_back()

    await stage.refresher.close()

    stored = await stage.stored()
    assert stored is not None
    assert stored.tokens.refresh_token == Secret("refresh-2")


async def test_a_store_that_took_the_tokens_and_lost_its_answer_is_believed_afterwards(stage: RefreshStage) -> None:
    session = await stage.sign_in()
    stage.clock.advance(OVER_AFTER)
    put = stage.store.inner.replace

    async def store_and_hang_up(cookie_value: Secret, renewed: Session) -> Session | None:
        await put(cookie_value, renewed)
        raise StoreUnavailable("the answer was lost")

    stage.store.inner.replace = store_and_hang_up  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await stage.refresher.fresh(A, session)
    stage.store.inner.replace = put  # type: ignore[method-assign]
    await stage.pass_time(2 * STORE_RETRY_S)

    stored = await stage.stored()
    assert stored is not None
    assert stored.tokens.refresh_token == Secret("refresh-2")
    assert stage.provider.ended == []
    assert stage.leases.held == {}
