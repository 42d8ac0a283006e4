"""Tokens for the apps of single routes: how often the provider is asked, what is kept, what is sent instead: none."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from proxy.core.routing import TokenExchange
from proxy.core.secret import Secret
from proxy.core.tokens import ExchangeRefusal
from proxy.errors import ClientMisconfigured, Draining, ExchangeFailed, ExchangeRefused, ProviderUnavailable
from proxy.gate.exchange import AT_LEAST_S, MARGIN_S, MAX_FOR_ONE, REFUSED_FOR_S, TokenExchanges
from proxy.tasks import TaskOwner
from tests.support.clocks import START, FakeClock
from tests.support.exchanger import ExchangerInHand
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_bearer, make_session, make_tokens

if TYPE_CHECKING:
    from proxy.core.bearer import Bearer
    from proxy.core.session import Session
    from proxy.errors import SidegateError
    from proxy.ports import Provider

BILLING = TokenExchange(audience="billing")
WIKI = TokenExchange(audience="wiki", scope="read write")
ALICE, BOB = make_session(Secret("alice's cookie")), make_session(Secret("bob's cookie"), subject="bob-id")


class Hand:
    """Exchanges, and all that a test may look at or bend."""

    def __init__(self) -> None:
        self.clock, self.observer = FakeClock(), RecordingObserver()
        self.provider = ExchangerInHand(self.clock)
        self.tasks = TaskOwner(lambda _fault: None)
        self.exchanges = TokenExchanges(cast("Provider", self.provider), clock=self.clock, observer=self.observer)

    async def token(self, person: Session | Bearer = ALICE, wanted: TokenExchange = BILLING) -> str:
        return (await self.exchanges.eventually(person, wanted)).reveal()

    def waiting(self) -> asyncio.Task[str]:
        return self.tasks.start(self.token())

    def kept(self, person: Session | Bearer = ALICE, wanted: TokenExchange = BILLING) -> str | None:
        kept = self.exchanges.at_once(person, wanted)
        return None if kept is None else kept.reveal()


@pytest.fixture
def hand() -> Hand:
    return Hand()


async def test_the_sessions_own_token_is_exchanged_for_the_audience_and_kept(hand: Hand) -> None:
    assert hand.kept() is None

    assert await hand.token() == "for-billing-1"
    assert hand.kept() == "for-billing-1"
    assert await hand.token() == "for-billing-1"
    assert hand.provider.asked == [("access-1", "billing", None)]


async def test_a_bearer_is_exchanged_as_it_came(hand: Hand) -> None:
    bearer = make_bearer(Secret("the-bearer"))

    assert await hand.token(bearer, WIKI) == "for-wiki-1"
    assert hand.provider.asked == [("the-bearer", "wiki", "read write")]
    assert hand.kept(bearer, WIKI) == "for-wiki-1"


async def test_another_audience_scope_person_or_state_of_a_session_has_its_own(hand: Hand) -> None:
    refreshed = dataclasses.replace(ALICE, version=2, tokens=make_tokens(2))
    others: list[tuple[Session, TokenExchange]] = [
        (ALICE, WIKI),
        (ALICE, replace(BILLING, scope="x")),
        (BOB, BILLING),
        (refreshed, BILLING),
    ]
    await hand.token()

    assert [hand.kept(*other) for other in others] == [None] * 4
    assert len({await hand.token(*other) for other in others}) == 4
    assert hand.provider.asked[-1] == ("access-2", "billing", None)


async def test_what_was_for_an_older_state_is_let_go_and_does_not_push_out_the_newer(hand: Hand) -> None:
    refreshed = dataclasses.replace(ALICE, version=2)
    newer = await hand.token(refreshed)

    await hand.token(ALICE)

    assert hand.kept(refreshed) == newer
    assert await hand.token(dataclasses.replace(ALICE, version=3)) != newer
    assert hand.kept(refreshed) is None


async def test_a_token_is_sent_until_shortly_before_its_end(hand: Hand) -> None:
    await hand.token()
    hand.clock.advance(300 - MARGIN_S - 0.1)
    assert hand.kept() == "for-billing-1"

    hand.clock.advance(0.1)

    assert hand.kept() is None
    assert await hand.token() == "for-billing-2"


@pytest.mark.parametrize("life_s", [0.0, 1.0, -5.0])
async def test_a_token_without_a_life_serves_those_who_waited_for_it_and_no_longer(hand: Hand, life_s: float) -> None:
    hand.provider.life_s = life_s

    assert await hand.token() == "for-billing-1"
    assert hand.kept() == "for-billing-1"
    hand.clock.advance(AT_LEAST_S)
    assert hand.kept() is None


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_many_who_wait_for_the_same_ask_once(hand: Hand) -> None:
    hand.provider.gate.clear()
    waiting = [hand.waiting() for _ in range(50)]
    await asyncio.sleep(0)
    hand.provider.gate.set()

    assert set(await asyncio.gather(*waiting)) == {"for-billing-1"}
    assert len(hand.provider.asked) == 1


async def test_whoever_hangs_up_does_not_end_it_for_the_others(hand: Hand) -> None:
    hand.provider.gate.clear()
    first, second = hand.waiting(), hand.waiting()
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    hand.provider.gate.set()

    assert await second == "for-billing-1"
    assert first.cancelled()
    assert len(hand.provider.asked) == 1


async def test_it_lands_although_all_have_hung_up(hand: Hand) -> None:
    hand.provider.gate.clear()
    only = hand.waiting()
    await asyncio.sleep(0)
    only.cancel()
    hand.provider.gate.set()
    await settled()

    assert hand.kept() == "for-billing-1"


async def test_who_waits_at_the_end_of_the_process_is_told_so(hand: Hand) -> None:
    hand.provider.gate.clear()
    waiting = hand.waiting()
    await asyncio.sleep(0)

    await hand.exchanges.close()

    with pytest.raises(Draining):
        await waiting


# --- what goes wrong -------------------------------------------------------------------------------------------------


async def test_a_refusal_is_told_as_one_and_remembered_for_a_moment(hand: Hand) -> None:
    hand.provider.answer = ExchangeRefusal.INVALID_TARGET
    for _ in range(3):
        with pytest.raises(ExchangeRefused, match="no token for billing: invalid_target"):
            await hand.token()
        assert hand.kept() is None
    assert len(hand.provider.asked) == 1

    hand.provider.answer = None
    hand.clock.advance(REFUSED_FOR_S)

    assert await hand.token() == "for-billing-2"


@pytest.mark.parametrize("fault", [ProviderUnavailable("away"), ClientMisconfigured("exchange is off")])
async def test_a_fault_is_told_to_all_who_wait_and_asked_again_by_the_next(hand: Hand, fault: SidegateError) -> None:
    hand.provider.answer = fault
    hand.provider.gate.clear()
    waiting = [hand.waiting() for _ in range(3)]
    await asyncio.sleep(0)
    hand.provider.gate.set()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ExchangeFailed] * 3
    assert hand.observer.warnings == [(f"no token for billing: {fault}", {"reason": fault.reason})]
    hand.provider.answer = None
    assert await hand.token() == "for-billing-2"


async def test_a_token_that_is_over_is_not_shown_to_the_provider(hand: Hand) -> None:
    over = dataclasses.replace(ALICE, tokens=make_tokens(access_expires_at=START))

    with pytest.raises(ProviderUnavailable):
        await hand.token(over)

    assert hand.provider.asked == []


# --- what is kept ----------------------------------------------------------------------------------------------------


async def test_a_session_that_ends_takes_its_tokens_along(hand: Hand) -> None:
    await hand.token()
    await hand.token(BOB)

    hand.exchanges.forget(ALICE.key)

    assert (hand.kept(), hand.kept(BOB)) == (None, "for-billing-2")


async def test_a_token_that_arrives_after_the_end_of_its_session_is_not_kept(hand: Hand) -> None:
    hand.provider.gate.clear()
    waiting = hand.waiting()
    await asyncio.sleep(0)
    hand.exchanges.forget(ALICE.key)
    hand.provider.gate.set()

    assert await waiting == "for-billing-1"
    assert hand.kept() is None


async def test_what_is_kept_is_bounded_for_all_and_for_each(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand.exchanges._kept, "_entries", 2)
    carol = make_session(Secret("carol's cookie"), subject="carol-id")
    for person in (ALICE, BOB, carol):
        await hand.token(person)
    assert [hand.kept(person) is None for person in (ALICE, BOB, carol)] == [True, False, False]

    for number in range(MAX_FOR_ONE + 5):
        await hand.token(carol, TokenExchange(audience=f"app-{number}"))

    assert len(hand.exchanges._kept[carol.key]) == MAX_FOR_ONE
    assert hand.kept(carol, TokenExchange(audience=f"app-{MAX_FOR_ONE + 4}")) is not None


async def test_what_is_over_does_not_stay_until_the_cap(hand: Hand) -> None:
    for number in range(20):
        await hand.token(make_session(Secret(f"cookie-{number}")))
    hand.clock.advance(300)

    await hand.token(dataclasses.replace(ALICE, tokens=make_tokens(access_expires_at=None)))

    assert len(hand.exchanges._kept) == 1


async def test_no_flight_is_remembered_once_it_landed(hand: Hand) -> None:
    await hand.token()
    hand.provider.answer = ProviderUnavailable("away")
    with pytest.raises(ExchangeFailed):
        await hand.token(BOB)

    assert hand.exchanges._flights == {}


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
