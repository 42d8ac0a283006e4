"""Coming back without a question after a session that ended by itself, with a real Keycloak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import House, Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.web_browser import Answer
    from tests.keycloak.server import KeycloakServer

ACCESS_S = 3
PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    attributes = {"access.token.lifespan": str(ACCESS_S)}
    made = House(keycloak, tmp_path_factory.mktemp("silent"), client={"attributes": attributes})
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def code_of_callback(person: Person, username: str) -> str:
    """Sign in at Keycloak's page; returns the code that our callback was given."""
    page = person.browser.get(person.get("/_sidegate/start").location, Accept="text/html")
    form = {"username": username, "password": f"{username}-pw", "credentialId": ""}
    callback = person.browser.post(page.form_action, form)
    assert person.follow(callback).status == 302
    return parse_qs(urlsplit(callback.location).query)["code"][0]


def lose_client_session(house: House, code: str) -> None:
    """Give a code a second time: Keycloak takes our client out of the session for it, and leaves the session."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{house.url}/_sidegate/callback"}
    secret = {"client_id": house.client.client_id, "client_secret": house.client.secret}
    answer = WebBrowser().post(f"{house.keycloak.issuer()}/protocol/openid-connect/token", {**form, **secret})
    assert answer.status == 400


def led_away(person: Person) -> Answer:
    """Ask until the refresh was refused and the login page is where one is led; returns its answer.

    401 is for the request that was with the app in the moment when the session ended.
    """
    until = time.monotonic() + PATIENCE_S
    while (answer := person.get("/reports")).status in {200, 401} and time.monotonic() < until:
        time.sleep(0.2)
    assert answer.status == 302, answer.text
    return person.follow(answer)


def test_whose_client_session_is_gone_comes_back_by_the_browsers_session(house: House) -> None:
    person = Person(house)
    lose_client_session(house, code_of_callback(person, "alice"))

    to_keycloak = led_away(person)

    assert to_keycloak.status == 302
    assert parse_qs(urlsplit(to_keycloak.location).query)["prompt"] == ["none"]
    callback = person.browser.get(to_keycloak.location, Accept="text/html")
    back = person.follow(callback)
    assert (back.status, back.location) == (302, "/reports")
    assert person.told_to_app("/reports")["headers"]["HTTP_X_AUTH_USERNAME"] == "alice"


def test_where_keycloak_would_have_to_ask_it_is_our_form_that_does(house: House) -> None:
    person = Person(house)
    lose_client_session(house, code_of_callback(person, "bob"))
    for name in [name for name in person.browser.cookies if "KEYCLOAK" in name or "AUTH_SESSION" in name]:
        del person.browser.cookies[name]

    callback = person.browser.get(led_away(person).location, Accept="text/html")
    assert "error=login_required" in callback.location
    form = person.follow(person.follow(callback))

    assert form.status == 200
    assert 'name="password"' in form.text
    assert person.follow(person.get("/reports")).status == 200
