"""A login ends on one replica; the token that came from it stops counting on the others, however they hear of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.login import Login
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndedMark, EverySessionOf
from tests.sessions.redis_parts import until
from tests.support.clocks import START, FakeClock
from tests.support.redis_stores import Replica, close_all, options_of
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.ports import LoginStanding
    from tests.redis.server import RedisServer

LOGIN = Login(ISSUER, "legacy-app", "s1", "alice-id", START)
WITHIN_S = 1.0
"""Seconds within which an end is law everywhere (contract §4)."""


@pytest.fixture(params=["tracked", "told"])
async def replicas(request: pytest.FixtureRequest, empty_redis: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas; Redis itself tells them of changes, or refuses to, and they tell one another."""
    options = options_of(empty_redis)
    if request.param == "told":
        empty_redis.add_user("untold", "pw", "~sidegate:*", "&sidegate:*", "+@all", "-client|tracking")
        options = replace(options, username="untold", password=lambda: Secret("pw"))
    clock = FakeClock()
    two = [await Replica(options, clock).start() for _ in range(2)]
    yield two[0], two[1]
    await close_all(two)
    if request.param == "told":
        empty_redis.forget_user("untold")


async def standing_at(replica: Replica) -> LoginStanding:
    """A standing that holds, and is new: where nobody tells, none holds for long."""
    while True:
        found = await replica.store.standing(LOGIN)
        assert found is not None
        if found.holds():
            return found
        await until(replica.tracking.is_trusted)


@pytest.mark.parametrize(
    "what", [BySid(ISSUER, "s1"), BySubject(ISSUER, "alice-id"), EverySessionOf(ISSUER, "legacy-app")]
)
async def test_a_login_that_ended_on_one_replica_has_no_standing_on_the_other(
    replicas: tuple[Replica, Replica], what: Any
) -> None:
    here, there = replicas
    standing = await standing_at(there)

    began_at = time.monotonic()
    await here.store.mark_ended(EndedMark(what, ended_at=START, keep_until=START + 3600))
    await until(lambda: not standing.holds())

    assert time.monotonic() - began_at < WITHIN_S
    assert await there.store.standing(LOGIN) is None


async def test_an_end_that_is_told_while_redis_is_asked_overtakes_its_answer(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = replicas
    witness = await standing_at(there)
    marks = there.store._work.marks
    ask = marks.have_ended

    async def slow(login: Login) -> bool:
        answer = await ask(login)
        await here.store.mark_ended(EndedMark(BySid(ISSUER, "s1"), ended_at=START, keep_until=START + 3600))
        await until(lambda: not witness.holds())
        return answer

    monkeypatch.setattr(marks, "have_ended", slow)
    standing = await there.store.standing(LOGIN)

    assert standing is not None
    assert not standing.holds()


async def test_what_was_known_before_anything_may_have_changed_counts_no_more(
    replicas: tuple[Replica, Replica], empty_redis: RedisServer
) -> None:
    _, there = replicas
    standing = await standing_at(there)

    empty_redis.call("FLUSHALL")
    await until(lambda: not standing.holds())

    await until(there.tracking.is_trusted)
    assert not standing.holds()


async def test_a_replica_that_loses_redis_believes_no_standing(
    replicas: tuple[Replica, Replica], empty_redis: RedisServer
) -> None:
    _, there = replicas
    standing = await standing_at(there)

    empty_redis.pause()
    try:
        assert await until(lambda: not standing.holds()) < 2 * WITHIN_S
    finally:
        empty_redis.resume()
