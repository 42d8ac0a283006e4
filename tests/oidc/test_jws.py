"""Signatures: what is verified, and every way in which something else could be taken for it."""

from __future__ import annotations

import hmac
import threading
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.errors import TokenRejected
from proxy.oidc.jwks import MAX_KEYS
from proxy.oidc.jws import (
    KEY_OF_ALGORITHM,
    MAX_TOKEN_LENGTH,
    SigningKey,
    _algorithms,
    _public_key,
    import_algorithms,
    key_from_jwk,
    makes_a_key,
    own_payload,
    parse_jws,
    verify_jws,
)
from tests.oidc.signing import encoded, jwk, private_key, sign, signature

EVERY = frozenset(KEY_OF_ALGORITHM)
RSA = "RSA-2048"
KEY_FOR = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}


def key(name: str = RSA, **members: Any) -> SigningKey:
    found = key_from_jwk(jwk(name, **members), allowed=EVERY)
    assert found is not None
    return found


def reason_of(compact: str, *keys: SigningKey, allowed: frozenset[str] = EVERY) -> str:
    with pytest.raises(TokenRejected) as refused:
        verify_jws(parse_jws(compact, allowed=allowed), keys)
    return refused.value.reason


@pytest.mark.parametrize(("algorithm", "name"), KEY_FOR.items())
def test_each_asymmetric_algorithm_verifies(algorithm: str, name: str) -> None:
    token = sign({"sub": "1"}, key=name, algorithm=algorithm)

    found = verify_jws(parse_jws(token, allowed={algorithm}), [key(name)])

    assert found.payload == {"sub": "1"}
    assert (found.header["alg"], found.header["typ"]) == (algorithm, "JWT")


def test_the_other_edwards_curve_verifies_too() -> None:
    token = sign({"sub": "1"}, key="Ed448", algorithm="EdDSA")

    assert verify_jws(parse_jws(token, allowed={"EdDSA"}), [key("Ed448")]).payload == {"sub": "1"}


def test_the_table_covers_what_is_tested() -> None:
    assert set(KEY_FOR) == EVERY


@pytest.mark.parametrize("algorithm", KEY_FOR)
def test_a_signature_of_another_key_is_refused(algorithm: str) -> None:
    name = KEY_FOR[algorithm]
    token = sign({"sub": "1"}, key=f"{name} second", algorithm=algorithm)

    assert reason_of(token, key(name)) == "wrong_signature"


def test_a_changed_payload_is_refused() -> None:
    head, _, made = sign({"sub": "1"}).split(".")

    assert reason_of(f"{head}.{encoded({'sub': '2'})}.{made}", key()) == "wrong_signature"


def test_a_changed_header_is_refused() -> None:
    _, payload, made = sign({"sub": "1"}).split(".")
    header = encoded({"alg": "RS256", "kid": RSA, "typ": "logout+jwt"})

    assert reason_of(f"{header}.{payload}.{made}", key()) == "wrong_signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "RS1", "ES256K", "rs256"])
def test_no_setting_can_allow_what_is_not_asymmetric(algorithm: str) -> None:
    token = f"{encoded({'alg': algorithm})}.{encoded({'sub': '1'})}.{encoded(b'x')}"

    assert reason_of(token, key(), allowed=EVERY | {algorithm}) == "algorithm_not_allowed"


def test_the_public_key_as_hmac_secret_opens_nothing() -> None:
    pem = private_key(RSA).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded({'sub': '1'})}"
    forged = encoded(hmac.new(pem, signing_input.encode(), sha256).digest())

    assert reason_of(f"{signing_input}.{forged}", key(), allowed=EVERY | {"HS256"}) == "algorithm_not_allowed"


@pytest.mark.parametrize("algorithm", [7, None, ["RS256"], {"RS256": 1}, True])
def test_an_algorithm_that_is_no_text_is_refused(algorithm: object) -> None:
    token = f"{encoded({'alg': algorithm})}.{encoded({'sub': '1'})}.{encoded(b'x')}"

    assert reason_of(token, key()) == "algorithm_not_allowed"


