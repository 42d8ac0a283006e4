"""Leases on a real Redis: one holder, renewed while the call runs, free soon after a holder was killed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from proxy.clock import SystemClock
from proxy.core.refresh import RefreshPolicy
from proxy.core.session import SessionKey
from proxy.errors import StoreUnavailable
from proxy.sessions.fresh_tokens import RefreshParts
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.redis_connection import Alone, Cluster, RedisConnection, RedisOptions, TcpNode
from proxy.sessions.redis_lease import LEASE_TTL_S, RENEW_EVERY_S, LeaseTimes, RedisRefreshLeases
from proxy.sessions.refresher import SessionRefresher
from proxy.tasks import TaskOwner
from tests.redis.server import HOST
from tests.support.clocks import FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.provider_fakes import HandLedProvider
from tests.support.refresh_stage import OVER_AFTER, A
from tests.support.sessions import make_grant, make_session, make_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.ports import Clock
    from tests.redis.cluster import ClusterHouse
    from tests.redis.server import RedisServer

KEY = SessionKey("0" * 64)
QUICK = LeaseTimes(ttl_s=1.2, renew_every_s=0.2)


class Replica:
    """One process' leases, over a connection of its own."""

    def __init__(self, options: RedisOptions, *, clock: Clock, times: LeaseTimes = QUICK) -> None:
        self.observer = RecordingObserver()
        self.connection = RedisConnection(options, self.observer, SystemClock())
        self.leases = RedisRefreshLeases(self.connection, clock=clock, observer=self.observer, times=times)

    async def start(self) -> Replica:
        await self.connection.start()
        return self

    async def kill(self) -> None:
        """Leave everything as it is, as SIGKILL does."""
        await self.leases.close()
        await self.connection.close()


@pytest.fixture
async def replicas(empty_redis: RedisServer) -> AsyncIterator[list[Replica]]:
    options = RedisOptions(topology=Alone(TcpNode(HOST, empty_redis.port)))
    made = [await Replica(options, clock=SystemClock()).start() for _ in range(3)]
    yield made
    for one in made:
        await one.kill()


async def test_of_many_who_ask_at_once_one_has_the_lease(replicas: list[Replica]) -> None:
    answers = await asyncio.gather(*(replicas[n % 3].leases.acquire(KEY) for n in range(60)))

    (lease,) = [one for one in answers if one is not None]
    assert lease.is_held()


async def test_a_lease_given_back_is_free_at_once_and_leaves_no_key(
    replicas: list[Replica], empty_redis: RedisServer
) -> None:
    lease = await replicas[0].leases.acquire(KEY)
    assert lease is not None
    await lease.release()

    assert empty_redis.call("DBSIZE") == 0
    assert await replicas[1].leases.acquire(KEY) is not None


async def test_the_key_holds_no_more_than_a_random_word_and_ends_by_itself(
    replicas: list[Replica], empty_redis: RedisServer
) -> None:
    await replicas[0].leases.acquire(KEY)

    assert empty_redis.call("KEYS", "*") == [f"sidegate:l:{KEY}".encode()]
    assert len(empty_redis.call("GET", f"sidegate:l:{KEY}")) == 32
    assert 0 < empty_redis.call("PTTL", f"sidegate:l:{KEY}") <= QUICK.ttl_s * 1000


async def test_leases_of_two_sessions_are_independent(replicas: list[Replica]) -> None:
    assert await replicas[0].leases.acquire(KEY) is not None
    assert await replicas[1].leases.acquire(SessionKey("1" * 64)) is not None


async def test_a_lease_outlives_its_ttl_while_it_is_held(replicas: list[Replica]) -> None:
    lease = await replicas[0].leases.acquire(KEY)
    assert lease is not None
    for _ in range(8):
        await asyncio.sleep(QUICK.ttl_s / 4)
        assert lease.is_held()
        assert await replicas[1].leases.acquire(KEY) is None


async def test_the_lease_of_a_killed_holder_is_free_after_its_ttl(replicas: list[Replica]) -> None:
    await replicas[0].leases.acquire(KEY)
    await replicas[0].kill()
    assert await replicas[1].leases.acquire(KEY) is None

    async def is_free() -> bool:
        return await replicas[1].leases.acquire(KEY) is not None

    await eventually(is_free, True, within_s=10)  # noqa: FBT003 - what is expected


async def test_a_holder_that_stood_still_knows_that_its_lease_is_lost(empty_redis: RedisServer) -> None:
    options = RedisOptions(topology=Alone(TcpNode(HOST, empty_redis.port)))
    clock = FakeClock()
    replica = await Replica(options, clock=clock).start()
    lease = await replica.leases.acquire(KEY)
    assert lease is not None
    assert lease.is_held()
    clock.advance(QUICK.ttl_s)
    await asyncio.sleep(3 * QUICK.renew_every_s)

    assert not lease.is_held(), "a renewal that succeeds later does not undo the doubt"
    assert await replica.leases.acquire(KEY) is None, "but it keeps the others waiting"
    await lease.release()
    await replica.kill()


