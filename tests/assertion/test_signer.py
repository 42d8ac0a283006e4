"""What an app reads in an assertion, and how long one serves."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from msgspec.structs import replace

from proxy.assertion.key_ring import LOOK_EVERY_S, KeyRing, signing_key
from proxy.assertion.signer import MAX_LIST_BYTES, AssertionRules, AssertionSigner
from proxy.core.headers import HeaderRules, UnverifiedEmail
from proxy.core.identity import Identity
from proxy.core.narrowing import EVERYTHING, Narrowing
from proxy.core.secret import Secret
from proxy.core.session import NEVER, Session
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_session

KEY = derive_private_key(11, SECP256R1())
ALICE = Identity(
    issuer=ISSUER,
    subject="alice-id",
    username="alice",
    name="Alice Ärmel",
    email="alice@example.com",
    email_is_verified=True,
    roles=frozenset({"viewer", "legacy-app:editor", "billing:clerk"}),
    groups=frozenset({"/staff", "/board"}),
)


class SignerInHand:
    """A signer, its keys and its clock."""

    def __init__(self, **rules: Any) -> None:
        self.keys: tuple[EllipticCurvePrivateKey, ...] = (KEY,)
        self.clock, self.observer = FakeClock(), RecordingObserver()
        headers = rules.pop("headers", HeaderRules(client_id="legacy-app"))
        self.rules = AssertionRules(
            **{"issuer": "https://app.example.com", "audience": "app", "lifetime_s": 60.0, "headers": headers, **rules}
        )
        ring = KeyRing(lambda: self.keys, clock=self.clock, observer=self.observer)
        counter = itertools.count()
        self.signer = AssertionSigner(
            self.rules, ring, random_bytes=lambda n: next(counter).to_bytes(n, "big"), observer=self.observer
        )

    def signed(self, person: Session, narrowing: Narrowing = EVERYTHING, *, after: float = 0.0) -> bytes:
        return self.signer.signed(person, narrowing, host="app.example.com", now=START + after)

    def claims(self, person: Session, narrowing: Narrowing = EVERYTHING) -> dict[str, Any]:
        """Verify as an app does, and return what is said."""
        return jwt.decode(
            self.signed(person, narrowing),
            KEY.public_key(),
            algorithms=["ES256"],
            audience="app",
            issuer="https://app.example.com",
            options={"require": ["exp", "iat", "nbf", "sub", "jti"], "verify_exp": False, "verify_nbf": False,
                     "verify_iat": False},
        )  # fmt: skip


@pytest.fixture
def hand() -> SignerInHand:
    return SignerInHand()


def session(identity: Identity = ALICE, **changes: Any) -> Session:
    return dataclasses.replace(make_session(Secret("cookie")), identity=identity, **changes)


def test_an_assertion_says_who_asks_for_whom_and_until_when(hand: SignerInHand) -> None:
    said = hand.claims(session(acr="gold", authenticated_at=START - 90))

    assert said == {
        "iss": "https://app.example.com",
        "aud": "app",
        "sub": "alice-id",
        "iat": START,
        "nbf": START,
        "exp": START + 60,
        "jti": "0" * 24,
        "preferred_username": "alice",
        "name": "Alice Ärmel",
        "email": "alice@example.com",
        "acr": "gold",
        "auth_time": START - 90,
        "roles": ["legacy-app:editor", "viewer"],
        "groups": ["/board", "/staff"],
    }


def test_the_header_names_algorithm_kind_and_key(hand: SignerInHand) -> None:
    header = jwt.get_unverified_header(hand.signed(session()))

    assert header == {"alg": "ES256", "typ": "JWT", "kid": signing_key(KEY).key_id}


def test_it_verifies_by_the_key_set_that_is_published(hand: SignerInHand) -> None:
    keys = jwt.PyJWKSet.from_dict(dict(hand.signer.key_set()))
    signed = hand.signed(session())

    jwt.decode(signed, keys[jwt.get_unverified_header(signed)["kid"]], ["ES256"], audience="app",
               options={"verify_exp": False, "verify_nbf": False, "verify_iat": False})  # fmt: skip


def test_what_nobody_knows_is_not_said(hand: SignerInHand) -> None:
    said = hand.claims(session(Identity(issuer=ISSUER, subject="x"), acr=None, authenticated_at=NEVER))

    assert set(said) == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "roles", "groups"}
    assert (said["roles"], said["groups"]) == ([], [])


def test_an_unverified_address_is_said_only_where_such_are_sent() -> None:
    unverified = session(replace(ALICE, email_is_verified=False))
    sending = HeaderRules(client_id="legacy-app", unverified_email=UnverifiedEmail.SEND)

    assert "email" not in SignerInHand().claims(unverified)
    assert SignerInHand(headers=sending).claims(unverified)["email"] == "alice@example.com"


def test_it_never_outlives_the_person(hand: SignerInHand) -> None:
    assert hand.claims(session(expires_at=START + 7.9))["exp"] == START + 7


def test_a_route_that_narrows_says_less_and_its_own(hand: SignerInHand) -> None:
    everything = hand.claims(session())
    narrowed = hand.claims(session(), Narrowing(roles=("viewer",), groups=()))

    assert (narrowed["roles"], narrowed["groups"]) == (["viewer"], [])
    assert everything["roles"] == ["legacy-app:editor", "viewer"]
    assert narrowed["jti"] != everything["jti"]


def test_a_site_of_many_hosts_speaks_as_the_one_that_was_asked() -> None:
    hand = SignerInHand(issuer="https://*.apps.example.com/base")

    one, two, again = [
        hand.signer.signed(session(), EVERYTHING, host=host, now=START)
        for host in ("a.apps.example.com", "b.apps.example.com", "a.apps.example.com")
    ]

    said = [jwt.decode(signed, options={"verify_signature": False})["iss"] for signed in (one, two)]
    assert said == ["https://a.apps.example.com/base", "https://b.apps.example.com/base"]
    assert again == one


# --- how long one serves ---------------------------------------------------------------------------------------------


def test_one_serves_until_half_of_its_lifetime_is_over(hand: SignerInHand) -> None:
    one = session()
    first = hand.signed(one)

    assert hand.signed(one, after=29.9) == first
    assert hand.signed(one, after=30) != first


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": replace(ALICE, roles=frozenset())},
        {"acr": "gold"},
        {"authenticated_at": START - 1},
        {"key": make_session(Secret("another")).key},
    ],
)
def test_another_state_of_a_person_is_signed_anew(hand: SignerInHand, changes: dict[str, Any]) -> None:
    first = hand.signed(session())

    assert hand.signed(session(**changes)) != first


def test_other_keys_sign_anew_at_once(hand: SignerInHand) -> None:
    first = hand.signed(session())
    hand.keys = (derive_private_key(22, SECP256R1()),)
    hand.clock.advance(LOOK_EVERY_S)

    second = hand.signed(session(), after=LOOK_EVERY_S)
    assert second != first
    assert jwt.get_unverified_header(second)["kid"] == signing_key(hand.keys[0]).key_id


def test_what_is_kept_is_bounded(hand: SignerInHand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand.signer._kept, "_entries", 2)
    people = [session(key=make_session(Secret(f"cookie-{n}")).key) for n in range(3)]
    first, second, third = [hand.signed(person) for person in people]

    assert hand.signed(people[2]) == third
    assert hand.signed(people[1]) == second
    assert hand.signed(people[0]) != first, "the oldest was let go"
    assert len(hand.signer._kept) == 2


# --- what is too long ------------------------------------------------------------------------------------------------


def test_a_list_that_is_too_long_says_so_itself_and_is_told(hand: SignerInHand) -> None:
    roles = frozenset(f"role-{n:04}" for n in range(500))

    said = hand.claims(session(replace(ALICE, roles=roles)))

    assert said["truncated"] == ["roles"]
    assert said["roles"] == sorted(roles)[: len(said["roles"])]
    assert MAX_LIST_BYTES - 20 < sum(len(role) + 3 for role in said["roles"]) <= MAX_LIST_BYTES
    assert said["groups"] == ["/board", "/staff"]
    assert hand.observer.truncated == ["assertion roles"]
    assert len(hand.observer.warnings) == 1


@pytest.mark.parametrize("sign", ["a", "ä", "\\", "日"])
def test_the_longest_assertion_fits_into_a_header_line(hand: SignerInHand, sign: str) -> None:
    names = frozenset(f"{n:05}{sign * 20}" for n in range(500))
    everything = replace(
        ALICE, subject="s" * 255, username=sign * 300, name=sign * 300, email=sign * 300, roles=names, groups=names
    )

    signed = hand.signed(session(everything, acr="a" * 200))

    assert len(b"X-Sidegate-Assertion: " + signed + b"\r\n") <= 8190


def test_a_name_without_end_is_not_said(hand: SignerInHand) -> None:
    said = hand.claims(session(replace(ALICE, username="x" * 5000)))

    assert "preferred_username" not in said
    assert said["sub"] == "alice-id"


@pytest.mark.parametrize("name", ["alice\r\nadmin", "alice ", "al\x00ice", "\ud800"])
def test_a_name_that_no_header_could_say_is_not_said_here_either(hand: SignerInHand, name: str) -> None:
    said = hand.claims(session(replace(ALICE, username=name, name=name, email=name)))

    assert {"preferred_username", "name", "email"} & set(said) == set()
    assert said["sub"] == "alice-id"
