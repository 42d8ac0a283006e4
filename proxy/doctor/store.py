"""Where sessions live: Redis, alone, behind sentinels or as a cluster, looked at by the connections that serve.

Every primary is asked; what all of them say alike is one line.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import statistics
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from redis.asyncio.sentinel import MasterNotFoundError

from proxy import redis_slices
from proxy.doctor.finding import fail, of_fault, ok, warn
from proxy.doctor.store_health import Health, judge, parse_info
from proxy.doctor.store_rights import REMEDY, look_at_rights
from proxy.doctor.wire import Unreachable, opened, term_finding, term_of
from proxy.errors import SettingsError, StoreUnavailable
from proxy.forward.options import TcpAddress
from proxy.sessions.change_feed import ChangeFeed, Manner
from proxy.sessions.primaries import primaries_of
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, TcpNode
from proxy.sessions.resp_connection import CommandRefused, connect
from proxy.sessions.sentinels import Sentinels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.sessions.redis_options import RedisNode, RedisOptions
    from proxy.sessions.resp_connection import RespConnection

ASK_S: Final = 5.0
"""Seconds for everything that one primary is asked."""

PINGS: Final = 5

SLOW_S: Final = 0.01
"""Seconds of a round trip from which on it is felt: a login takes a dozen of them."""


async def look_at_store(visit: Visit) -> tuple[Finding, ...]:
    """Look at wherever sessions live."""
    sessions = visit.settings.sessions
    if sessions.store == "memory":
        room = f"in this process, at most {sessions.memory.max_sessions}; for one replica, and they end with it"
        return (ok("sessions", room),)
    try:
        tls = redis_slices.redis_tls(visit.settings)
        options = redis_slices.redis_options(visit.settings, tls)
    except SettingsError as fault:
        return (of_fault("TLS", fault, remedy="mend sessions.redis.tls"),)
    reached = await _reached(visit, options)
    if reached.remedy:
        return (reached,)
    primaries = await _primaries(options)
    if not primaries:
        remedy = "check that every address that it names can be reached from here, and run the doctor again"
        return (reached, fail("primary", f"{options.topology} answers, and names no primary in time", remedy))
    rest = await asyncio.gather(
        _of_primaries(visit, options, primaries), _of_topology(options, len(primaries)), _of_tls(visit, options)
    )
    return (reached, *(finding for some in rest for finding in some))


async def _reached(visit: Visit, options: RedisOptions) -> Finding:
    connection = RedisConnection(options, visit.observer, visit.clock)
    await connection.start()
    try:
        await connection.run("doctor", lambda client: client.ping())
    except StoreUnavailable as fault:
        return of_fault("reachable", fault, remedy="check sessions.redis")
    finally:
        await connection.close()
    return ok("reachable", f"{options.topology} answers")


async def _primaries(options: RedisOptions) -> list[RedisNode]:
    primaries = primaries_of(options)
    try:
        async with asyncio.timeout(ASK_S):
            return sorted(await primaries.find(), key=str)
    except (OSError, SettingsError):
        return []
    finally:
        primaries.close()


# --- every primary ---------------------------------------------------------------------------------------------------


async def _of_primaries(visit: Visit, options: RedisOptions, nodes: Iterable[RedisNode]) -> tuple[Finding, ...]:
    seen = await asyncio.gather(*(_seen(visit, options, node) for node in nodes))
    return tuple(dict.fromkeys(finding for findings in seen for finding in findings))


async def _seen(visit: Visit, options: RedisOptions, node: RedisNode) -> tuple[Finding, ...]:
    try:
        async with asyncio.timeout(ASK_S), _introduced(options, node) as connection:
            return (
                await _latency(visit, connection, node),
                *await _health(options, connection, node),
                await look_at_rights(connection, options.key_prefix),
                await _tracking(visit, options, node),
            )
    except (OSError, SettingsError) as fault:
        return (of_fault("primary", fault, remedy=f"check that {node} can be reached from here"),)


@asynccontextmanager
async def _introduced(options: RedisOptions, node: RedisNode) -> AsyncIterator[RespConnection]:
    """Give a connection that has said who it is, as the stores' own do."""
    connection = await connect(node, options)
    try:
        if credentials := options.credentials():
            await connection.ask("AUTH", *credentials)
        yield connection
    finally:
        connection.close()


async def _latency(visit: Visit, connection: RespConnection, node: RedisNode) -> Finding:
    took = []
    for _ in range(PINGS):
        began_at = visit.clock.monotonic()
        await connection.ask("PING")
        took.append(visit.clock.monotonic() - began_at)
    median_s = statistics.median(took)
    if median_s >= SLOW_S:
        remedy = "put Redis and Sidegate into one data centre, and look whether it is busy (SLOWLOG)"
        return warn("latency", f"{node} takes {median_s * 1000:.0f} ms for a PING", remedy)
    return ok("latency", f"below {math.ceil(median_s * 1000)} ms")


async def _health(options: RedisOptions, connection: RespConnection, node: RedisNode) -> tuple[Finding, ...]:
    try:
        info = await connection.ask("INFO")
    except CommandRefused as refusal:
        remedy = f"let it run INFO ({REMEDY}), or see for yourself: version 6.2, maxmemory-policy noeviction"
        return (warn("version", f"our user may not ask {node} how it is ({refusal.code})", remedy),)
    text = info.decode(errors="replace") if isinstance(info, bytes) else ""
    # Alone it may well be without a replica; who has sentinels or a cluster wants that another takes its place.
    least = 0 if isinstance(options.topology, Alone) else 1
    return tuple(judge(Health(str(node), parse_info(text), await _saves(connection), least)))


