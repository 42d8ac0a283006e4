"""Signing out of everything: by the person, by the front channel, and by Keycloak's admin URL; all real.

In the realm ``guarded``, where no other test has people who stay: some of these logouts reach everybody in a realm.
"""

from __future__ import annotations

import re
import time
import uuid
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import House, Person, sid_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contracts.web_browser import Answer
    from tests.keycloak.server import KeycloakServer

REALM = "guarded"
WITHIN_S = 10.0
ALL = "/_sidegate/logout/all"


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose client has our Admin URL."""
    made = House(keycloak, tmp_path_factory.mktemp("everywhere"), realm=REALM)
    try:
        made.wait_until_ready()
        admin_url = f"{made.url}/_sidegate/keycloak"
        wait_for(keycloak.admin.update_client(made.client, adminUrl=admin_url))
        yield made
    finally:
        made.end()
        wait_for(keycloak.admin.set_not_before(0, realm=REALM))


@pytest.fixture
def username(house: House) -> str:
    """A user for one test alone, with the default roles."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    wait_for(house.keycloak.admin.create_user(name, realm=house.realm))
    return name


def eventually(holds: Callable[[], bool], *, within_s: float = WITHIN_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def next_second() -> None:
    """Wait until what is issued now is later than what was ended: Keycloak's instants have whole seconds."""
    now = time.time()
    time.sleep(1.05 - now % 1)


def leave_everywhere(person: Person) -> Answer:
    """Press the second button of the question page."""
    page = person.get("/_sidegate/logout")
    assert f'formaction="{ALL}"' in page.text
    return person.post(ALL, page.hidden_inputs())


def sessions_at_keycloak(house: House, username: str) -> int:
    admin, realm = house.keycloak.admin, house.realm

    async def look() -> int:
        return len(await admin.sessions(await admin.user_id(username, realm=realm), realm=realm))

    return int(wait_for(look()))


def log_events(house: House, name: str) -> list[dict[str, Any]]:
    return [event for event in house.sidegate.log_events if event.get("event") == name]


class TestByThePerson:
    def test_every_browser_and_every_application_is_signed_out(
        self, house: House, username: str, build_house: Callable[..., House]
    ) -> None:
        desk, phone, tablet = Person(house), Person(house), Person(house)
        elsewhere = Person(build_house(realm=house.realm))
        desk.sign_in(username)
        phone.sign_in(username)
        tablet.sign_in_at_keycloak(username)
        elsewhere.sign_in(username)

        answer = leave_everywhere(desk)

        assert answer.status == 200
        assert "3 sign-ins of yours on this site were ended" in answer.text
        assert 'role="alert"' not in answer.text
        assert [each.is_signed_in() for each in (desk, phone, tablet)] == [False, False, False]
        assert sessions_at_keycloak(house, username) == 0
        assert eventually(lambda: not elsewhere.is_signed_in())
        assert "signed out on another device" in phone.get("/_sidegate/login").text

    def test_a_program_is_told_the_number_and_signing_in_again_works(self, house: House, username: str) -> None:
        person = Person(house)
        person.sign_in(username)

        answer = person.post(ALL, {}, Origin=house.url, Accept="application/json")

        assert answer.json == {"success": True, "sessions_ended": 1}
        next_second()
        person.sign_in(username)
        assert person.is_signed_in()

    def test_without_account_roles_it_is_said_what_goes_on(self, house: House, username: str) -> None:
        admin, realm = house.keycloak.admin, house.realm

        async def take_roles() -> None:
            await admin.remove_realm_roles(
                await admin.user_id(username, realm=realm), (f"default-roles-{realm}",), realm=realm
            )

        wait_for(take_roles())
        desk, phone = Person(house), Person(house)
        desk.sign_in(username)
        phone.sign_in(username)

        answer = leave_everywhere(desk)

        assert (answer.status, "did not let us" in answer.text) == (200, True)
        assert not desk.is_signed_in()
        assert not phone.is_signed_in()
        # The session before us ends there by its refresh token; the other one is out of our reach.
        assert sessions_at_keycloak(house, username) == 1


class TestByTheAdminUrl:
    """What an administrator does in Keycloak's console: Sessions, "Sign out all active sessions" and "Push"."""

    def test_a_realm_wide_logout_reaches_us(self, house: House, username: str) -> None:
        by_form, by_code = Person(house), Person(house)
        by_form.sign_in(username)
        by_code.sign_in_at_keycloak(username)
        # So that the logout lies in a later second than both logins, as in life.
        next_second()

        wait_for(house.keycloak.admin.logout_all(realm=house.realm))

        assert eventually(lambda: not by_form.is_signed_in() and not by_code.is_signed_in())
        assert "by an administrator" in by_form.get("/_sidegate/login").text
        assert eventually(lambda: log_events(house, "logout.admin") != [])
        next_second()
        by_form.sign_in(username)
        assert by_form.is_signed_in()

    def test_a_pushed_not_before_ends_what_is_older(self, house: House, username: str) -> None:
        admin, realm = house.keycloak.admin, house.realm
        person = Person(house)
        person.sign_in(username)
        wait_for(admin.set_not_before(int(time.time()), realm=realm))

        result = wait_for(admin.push_not_before(realm=realm))

        assert f"{house.url}/_sidegate/keycloak" in result["successRequests"]
        assert not person.is_signed_in()
        wait_for(admin.set_not_before(0, realm=realm))
        assert not person.is_signed_in()
        next_second()
        person.sign_in(username)
        wait_for(admin.push_not_before(realm=realm))
        assert person.is_signed_in()

    def test_keycloak_finds_us_there(self, house: House) -> None:
        path = f"/{house.realm}/clients/{house.client.uuid}/test-nodes-available"

        result = wait_for(house.keycloak.admin.call("GET", path))

        assert result == {"successRequests": [f"{house.url}/_sidegate/keycloak"]}

    def test_an_action_for_another_client_is_refused(
        self, house: House, username: str, build_house: Callable[..., House]
    ) -> None:
        """Its Admin URL leads to us by mistake: the realm signs for that client, and we are not it."""
        other = build_house(realm=house.realm)
        wait_for(house.keycloak.admin.update_client(other.client, adminUrl=f"{house.url}/_sidegate/keycloak"))
        person = Person(house)
        person.sign_in(username)

        result = wait_for(
            house.keycloak.admin.call("POST", f"/{house.realm}/clients/{other.client.uuid}/push-revocation")
        )

        assert result["failedRequests"] == [f"{house.url}/_sidegate/keycloak"]
        assert person.is_signed_in()


def test_the_front_channel_of_keycloak_ends_our_session(
    house: House, username: str, build_house: Callable[..., House]
) -> None:
    framed = build_house(realm=house.realm)
    attributes = {
        "frontchannel.logout.url": f"{framed.url}/_sidegate/frontchannel-logout",
        "frontchannel.logout.session.required": "true",
    }
    wait_for(house.keycloak.admin.update_client(framed.client, frontchannelLogout=True, attributes=attributes))
    person = Person(framed)
    person.sign_in_at_keycloak(username)
    elsewhere = Person(house, person.browser)
    kept = {name: value for name, value in person.browser.cookies.items() if name.startswith("sidegate")}
    elsewhere.sign_in_at_keycloak(username)
    question = elsewhere.get("/_sidegate/logout")
    leaving = elsewhere.browser.post(
        question.form_action, question.hidden_inputs(), Accept="text/html", Origin=house.url
    )

    page = elsewhere.browser.post(leaving.form_action, leaving.hidden_inputs(), Accept="text/html")
    frames = [unescape(url) for url in re.findall(r'<iframe src="([^"]*)"', page.text)]
    person.browser.cookies.update(kept)
    assert person.is_signed_in()
    shown = [WebBrowser().get(url, Accept="text/html") for url in frames]

    assert [answer.status for answer in shown] == [200]
    assert frames[0].startswith(f"{framed.url}/_sidegate/frontchannel-logout?sid=")
    assert not person.is_signed_in()
    assert sid_of(framed, username) == []
