"""Keys, and what they sign."""

from __future__ import annotations

import jwt
import pytest

from proxy.demo.key_ring import KeyRing, RsaKey, compact_jws


@pytest.fixture
def ring(signing_key: RsaKey) -> KeyRing:
    return KeyRing(signing=[signing_key])


def token_of(key: RsaKey, **header: str) -> str:
    return compact_jws({"alg": "RS256", "kid": key.kid, **header}, {"sub": "alice"}, key.private)


def test_a_library_verifies_what_the_published_key_signed(ring: KeyRing) -> None:
    published = jwt.PyJWK(ring.jwks()["keys"][0])

    assert jwt.decode(token_of(ring.current), published, algorithms=["RS256"]) == {"sub": "alice"}


def test_the_set_has_an_encryption_key_that_no_client_may_use(ring: KeyRing) -> None:
    assert [(key["use"], key["alg"]) for key in ring.jwks()["keys"]] == [("sig", "RS256"), ("enc", "RSA-OAEP")]


def test_after_a_rotation_the_old_key_verifies_until_it_is_removed(ring: KeyRing) -> None:
    old = ring.current
    token = token_of(old)

    new = ring.rotate()
    verified = ring.verify(token)
    ring.remove(old.kid)

    assert verified == {"sub": "alice"}
    assert ring.verify(token) is None
    assert ring.current is new


@pytest.mark.parametrize("forged", ["unknown kid", "other key", "none", "hmac", "noise", "no kid"])
def test_nothing_else_verifies(ring: KeyRing, forged: str) -> None:
    kid = ring.current.kid
    tokens = {
        "unknown kid": token_of(ring.current, kid="unknown"),
        "other key": compact_jws({"alg": "RS256", "kid": kid}, {}, RsaKey.generate().private),
        "none": compact_jws({"alg": "none", "kid": kid}, {}, None),
        "hmac": compact_jws({"alg": "HS256", "kid": kid}, {}, ring.current.public_pem()),
        "noise": "a.b.c",
        "no kid": compact_jws({"alg": "RS256"}, {}, ring.current.private),
    }

    assert ring.verify(tokens[forged]) is None


def test_a_refresh_token_is_nobody_elses_to_verify(ring: KeyRing) -> None:
    token = compact_jws({"alg": "HS512", "kid": ring.hmac_kid}, {"typ": "Refresh"}, ring.hmac_key)

    assert ring.verify_refresh(token) == {"typ": "Refresh"}
    assert ring.verify(token) is None
    assert KeyRing(signing=ring.signing).verify_refresh(token) is None