def test_only_the_configured_algorithms_count() -> None:
    assert reason_of(sign({}, algorithm="RS512"), key(), allowed=frozenset({"RS256"})) == "algorithm_not_allowed"


@pytest.mark.parametrize(
    ("algorithm", "signer", "verifier"),
    [
        ("ES256", "P-256", "P-384"),
        ("ES256", "P-256", "P-521"),
        ("ES384", "P-384", "P-256"),
        ("ES256", "P-256", RSA),
        ("RS256", RSA, "P-256"),
        ("RS256", RSA, "Ed25519"),
        ("EdDSA", "Ed25519", "P-256"),
    ],
)
def test_a_key_of_another_type_or_curve_never_fits(algorithm: str, signer: str, verifier: str) -> None:
    assert reason_of(sign({}, key=signer, algorithm=algorithm), key(verifier)) == "no_fitting_key"


def test_a_short_curve_under_a_strong_name_is_refused() -> None:
    signing_input = f"{encoded({'alg': 'ES512'})}.{encoded({'sub': '1'})}"
    from jwt.algorithms import ECAlgorithm

    weak = ECAlgorithm(ECAlgorithm.SHA512).sign(signing_input.encode(), private_key("P-256"))

    assert reason_of(f"{signing_input}.{encoded(weak)}", key("P-256")) == "no_fitting_key"


def test_a_key_that_names_its_algorithm_verifies_no_other() -> None:
    assert reason_of(sign({}, algorithm="PS256"), key(alg="RS256")) == "no_fitting_key"
    assert key(alg="RS256").algorithms == {"RS256"}


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "x5t"])
def test_a_key_that_the_token_brings_along_is_not_looked_at(member: str) -> None:
    values = {"jwk": jwk("RSA-2048 second"), "x5c": ["MIIB"]}
    token = sign({}, key="RSA-2048 second", kid=RSA, **{member: values.get(member, "https://evil.test/keys")})

    assert reason_of(token, key()) == "wrong_signature"


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}])
def test_extensions_that_must_be_understood_are_refused(header: dict[str, Any]) -> None:
    assert reason_of(sign({}, **header), key()) == "critical_header"


def test_an_unencoded_payload_is_refused() -> None:
    assert reason_of(sign({}, b64=False), key()) == "malformed"


@pytest.mark.parametrize("kid", [7, ["RSA-2048"], {"a": 1}, True])
def test_a_kid_is_text(kid: object) -> None:
    assert reason_of(sign({}, kid=kid), key()) == "malformed"


def test_a_payload_that_is_no_object_is_refused() -> None:
    for payload in (b"[]", b'"text"', b"7", b"\xff", b'{"sub":"1","sub":"2"}', b'{"sub":"\\ud800"}'):
        assert reason_of(sign(payload), key()) == "malformed"


def test_a_header_with_a_member_twice_is_refused() -> None:
    header = encoded(b'{"alg":"RS256","alg":"RS256"}')
    signing_input = f"{header}.{encoded({'sub': '1'})}"

    assert reason_of(f"{signing_input}.{encoded(signature(RSA, 'RS256', signing_input))}", key()) == "malformed"


def _variants() -> dict[str, str]:
    head, payload, made = sign({"sub": "1"}).split(".")
    return {
        "empty": "",
        "two segments": f"{head}.{payload}",
        "four segments": f"{head}.{payload}.{made}.x",
        "JWE": f"{head}.{payload}.{made}.x.y",
        "no signature": f"{head}.{payload}.",
        "no payload": f"{head}..{made}",
        "padded": f"{head}.{payload}.{made}=",
        "space": f"{head}.{payload}. {made}",
        "newline": f"{head}.{payload}.{made}\n",
        "standard alphabet": f"{head}.{payload}.{made[:-4]}+/+/",
        "not ASCII": f"{head}.{payload}.{made[:-1]}ü",
        "length 4n+1": f"{head}.{payload}.{made}AAA",
        "loose last bits": f"{head}.{payload}.{made[:-1]}{chr(ord(made[-1]) + 1)}",
        "a list": "[]",
    }


