"""Signing out: here, at Keycloak, and by Keycloak's word; all real."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.journeys.house import House, Person, sid_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contracts.web_browser import Answer


def sign_out(person: Person, *, start: str = "/_sidegate/logout") -> Answer:
    """Answer the question page with yes."""
    page = person.get(start)
    assert page.status == 200
    return person.browser.post(page.form_action, page.hidden_inputs(), Accept="text/html", Origin=person.house.url)


def eventually(holds: Callable[[], bool], *, within_s: float = 3.0) -> bool:
    """Wait for what another process does."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def test_a_form_session_ends_here_and_at_keycloak(person: Person) -> None:
    person.sign_in("bob")
    assert len(sid_of(person.house, "bob")) == 1

    answer = sign_out(person)

    assert answer.status == 303
    assert answer.location.startswith("/_sidegate/logged-out")
    assert person.follow(answer).status == 200
    assert not person.is_signed_in()
    assert eventually(lambda: sid_of(person.house, "bob") == [])


def test_the_cookie_of_an_ended_session_is_worth_nothing(person: Person) -> None:
    person.sign_in("bob")
    kept = dict(person.browser.cookies)

    sign_out(person)
    person.browser.cookies.update(kept)

    assert not person.is_signed_in()


def test_a_code_session_ends_by_a_form_that_posts_to_keycloak(person: Person) -> None:
    person.sign_in_at_keycloak("bob")

    page = sign_out(person, start="/_sidegate/logout?return_to=/bye")

    assert page.status == 200
    assert not person.is_signed_in()
    assert page.form_action.startswith(person.house.keycloak.issuer())
    assert "id_token_hint" not in page.form_action
    hidden = page.hidden_inputs()
    assert set(hidden) == {"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}
    answer = person.browser.post(page.form_action, hidden, Accept="text/html")
    assert answer.status == 302
    assert answer.location.startswith(f"{person.house.url}/_sidegate/logged-out?")
    back = person.follow(answer)
    assert back.status == 200
    assert "/_sidegate/login?return_to=%2Fbye" in back.text
    assert eventually(lambda: sid_of(person.house, "bob") == [])


def test_a_form_session_ends_although_the_browser_has_another_sso_session(house: House) -> None:
    person = Person(house)
    person.sign_in_at_keycloak("bob")
    sso = dict(person.browser.cookies)
    person.browser.cookies.pop("sidegate")
    person.sign_in("bob")
    assert {name for name in sso if name.startswith("KEYCLOAK")}
    before = sid_of(house, "bob")

    answer = sign_out(person)

    assert answer.status == 303
    assert not person.is_signed_in()
    assert eventually(lambda: len(sid_of(house, "bob")) == len(before) - 1)


def test_a_logout_without_a_question_needs_our_own_origin(person: Person) -> None:
    person.sign_in()

    foreign = person.post("/_sidegate/logout", {}, Origin="https://evil.example")
    silent = person.post("/_sidegate/logout", {})
    assert foreign.status == 403
    assert silent.status == 403
    assert person.is_signed_in()

    own = person.post("/_sidegate/logout", {}, Origin=person.house.url)
    assert own.status == 303
    assert not person.is_signed_in()


def test_keycloak_being_away_does_not_stop_a_logout(build_house: Callable[..., House]) -> None:
    house = build_house()
    person = Person(house)
    person.sign_in()
    # Our secret is wrong from now on: the provider refuses the call, the person is signed out all the same.
    wait_for(house.keycloak.admin.update_client(house.client, secret="changed"))

    answer = sign_out(person)

    assert answer.status == 303
    assert not person.is_signed_in()


def test_an_administrator_ends_a_session_in_keycloak(build_house: Callable[..., House]) -> None:
    person = Person(build_house())
    person.sign_in("alice")
    other = Person(person.house)
    other.sign_in("bob")
    (sid,) = sid_of(person.house, "alice")

    wait_for(person.house.keycloak.admin.delete_session(sid))

    assert eventually(lambda: not person.is_signed_in(), within_s=1.0)
    assert other.is_signed_in()
    # Lines are written in batches, a moment after what they tell of.
    assert eventually(
        lambda: any(event.get("event") == "logout.backchannel" for event in person.house.sidegate.log_events)
    )


def test_an_administrator_signs_a_person_out_of_everything(house: House) -> None:
    first, second = Person(house), Person(house)
    first.sign_in("alice")
    second.sign_in_at_keycloak("alice")
    admin = house.keycloak.admin

    async def sign_out_everywhere() -> None:
        await admin.logout_user(await admin.user_id("alice"))

    wait_for(sign_out_everywhere())

    assert eventually(lambda: not first.is_signed_in() and not second.is_signed_in(), within_s=1.0)


def test_a_logout_of_another_client_in_the_same_sso_session_ends_ours(
    house: House, build_house: Callable[..., House]
) -> None:
    person = Person(house)
    person.sign_in_at_keycloak("bob")
    elsewhere = Person(build_house(), person.browser)
    own_cookies = {name: value for name, value in person.browser.cookies.items() if name.startswith("sidegate")}
    elsewhere.sign_in_at_keycloak("bob")

    page = sign_out(elsewhere)
    answer = person.browser.post(page.form_action, page.hidden_inputs(), Accept="text/html")

    assert answer.status == 302
    person.browser.cookies.update(own_cookies)
    assert eventually(lambda: not person.is_signed_in(), within_s=1.0)


def test_logged_out_is_shown_with_any_state(person: Person) -> None:
    answer = person.get("/_sidegate/logged-out?state=%22%3E%3Cscript%3E&error=x")

    assert answer.status == 200
    assert "<script>" not in answer.text
