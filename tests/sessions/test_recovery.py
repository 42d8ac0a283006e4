"""What has ended stays ended, also when the store could not take it or has lost it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.login import Login
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, ByUsername, EndCause, EndedMark, EverySessionOf
from proxy.errors import SessionEnded, StoreUnavailable
from proxy.ports import NotCached
from proxy.sessions.ledger import Ledger
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.recovery import LAST_WAIT_S, REPEAT_AGAIN_S, RecoveringStore, Recovery
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_session
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from proxy.core.session import Session, SessionsFilter

A, B = Secret("a"), Secret("b")
ALICE = BySubject(ISSUER, "alice-id")
SID_OF_A = BySid(ISSUER, "sid-of-a")
CLIENT = EverySessionOf(ISSUER, "legacy-app")


class House:
    """A store that can be away and can lose what it took, the recovery, and the store before it."""

    def __init__(self, *, max_kept: int = 100) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.live = LiveStreamRegistry(self.observer)
        self.slept: list[float] = []
        self.woken = asyncio.Event()
        self.behind = FailingSessionStore(self.empty())
        self.recovery = Recovery(
            Ledger(max_kept=max_kept), self.behind, observer=self.observer, clock=self.clock, sleep=self._sleep
        )
        self.store = RecoveringStore(self.behind, self.recovery, clock=self.clock, live=self.live)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        await self.woken.wait()

    def empty(self) -> MemorySessionStore:
        limits = MemoryLimits(max_sessions=1000, max_per_user=0)
        return MemorySessionStore(self.clock, live=self.live, observer=self.observer, limits=limits)

    async def sign_in(self, cookie: Secret, **changes: Any) -> Session:
        session = make_session(cookie, issued_at=self.clock.now(), created_at=self.clock.now(), **changes)
        await self.store.create(cookie, session)
        return session

    async def come_back(self) -> None:
        """The store is there again, and everything that waited is told."""
        self.behind.come_back()
        self.woken.set()
        await self.settled()

    async def settled(self) -> None:
        for _ in range(1000):
            if self.recovery.is_idle:
                return
            await asyncio.sleep(0)
        raise AssertionError("not everything was told")

    async def fail_over(self, *cookies_brought_back: tuple[Secret, Session]) -> None:
        """A primary comes that knows nothing of late: these sessions live there, no mark does."""
        self.behind.inner = self.empty()
        for cookie, session in cookies_brought_back:
            await self.behind.inner.create(cookie, session)

    def mark(self, what: Any, *, ended_at: float | None = None) -> EndedMark:
        now = self.clock.now()
        return EndedMark(what, ended_at=now if ended_at is None else ended_at, keep_until=now + 3600)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    house.recovery.start()
    yield house
    await house.recovery.close()


async def _refused(call: Awaitable[object]) -> None:
    with pytest.raises(StoreUnavailable):
        await call


async def test_a_logout_that_the_store_cannot_take_is_obeyed_here_at_once_and_there_when_it_is_back(
    house: House,
) -> None:
    await house.sign_in(A)
    await house.sign_in(B, subject="bob-id")
    house.behind.go_away()

    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    house.behind.away = {"mark_ended", "delete"}  # it can be read again, but takes no writes
    assert await house.store.load(A) is None
    assert house.store.cached(A) is None
    await house.come_back()
    assert await house.behind.inner.load(A) is None
    assert await house.store.load(B) is not None
    assert await house.behind.inner.has_ended(
        issuer=ISSUER, client_id="legacy-app", sid="sid-of-a", subject="x", issued_at=START
    )


@pytest.mark.parametrize("which", [SID_OF_A, ALICE, ByUsername(ISSUER, "alice")])
async def test_a_deletion_that_the_store_cannot_do_is_done_when_it_is_back(house: House, which: SessionsFilter) -> None:
    await house.sign_in(A)
    house.behind.go_away()

    await _refused(house.store.delete_matching(which, EndCause.LOGOUT_ALL))

    await house.come_back()
    assert await house.behind.inner.load(A) is None
    tombstone = await house.store.tombstone(A)
    assert tombstone is not None
    assert tombstone.cause is EndCause.LOGOUT_ALL


async def test_one_session_that_cannot_be_deleted_is_deleted_when_the_store_is_back(house: House) -> None:
    session = await house.sign_in(A)
    house.behind.go_away()

    await _refused(house.store.delete(session.key, EndCause.LOGOUT))

    await house.come_back()
    assert await house.behind.inner.load(A) is None


async def test_a_watermark_that_the_store_cannot_take_is_obeyed_here_and_told_later(house: House) -> None:
    await house.sign_in(A)
    house.behind.go_away()

    await _refused(house.store.mark_ended(house.mark(CLIENT)))

    house.behind.away = {"mark_ended"}
    assert await house.store.load(A) is None
    await house.come_back()
    assert await house.behind.inner.load(A) is None


async def test_whoever_signed_in_after_the_logout_is_not_signed_out_by_its_late_arrival(house: House) -> None:
    await house.sign_in(A)
    house.behind.away = {"delete_matching", "delete"}
    await _refused(house.store.delete_matching(ALICE, EndCause.ADMIN))
    house.clock.advance(10)
    await house.sign_in(B)

    assert await house.store.load(B) is not None
    await house.come_back()

    assert await house.store.load(A) is None
    assert await house.store.load(B) is not None


async def test_a_session_is_not_made_while_the_logout_of_its_login_is_kept(house: House) -> None:
    house.behind.away = {"mark_ended"}
    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    with pytest.raises(SessionEnded):
        await house.sign_in(A)


async def test_a_refresh_in_flight_does_not_bring_back_whose_logout_is_kept(house: House) -> None:
    session = await house.sign_in(A)
    house.behind.away = {"mark_ended"}
    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    assert await house.store.replace(A, session) is None


async def test_a_bearer_token_is_over_while_the_logout_of_its_login_is_kept(house: House) -> None:
    login = {"issuer": ISSUER, "client_id": "legacy-app", "sid": "sid-of-a", "subject": "x", "issued_at": START}
    house.behind.away = {"mark_ended"}
    assert not await house.store.has_ended(**login)  # type: ignore[arg-type]

    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    assert await house.store.has_ended(**login)  # type: ignore[arg-type]


async def test_the_standing_of_a_login_is_lost_while_its_logout_is_kept(house: House) -> None:
    login = Login(ISSUER, "legacy-app", "sid-of-a", "x", START)
    standing, other = await house.store.standing(login), await house.store.standing(replace(login, sid="other"))
    assert standing is not None
    assert other is not None
    house.behind.away = {"mark_ended"}
    assert standing.holds()

    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    assert (standing.holds(), other.holds()) == (False, True)
    assert await house.store.standing(login) is None
    await house.come_back()
    assert not standing.holds()


async def test_a_failover_gives_no_standing_back(house: House) -> None:
    await house.store.mark_ended(house.mark(SID_OF_A))

    await house.fail_over()

    assert await house.store.standing(Login(ISSUER, "legacy-app", "sid-of-a", "x", START)) is None


async def test_an_end_that_nobody_asked_for_is_not_kept(house: House) -> None:
    session = await house.sign_in(A)
    house.behind.go_away()

    await _refused(house.store.delete(session.key, EndCause.REFRESH_REFUSED))
    await house.come_back()

    assert await house.store.load(A) is not None


async def test_a_store_that_is_away_is_tried_at_growing_intervals_and_never_more_often_than_that(house: House) -> None:
    house.woken.set()
    house.behind.go_away()
    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))
    for _ in range(200):
        await asyncio.sleep(0)

    assert house.slept[:4] == [0.25, 0.5, 1.0, 1.0]
    assert set(house.slept[3:]) == {LAST_WAIT_S}


async def test_at_the_cap_a_logout_is_refused_and_that_is_said_once(house: House) -> None:
    small = House(max_kept=1)
    small.behind.go_away()
    for number in range(5):
        await _refused(small.store.mark_ended(small.mark(BySid(ISSUER, str(number)))))

    assert small.recovery.ledger.kept == 1
    [(line, fields)] = small.observer.errors
    assert "more logouts wait for the store than are kept" in line
    assert fields == {"kept": 1}


async def test_what_ended_of_late_is_repeated_to_a_new_primary(house: House) -> None:
    alice = await house.sign_in(A)
    await house.store.mark_ended(house.mark(SID_OF_A))
    assert len(await house.store.delete_matching(SID_OF_A, EndCause.BACKCHANNEL)) == 1
    await house.fail_over((A, alice))

    assert await house.store.load(A) is None
    house.recovery.primary_changed()
    await house.settled()

    assert await house.behind.inner.load(A) is None
    assert await house.behind.inner.has_ended(
        issuer=ISSUER, client_id="legacy-app", sid="sid-of-a", subject="x", issued_at=START
    )


async def test_a_single_session_that_ended_of_late_is_repeated_too(house: House) -> None:
    alice = await house.sign_in(A)
    await house.store.delete(alice.key, EndCause.DEVICE)
    await house.fail_over((A, alice))

    house.recovery.primary_changed()
    await house.settled()

    assert await house.behind.inner.load(A) is None


async def test_a_failover_signs_nobody_out_who_signed_in_since(house: House) -> None:
    await house.sign_in(A)
    await house.store.mark_ended(house.mark(ALICE))
    await house.store.delete_matching(ALICE, EndCause.BACKCHANNEL)
    house.clock.advance(5)
    newer = await house.sign_in(B)
    await house.fail_over((B, newer))

    house.recovery.primary_changed()
    await house.settled()

    assert await house.store.load(B) is not None


async def test_what_ended_long_ago_is_not_repeated(house: House) -> None:
    alice = await house.sign_in(A)
    await house.store.delete(alice.key, EndCause.LOGOUT)
    house.clock.advance(3600)
    house.behind.calls.clear()

    house.recovery.primary_changed()
    await house.settled()

    assert house.behind.calls == []


async def test_a_repetition_goes_on_after_the_new_primary_was_away_too(house: House) -> None:
    sessions = {Secret(f"c{number}"): None for number in range(50)}
    made = [(cookie, await house.sign_in(cookie, subject=cookie.reveal())) for cookie in sessions]
    for _, session in made:
        await house.store.delete(session.key, EndCause.LOGOUT)
    await house.fail_over(*made)
    house.behind.go_away()

    house.recovery.primary_changed()
    await asyncio.sleep(0)
    await house.come_back()

    assert await house.behind.inner.count() == 0


async def test_what_an_old_primary_was_told_before_we_left_it_is_repeated_once_more(house: House) -> None:
    alice = await house.sign_in(A)
    house.recovery.primary_changed()
    # Told to the old one, to which our connections still lead; the new one never hears of it.
    await house.store.delete(alice.key, EndCause.LOGOUT)
    await house.fail_over((A, alice))

    await asyncio.sleep(0)
    assert house.slept == [REPEAT_AGAIN_S]
    assert await house.behind.inner.load(A) is not None
    house.woken.set()
    await _until_ended(house, A)


async def test_of_two_failovers_in_a_row_the_second_primary_is_told_all(house: House) -> None:
    alice = await house.sign_in(A)
    await house.store.delete(alice.key, EndCause.LOGOUT)
    told = house.behind.inner.delete

    async def told_as_the_next_one_comes(*args: Any) -> bool:
        was_there = await told(*args)
        await house.fail_over((A, alice))
        house.recovery.primary_changed()
        return was_there

    house.behind.inner.delete = told_as_the_next_one_comes  # type: ignore[method-assign]
    house.recovery.primary_changed()
    await house.settled()

    assert await house.behind.inner.load(A) is None


async def _until_ended(house: House, cookie: Secret) -> None:
    async def is_there() -> bool:
        return await house.behind.inner.load(cookie) is not None

    await eventually(is_there, expected=False, within_s=10)


async def test_one_that_cannot_be_told_does_not_keep_the_others_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await house.sign_in(A)
    house.behind.go_away()
    await _refused(house.store.delete_matching(ByUsername(ISSUER, "alice"), EndCause.ADMIN))
    await _refused(house.store.delete(alice.key, EndCause.LOGOUT))

    async def broken(_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(house.behind, "find", broken, raising=False)
    await house.come_back()

    assert await house.behind.inner.load(A) is None
    assert any("cannot be told" in line for line, _ in house.observer.errors)


async def test_what_is_lost_with_the_process_is_said() -> None:
    house = House()
    house.recovery.start()
    house.behind.go_away()
    await _refused(house.store.mark_ended(house.mark(SID_OF_A)))

    await house.recovery.close()

    assert [fields for line, fields in house.observer.errors if "are lost with this process" in line] == [
        {"logouts": 1}
    ]


async def test_a_session_goes_on_as_another_one_unless_its_login_is_known_to_be_over(house: House) -> None:
    await house.sign_in(A)
    heir = make_session(B, sid="new")
    await house.store.mark_ended(EndedMark(BySid(ISSUER, "new"), ended_at=START, keep_until=START + 60))
    # The store lost what it was told, as after a failover; this replica knows it still.
    house.behind.inner = house.empty()
    await house.behind.create(A, make_session(A))

    with pytest.raises(SessionEnded):
        await house.store.supersede(A, B, heir)

    assert await house.behind.load(A) is not None
    await house.store.supersede(A, B, make_session(B, sid="other"))
    assert await house.behind.load(A) is None
    assert await house.store.load(B) is not None
    assert await house.store.heir(A) is None


async def test_all_else_is_passed_on(house: House) -> None:
    session = await house.sign_in(A)

    house.store.touch(session)
    await house.store.spend_jti("jti", START + 60)

    assert await house.store.jti_is_spent("jti")
    assert await house.store.last_seen(session) == START
    assert [summary.key for summary in await house.store.find(ALICE)] == [session.key]
    assert await house.store.count() == 1
    assert house.store.readiness().is_ready
    assert house.store.cached(A) == session
    assert house.store.cached(B) in {None, NotCached.NOT_CACHED}
