"""Discovery: what is taken from the provider's own word, and when it is not believed.

Modules of the OpenID Foundation's plan ``oidcc-client-config-certification-test-plan``, and the shapes that an issuer
may have (OIDC Discovery 1.0 §4). Those about keys are in ``test_keys.py``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conformance.forging_issuer import SUBJECT, Plan, with_members
from tests.contracts.web_browser import WebBrowser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.forging_issuer import ForgingServer
    from tests.conformance.relying_party import RelyingParty


def test_endpoints_and_keys_are_those_of_discovery(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """oidcc-client-test-discovery-openid-config, oidcc-client-test-discovery-jwks-uri-keys."""
    issuer = forging_server.alias()
    party = start_party(issuer)

    assert party.person().sign_in().status == 200

    asked = [call.endpoint for call in issuer.calls]
    assert asked[:2] == [".well-known/openid-configuration", "k3ys"]
    assert sorted(set(asked[2:])) == ["go", "swap", "who"]


def test_a_document_of_another_issuer_is_refused_while_the_process_lives_on(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """oidcc-client-test-discovery-issuer-mismatch: not ready, alive, nobody is sent to that provider."""
    issuer = forging_server.alias()
    issuer.plan = Plan(metadata=with_members(issuer=issuer.url + "INVALID"))
    party = start_party(issuer, wait_for="listening")
    management, person = party.sidegate.management_url, party.person()

    ready, alive = (WebBrowser().get(f"{management}/{page}") for page in ("readyz", "healthz"))
    answer = person.sign_in()

    assert (ready.status, alive.status) == (503, 200)
    assert "INVALID" in json.dumps(ready.json)
    assert (answer.status, person.has_session_cookie) == (503, False)
    assert {call.endpoint for call in issuer.calls} == {".well-known/openid-configuration"}


def test_a_document_that_is_put_right_is_believed_without_a_restart(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """oidcc-client-test-discovery-issuer-mismatch, afterwards."""
    issuer = forging_server.alias()
    issuer.plan = Plan(metadata=with_members(issuer="https://elsewhere.example/"))
    party = start_party(issuer, wait_for="listening")

    issuer.plan = Plan()
    party.sidegate.wait_until_ready()

    assert party.person().sign_in().status == 200


@pytest.mark.parametrize("path", ["/no/slash", "/tenant%20one/v2.0/"])
def test_an_issuer_may_have_any_shape(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer, path: str
) -> None:
    """oidcc-client-test at issuers of other shapes: compared to the letter, found with or without the slash."""
    party = start_party(forging_server.alias(path))
    person = party.person()

    assert person.sign_in().status == 200
    assert person.told_to_app()["HTTP_X_AUTH_SUBJECT"] == SUBJECT