async def test_a_lease_that_another_took_is_lost_said_and_not_given_back(
    replicas: list[Replica], empty_redis: RedisServer
) -> None:
    lease = await replicas[0].leases.acquire(KEY)
    assert lease is not None
    empty_redis.call("SET", f"sidegate:l:{KEY}", "somebody else", "PX", "60000")

    async def is_held() -> bool:
        return lease.is_held()

    await eventually(is_held, False, within_s=10)  # noqa: FBT003 - what is expected
    await lease.release()

    assert empty_redis.call("GET", f"sidegate:l:{KEY}") == b"somebody else"
    assert len(replicas[0].observer.warnings) == 1


async def test_a_lease_that_redis_forgot_is_taken_again_by_its_holder(
    replicas: list[Replica], empty_redis: RedisServer
) -> None:
    lease = await replicas[0].leases.acquire(KEY)
    assert lease is not None
    empty_redis.call("FLUSHALL")

    async def keys() -> int:
        return cast("int", empty_redis.call("DBSIZE"))

    await eventually(keys, 1, within_s=10)
    assert lease.is_held()
    assert await replicas[1].leases.acquire(KEY) is None


class SlowConnection:
    """A connection whose renewals are held up; ``asked`` has every operation as it began or ended."""

    prefix = "sidegate:"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = asyncio.Event()

    async def run(self, operation: str, call: Any) -> Any:
        self.asked.append(operation)
        if self.asked.count("lease_take") > 1 and operation == "lease_take":
            await self.go.wait()
            self.asked.append("renewed")
        return 1


async def test_a_lease_is_given_back_after_the_renewal_that_is_on_its_way() -> None:
    connection, observer = SlowConnection(), RecordingObserver()
    leases = RedisRefreshLeases(connection, clock=FakeClock(), observer=observer, times=LeaseTimes(5, 0.01))
    lease = await leases.acquire(KEY)
    assert lease is not None

    async def renewals() -> int:
        return connection.asked.count("lease_take") - 1

    await eventually(renewals, 1, within_s=10)
    tasks = TaskOwner(lambda _: None)
    giving_back = tasks.start(lease.release())
    await asyncio.sleep(0.05)
    connection.go.set()
    await giving_back

    assert connection.asked == ["lease_take", "lease_take", "renewed", "lease_release"]
    await leases.close()


async def test_without_redis_no_lease_is_had_and_giving_back_raises_nothing(
    replicas: list[Replica], empty_redis: RedisServer
) -> None:
    lease = await replicas[0].leases.acquire(KEY)
    assert lease is not None
    empty_redis.kill()

    with pytest.raises(StoreUnavailable):
        await replicas[1].leases.acquire(KEY)
    await lease.release()


async def test_a_cluster_gives_leases_for_keys_of_every_slot(empty_redis_cluster: ClusterHouse) -> None:
    nodes = tuple(TcpNode(HOST, server.port) for server in empty_redis_cluster.servers)
    replica = await Replica(RedisOptions(topology=Cluster(nodes)), clock=SystemClock()).start()
    leases = [await replica.leases.acquire(SessionKey(f"{n:064x}")) for n in range(30)]
    for lease in leases:
        assert lease is not None
        await lease.release()
    await replica.kill()

    assert None not in leases
    assert [server.call("DBSIZE") for server in empty_redis_cluster.servers] == [0, 0, 0]


def test_three_renewals_may_be_lost_before_the_lease_is() -> None:
    assert LEASE_TTL_S / RENEW_EVERY_S > 3


# --- refreshers over real leases -------------------------------------------------------------------------------------


class RotatingProvider(HandLedProvider):
    """A named fake that rotates as Keycloak does with reuse 0: a refresh token that comes twice ends the login."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: set[str] = set()

    async def refresh(self, session: Any) -> Any:
        assert session.tokens.refresh_token is not None
        token = session.tokens.refresh_token.reveal()
        assert token not in self.spent, "a refresh token came twice: Keycloak would end the login"
        self.spent.add(token)
        return await super().refresh(session)


async def test_two_hundred_requests_over_three_connections_spend_one_refresh_token(replicas: list[Replica]) -> None:
    clock, observer, provider = FakeClock(), RecordingObserver(), RotatingProvider()
    store = MemorySessionStore(clock, live=LiveStreamRegistry(observer), observer=observer, limits=MemoryLimits())
    session = make_session(A)
    await store.create(A, session)
    provider.answer_for = lambda before: _next_grant(before, clock)
    refreshers = [_refresher(replica, provider, store, clock) for replica in replicas]
    clock.advance(OVER_AFTER)
    provider.hold()

    requests = asyncio.gather(*(refreshers[n % 3].fresh(A, session) for n in range(200)))
    await asyncio.sleep(2 * QUICK.ttl_s)  # the call takes longer than a lease lives
    provider.let_go()
    answers = await requests

    assert provider.refreshed == ["refresh-1"]
    assert {answer and answer.version for answer in answers} == {2}
    for one in refreshers:
        await one.close()


def _refresher(replica: Replica, provider: RotatingProvider, store: Any, clock: FakeClock) -> SessionRefresher:
    # The lease's time is real, that of the tokens is not.
    parts = RefreshParts(
        provider=cast("Any", provider), store=store, leases=replica.leases, clock=clock, observer=replica.observer
    )
    return SessionRefresher(parts, policy=RefreshPolicy())


def _next_grant(session: Any, clock: FakeClock) -> Any:
    now = clock.now()
    tokens = make_tokens(session.version + 1, obtained_at=now, access_expires_at=now + 300)
    return make_grant(session, tokens=replace(tokens, refresh_expires_at=now + 1800))
