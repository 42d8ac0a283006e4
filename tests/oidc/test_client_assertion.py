"""What a signed assertion says, and which keys may sign one; RFC 7523 §3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured
from proxy.oidc.client_assertion import (
    ASSERTION_TYPE,
    THUMBPRINT,
    ClientSecretJwt,
    PrivateKeyJwt,
    ServiceAccountToken,
    jwk_thumbprint,
    parse_private_key,
    public_jwk,
)
from tests.oidc.signing import private_key
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from proxy.oidc.client_auth import ClientAuthentication

AUDIENCE = "https://sso.example.com/realms/acme"
SECRET = Secret("s" * 32)


def pem(name: str) -> Secret:
    return Secret(private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def assertion(method: ClientAuthentication, **options: Any) -> str:
    form = method.credentials(audience=AUDIENCE, **options).form
    assert (form["client_id"], form["client_assertion_type"]) == ("app", ASSERTION_TYPE)
    assert set(form) == {"client_id", "client_assertion_type", "client_assertion"}
    return form["client_assertion"]


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def methods(clock: FakeClock) -> list[ClientAuthentication]:
    return [
        ClientSecretJwt("app", lambda: SECRET, clock),
        PrivateKeyJwt("app", lambda: pem("RSA-2048"), clock),
        PrivateKeyJwt("app", lambda: pem("P-256"), clock),
    ]


@pytest.mark.parametrize(("index", "algorithm"), [(0, "HS256"), (1, "RS256"), (2, "ES256")])
def test_it_says_who_to_whom_and_for_how_long(clock: FakeClock, index: int, algorithm: str) -> None:
    method = methods(clock)[index]
    first, second = assertion(method), assertion(method)
    verifying: Any = [SECRET.reveal(), private_key("RSA-2048").public_key(), private_key("P-256").public_key()][index]

    options: Any = {"verify_exp": False, "verify_iat": False}  # the clock of the test stands elsewhere
    said = jwt.decode(first, verifying, algorithms=[algorithm], audience=AUDIENCE, options=options)

    assert jwt.get_unverified_header(first) == {"alg": algorithm, "typ": "JWT"}
    assert said.pop("jti") != claims(second)["jti"]
    assert said == {"iss": "app", "sub": "app", "aud": AUDIENCE, "iat": int(START), "exp": int(START) + 60}


@pytest.mark.parametrize(
    ("key_id", "kid"),
    [(None, None), ("k-1", "k-1"), (THUMBPRINT, jwk_thumbprint(public_jwk(private_key("P-256"))))],
    ids=["unnamed", "named", "thumbprint"],
)
def test_the_key_is_named_where_it_has_a_name(clock: FakeClock, key_id: str | None, kid: str | None) -> None:
    method = PrivateKeyJwt("app", lambda: pem("P-256"), clock, key_id)

    assert jwt.get_unverified_header(assertion(method)).get("kid") == kid


RFC_7638_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
    "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
    "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


def test_a_thumbprint_is_that_of_the_standard() -> None:
    # The example of RFC 7638 §3.1; members that need not be there do not count.
    example = {"kty": "RSA", "n": RFC_7638_MODULUS, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}

    assert jwk_thumbprint(example) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert set(public_jwk(private_key("P-256"))) == {"crv", "kty", "x", "y"}


def test_a_key_that_was_exchanged_counts_at_once_and_the_one_before_can_be_used_once_more(clock: FakeClock) -> None:
    keys = iter(["RSA-2048", "P-256"])
    method = PrivateKeyJwt("app", lambda: pem(next(keys)), clock)

    before, now = method.credentials(audience=AUDIENCE), method.credentials(audience=AUDIENCE)
    again = assertion(method, made_of=before.made_of)

    assert [jwt.get_unverified_header(one.form["client_assertion"])["alg"] for one in (before, now)] == [
        "RS256",
        "ES256",
    ]
    assert jwt.get_unverified_header(again)["alg"] == "RS256"
    assert before.made_of != now.made_of


def test_the_secret_before_can_sign_once_more(clock: FakeClock) -> None:
    method = ClientSecretJwt("app", lambda: SECRET, clock)
    older = Secret("o" * 32)

    jwt.decode(assertion(method, made_of=older), older.reveal(), algorithms=["HS256"], options={"verify_aud": False,
               "verify_exp": False, "verify_iat": False})  # fmt: skip


def test_a_short_secret_signs_nothing(clock: FakeClock) -> None:
    with pytest.raises(ClientMisconfigured, match="shorter than the 32 bytes"):
        ClientSecretJwt("app", lambda: Secret("s" * 31), clock).credentials(audience=AUDIENCE)


def _public(name: str) -> str:
    made: bytes = private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


def _encrypted() -> str:
    encryption = BestAvailableEncryption(b"words")
    made: bytes = private_key("P-256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return made.decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "no unencrypted private key"),
        (_public("P-256"), "no unencrypted private key"),
        (_encrypted(), "no unencrypted private key"),
        (pem("RSA-1024").reveal(), "neither RSA of 2048"),
        (pem("P-384").reveal(), "neither RSA of 2048"),
        (pem("Ed25519").reveal(), "neither RSA of 2048"),
    ],
)
def test_another_kind_of_key_signs_nothing_and_shows_nothing(text: str, words: str) -> None:
    with pytest.raises(ClientMisconfigured, match=words) as fault:
        parse_private_key(Secret(text))

    assert "BEGIN" not in str(fault.value)


def test_the_token_of_a_service_account_is_read_for_each_call_and_passed_on(clock: FakeClock) -> None:
    tokens = iter([Secret("h.first.s\n"), Secret("h.second.s")])
    method = ServiceAccountToken("app", lambda: next(tokens))

    found = [method.credentials(audience=AUDIENCE) for _ in range(2)]

    assert [one.form["client_assertion"] for one in found] == ["h.first.s", "h.second.s"]
    assert {one.made_of for one in found} == {None}


def test_a_token_that_is_not_there_is_our_fault_in_one_sentence() -> None:
    def gone() -> Secret:
        raise FileNotFoundError(2, "No such file or directory", "/run/token")

    with pytest.raises(ClientMisconfigured, match="service account token cannot be read"):
        ServiceAccountToken("app", gone).credentials(audience=AUDIENCE)


def test_no_assertion_shows(clock: FakeClock) -> None:
    method = PrivateKeyJwt("app", lambda: pem("P-256"), clock)

    found = method.credentials(audience=AUDIENCE)

    assert found.form["client_assertion"] not in repr(found)
    assert "BEGIN" not in repr(found) + repr(method)
