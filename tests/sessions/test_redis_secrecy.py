"""Everything that lies in Redis after every kind of use: no token, cookie, password, e-mail, name or id in clear.

Not even with the server key does it yield a token: that needs the cookie too.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.clock import SystemClock
from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, ByUsername, EndCause, EndedMark, EverySessionOf
from proxy.core.tokens import TokenSet
from proxy.observe.audit_redis import AuditRedisLimits, RedisAuditTrail
from proxy.ports import AuditEvent
from proxy.sessions.codec import SessionCodec, Unreadable
from proxy.sessions.redis_authentication import RedisAuthenticationStore
from proxy.sessions.redis_lease import RedisRefreshLeases
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.redis_stores import KEY, Replica, options_of
from tests.support.sessions import ISSUER, make_session, make_tab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis.server import RedisServer

COOKIE, GONE, ROOT = Secret("c00kie-of-alice-live"), Secret("c00kie-of-alice-gone"), "r00t-of-the-login"
IDENTITY = Identity(
    issuer=ISSUER,
    subject="5ubject-4711",
    username="us3rname-alice",
    name="N4me Alice",
    email="ma1l@alice.example",
    roles=frozenset({"r0le-admin"}),
    groups=frozenset({"/gr0up-staff"}),
    claims={"department": "c1aim-finance"},
)
TOKENS = TokenSet(Secret("t0ken-access"), Secret("t0ken-refresh"), Secret("t0ken-id"), START, START + 300, START + 1800)
CLEAR = (
    *("c00kie-of-alice", "5ubject-4711", "us3rname-alice", "N4me Alice", "ma1l@alice", "r0le-admin", "gr0up-staff"),
    *("c1aim-finance", "t0ken-", "51d-of-alice", "51d-new", "r00t-of-the-login", "5tate-of-tab", "n0nce", "ver1fier"),
    *("n0te-", "return-t0", "Br0wser", "198.51.100.7", "jt1-of-token", KEY.decode()),
)
"""What no key and no value may hold."""


async def _use_everything(replica: Replica) -> None:
    """Login, tab, activity, refresh, list, marks, logout, tombstone, lease, audit."""
    store = replica.store
    session = make_session(
        COOKIE,
        identity=IDENTITY,
        tokens=TOKENS,
        sid="51d-of-alice",
        user_agent="Br0wser",
        address="198.51.100.7",
        notes={"n0te-name": "n0te-value"},
    )
    await store.create(COOKIE, session)
    other = make_session(GONE, identity=IDENTITY, tokens=TOKENS, sid="51d-of-alice-2")
    await store.create(GONE, other)
    store.touch(session)
    await store.replace(COOKIE, dataclasses.replace(session, sid="51d-new"))
    await store.find(ByUsername(ISSUER, "us3rname-alice"))
    for what in (
        BySid(ISSUER, "51d-of-alice-3"),
        BySubject(ISSUER, "5ubject-4711"),
        EverySessionOf(ISSUER, "legacy-app"),
    ):
        await store.mark_ended(EndedMark(what, ended_at=START - 100, keep_until=START + 3600))
    await store.delete_matching(BySid(ISSUER, "51d-of-alice-2"), EndCause.BACKCHANNEL)
    await store.spend_jti("jt1-of-token", START + 60)
    await _use_what_is_beside_it(replica)


async def _use_what_is_beside_it(replica: Replica) -> None:
    clock, observer, sealer = replica.clock, replica.observer, Sealer([KEY])
    authentications = RedisAuthenticationStore(replica.connection, sealer, clock=clock, observer=observer)
    tab = make_tab(ROOT, "5tate-of-tab", nonce="n0nce", code_verifier=Secret("ver1fier"), return_to="/return-t0")
    await authentications.put(replace(tab, notes={"login_hint": "us3rname-alice"}, session_notes={"n0te-": "n0te-"}))
    await authentications.put(replace(tab, state="5tate-of-tab-2"))
    await authentications.take(ROOT, "5tate-of-tab-2")
    leases = RedisRefreshLeases(replica.connection, clock=clock, observer=observer)
    await leases.acquire(make_session(COOKIE).key)
    await leases.close()
    trail = RedisAuditTrail(
        replica.connection, sealer, limits=AuditRedisLimits(keep_s=3600), clock=SystemClock(), observer=observer
    )
    trail.start()
    event = AuditEvent(
        event="login.succeeded",
        request_id="r3quest",
        subject="5ubject-4711",
        username="us3rname-alice",
        address="198.51.100.7",
        user_agent="Br0wser",
        details={"sid": "51d-of-alice"},
    )
    trail.add(event, time.time())
    await trail.close()


def _words(value: object) -> Iterator[bytes]:
    """Yield each name and value of what Redis holds, however deep."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str | int | float):
        yield str(value).encode()
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _words(name)
            yield from _words(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _words(inner)


READERS = {
    b"string": ("GET", "{}"),
    b"hash": ("HGETALL", "{}"),
    b"zset": ("ZRANGE", "{}", "0", "-1", "WITHSCORES"),
    b"set": ("SMEMBERS", "{}"),
    b"list": ("LRANGE", "{}", "0", "-1"),
    b"stream": ("XRANGE", "{}", "-", "+"),
}


def _dump(server: RedisServer) -> dict[bytes, list[bytes]]:
    names = server.call("KEYS", "*")
    return {
        name: list(
            _words(server.call(*(name if word == "{}" else word for word in READERS[server.call("TYPE", name)])))
        )
        for name in names
    }


@pytest.fixture
async def dump(empty_redis: RedisServer) -> dict[bytes, list[bytes]]:
    replica = Replica(options_of(empty_redis), FakeClock())
    await replica.start()
    await _use_everything(replica)

    async def is_touched() -> bool:
        return bool(empty_redis.call("EXISTS", f"sidegate:t:{make_session(COOKIE).key}"))

    await eventually(is_touched, expected=True)
    await replica.close()
    return _dump(empty_redis)


async def test_nothing_that_is_told_of_a_person_lies_there_in_clear(dump: dict[bytes, list[bytes]]) -> None:
    kinds = {name.split(b":")[1] for name in dump}
    assert kinds >= {b"s", b"t", b"g", b"i", b"e", b"w", b"j", b"a", b"l", b"audit"}, "a kind of use is not tried"

    everything = b"\n".join(word for name, words in dump.items() for word in (name, *words))
    assert [text for text in CLEAR if text.encode() in everything] == []


async def test_with_the_server_key_the_dump_still_yields_no_token(dump: dict[bytes, list[bytes]]) -> None:
    (name,) = (name for name in dump if b":s:" in name)
    (record,) = dump[name]
    key = make_session(COOKIE).key
    codec = SessionCodec(Sealer([KEY]))

    summary = codec.decode_summary(key, record)

    assert not isinstance(summary, Unreadable)
    assert (summary.subject, summary.sid) == ("5ubject-4711", "51d-new")
    shown = json.dumps([str(getattr(summary, name)) for name in summary.__slots__])
    assert [text for text in ("t0ken", "ma1l", "N4me", "r0le", "gr0up", "c1aim", "n0te") if text in shown] == []
    assert codec.complete(summary, Secret("a guess"), record) is Unreadable.NOT_OURS
    assert codec.complete(summary, COOKIE, record).tokens == TOKENS


async def test_without_the_server_key_the_dump_says_nothing(dump: dict[bytes, list[bytes]]) -> None:
    wrong = Sealer([b"x" * 32])
    places = [b"", *(b"tombstone\0" + name.split(b":")[-1] for name in dump)]

    assert not any(
        wrong.open(word, associated_data=place) for words in dump.values() for word in words for place in places
    )
