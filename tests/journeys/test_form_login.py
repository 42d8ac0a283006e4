"""Signing in by the form: browser -> Sidegate -> Keycloak -> app, all real."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.journeys.house import House, Person, totp, wait_for

if TYPE_CHECKING:
    from tests.contracts.web_browser import Answer


def test_a_person_opens_the_app_signs_in_and_is_where_she_wanted_to_be(person: Person) -> None:
    opened = person.get("/reports?year=2026")
    assert opened.status == 302

    answer = person.submit_form("alice", "alice-pw", at=opened.location)

    assert answer.status == 303
    assert answer.location == "/reports?year=2026"
    told = person.told_to_app(answer.location)["headers"]
    assert told["HTTP_X_AUTH_USERNAME"] == "alice"
    assert told["HTTP_X_AUTH_EMAIL"] == "alice@acme.test"
    assert told["HTTP_X_AUTH_NAME"] == "Alice Test"
    assert told["HTTP_X_AUTH_GROUPS"] == "/staff"
    assert {"viewer", "editor"} <= set(told["HTTP_X_AUTH_ROLES"].split(","))


def test_the_app_sees_no_cookie_of_ours_and_no_forged_identity(person: Person) -> None:
    person.sign_in("bob")
    person.browser.cookies["theirs"] = "1=2"

    told = person.get("/x", X_Auth_Roles="admin", **{"X_Auth_Groups": "/root", "Remote-User": "root"}).json["headers"]

    assert told["HTTP_COOKIE"] == "theirs=1=2"
    assert "admin" not in told["HTTP_X_AUTH_ROLES"].split(",")
    assert "HTTP_X_AUTH_GROUPS" not in told
    assert "HTTP_REMOTE_USER" not in told


def test_rules_by_role_and_group_hold(house: House) -> None:
    alice, bob = Person(house), Person(house)
    alice.sign_in("alice")
    bob.sign_in("bob")

    assert alice.get("/admin/x").status == 200
    assert alice.get("/group/x").status == 200
    forbidden = bob.get("/admin/x")
    assert forbidden.status == 403
    assert "editor" in forbidden.text
    assert bob.get("/group/x").status == 403


def shape(answer: Answer) -> tuple[int, tuple[str, ...], str]:
    """What a failed login looks like, without what differs by chance: tokens, ids, the name typed."""
    text = answer.text
    for value in answer.hidden_inputs().values():
        text = text.replace(value, "")
    return answer.status, tuple(sorted(answer.headers)), text.replace(answer.headers["x-request-id"], "")


def test_unknown_wrong_and_disabled_look_the_same(house: House) -> None:
    tries = [("nobody-xx", "x"), ("alice-xxxx", "wrong"), ("alice", "wrong"), ("erin", "wrong"), ("erin", "erin-pw")]

    answers = [Person(house).submit_form(username, password) for username, password in tries]

    shapes = {
        tuple(str(part).replace(username, "USER") for part in shape(answer))
        for (username, _), answer in zip(tries, answers, strict=True)
    }
    assert answers[0].status == 401
    assert len(shapes) == 1
    assert all("sidegate=" not in cookie for answer in answers for cookie in answer.cookies)


def test_a_locked_user_looks_like_a_wrong_password(build_house: type[House]) -> None:
    house = build_house(realm="guarded")
    name = f"erin-{time.time_ns()}"  # whoever is locked stays locked for a minute, and the realm is shared
    wait_for(house.keycloak.admin.create_user(name, realm="guarded"))
    for _ in range(4):
        Person(house).submit_form(name, "wrong")

    locked = Person(house).submit_form(name, f"{name}-pw")
    wrong = Person(house).submit_form("nobody", "wrong")

    assert locked.status == wrong.status == 401
    assert shape(locked)[2].replace(name, "U") == shape(wrong)[2].replace("nobody", "U")


def test_an_account_that_is_not_set_up_is_led_to_keycloak(person: Person) -> None:
    answer = person.submit_form("dave", "dave-pw", at="/_sidegate/login?return_to=/reports")

    assert answer.status == 200
    assert "/_sidegate/start" in answer.text
    assert not person.is_signed_in()


def test_a_one_time_code_is_a_second_field_of_the_same_form(house: House) -> None:
    without = Person(house).submit_form("carol", "carol-pw")
    carol = Person(house)
    with_code = carol.submit_form("carol", "carol-pw", otp=totp(b"carolotpsecret-0001"))

    assert without.status == 401
    assert with_code.status == 303
    assert carol.is_signed_in()


def test_a_password_may_hold_whatever_can_be_typed_and_nothing_else_passes(house: House) -> None:
    admin, name = house.keycloak.admin, f"ünal-{time.time_ns()}"
    user_id = wait_for(admin.create_user(name, email=f"{time.time_ns()}@acme.test"))

    for password in (" spaces around ", "pässwörd ß 中文", "שלום\u200f\u202e", "🔑👩\u200d👧", "a+b&c=d%41;\"'<>"):
        wait_for(admin.reset_password(user_id, password))
        assert Person(house).submit_form(name.upper(), password).status == 303, password
    wrong = Person(house).submit_form(name, "wrong")
    for username, password in (
        (name, ""),
        ("", "wrong"),
        (name, "x" * 10_000),
        (name, "a+b&c=d%41;\"'<>\0"),
        ("x" * 10_000, "wrong"),
        (f"{name}\u200f", "a+b&c=d%41;\"'<>"),
        ("🙂", "wrong"),
    ):
        refused = Person(house).submit_form(username, password)
        assert (refused.status, sentence(refused)) == (401, sentence(wrong)), (username[:20], password[:20])


def sentence(answer: Answer) -> str:
    """What the page says is wrong."""
    return answer.text.partition('id="problem"')[2].partition("</div>")[0]


def test_each_login_has_a_new_session_id_and_the_old_one_is_over(person: Person) -> None:
    person.sign_in("alice")
    first = person.browser.cookies["sidegate"]
    page = person.browser.cookies.copy()

    stranger = Person(person.house)
    stranger.browser.cookies.update(page)
    del person.browser.cookies["sidegate"]
    person.browser.cookies["sidegate"] = first
    login = Person(person.house)
    fresh = login.get("/_sidegate/login")
    login.browser.cookies["sidegate"] = first
    answer = login.browser.post(
        fresh.form_action, {**fresh.hidden_inputs(), "username": "bob", "password": "bob-pw"}, Accept="text/html"
    )

    assert answer.status == 303
    assert login.browser.cookies["sidegate"] != first
    assert not stranger.is_signed_in()


def test_a_cookie_that_somebody_planted_never_becomes_a_session(person: Person) -> None:
    person.browser.cookies["sidegate"] = "A" * 43

    person.sign_in()

    assert person.browser.cookies["sidegate"] != "A" * 43


def test_a_form_without_its_token_is_refused_with_a_fresh_one(person: Person) -> None:
    page = person.get("/_sidegate/login")
    form = {"username": "alice", "password": "alice-pw", "csrf_token": "forged"}

    answer = person.browser.post(page.form_action, form, Accept="text/html")

    assert answer.status == 403
    assert answer.hidden_inputs()["csrf_token"]
    assert not person.is_signed_in()


def test_a_page_of_another_browser_cannot_sign_a_person_in(house: House) -> None:
    attacker, victim = Person(house), Person(house)
    page = attacker.get("/_sidegate/login")
    victim.get("/_sidegate/login")

    answer = victim.browser.post(
        page.form_action, {**page.hidden_inputs(), "username": "bob", "password": "bob-pw"}, Accept="text/html"
    )

    assert answer.status == 403
    assert not victim.is_signed_in()


@pytest.mark.parametrize(
    "return_to", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"]
)
def test_a_login_leads_nowhere_else(person: Person, return_to: str) -> None:
    page = person.get("/_sidegate/login")
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw", "return_to": return_to}

    answer = person.browser.post(page.form_action, form, Accept="text/html")

    assert answer.status == 303
    assert urlsplit(answer.location).netloc == ""
    assert answer.location.startswith("/")
    assert "evil" not in answer.location


def test_a_page_with_its_own_form_signs_in_by_json(person: Person) -> None:
    asked = person.get("/_sidegate/login", Accept="application/json").json
    body = {"username": "alice", "password": "wrong", "csrf_token": asked["csrf_token"], "return_to": "/reports"}
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    url = f"{person.house.url}/_sidegate/login"

    refused = person.browser.request("POST", url, headers=headers, body=json.dumps(body).encode())
    body["password"] = "alice-pw"
    accepted = person.browser.request("POST", url, headers=headers, body=json.dumps(body).encode())

    assert (refused.status, refused.json["code"]) == (401, "invalid_credentials")
    assert accepted.status == 200
    assert accepted.json["success"] is True
    assert accepted.json["redirect_url"] == "/reports"
    assert person.is_signed_in()


def test_somebody_who_is_signed_in_is_not_asked_again(person: Person) -> None:
    person.sign_in()

    answer = person.get("/_sidegate/login?return_to=/reports")

    assert (answer.status, answer.location) == (303, "/reports")


def test_a_secret_that_keycloak_refuses_is_our_fault_not_the_users(build_house: type[House]) -> None:
    house = build_house(keycloak={"client_auth": {"secret": {"value": "wrong"}}})

    answer = Person(house).submit_form("alice", "alice-pw")
    asked = Person(house)
    csrf_token = asked.get("/_sidegate/login", Accept="application/json").json["csrf_token"]
    spoken = asked.browser.request(
        "POST",
        f"{house.url}/_sidegate/login",
        headers={"Accept": "application/json", "Content-Type": "application/json"},
        body=json.dumps({"username": "alice", "password": "alice-pw", "csrf_token": csrf_token}).encode(),
    )

    assert answer.status == spoken.status == 503
    assert spoken.json["code"] == "misconfigured"


def test_a_client_without_the_password_grant_is_told_apart_from_a_wrong_password(build_house: type[House]) -> None:
    house = build_house(client={"directAccessGrantsEnabled": False})

    assert Person(house).submit_form("alice", "alice-pw").status == 503
    time.sleep(0.5)
    assert any("direct access grants" in line.lower() for line in house.sidegate.log_lines)


def test_no_password_token_or_cookie_stands_in_the_log(person: Person) -> None:
    person.submit_form("alice", "a-secret-that-is-wrong")
    person.sign_in("alice")
    person.get("/reports?code=a-secret-in-a-query")

    # Lines are written in batches, a moment after what they tell of.
    time.sleep(0.5)
    log = person.house.sidegate.program.output

    assert "alice-pw" not in log
    assert "a-secret" not in log
    assert person.browser.cookies["sidegate"] not in log
    assert "eyJ" not in log
    assert any(event.get("event") == "login.succeeded" for event in person.house.sidegate.log_events)


def test_the_login_link_keeps_the_place_through_the_query(person: Person) -> None:
    location = person.get("/a/b?x=1&y=%2F").location

    assert parse_qs(urlsplit(location).query)["return_to"] == ["/a/b?x=1&y=%2F"]
