"""The authorization request as a URL."""

from __future__ import annotations

from proxy.core.secret import Secret
from proxy.web.authorization import authorization_url, code_challenge
from tests.support.own_pages import make_options, query_of
from tests.support.sessions import make_tab

ENDPOINT = "https://sso.example.com/auth"


def test_the_challenge_is_that_of_the_standards_example() -> None:
    # RFC 7636, appendix B.
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_an_endpoint_with_a_query_keeps_it() -> None:
    tab = make_tab("root", "state")

    url = authorization_url(f"{ENDPOINT}?p=policy", tab, options=make_options(), host="app.example.com")

    assert query_of(url)["p"] == "policy"
    assert query_of(url)["state"] == "state"


def test_no_value_can_add_a_parameter() -> None:
    tab = make_tab("root", "state", notes={"login_hint": "a&scope=all#x"})

    asked = query_of(authorization_url(ENDPOINT, tab, options=make_options(client_id="a&b=c"), host="app.example.com"))

    assert asked["login_hint"] == "a&scope=all#x"
    assert asked["client_id"] == "a&b=c"
    assert asked["scope"] == "openid profile email"


def test_notes_that_are_no_parameters_are_not_sent() -> None:
    tab = make_tab("root", "state", notes={"locale": "de"})

    assert "locale" not in query_of(authorization_url(ENDPOINT, tab, options=make_options(), host="app.example.com"))


def test_the_verifier_is_not_in_the_url() -> None:
    tab = make_tab("root", "state", code_verifier=Secret("the-verifier"))

    assert "the-verifier" not in authorization_url(ENDPOINT, tab, options=make_options(), host="app.example.com")


def test_wishes_become_the_parameters_that_the_standard_names() -> None:
    wishes = {"ui_locales": "de fr", "acr_values": "gold", "max_age": "300", "provider": "google"}

    asked = query_of(
        authorization_url(
            ENDPOINT, make_tab("root", "state", notes=wishes), options=make_options(), host="app.example.com"
        )
    )

    assert {name: asked[name] for name in ("ui_locales", "acr_values", "max_age")} == {
        "ui_locales": "de fr",
        "acr_values": "gold",
        "max_age": "300",
    }
    assert asked["kc_idp_hint"] == "google"
