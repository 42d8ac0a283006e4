"""The keys of the assertion: named by their thumbprint, read again when they change, never lost by a bad file."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from proxy.assertion.key_ring import LOOK_EVERY_S, KeyRing, signing_key
from proxy.errors import SettingsError
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver

OLD, NEW = derive_private_key(11, SECP256R1()), derive_private_key(22, SECP256R1())


class KeysInHand:
    """A source of keys that a test exchanges."""

    def __init__(self, *keys: EllipticCurvePrivateKey) -> None:
        self.keys = keys
        self.fault: SettingsError | None = None
        self.reads = 0
        self.clock, self.observer = FakeClock(), RecordingObserver()
        self.ring = KeyRing(self.read, clock=self.clock, observer=self.observer)

    def read(self) -> tuple[EllipticCurvePrivateKey, ...]:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return self.keys

    def key_ids(self) -> list[str]:
        return [key.key_id for key in self.ring.current()]


def test_a_key_is_named_by_the_thumbprint_of_its_public_part() -> None:
    made = signing_key(OLD)

    required = {name: made.public[name] for name in ("crv", "kty", "x", "y")}
    digest = sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()
    assert made.key_id == made.public["kid"] == urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("private_value", [1, 11, 22, 2**200])
def test_the_jwk_is_the_public_key_and_no_more(private_value: int) -> None:
    private = derive_private_key(private_value, SECP256R1())
    made = signing_key(private)

    assert set(made.public) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert PyJWK.from_dict(made.public).key == private.public_key()
    assert {made.public[name] for name in ("x", "y")} == {
        ECAlgorithm.to_jwk(private.public_key(), as_dict=True)[name] for name in ("x", "y")
    }
    assert len(made.public["x"]) == len(made.public["y"]) == 43, "leading zeros belong to a coordinate"


def test_a_key_is_shown_to_nobody_by_accident() -> None:
    assert "EllipticCurve" not in repr(signing_key(OLD))


def test_keys_are_read_again_and_the_first_signs() -> None:
    hand = KeysInHand(OLD)
    hand.keys = (NEW, OLD)

    assert hand.key_ids() == [signing_key(OLD).key_id], "not yet looked at"
    hand.clock.advance(LOOK_EVERY_S)

    assert hand.key_ids() == [signing_key(NEW).key_id, signing_key(OLD).key_id]
    assert [key["kid"] for key in hand.ring.key_set()["keys"]] == hand.key_ids()
    assert len(hand.observer.warnings) == 1


def test_keys_are_looked_at_now_and_then_and_stay_the_same_value_while_nothing_changes() -> None:
    hand = KeysInHand(OLD)
    before = hand.ring.current()
    for _ in range(100):
        hand.ring.current()
    hand.clock.advance(LOOK_EVERY_S)

    assert hand.ring.current() is before
    assert hand.reads == 2
    assert hand.observer.warnings == []


def test_a_change_of_order_is_a_change() -> None:
    hand = KeysInHand(OLD, NEW)
    hand.keys = (NEW, OLD)
    hand.clock.advance(LOOK_EVERY_S)

    assert hand.ring.current()[0].key_id == signing_key(NEW).key_id


def test_keys_that_cannot_be_used_leave_the_old_ones_and_are_told_once() -> None:
    hand = KeysInHand(OLD)
    hand.fault = SettingsError("the file k.pem cannot be read (no such file); check the path")
    for _ in range(3):
        hand.clock.advance(LOOK_EVERY_S)
        assert hand.key_ids() == [signing_key(OLD).key_id]

    assert [fields["fault"] for _, fields in hand.observer.errors] == [str(hand.fault)]


def test_what_is_mended_is_taken() -> None:
    hand = KeysInHand(OLD)
    hand.fault = SettingsError("gone")
    hand.clock.advance(LOOK_EVERY_S)
    hand.ring.current()
    hand.fault, hand.keys = None, (NEW,)
    hand.clock.advance(LOOK_EVERY_S)

    assert hand.key_ids() == [signing_key(NEW).key_id]


def test_without_a_usable_key_there_is_no_ring() -> None:
    def read() -> tuple[EllipticCurvePrivateKey, ...]:
        raise SettingsError("no key")

    with pytest.raises(SettingsError):
        KeyRing(read, clock=FakeClock(), observer=RecordingObserver())
