"""Step-up with a real Keycloak that has levels of authentication; all real."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest

from tests.journeys.house import House, Person, sid_of, totp, wait_for
from tests.keycloak.levels import LEVELS, OTP_SECRET, make_levels_realm, make_person_with_code
from tests.support.stream_app import StreamApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.web_browser import Answer
    from tests.keycloak.server import KeycloakServer

PATIENCE_S = 10.0
ROUTES = [
    {"path": "/gold/**", "access": {"acr": "gold"}},
    {"path": "/unknown/**", "access": {"acr": "unobtainable"}},
    {"path": "/both/**", "access": {"acr": "gold", "max_age": "5m", "any_role": ["viewer"]}},
    {"path": "/boss/**", "access": {"acr": "gold", "any_role": ["editor"]}},
    {"path": "/**", "access": "authenticated"},
]


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("levels")
    wait_for(make_levels_realm(keycloak.admin))
    app = StreamApp(folder)
    made = House(keycloak, folder, realm=LEVELS, upstreams={"app": {"url": app.url}}, routes=ROUTES)
    try:
        app.wait_until_ready()
        made.wait_until_ready()
        yield made
    finally:
        made.end()
        app.end()


@pytest.fixture
def name(house: House) -> str:
    """Somebody of one test alone, with a one-time code of their own, because Keycloak takes each code once."""
    return wait_for(make_person_with_code(house.keycloak.admin))


def asked(answer: Answer) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(answer.location).query).items()}


def prove(person: Person, name: str, to_keycloak: Answer, *, at: float) -> Answer:
    """Give password and code on Keycloak's pages, as far as they are asked for; returns the answer of our callback."""
    page = person.browser.get(to_keycloak.location, Accept="text/html")
    if 'name="username"' in page.text or 'name="password"' in page.text:
        page = person.browser.post(page.form_action, {"username": name, "password": f"{name}-pw", "credentialId": ""})
    if page.status == 200:
        assert 'name="otp"' in page.text, page.text
        page = person.browser.post(page.form_action, {"otp": totp(OTP_SECRET, at), "selectedCredentialId": ""})
    assert page.status == 302, page.text
    return person.follow(page)


def eventually(look: Any, expected: object) -> None:
    until = time.monotonic() + PATIENCE_S
    while (found := look()) != expected and time.monotonic() < until:
        time.sleep(0.1)
    assert found == expected


def test_somebody_of_the_form_proves_more_and_goes_on_as_the_same_session(house: House, name: str) -> None:
    person, now = Person(house), time.time()
    person.sign_in(name, otp=totp(OTP_SECRET, now))
    before, old_cookie = person.get("/_sidegate/status").json["session"], person.browser.cookies["sidegate"]
    (old_sid,) = sid_of(house, name)

    start = person.get("/gold/bars?of=1")
    assert (start.status, urlsplit(start.location).path) == (302, "/_sidegate/start")
    to_keycloak = person.follow(start)
    essential = {"id_token": {"acr": {"essential": True, "values": ["gold"]}}}
    assert asked(to_keycloak)["acr_values"] == "gold"
    assert json.loads(asked(to_keycloak)["claims"]) == essential

    back, said = asyncio.run(_with_a_socket_open(person, lambda: prove(person, name, to_keycloak, at=now + 30)))

    assert (back.status, back.location) == (302, "/gold/bars?of=1")
    assert said == "still there"
    assert person.told_to_app("/gold/bars?of=1")["username"] == name
    after = person.get("/_sidegate/status").json["session"]
    assert (after["created_at"], after["expires_at"]) == (before["created_at"], before["expires_at"])
    assert person.browser.cookies["sidegate"] != old_cookie
    thief = Person(house)
    thief.browser.cookies["sidegate"] = old_cookie
    assert not thief.is_signed_in()
    # The form's session ends at Keycloak, which tells us so; neither hurts the new one.
    eventually(lambda: old_sid in sid_of(house, name), expected=False)
    assert len(sid_of(house, name)) == 1
    assert person.told_to_app("/gold/bars")["username"] == name


async def _with_a_socket_open(person: Person, work: Any) -> tuple[Answer, str]:
    house = person.house
    cookie = "; ".join(f"{key}={value}" for key, value in person.browser.cookies.items())
    headers = {"Origin": house.url, "Cookie": cookie}
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{house.url}/ws", headers=headers) as socket:
        await socket.receive_str(timeout=PATIENCE_S)
        done = await asyncio.to_thread(work)
        await asyncio.sleep(1.5)  # longer than it takes until streams of an ended session close
        await socket.send_str("still there")
        return done, await socket.receive_str(timeout=PATIENCE_S)


def test_a_program_is_told_what_would_do_and_who_lacks_a_role_is_not_sent_anywhere(house: House) -> None:
    person = Person(house)
    person.sign_in("alice")

    answer = person.get("/both/x", Accept="application/json", Sec_Fetch_Mode="cors")

    assert answer.status == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["www-authenticate"]
    assert 'acr_values="gold"' in answer.headers["www-authenticate"]
    assert answer.json["code"] == "insufficient_user_authentication"
    assert urlsplit(answer.json["login_url"]).path == "/_sidegate/start"
    assert person.get("/boss/x").status == 403


def test_what_keycloak_does_not_grant_is_a_page_and_no_circle(house: House, name: str) -> None:
    person, now = Person(house), time.time()
    person.sign_in_at_keycloak(name)
    session = person.browser.cookies["sidegate"]

    to_keycloak = person.follow(person.get("/unknown/x"))
    # As an essential claim, Keycloak would answer with a page of its own, from which nobody comes back.
    assert "claims" not in asked(to_keycloak)
    page = person.follow(person.browser.get(to_keycloak.location, Accept="text/html"))

    assert page.status == 403
    assert "more proof" in page.text
    assert person.browser.cookies["sidegate"] == session
    assert person.is_signed_in()
    # The same person, in the same session at Keycloak, is asked for the code alone.
    prove(person, name, person.follow(person.get("/both/x")), at=now)
    assert person.get("/both/x").status == 200
    assert len(sid_of(house, name)) == 1


def test_an_essential_value_that_keycloak_does_not_know_is_a_dead_end(house: House) -> None:
    """What ``web.step_up.proof_parameters`` leans on."""
    person = Person(house)
    url = person.get("/_sidegate/start").location
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": ["gold", "unobtainable"]}}})

    answer = person.browser.get(f"{url}&claims={quote(claims)}", Accept="text/html")

    assert answer.status == 400
    assert "Invalid parameter: claims" in answer.text


def test_somebody_else_at_keycloak_is_a_new_login(house: House, name: str) -> None:
    person = Person(house)
    person.sign_in("alice")
    old = Person(house)
    old.browser.cookies["sidegate"] = person.browser.cookies["sidegate"]

    back = prove(person, name, person.follow(person.get("/gold/x")), at=time.time())

    assert (back.status, back.location) == (302, "/gold/x")
    assert person.get("/_sidegate/status").json["username"] == name
    assert not old.is_signed_in()
