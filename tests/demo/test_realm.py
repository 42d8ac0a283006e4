"""The state of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from proxy.demo import realm as realm_module
from proxy.demo.clients import Lifetimes
from proxy.demo.key_ring import KeyRing, RsaKey
from proxy.demo.misbehaviour import TokenKind, opaque
from proxy.demo.realm import Bounded, Realm
from proxy.demo.sessions import UserSession
from proxy.demo.shape import Shape

if TYPE_CHECKING:
    from tests.support.clocks import FakeClock


@pytest.fixture
def realm(clock: FakeClock, signing_key: RsaKey) -> Realm:
    return Realm(clock=clock.now, keys=KeyRing(signing=[signing_key]), lifetimes=Lifetimes(session_idle_s=10))


def test_memory_for_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realm_module, "MEMORY_LIMIT", 2)
    remembered = Bounded()
    for name in "abc":
        remembered[name] = name

    assert list(remembered) == ["b", "c"]


def test_an_idle_session_is_over_and_forgotten(realm: Realm, clock: FakeClock) -> None:
    now = clock.now()
    session = realm.sessions.add(UserSession(sid="s", subject="u", started_at=now, refreshed_at=now))
    clock.advance(9)
    before = realm.live_session("s")
    clock.advance(1)

    assert before is session
    assert realm.live_session("s") is None
    assert list(realm.sessions) == []


@pytest.mark.parametrize("path", ["/realms/acme", "/realms/acme/", "/", ""])
def test_the_issuer_is_the_origin_and_the_path_as_it_was_given(path: str) -> None:
    assert Realm(shape=Shape(path), origin="http://127.0.0.1:1").issuer == f"http://127.0.0.1:1{path}"


def test_a_logout_token_says_its_type_in_the_header(realm: Realm) -> None:
    types = {kind: jwt.get_unverified_header(realm.sign(kind, {}))["typ"] for kind in TokenKind}

    assert types.pop(TokenKind.LOGOUT) == "logout+jwt"
    assert set(types.values()) == {"JWT"}


def test_an_opaque_token_is_known_to_the_issuer_alone(realm: Realm) -> None:
    realm.misbehaviour.forge(TokenKind.ACCESS, opaque())

    token = realm.sign(TokenKind.ACCESS, {"sub": "u"})

    assert "." not in token
    assert realm.read(token) == {"sub": "u"}
