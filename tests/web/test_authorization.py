"""The authorization request as a URL."""

from __future__ import annotations

import pytest

from proxy.core.secret import Secret
from proxy.web.authorization import authorization_url, code_challenge, wishes
from proxy.web.options import Feature
from tests.support.own_pages import make_options, query_of
from tests.support.sessions import make_tab

ENDPOINT = "https://sso.example.com/auth"


def test_the_challenge_is_that_of_the_standards_example() -> None:
    # RFC 7636, appendix B.
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {}),
        ({"provider": "google"}, {"provider": "google"}),
        ({"provider": "a b"}, {}),
        ({"provider": "../x"}, {}),
        ({"provider": "x" * 65}, {}),
        ({"prompt": "login"}, {"prompt": "login"}),
        ({"prompt": "none"}, {"prompt": "none"}),
        ({"prompt": "create"}, {}),
        ({"prompt": "login login consent x"}, {"prompt": "login consent"}),
        ({"login_hint": "alice@example.com"}, {"login_hint": "alice@example.com"}),
        ({"login_hint": "a\nb"}, {}),
        ({"login_hint": "x" * 256}, {}),
        ({"kc_action": "UPDATE_PASSWORD"}, {"kc_action": "UPDATE_PASSWORD"}),
        ({"kc_action": "delete_credential:1a-2b"}, {"kc_action": "delete_credential:1a-2b"}),
        ({"kc_action": "x y"}, {}),
        ({"state": "x", "redirect_uri": "https://evil.example", "scope": "all"}, {}),
        ({"register": "1"}, {}),
    ],
)
def test_what_a_link_may_wish_for(query: dict[str, str], expected: dict[str, str]) -> None:
    assert wishes(query, Feature.OFF) == expected


def test_registration_replaces_every_other_prompt() -> None:
    assert wishes({"register": "1", "prompt": "none"}, Feature.ON) == {"prompt": "create"}


def test_an_endpoint_with_a_query_keeps_it() -> None:
    tab = make_tab("root", "state")

    url = authorization_url(f"{ENDPOINT}?p=policy", tab, make_options())

    assert query_of(url)["p"] == "policy"
    assert query_of(url)["state"] == "state"


def test_no_value_can_add_a_parameter() -> None:
    tab = make_tab("root", "state", notes={"login_hint": "a&scope=all#x"})

    asked = query_of(authorization_url(ENDPOINT, tab, make_options(client_id="a&b=c")))

    assert asked["login_hint"] == "a&scope=all#x"
    assert asked["client_id"] == "a&b=c"
    assert asked["scope"] == "openid profile email"


def test_notes_that_are_no_parameters_are_not_sent() -> None:
    tab = make_tab("root", "state", notes={"locale": "de"})

    assert "locale" not in query_of(authorization_url(ENDPOINT, tab, make_options()))


def test_the_verifier_is_not_in_the_url() -> None:
    tab = make_tab("root", "state", code_verifier=Secret("the-verifier"))

    assert "the-verifier" not in authorization_url(ENDPOINT, tab, make_options())
