"""A seal opens under each configured key, at its own place, unchanged, and in no other case."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.secret import Secret
from proxy.sessions.sealing import OVERHEAD_BYTES, Sealer

NEW, OLD, OTHER = (bytes([n]) * 32 for n in (1, 2, 3))
HERE, THERE = b"s:here", b"s:there"


@given(plaintext=st.binary(max_size=2000), place=st.binary(max_size=200))
def test_what_was_sealed_opens_at_its_place(plaintext: bytes, place: bytes) -> None:
    sealer = Sealer([NEW, OLD])

    sealed = sealer.seal(plaintext, associated_data=place)

    assert sealer.open(sealed, associated_data=place) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES


def test_a_sealed_text_opens_at_no_other_place() -> None:
    sealer = Sealer([NEW])

    assert sealer.open(sealer.seal(b"text", associated_data=HERE), associated_data=THERE) is None


def test_the_same_text_is_never_sealed_twice_alike() -> None:
    sealer = Sealer([NEW])

    assert len({sealer.seal(b"text", associated_data=HERE) for _ in range(100)}) == 100


def test_the_first_key_seals_and_each_opens() -> None:
    before, between, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])

    old = before.seal(b"old", associated_data=HERE)
    new = between.seal(b"new", associated_data=HERE)

    assert between.open(old, associated_data=HERE) == b"old"
    assert after.open(new, associated_data=HERE) == b"new"
    assert before.open(new, associated_data=HERE) is None
    assert after.open(old, associated_data=HERE) is None


def test_other_keys_are_adopted_by_whoever_holds_the_sealer() -> None:
    sealer = Sealer([OLD])
    before = sealer.seal(b"text", associated_data=b"place")
    name = sealer.digest("who")
    digest = sealer.digest

    sealer.adopt([NEW, OLD])

    assert sealer.open(before, associated_data=b"place") == b"text"
    assert Sealer([NEW]).open(sealer.seal(b"more", associated_data=b"p"), associated_data=b"p") == b"more"
    assert (digest("who"), sealer.digests("who")[1]) == (Sealer([NEW]).digest("who"), name)
    with pytest.raises(ValueError, match="needs keys"):
        sealer.adopt([])
    assert sealer.digest("who") == digest("who")


@given(data=st.data())
def test_a_changed_text_does_not_open(data: st.DataObject) -> None:
    sealer = Sealer([NEW])
    sealed = bytearray(sealer.seal(b"some text", associated_data=HERE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))

    assert sealer.open(bytes(sealed), associated_data=HERE) is None


@given(data=st.data())
def test_a_truncated_text_does_not_open(data: st.DataObject) -> None:
    sealer = Sealer([NEW])
    sealed = sealer.seal(b"some text", associated_data=HERE)

    assert sealer.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], associated_data=HERE) is None


def test_what_is_bound_to_a_secret_opens_with_key_and_secret_only() -> None:
    sealer = Sealer([NEW, OLD])
    sealed = sealer.bound_to(Secret("cookie")).seal(b"tokens", associated_data=HERE)

    assert Sealer([OLD, NEW]).bound_to(Secret("cookie")).open(sealed, associated_data=HERE) == b"tokens"
    assert sealer.open(sealed, associated_data=HERE) is None
    assert sealer.bound_to(Secret("other")).open(sealed, associated_data=HERE) is None
    assert Sealer([OTHER]).bound_to(Secret("cookie")).open(sealed, associated_data=HERE) is None


def test_a_digest_is_under_the_first_key_and_looked_up_under_each() -> None:
    before, after = Sealer([OLD]), Sealer([NEW, OLD])

    assert after.digests("alice") == (after.digest("alice"), before.digest("alice"))
    assert after.digest("alice") != after.digest("bob")
    assert after.digest("\ud800") != after.digest("\ud801")


def test_a_digest_is_no_hash_that_a_dictionary_finds() -> None:
    plain = {sha256(b"alice").hexdigest(), hmac.digest(NEW, b"alice", sha256).hex()}

    assert Sealer([NEW]).digest("alice") not in plain


@pytest.mark.parametrize("keys", [[], [b""], [NEW, b"short"], [NEW + b"x"]])
def test_a_sealer_without_good_keys_is_not_made(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(keys)
