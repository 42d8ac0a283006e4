"""Keys and tokens that prove who we are: what is taken, and one sentence for each kind of wrong one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from proxy.core.secret import Secret
from proxy.errors import SettingsError
from proxy.settings.client_keys import require_hmac_secret, require_private_key, require_service_account_token
from tests.oidc.signing import private_key
from tests.settings.test_client_auth_checks import ISSUER, service_account_token


def pem(name: str, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    made: bytes = private_key(name).private_bytes(Encoding.PEM, form, NoEncryption())
    return made.decode()


def encrypted(form: PrivateFormat) -> str:
    made: bytes = private_key("P-256").private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"words"))
    return made.decode()


@pytest.mark.parametrize("name", ["RSA-2048", "P-256"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_that_signs_is_taken(name: str, form: PrivateFormat) -> None:
    require_private_key(Secret(pem(name, form)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (pem("RSA-1024"), "the RSA key has 1024 bits, too few"),
        (pem("P-384"), "the key is on the curve secp384r1"),
        (pem("Ed25519"), "neither RSA nor on the curve P-256"),
        (encrypted(PrivateFormat.PKCS8), "is encrypted"),
        (encrypted(PrivateFormat.TraditionalOpenSSL), "is encrypted"),
        (
            private_key("P-256").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "there is a public key, and a private key is needed",
        ),
        ("hunter2", "there is no PEM private key"),
        (pem("P-256").replace("M", "N"), "there is no PEM private key"),
    ],
)
def test_each_wrong_key_has_its_own_sentence(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as fault:
        require_private_key(Secret(text))

    assert "; " in str(fault.value)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(("length", "is_taken"), [(32, True), (31, False)])
def test_a_secret_signs_from_32_bytes_on(length: int, is_taken: bool) -> None:  # noqa: FBT001 - a column of the table
    if is_taken:
        require_hmac_secret(Secret("s" * length))
        return
    with pytest.raises(SettingsError, match="shorter than 32 bytes"):
        require_hmac_secret(Secret("s" * length))


@pytest.mark.parametrize("audience", [ISSUER, [ISSUER]])
def test_a_token_for_the_issuer_alone_is_taken(audience: object) -> None:
    require_service_account_token(Secret(service_account_token(audience)), issuer=ISSUER)


@pytest.mark.parametrize("audience", [None, [], [ISSUER, "https://kubernetes.default.svc"], f"{ISSUER}/", 5])
def test_a_token_for_somebody_else_or_besides_is_refused(audience: object) -> None:
    with pytest.raises(SettingsError, match="audience"):
        require_service_account_token(Secret(service_account_token(audience)), issuer=ISSUER)


@pytest.mark.parametrize("text", ["", "hunter2", "a.b", "e30.W10.c2ln", "e30.e30.c2ln.x", "e30.!!.c2ln", "e30.ü.c2ln"])
def test_what_is_no_token_is_said_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="no token of a service account") as fault:
        require_service_account_token(Secret(text), issuer=ISSUER)

    assert "hunter2" not in str(fault.value)
