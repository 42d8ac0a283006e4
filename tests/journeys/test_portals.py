"""Several sites in one process, over two realms of a real Keycloak: who is signed in where, and what ends what.

The site at the top and the portals ``wiki`` and ``apps`` are three clients of one realm, ``admin`` is one of another.
Names that no resolver knows all lead to the one process; Keycloak reaches each portal at a loopback address of its own.
"""

from __future__ import annotations

import http.client
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contracts.web_browser import Answer, WebBrowser
from tests.journeys.house import House, Person, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer

TOKEN = "t" * 40
OTHER_REALM = "guarded"
WITHIN_S = 10.0


class PortalHouse(House):
    """A house with a site at the top and three portals."""

    def _file(self, port: int, upstream: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        file = super()._file(port, upstream, changes)
        file["server"]["listen"] = f"0.0.0.0:{port}"
        file["management"] = {"admin_token": {"value": TOKEN}}
        self.port = port
        self.clients: list[Client] = []
        file["portals"] = [
            self._portal("wiki", 2, realm="acme"),
            self._portal("admin", 3, realm=OTHER_REALM),
            {**self._portal("apps", 4, realm="acme", host="*.apps.example.test"), "login": {"title": "The apps"}},
        ]
        return file

    def _portal(self, name: str, address: int, *, realm: str, host: str | None = None) -> dict[str, Any]:
        named = f"{host or f'{name}.example.test'}:{self.port}"
        back = f"127.0.0.{address}:{self.port}"
        places = [named.replace("*", label) for label in ("a", "b")] if host else [named]
        made = self.keycloak.admin.create_client(
            f"{name}-{uuid.uuid4().hex[:12]}",
            f"http://{back}",
            realm=realm,
            redirectUris=[f"http://{place}/_sidegate/callback" for place in places],
        )
        client: Client = wait_for(made)
        self.clients.append(client)
        secret = {"client_auth": {"secret": {"value": client.secret}}}
        return {
            "name": name,
            "hosts": [named, back],
            "server": {"public_url": f"http://{named}"},
            "keycloak": {"issuer": self.keycloak.issuer(realm), "client_id": client.client_id, **secret},
        }

    def at(self, name: str) -> str:
        """Where a portal is for browsers; the empty name is the site at the top."""
        return f"http://{name}.example.test:{self.port}" if name else self.url

    def end(self) -> None:
        super().end()
        for client in self.clients:
            wait_for(self.keycloak.admin.delete_client(client))


@dataclass(slots=True)
class Surfer(WebBrowser):
    """A browser that has cookies for each host, and finds every name of the house at its one port."""

    jars: dict[str, dict[str, str]] = field(default_factory=dict)

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        parts = urlsplit(url)
        self.cookies = self.jars.setdefault(parts.netloc, {})
        port = parts.port or 80
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            fields = {"Host": parts.netloc, **self._cookie_header(), **headers}
            connection.request(method, target or "/", body=body, headers=fields)
            return self._read(url, connection.getresponse())
        finally:
            connection.close()


class Visitor(Person):
    """Somebody with one browser at all portals."""

    def __init__(self, house: PortalHouse, portal: str, surfer: Surfer) -> None:
        super().__init__(house, surfer)
        self.url = house.at(portal)

    def get(self, path: str, **headers: str) -> Answer:
        return self.browser.get(self.url + path, **{"Accept": "text/html", **headers})

    def submit_form(self, username: str, password: str, *, at: str = "/_sidegate/login", **fields: str) -> Answer:
        page = self.get(at)
        form = {**page.hidden_inputs(), "username": username, "password": password, **fields}
        return self.browser.post(page.form_action, form, Accept="text/html", Origin=self.url)

    def by_code(self, username: str) -> Answer:
        """Sign in by the code flow; returns what Keycloak answered first: its form, or at once the way back."""
        first = self.browser.get(self.get("/_sidegate/start").location, Accept="text/html")
        back = first
        if first.status == 200:
            form = {"username": username, "password": f"{username}-pw", "credentialId": ""}
            back = self.browser.post(first.form_action, form)
        assert back.location.startswith(f"{self.url}/_sidegate/callback?"), back.text
        assert self.browser.get(back.location, Accept="text/html").status == 302
        return first


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalHouse]:
    """The house of this file."""
    made = PortalHouse(keycloak, tmp_path_factory.mktemp("portals"))
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture
def username(house: PortalHouse) -> str:
    """Somebody whom both realms know, for one test alone."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    for realm in (house.realm, OTHER_REALM):
        wait_for(house.keycloak.admin.create_user(name, realm=realm))
    return name


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until and not holds():
        time.sleep(0.05)
    return holds()


def test_who_signs_in_to_one_portal_is_nobody_in_the_others_whatever_cookie_they_send(
    house: PortalHouse, username: str
) -> None:
    surfer = Surfer()
    wiki, admin, top = (Visitor(house, name, surfer) for name in ("wiki", "admin", ""))

    assert wiki.submit_form(username, f"{username}-pw").status == 303
    assert wiki.told_to_app()["headers"]["HTTP_X_AUTH_USERNAME"] == username
    assert (admin.is_signed_in(), top.is_signed_in()) == (False, False)

    value = surfer.jars[urlsplit(wiki.url).netloc]
    for other in (admin, top, Visitor(house, "a.apps", surfer)):
        surfer.jars[urlsplit(other.url).netloc] = dict(value)
        assert not other.is_signed_in()
        assert other.get("/_sidegate/sessions").status == 302
    assert wiki.is_signed_in()
    assert "The apps" in Visitor(house, "b.apps", Surfer()).get("/_sidegate/login").text


def test_a_form_of_one_portal_is_worth_nothing_at_another(house: PortalHouse, username: str) -> None:
    surfer = Surfer()
    wiki, top = Visitor(house, "wiki", surfer), Visitor(house, "", surfer)
    page = wiki.get("/_sidegate/login")
    surfer.jars[urlsplit(top.url).netloc] = dict(surfer.jars[urlsplit(wiki.url).netloc])

    form = {**page.hidden_inputs(), "username": username, "password": f"{username}-pw"}
    answer = surfer.post(f"{top.url}/_sidegate/login", form, Accept="text/html", Origin=top.url)

    assert answer.status == 403
    assert not top.is_signed_in()


def test_one_login_at_keycloak_is_enough_for_all_portals_of_a_realm_and_its_end_ends_them_all(
    house: PortalHouse, username: str
) -> None:
    surfer = Surfer()
    wiki, top, app, admin = (Visitor(house, name, surfer) for name in ("wiki", "", "a.apps", "admin"))
    other_app = Visitor(house, "b.apps", surfer)

    assert wiki.by_code(username).status == 200
    assert [each.by_code(username).status for each in (top, app)] == [302, 302], "Keycloak knows the browser"
    assert admin.by_code(username).status == 200, "another realm asks for itself"
    assert not other_app.is_signed_in(), "below a wildcard each host has a cookie of its own"
    asked = parse_qs(urlsplit(other_app.get("/_sidegate/start").location).query)
    assert asked["redirect_uri"] == [f"{other_app.url}/_sidegate/callback"]

    listed = sessions_of(house, username)
    assert sorted(one.get("portal", "") for one in listed) == ["", "admin", "apps", "wiki"]
    assert len({one["id"] for one in listed}) == 4

    ids = house.keycloak.admin
    wait_for(ids.logout_user(wait_for(ids.user_id(username, realm=house.realm)), realm=house.realm))

    assert eventually(lambda: not any(each.is_signed_in() for each in (wiki, top, app)))
    assert admin.is_signed_in()
    assert "signed out" in wiki.get("/_sidegate/login").text


def test_signing_out_of_everything_reaches_the_portals_of_the_same_realm(house: PortalHouse, username: str) -> None:
    surfer = Surfer()
    wiki, top, admin = (Visitor(house, name, surfer) for name in ("wiki", "", "admin"))
    for each in (wiki, top, admin):
        assert each.submit_form(username, f"{username}-pw").status == 303

    page = wiki.get("/_sidegate/logout")
    answer = surfer.post(f"{wiki.url}/_sidegate/logout/all", page.hidden_inputs(), Accept="text/html")

    assert answer.status == 200
    assert eventually(lambda: not (wiki.is_signed_in() or top.is_signed_in()))
    assert admin.is_signed_in()


@pytest.mark.parametrize("host", ["else.example.test", "apps.example.test", "a.b.apps.example.test", "127.0.0.9"])
def test_another_host_is_421_and_no_portal(house: PortalHouse, host: str) -> None:
    for path in ("/", "/_sidegate/login", "/static/x"):
        answer = Surfer().get(f"http://{host}:{house.port}{path}", Accept="text/html")

        assert answer.status == 421
        assert "The apps" not in answer.text


def sessions_of(house: PortalHouse, username: str) -> list[dict[str, Any]]:
    """What operators see of somebody."""
    url = f"{house.sidegate.api_url}/api/sessions?user={username}"
    found: list[dict[str, Any]] = WebBrowser().get(url, Authorization=f"Bearer {TOKEN}").json["sessions"]
    return found
