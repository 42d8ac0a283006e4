"""Which key verifies an ID token: keys without names, keys that change, keys that nobody can use.

Modules of the OpenID Foundation's plans ``oidcc-client-basic-certification-test-plan`` and
``oidcc-client-config-certification-test-plan`` that are about the key set. Two relying parties serve most of them, so
that each has to fetch no more than the five key sets for which there is a budget at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.forging_issuer import Plan, Reply, ec_key, rsa_key, without
from tests.conformance.relying_party import assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.forging_issuer import ForgingServer, Members
    from tests.conformance.relying_party import RelyingParty


@pytest.fixture(scope="module")
def of_names(forging_server: ForgingServer, start_lasting_party: Callable[..., RelyingParty]) -> RelyingParty:
    """For tests with keys of no name; they fetch four times."""
    return start_lasting_party(forging_server.alias())


@pytest.fixture(scope="module")
def of_changes(forging_server: ForgingServer, start_lasting_party: Callable[..., RelyingParty]) -> RelyingParty:
    """For tests with keys that change; they fetch five times."""
    return start_lasting_party(forging_server.alias())


def test_one_nameless_key_verifies_a_token_that_names_none(of_names: RelyingParty) -> None:
    """oidcc-client-test-kid-absent-single-jwks."""
    party, issuer = of_names, of_names.issuer
    issuer.plan, issuer.keys = Plan(), [rsa_key("lonely").nameless()]

    assert party.person().sign_in().status == 200


def test_among_nameless_keys_the_right_one_is_found(of_names: RelyingParty) -> None:
    """oidcc-client-test-kid-absent-multiple-jwks: one may refuse, or try the keys of that type. We try."""
    party, issuer = of_names, of_names.issuer
    decoys = [ec_key("curve").nameless(), rsa_key("decoy").nameless()]
    issuer.keys = [rsa_key("right").nameless(), *decoys]
    issuer.plan = Plan(key_set=lambda published: {"keys": published["keys"][::-1]})

    assert party.person().sign_in().status == 200

    issuer.plan = Plan(key_set=issuer.plan.key_set, signer=("RS256", rsa_key("stranger").private))
    person = party.person()
    assert_refused(person, person.sign_in())


def test_a_token_that_names_no_key_may_be_signed_by_one_that_has_a_name(of_names: RelyingParty) -> None:
    """oidcc-client-test-kid-absent-multiple-jwks, where the keys of the set have names all the same."""
    party, issuer = of_names, of_names.issuer
    issuer.keys = [rsa_key("named"), rsa_key("another named")]
    issuer.plan = Plan(header=without("kid"), key_set=lambda published: {"keys": published["keys"][::-1]})

    assert party.person().sign_in().status == 200


def test_a_key_that_changes_just_before_the_signature_is_fetched(of_changes: RelyingParty) -> None:
    """oidcc-client-test-signing-key-rotation-just-before-signing."""
    party, issuer = of_changes, of_changes.issuer
    issuer.calls.clear()
    issuer.plan = Plan(before_signing=lambda: issuer.rotate("just before"))

    assert party.person().sign_in().status == 200

    assert [call.endpoint for call in issuer.calls if call.endpoint in {"swap", "k3ys"}] == ["swap", "k3ys"]


def test_keys_that_change_between_two_logins_are_fetched(of_changes: RelyingParty) -> None:
    """oidcc-client-test-signing-key-rotation; a third key without a name is found as well."""
    party, issuer = of_changes, of_changes.issuer
    issuer.plan = Plan()
    assert party.person().sign_in().status == 200
    issuer.calls.clear()

    issuer.rotate("after the first login")
    assert party.person().sign_in().status == 200
    issuer.keys = [rsa_key("third").nameless()]
    assert party.person().sign_in().status == 200

    assert len(issuer.called("k3ys")) == 2


def test_keys_that_nobody_can_use_are_skipped(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """oidcc-client-test-ignores-unparseable-key-in-jwks, and a few more that are strange."""
    issuer = forging_server.alias()

    def with_strangers(published: Members) -> Members:
        strangers = [
            {"kty": "AKP", "alg": "ML-DSA-999", "kid": "pq", "pub": "AAAA", "use": "sig"},
            {"kty": "made-up", "kid": "what"},
            {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB", "use": "sig"},
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
            {**published["keys"][0], "use": "enc", "kid": "encryption"},
            "no key at all",
            {},
        ]
        return {"keys": [*strangers, *published["keys"]]}

    issuer.plan = Plan(key_set=with_strangers)
    party = start_party(issuer)

    assert party.person().sign_in().status == 200


def test_a_provider_that_signs_by_another_algorithm_is_understood_where_that_is_configured(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """oidcc-client-test with ES256 on P-256; RS256 is a stranger's algorithm then, though its key is published."""
    issuer = forging_server.alias()
    issuer.keys = [ec_key("curve"), rsa_key("first")]
    party = start_party(issuer, keycloak={"signing_algorithms": ["ES256"]})

    assert party.person().sign_in().status == 200

    issuer.keys = issuer.keys[::-1]
    person = party.person()
    assert_refused(person, person.sign_in())


def test_keys_that_cannot_be_had_are_an_outage_and_no_way_in(of_changes: RelyingParty) -> None:
    """A rotation while the key set is out of order: 503, no session; and the next try works once it is back."""
    party, issuer = of_changes, of_changes.issuer
    issuer.rotate("out of reach")
    issuer.plan = Plan(broken={"k3ys": Reply(500)})
    person = party.person()

    assert_refused(person, person.sign_in(), status=503)

    issuer.plan = Plan()
    assert person.sign_in().status == 200
