"""Several browsers of one person, an operator with a terminal, and the trail of it all; with sessions in memory and in
Redis, at a real Keycloak.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.journeys.house import House, Person, sid_of, wait_for
from tests.journeys.test_logout import eventually
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.sidegate_process import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contracts.web_browser import Answer
    from tests.keycloak.server import KeycloakServer
    from tests.redis.server import RedisServer

SESSIONS = "/_sidegate/sessions"
TOKEN = "correct-horse-battery"
SERVER_KEY = "VNnxm5J0QjkYOhqinPMWFo5-eBbK07ZG2oPXtlU7RIk"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"


@pytest.fixture(scope="module", params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def house(
    request: pytest.FixtureRequest, keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A house whose operator has a token; its sessions are here or there."""
    sessions: dict[str, Any] = {"store": request.param, "encryption_keys": [{"value": SERVER_KEY}]}
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.reset()
        sessions["redis"] = {"url": server.url}
    management = {"admin_token": {"value": TOKEN}}
    made = House(keycloak, tmp_path_factory.mktemp("devices"), sessions=sessions, management=management)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def file(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the operator has in hand."""
    return house.sidegate.config_file


@pytest.fixture
def people(house: House) -> Iterator[tuple[Person, Person, Person]]:
    """Alice with two browsers, and Bob; nobody else is signed in."""
    for username in ("alice", "bob"):
        api(house, "DELETE", f"/api/sessions?user={username}")
    alice, telephone, bob = (Person(house) for _ in range(3))
    alice.sign_in("alice")
    telephone.sign_in("alice")
    bob.sign_in("bob")
    yield alice, telephone, bob
    for person in (alice, telephone, bob):
        person.post("/_sidegate/logout", {}, Origin=house.url)


def sidegate(file: Path, *arguments: str, code: int = 0) -> str:
    """Run a command in this process, which has everything imported; what it says, on stderr when it failed."""
    ended = CliRunner().invoke(main, [*arguments, "-c", str(file)])
    assert ended.exit_code == code, (ended.exception, ended.stderr)
    return ended.stderr if code else ended.stdout


def api(house: House, method: str, path: str) -> Answer:
    """Ask the management API."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = Person(house).browser.request(method, house.sidegate.api_url + path, headers=headers)
    assert answer.status == 200, answer.text
    return answer


def devices(person: Person) -> list[dict[str, Any]]:
    answer = person.get(SESSIONS, Accept="application/json")
    assert answer.status == 200, answer.text
    listed: list[dict[str, Any]] = answer.json["sessions"]
    return listed


def post_form(person: Person, page: Answer, action: str) -> Answer:
    """Send the form of the page that has this action."""
    assert action in page.text
    return person.post(action, page.hidden_inputs(), Origin=person.house.url)


def test_a_person_sees_their_devices_and_nobody_elses(people: tuple[Person, Person, Person]) -> None:
    alice, telephone, bob = people

    mine, theirs = devices(alice), devices(bob)

    assert [one["current"] for one in mine] == [True, False]
    assert {one["id"] for one in mine} == {one["id"] for one in devices(telephone)}
    assert [one["current"] for one in theirs] == [True]
    assert all(one["address"] == "127.0.0.1" for one in mine)


def test_one_is_ended_here_and_at_keycloak_and_is_told_why(people: tuple[Person, Person, Person]) -> None:
    alice, telephone, bob = people
    house, before = alice.house, sid_of(alice.house, "alice")
    page = alice.get(SESSIONS)
    (other,) = [one["id"] for one in devices(alice) if not one["current"]]

    answer = post_form(alice, page, f"{SESSIONS}/{other}/end")
    back = alice.follow(answer)

    assert (answer.status, back.status) == (303, 200)
    assert "Signed out there." in back.text
    assert "over at the sign-in service as well" in back.text
    assert not telephone.is_signed_in()
    assert alice.is_signed_in()
    assert bob.is_signed_in()
    assert eventually(lambda: len(sid_of(house, "alice")) == len(before) - 1)
    login = telephone.get("/_sidegate/login")
    assert 'role="status"' in login.text


def test_all_others_end_with_one_click(people: tuple[Person, Person, Person]) -> None:
    alice, telephone, bob = people
    at_keycloak = Person(alice.house)
    at_keycloak.sign_in_at_keycloak("alice")

    answer = alice.post(f"{SESSIONS}/others/end", {}, Origin=alice.house.url, Accept="application/json")

    assert (answer.json["success"], answer.json["sessions_ended"]) == (True, 2)
    # After two seconds nobody waits for Keycloak any more; it does its part all the same.
    assert answer.json["at_provider"] in {"ended", "pending"}
    assert not telephone.is_signed_in()
    assert eventually(lambda: not at_keycloak.is_signed_in())
    assert alice.is_signed_in()
    assert bob.is_signed_in()
    assert eventually(lambda: len(sid_of(alice.house, "alice")) == 1)


def test_without_the_account_roles_keycloak_refuses_and_that_is_said(house: House) -> None:
    admin, name = house.keycloak.admin, f"guest-{time.time_ns()}"
    user_id = wait_for(admin.create_user(name))
    wait_for(admin.remove_realm_roles(user_id, ("default-roles-acme",)))
    one, other = Person(house), Person(house)
    one.sign_in(name)
    other.sign_in(name)

    answer = one.post(f"{SESSIONS}/others/end", {}, Origin=house.url, Accept="application/json")

    assert answer.json == {"success": True, "sessions_ended": 1, "at_provider": "refused"}
    assert not other.is_signed_in()
    assert len(sid_of(house, name)) == 2
    one.post("/_sidegate/logout", {}, Origin=house.url)


def test_another_site_and_another_person_end_nothing(people: tuple[Person, Person, Person]) -> None:
    alice, telephone, bob = people
    (other,) = [one["id"] for one in devices(alice) if not one["current"]]

    cross = alice.post(f"{SESSIONS}/{other}/end", {}, Origin="https://evil.example")
    foreign = bob.post(f"{SESSIONS}/{other}/end", {}, Origin=bob.house.url)

    assert (cross.status, foreign.status) == (403, 404)
    assert telephone.is_signed_in()


def test_ending_this_browsers_own_is_a_logout(people: tuple[Person, Person, Person]) -> None:
    _, _, bob = people

    answer = bob.post(f"{SESSIONS}/{devices(bob)[0]['id']}/end", {}, Origin=bob.house.url)

    assert answer.location.startswith("/_sidegate/logged-out")
    assert not bob.is_signed_in()


class TestTheOperator:
    def test_lists_sessions_as_table_and_json(self, people: tuple[Person, Person, Person], file: Path) -> None:
        table = sidegate(file, "sessions", "list").splitlines()
        bob = json.loads(sidegate(file, "sessions", "list", "--user", "bob", "--json"))
        by_sid = sidegate(file, "sessions", "list", "--sid", bob["sessions"][0]["sid"])

        assert table[0].startswith("USER")
        assert sorted(line.split()[0] for line in table[1:-1]) == ["alice", "alice", "bob"]
        assert table[-1] == "3 sessions"
        assert [one["username"] for one in bob["sessions"]] == ["bob"]
        assert by_sid.splitlines()[-1] == "1 session"

    def test_ends_one_persons_sessions_at_once(self, people: tuple[Person, Person, Person], file: Path) -> None:
        alice, telephone, bob = people
        assert bob.is_signed_in()

        said = sidegate(file, "sessions", "end", "--user", "bob")

        assert said.splitlines()[-1] == "1 session ended"
        assert not bob.is_signed_in()
        assert alice.is_signed_in()
        assert 'role="status"' in bob.get("/_sidegate/login").text
        assert telephone.is_signed_in()

    def test_reads_what_happened_and_no_secret_with_it(
        self, people: tuple[Person, Person, Person], house: House, file: Path
    ) -> None:
        alice, _, _ = people
        Person(house).submit_form("bob", "a wrong password")
        alice.post(f"{SESSIONS}/others/end", {}, Origin=house.url)

        def names(*arguments: str) -> list[tuple[str, str]]:
            lines = sidegate(file, "audit", "--json", *arguments).splitlines()
            return [(event["event"], event["username"]) for event in map(json.loads, lines)]

        assert eventually(lambda: ("session.revoked", "alice") in names("--user", "alice"), within_s=10)
        assert {username for _, username in names("--user", "alice")} == {"alice"}
        assert ("login.failed", "bob") in names("--since", "1h")
        everything = sidegate(file, "audit", "--limit", "10000") + sidegate(file, "audit", "--json", "--limit", "10000")
        for word in ("a wrong password", "alice-pw", "eyJ", *alice.browser.cookies.values()):
            assert word not in everything

    def test_follows_what_happens(self, people: tuple[Person, Person, Person], file: Path, tmp_path: Path) -> None:
        command = [str(COMMAND), "audit", "--follow", "--json", "--limit", "1", "-c", str(file)]
        following = Program(command, log=tmp_path / "follow.log")
        try:
            following.wait_until(lambda: "{" in following.output, timeout_s=20)
            newcomer = Person(people[0].house)
            newcomer.submit_form("nobody-here", "x")

            following.wait_until(lambda: "nobody-here" in following.output, timeout_s=20)
        finally:
            following.end(patience_s=10)

    def test_is_told_in_one_sentence_when_nobody_is_there(self, house: House, tmp_path: Path) -> None:
        config = {**house.sidegate.config}
        nobody = f"127.0.0.1:{free_port()}"
        config["management"] = {**config["management"], "api_listen": nobody}
        config["sessions"] = {**config["sessions"]}
        if "redis" in config["sessions"]:
            config["sessions"]["redis"] = {"url": f"redis://{nobody}/0"}
        away = tmp_path / "away.yaml"
        away.write_text(json.dumps(config), "utf-8")

        for arguments in (["sessions", "list"], ["sessions", "end", "--all"], ["audit"], ["audit", "--follow"]):
            said = sidegate(away, *arguments, code=1)
            assert nobody in said
            assert said.startswith("sidegate: ")
            assert said.count("\n") == 1

    def test_has_the_figure_of_what_was_dropped(self, house: House) -> None:
        metrics = Person(house).browser.get(f"{house.sidegate.management_url}/metrics").text

        assert re.search(r"^sidegate_audit_dropped_total 0\.0$", metrics, re.MULTILINE)

    def test_reaches_the_api_only_with_the_token(self, house: House) -> None:
        api, browser = f"{house.sidegate.api_url}/api/sessions", Person(house).browser

        assert browser.get(api).status == 401
        assert browser.get(api, Authorization=f"Bearer {TOKEN}").status == 200
        assert browser.get(f"{house.url}/api/sessions", Authorization=f"Bearer {TOKEN}").status != 200
        assert browser.request("GET", f"{house.sidegate.management_url}/api/sessions", headers={}).status == 404


def test_a_browser_is_named_in_words(house: House) -> None:
    person = Person(house)
    page = person.get("/_sidegate/login")
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
    person.browser.post(page.form_action, form, Accept="text/html", Origin=house.url, User_Agent=FIREFOX)

    assert "Firefox 127 on Linux" in person.get(SESSIONS).text


def test_at_last_an_operator_ends_everybody(people: tuple[Person, Person, Person], file: Path) -> None:
    """The last of the file: the mark refuses what was issued in the same second."""
    assert sidegate(file, "sessions", "end", "--all").splitlines()[-1].endswith(" sessions ended")

    assert [person.is_signed_in() for person in people] == [False] * 3
