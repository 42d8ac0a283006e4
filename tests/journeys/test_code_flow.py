"""Signing in at Keycloak's own page: /start and /callback, all real."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.journeys.house import House, Person, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def test_a_person_signs_in_at_keycloak_and_is_where_she_wanted_to_be(person: Person) -> None:
    answer = person.sign_in_at_keycloak(start="/_sidegate/start?return_to=/reports%3Fa%3D1")

    assert answer.status in {302, 303}
    assert answer.location == "/reports?a=1"
    assert person.told_to_app()["headers"]["HTTP_X_AUTH_USERNAME"] == "alice"


def test_the_request_has_pkce_state_and_nonce_and_two_never_share_them(person: Person) -> None:
    first, second = (query(person.get("/_sidegate/start").location) for _ in range(2))

    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert "openid" in first["scope"].split()
    assert first["redirect_uri"] == f"{person.house.url}/_sidegate/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 22
        assert first[name] != second[name]


def test_redirect_mode_shows_no_page_of_ours(build_house: Callable[..., House]) -> None:
    person = Person(build_house(login={"mode": "redirect"}))

    login = person.get(person.get("/reports").location)
    start = login if "/auth?" in login.location else person.follow(login)

    assert start.status in {302, 303}
    assert start.location.startswith(person.house.keycloak.issuer())
    page = person.browser.get(start.location, Accept="text/html")
    answer = person.browser.post(page.form_action, {"username": "bob", "password": "bob-pw", "credentialId": ""})
    assert person.follow(person.follow(answer)).json["headers"]["HTTP_X_AUTH_USERNAME"] == "bob"


def test_two_tabs_at_once_both_arrive(person: Person) -> None:
    first = person.get("/_sidegate/start?return_to=/first").location
    second = person.get("/_sidegate/start?return_to=/second").location

    page = person.browser.get(second, Accept="text/html")
    answer = person.browser.post(page.form_action, {"username": "alice", "password": "alice-pw", "credentialId": ""})
    at_second = person.follow(answer)
    at_first = person.follow(person.browser.get(first, Accept="text/html"))

    assert at_second.location == "/second"
    assert at_first.location == "/first"
    assert person.is_signed_in()


def test_a_callback_that_comes_again_goes_on_to_the_app(person: Person) -> None:
    start = person.get("/_sidegate/start").location
    page = person.browser.get(start, Accept="text/html")
    callback = person.browser.post(page.form_action, {"username": "alice", "password": "alice-pw", "credentialId": ""})
    person.follow(callback)

    again = person.follow(callback)

    assert (again.status, again.location) == (302, "/")
    assert person.is_signed_in()


def test_a_callback_of_another_browser_signs_nobody_in(house: House) -> None:
    attacker, victim = Person(house), Person(house)
    start = attacker.get("/_sidegate/start").location
    page = attacker.browser.get(start, Accept="text/html")
    callback = attacker.browser.post(
        page.form_action, {"username": "alice", "password": "alice-pw", "credentialId": ""}
    )
    victim.get("/_sidegate/start")

    answer = victim.browser.get(callback.location, Accept="text/html")

    assert answer.status == 400
    assert "/_sidegate/" in answer.text
    assert not victim.is_signed_in()


@pytest.mark.parametrize(
    "change", [{"iss": "https://evil.example"}, {"iss": ""}, {"state": "forged"}, {"code": "forged"}]
)
def test_an_answer_that_was_changed_signs_nobody_in(person: Person, change: dict[str, str]) -> None:
    start = person.get("/_sidegate/start").location
    page = person.browser.get(start, Accept="text/html")
    callback = person.browser.post(page.form_action, {"username": "alice", "password": "alice-pw", "credentialId": ""})

    answer = (
        person.get("/_sidegate/callback")
        if not change
        else person.browser.get(
            f"{person.house.url}/_sidegate/callback", {**query(callback.location), **change}, Accept="text/html"
        )
    )

    assert answer.status == 400
    assert not person.is_signed_in()


def test_an_answer_without_iss_is_refused_because_keycloak_promises_it(person: Person) -> None:
    start = person.get("/_sidegate/start").location
    page = person.browser.get(start, Accept="text/html")
    callback = person.browser.post(page.form_action, {"username": "alice", "password": "alice-pw", "credentialId": ""})
    said = query(callback.location)
    del said["iss"]

    answer = person.browser.get(f"{person.house.url}/_sidegate/callback", said, Accept="text/html")

    assert answer.status == 400
    assert not person.is_signed_in()


def test_the_back_button_at_keycloak_starts_again_once(person: Person) -> None:
    start = person.get("/_sidegate/start?return_to=/reports").location
    page = person.browser.get(start, Accept="text/html")
    form = {"username": "alice", "password": "alice-pw", "credentialId": ""}
    person.follow(person.browser.post(page.form_action, form))
    person.browser.cookies.pop("sidegate")
    second = person.get("/_sidegate/start?return_to=/reports").location

    stale = person.browser.post(page.form_action, form)
    answer = person.browser.get(second, Accept="text/html")

    assert stale.status == 302
    assert person.follow(stale).status in {302, 400}
    assert person.follow(answer).location == "/reports"


def test_an_account_that_is_not_set_up_is_finished_at_keycloak_and_comes_back(person: Person) -> None:
    admin = person.house.keycloak.admin
    name = f"new-{person.house.client.client_id}"

    async def make() -> None:
        user_id = await admin.create_user(name)
        await admin.set_required_actions(user_id, "UPDATE_PASSWORD")

    wait_for(make())
    refused = person.submit_form(name, f"{name}-pw", at="/_sidegate/login?return_to=/reports")
    link = refused.text.partition('href="/_sidegate/start')[2].partition('"')[0].replace("&amp;", "&")
    page = person.browser.get(person.get("/_sidegate/start" + link).location, Accept="text/html")
    assert f'value="{name}"' in page.text

    answer = person.browser.post(page.form_action, {"username": name, "password": f"{name}-pw", "credentialId": ""})
    action = person.browser.get(answer.location, Accept="text/html")
    new = {"password-new": "changed-1", "password-confirm": "changed-1"}
    done = person.browser.post(action.form_action, new)

    assert person.follow(done).location == "/reports"
    assert person.told_to_app()["headers"]["HTTP_X_AUTH_USERNAME"] == name