@pytest.mark.parametrize("name", _variants())
def test_only_the_canonical_form_is_a_jws(name: str) -> None:
    assert reason_of(_variants()[name], key()) == "malformed"


def test_size_is_bounded_before_anything_is_decoded() -> None:
    assert reason_of("a" * (MAX_TOKEN_LENGTH + 1)) == "too_large"
    assert reason_of(sign({}, note="x" * 5000), key()) == "too_large"
    assert reason_of(sign({"x": "y" * MAX_TOKEN_LENGTH}), key()) == "too_large"


class TestKeysOfASet:
    """RFC 7517 §4, §5: what is not for us is skipped, and never the reason of a failure."""

    @pytest.mark.parametrize(
        "entry",
        [
            {},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": ["RSA"]},
            {"kty": "RSA", "n": "AQAB"},
            {"kty": "RSA", "n": 7, "e": "AQAB"},
            {"kty": "RSA", "n": "not base64!", "e": "AQAB"},
            {"kty": "RSA", "n": "A" * 9000, "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
            {"kty": "OKP", "crv": "X25519", "x": "AA"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
            {"kty": "new", "x": "AA"},
        ],
        ids=str,
    )
    def test_a_broken_or_unknown_key_is_skipped(self, entry: dict[str, Any]) -> None:
        assert key_from_jwk(entry, allowed=EVERY) is None

    @pytest.mark.parametrize(
        ("name", "members"),
        [
            (RSA, {"e": ""}),
            (RSA, {"e": "AQ"}),
            (RSA, {"e": "BA"}),
            (RSA, {"e": "_" * 400}),
            (RSA, {"e": ["AQAB"]}),
            (RSA, {"n": "not base64!"}),
            (RSA, {"n": "ü"}),
            ("P-256", {"y": "AA"}),
            ("P-256", {"x": None}),
            ("P-256", {"crv": "P-384"}),
            ("P-256", {"kty": "OKP"}),
            ("Ed25519", {"crv": "Ed448"}),
            ("Ed25519", {"kty": "EC"}),
        ],
        ids=str,
    )
    def test_a_good_key_with_a_wrong_member_is_skipped(self, name: str, members: dict[str, Any]) -> None:
        assert key_from_jwk(jwk(name), allowed=EVERY) is not None
        assert key_from_jwk(jwk(name, **members), allowed=EVERY) is None

    @pytest.mark.parametrize(
        "members",
        [
            {"use": "enc"},
            {"use": ["sig"]},
            {"key_ops": ["encrypt"]},
            {"key_ops": "verify"},
            {"alg": "RSA-OAEP"},
            {"alg": "HS256"},
            {"alg": "ES256"},
            {"alg": ["RS256"]},
            {"kid": 7},
        ],
        ids=str,
    )
    def test_a_key_for_something_else_is_skipped(self, members: dict[str, Any]) -> None:
        assert key_from_jwk(jwk(RSA, **members), allowed=EVERY) is None

    @pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
    def test_a_point_that_is_not_on_the_curve_makes_no_key(self, curve: str) -> None:
        assert makes_a_key(key(curve))
        assert not makes_a_key(key(curve, y=jwk(curve)["x"]))

    def test_a_coordinate_has_the_length_of_its_curve(self) -> None:
        good = jwk("P-256")

        assert key_from_jwk({**good, "x": "AAAA" + good["x"]}, allowed=EVERY) is None

    @pytest.mark.parametrize(("octets", "is_taken"), [(1024, True), (1025, False)])
    def test_a_long_rsa_key_is_skipped(self, octets: int, is_taken: bool) -> None:  # noqa: FBT001 - the expectation
        found = key_from_jwk(jwk(RSA, n=encoded(b"\xff" * octets)), allowed=EVERY)

        assert (found is not None) is is_taken

    def test_members_of_which_no_key_can_be_made_verify_nothing(self) -> None:
        broken = key("P-256", y=jwk("P-256")["x"])

        assert reason_of(sign({}, key="P-256", algorithm="ES256"), broken) == "wrong_signature"

    def test_padding_is_passed_over(self) -> None:
        modulus = jwk(RSA)["n"]

        padded = key(n=modulus + "=" * (-len(modulus) % 4))

        assert verify_jws(parse_jws(sign({"sub": "1"}), allowed=EVERY), [padded]).payload == {"sub": "1"}

    def test_a_key_that_can_be_made_all_the_same_is_not_skipped_for_a_line_break(self) -> None:
        broken_off = key(e="AQAB\n")

        assert verify_jws(parse_jws(sign({"sub": "1"}), allowed=EVERY), [broken_off]).payload == {"sub": "1"}

    def test_a_member_that_is_too_long_is_not_read(self) -> None:
        assert key_from_jwk(jwk(RSA, n="A" * 1024 + jwk(RSA)["n"]), allowed=EVERY) is not None
        assert key_from_jwk(jwk(RSA, n="A" * 8192 + jwk(RSA)["n"]), allowed=EVERY) is None

    def test_a_short_rsa_key_is_skipped(self) -> None:
        assert key_from_jwk(jwk("RSA-1024"), allowed=EVERY) is None

    def test_a_curve_that_no_algorithm_of_ours_has_is_skipped(self) -> None:
        assert key_from_jwk(jwk("secp256k1"), allowed=EVERY) is None

    def test_only_keys_for_the_configured_algorithms_are_kept(self) -> None:
        assert key_from_jwk(jwk("P-256"), allowed={"RS256"}) is None

    def test_private_members_are_not_read(self) -> None:
        found = key_from_jwk({**jwk(RSA), "d": "AQAB", "p": "AQAB"}, allowed=EVERY)

        assert found is not None
        assert {name for name, _ in found.members} == {"kty", "n", "e"}

    def test_use_and_operations_for_signatures_are_welcome(self) -> None:
        assert key(use="sig", key_ops=["verify"], alg="RS256").kid == RSA


def test_our_own_token_is_read_without_a_key_and_nonsense_is_empty() -> None:
    assert own_payload(sign({"nonce": "n"})) == {"nonce": "n"}
    assert own_payload("opaque") == {}


def test_an_algorithm_of_two_thousand_letters_is_not_repeated_whole() -> None:
    compact = ".".join((encoded({"alg": "X" * 2000}), encoded({"sub": "alice"}), "AA"))

    with pytest.raises(TokenRejected) as refused:
        parse_jws(compact, allowed=EVERY)

    assert refused.value.reason == "algorithm_not_allowed"
    assert len(str(refused.value)) < 100


def test_only_so_many_keys_are_kept_made() -> None:
    good = key()
    for number in range(2 * MAX_KEYS):
        others = tuple({**dict(good.members), "n": str(number)}.items())
        assert reason_of(sign({}), SigningKey(None, good.algorithms, others)) == "wrong_signature"

    assert MAX_KEYS < _public_key.cache_info().currsize < 2 * MAX_KEYS


async def test_what_verifies_is_imported_once_and_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    imported_in: list[threading.Thread] = []

    @cache
    def algorithms() -> dict[str, object]:
        imported_in.append(threading.current_thread())
        return {}

    monkeypatch.setattr("proxy.oidc.jws._algorithms", algorithms)

    await import_algorithms()
    monkeypatch.delattr("asyncio.to_thread")
    await import_algorithms()

    assert len(imported_in) == 1
    assert imported_in[0] is not threading.main_thread()


async def test_a_token_is_judged_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(_work: object) -> None:
        raise RuntimeError("can't start new thread")

    _algorithms.cache_clear()
    monkeypatch.setattr("asyncio.to_thread", refuses)

    await import_algorithms()

    assert verify_jws(parse_jws(sign({"sub": "1"}), allowed=EVERY), [key()]).payload == {"sub": "1"}
