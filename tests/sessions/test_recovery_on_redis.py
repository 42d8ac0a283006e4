"""What has ended stays ended on a real Redis that is away, or that comes back with what it held before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.clock import SystemClock
from proxy.core.secret import Secret
from proxy.core.session import BySid, EndCause, EndedMark
from proxy.errors import StoreUnavailable
from proxy.sessions.ledger import Ledger
from proxy.sessions.recovery import RecoveringStore, Recovery
from proxy.sessions.tracking import Tracking
from tests.sessions.redis_parts import until
from tests.support.eventually import eventually
from tests.support.redis_stores import Replica, options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session
    from tests.redis.server import RedisServer

A, B = Secret("a"), Secret("b")
PATIENCE_S = 10.0


class RecoveringReplica(Replica):
    """A replica that forgets no logout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recovery = Recovery(Ledger(), self.store, observer=self.observer, clock=self.clock)
        self.whole = RecoveringStore(self.store, self.recovery, clock=self.clock, live=self.live)

    def _track(self, store: object) -> Tracking:
        self.tracking = Tracking(
            self.connection,
            store,  # type: ignore[arg-type]
            observer=self.observer,
            clock=SystemClock(),
            on_new_primary=self._repeat,
        )
        return self.tracking

    def _repeat(self) -> None:
        self.recovery.primary_changed()

    async def start(self) -> Replica:
        await super().start()
        self.recovery.start()
        await until(self.tracking.is_trusted)
        return self

    async def close(self) -> None:
        await self.recovery.close()
        await super().close()

    async def sign_in(self, cookie: Secret) -> Session:
        now = self.clock.now()
        session = make_session(cookie, issued_at=now, created_at=now, expires_at=now + 3600)
        await self.whole.create(cookie, session)
        return session


@contextlib.asynccontextmanager
async def _two(redis: RedisServer) -> AsyncIterator[tuple[RecoveringReplica, RecoveringReplica]]:
    replicas = RecoveringReplica(options_of(redis), SystemClock()), RecoveringReplica(options_of(redis), SystemClock())
    try:
        for replica in replicas:
            await replica.start()
        yield replicas
    finally:
        for replica in replicas:
            await replica.close()


def _mark(replica: Replica) -> EndedMark:
    now = replica.clock.now()
    return EndedMark(BySid(ISSUER, "sid-of-a"), ended_at=now, keep_until=now + 3600)


async def _serves(replica: RecoveringReplica, cookie: Secret) -> bool | str:
    try:
        return await replica.whole.load(cookie) is not None
    except StoreUnavailable:
        return "away"


async def test_a_logout_that_came_while_redis_hung_is_law_on_all_replicas_once_it_is_back(
    empty_redis: RedisServer,
) -> None:
    async with _two(empty_redis) as (one, other):
        await one.sign_in(A)
        await one.sign_in(B)
        assert await _serves(other, A)
        empty_redis.pause()
        try:
            with pytest.raises(StoreUnavailable):
                await one.whole.mark_ended(_mark(one))
            assert await _serves(one, A) in {False, "away"}
        finally:
            empty_redis.resume()

        await eventually(lambda: _serves(other, A), expected=False, within_s=PATIENCE_S)
        await eventually(lambda: _serves(one, A), expected=False, within_s=PATIENCE_S)
        await eventually(lambda: _serves(other, B), expected=True, within_s=PATIENCE_S)
        tombstone = await other.whole.tombstone(A)
        assert tombstone is not None
        assert tombstone.cause is EndCause.BACKCHANNEL


async def test_a_session_that_a_restart_brought_back_ends_again_on_all_replicas(empty_redis: RedisServer) -> None:
    folder = Path(empty_redis.call("CONFIG", "GET", "dir")[b"dir"].decode())
    async with _two(empty_redis) as (one, other):
        session = await one.sign_in(A)
        await one.sign_in(B)
        empty_redis.call("SAVE")
        try:
            assert await one.whole.delete(session.key, EndCause.LOGOUT)
            empty_redis.restart()
        finally:
            (folder / "dump.rdb").unlink()

        await eventually(lambda: _serves(one, A), expected=False, within_s=PATIENCE_S)
        await eventually(lambda: _serves(other, A), expected=False, within_s=PATIENCE_S)
        await eventually(lambda: _serves(other, B), expected=True, within_s=PATIENCE_S)
        await until(lambda: empty_redis.call("EXISTS", f"sidegate:s:{session.key}") == 0)