async def _saves(connection: RespConnection) -> str | None:
    try:
        answer = await connection.ask("CONFIG", "GET", "save")
    except CommandRefused:
        return None
    match answer:
        case [_, bytes() as rule]:
            return rule.decode(errors="replace")
        case _:
            return None


class _Deaf:
    """A ``ChangeListener`` that keeps nothing."""

    def changed(self, name: bytes) -> None:
        """Nothing is cached."""

    def everything_changed(self) -> None:
        """Nothing is cached."""


async def _tracking(visit: Visit, options: RedisOptions, node: RedisNode) -> Finding:
    feed = ChangeFeed(_Deaf(), visit.clock, on_lost=lambda: None)
    try:
        await feed.agree(node, options)
    except CommandRefused as refusal:
        sentence = f"{node} tells nobody what changed ({refusal.code}), so every request asks it"
        return fail("tracking", sentence, REMEDY)
    finally:
        feed.close()
    if feed.manner is Manner.TRACKED:
        return ok("tracking", "it says itself what changed (CLIENT TRACKING)")
    return warn(
        "tracking",
        f"{node} refuses CLIENT TRACKING ({feed.refusal}), so replicas tell one another, and expiry is noticed late",
        f"use Redis 6.2 or newer, and {REMEDY}",
    )


# --- all of them together --------------------------------------------------------------------------------------------


async def _of_topology(options: RedisOptions, primaries: int) -> tuple[Finding, ...]:
    topology = options.topology
    if isinstance(topology, BehindSentinels):
        return (await _sentinels(options, topology),)
    if isinstance(topology, Cluster):
        return (ok("cluster", f"{primaries} primaries hold the slots"),)
    return ()


async def _sentinels(options: RedisOptions, topology: BehindSentinels) -> Finding:
    votes = await asyncio.gather(*(_vote(options, topology, one) for one in topology.sentinels))
    silent = [str(one) for one, vote in zip(topology.sentinels, votes, strict=True) if vote is None]
    named = {vote for vote in votes if vote is not None}
    if len(named) > 1:
        sentence = f"the sentinels name different primaries: {', '.join(sorted(map(str, named)))}"
        return warn("sentinels", sentence, "wait for the failover to end; if it does not, look at SENTINEL MASTERS")
    if silent:
        sentence = f"{', '.join(silent)}: no answer, or {topology.master!r} is not known there"
        return warn("sentinels", sentence, "start it, or take it out of sessions.redis.sentinel.nodes")
    if len(votes) < len("123"):
        sentence = f"there are only {len(votes)}, so no majority is left when one is gone"
        return warn("sentinels", sentence, "run three, and name all in sessions.redis.sentinel.nodes")
    return ok("sentinels", f"all {len(votes)} name {next(iter(named))} as the primary")


async def _vote(options: RedisOptions, topology: BehindSentinels, sentinel: TcpNode) -> str | None:
    asked = Sentinels(options, BehindSentinels(topology.master, (sentinel,)))
    try:
        return str(await asked.primary())
    except MasterNotFoundError:
        return None
    finally:
        asked.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


async def _of_tls(visit: Visit, options: RedisOptions) -> tuple[Finding, ...]:
    nodes = _nodes(options)
    if options.tls is None:
        return tuple(dict.fromkeys(await asyncio.gather(*map(_in_clear, nodes))))
    found = await asyncio.gather(*(_certificate(visit, options, node) for node in nodes))
    return tuple(finding for some in found for finding in some)


def _nodes(options: RedisOptions) -> tuple[TcpNode, ...]:
    topology = options.topology
    if isinstance(topology, BehindSentinels):
        return topology.sentinels
    if isinstance(topology, Alone):
        return (topology.node,) if isinstance(topology.node, TcpNode) else ()
    return topology.nodes


async def _in_clear(node: TcpNode) -> Finding:
    """Judge a connection without TLS by where it leads: what is stored is sealed, but the password and the traffic
    are not.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)
    except OSError:
        return warn("TLS", f"{node} is spoken to in clear, and where it is cannot be seen", "mend its name, or the DNS")
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if any(address.is_global for address in addresses):
        sentence = f"{node} is spoken to in clear over a public address"
        return warn("TLS", sentence, "use rediss://, and sessions.redis.tls.ca_file for an authority of your own")
    return ok("TLS", "none, within a private network; what is stored is sealed")


async def _certificate(visit: Visit, options: RedisOptions, node: TcpNode) -> tuple[Finding, ...]:
    tls = None if options.tls is None else options.tls()
    try:
        async with opened(TcpAddress(node.host, node.port), tls, seconds=ASK_S) as stream:
            term = term_of(stream)
    except Unreachable as fault:
        return (fail("TLS", f"{node}: {fault}", "check sessions.redis.tls"),)
    if term is None:
        return ()
    remedy = f"renew the certificate of {node.host}"
    return (term_finding("TLS", term, visit.clock.now(), whose=str(node), remedy=remedy),)
