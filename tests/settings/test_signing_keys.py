"""PEM keys that sign the assertion: what is taken, and what is said about everything else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from proxy.errors import SettingsError
from proxy.settings.signing_keys import MAX_SIGNING_KEYS, make_signing_key, parse_signing_keys


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


P256 = ec.generate_private_key(ec.SECP256R1())


def test_a_fresh_key_is_pkcs8_and_is_taken() -> None:
    made = make_signing_key()

    (key,) = parse_signing_keys(made)
    assert made.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert key.curve.name == "secp256r1"
    assert made != make_signing_key()


def test_the_older_form_is_taken_too_with_what_openssl_writes_before_it() -> None:
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

    (key,) = parse_signing_keys(parameters + pem(P256, PrivateFormat.TraditionalOpenSSL))

    assert key.public_key() == P256.public_key()


def test_several_keys_keep_their_order() -> None:
    new, old = make_signing_key(), make_signing_key()

    keys = parse_signing_keys(f"# new\n{new}\n# old\r\n{old}")

    assert [key.public_key() for key in keys] == [parse_signing_keys(one)[0].public_key() for one in (new, old)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no PEM private key; make one with `sidegate keygen --signing`"),
        ("c2VjcmV0", "no PEM private key"),
        ("-----BEGIN PRIVATE KEY-----\nMIG", "no PEM private key"),
        ("-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----", "cannot be read"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "an RSA key"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "of another kind"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "on the curve secp384r1"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1"),
        (pem(P256, encryption=BestAvailableEncryption(b"pw")), "is encrypted"),
        (pem(P256, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"pw")), "is encrypted"),
        (
            P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "a public key, and a private key is needed",
        ),
        (pem(P256) + pem(P256, PrivateFormat.TraditionalOpenSSL), "the same key stands there twice"),
        ("".join(make_signing_key() for _ in range(MAX_SIGNING_KEYS + 1)), "there are 5 keys"),
    ],
)
def test_everything_else_has_a_sentence_that_shows_no_key(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_signing_keys(text)

    assert sentence in str(refused.value)
    assert "; " in str(refused.value), "a remedy follows"
    assert not any(line in str(refused.value) for line in text.splitlines() if line and "-----" not in line)


def test_as_many_keys_as_are_allowed_are_taken() -> None:
    assert len(parse_signing_keys("".join(make_signing_key() for _ in range(MAX_SIGNING_KEYS)))) == MAX_SIGNING_KEYS
