"""No name of a key says anything, and each kind has its own."""

from __future__ import annotations

from hashlib import sha256

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, ByUsername, EverySessionOf, session_key
from proxy.sessions.codec import summary_of
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.sealing import Sealer
from tests.support.sessions import make_session

NEW, OLD = b"n" * 32, b"o" * 32
A = Secret("cookie-a")
NAMES = RedisNames("p:", Sealer([NEW, OLD]))
BEFORE = RedisNames("p:", Sealer([OLD]))
WHOM = (BySubject("iss", "x"), ByUsername("iss", "x"))


def test_records_are_named_by_the_hash_of_the_cookie() -> None:
    key = session_key(A)

    assert NAMES.record(key) == f"p:s:{sha256(b'cookie-a').hexdigest()}"
    assert NAMES.key_of_record(NAMES.record(key).encode()) == key
    assert NAMES.key_of_record(NAMES.touch(key).encode()) is None
    assert NAMES.key_of_record(b"other:s:x") is None


def test_every_kind_has_a_name_of_its_own() -> None:
    key = session_key(A)
    names = [NAMES.record(key), NAMES.touch(key), NAMES.tombstone(key), NAMES.roster(key), NAMES.spent("x")]
    names += [NAMES.root("x"), NAMES.index(BySid("iss", "x"))[0], NAMES.marks(BySid("iss", "x"))[0]]
    names += [NAMES.kept("x"), NAMES.kept_places()]
    names += [NAMES.index(who)[0] for who in WHOM] + [
        NAMES.marks(WHOM[0])[0],
        NAMES.marks(EverySessionOf("iss", "x"))[0],
    ]

    assert len(set(names)) == len(names)


def test_a_sid_is_a_hash_and_a_person_an_hmac() -> None:
    assert NAMES.index(BySid("iss", "x")) == (f"p:i:sid:{sha256(b'iss' + bytes(1) + b'x').hexdigest()}",)
    assert BEFORE.index(WHOM[0]) != NAMES.index(WHOM[0])[:1]
    assert sha256(b"iss" + bytes(1) + b"x").hexdigest() not in NAMES.index(WHOM[0])[0]


def test_persons_are_looked_up_under_every_key_the_first_first() -> None:
    for who in WHOM:
        assert NAMES.index(who)[1:] == BEFORE.index(who)
    for what in (WHOM[0], EverySessionOf("iss", "c")):
        assert NAMES.marks(what)[1:] == BEFORE.marks(what)
    assert len(NAMES.every_index(summary_of(make_session(A)))) == 5


def test_where_one_part_of_a_name_ends_cannot_be_moved() -> None:
    assert NAMES.index(BySid("a", "bc")) != NAMES.index(BySid("ab", "c"))
    assert NAMES.index(BySubject("a", "bc")) != NAMES.index(BySubject("ab", "c"))


def test_any_text_has_a_name() -> None:
    assert NAMES.index(BySid("iss", "\ud800")) != NAMES.index(BySid("iss", "\ud801"))
    assert NAMES.spent("\ud800") != NAMES.spent("\ud801")


def test_the_roster_has_sixteen_parts_and_each_session_is_in_one() -> None:
    keys = [session_key(Secret(str(n))) for n in range(200)]

    assert len(NAMES.rosters()) == 16
    assert {NAMES.roster(key) for key in keys} == set(NAMES.rosters())
