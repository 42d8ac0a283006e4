"""API clients at the door, with access tokens of a real Keycloak: who passes, who does not, and until when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import House, Person, decoded, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contracts.web_browser import Answer
    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer

WITHIN_S = 1.0
"""Seconds within which an end is law everywhere (contract §4)."""


def for_audience(client_id: str) -> dict[str, Any]:
    """A mapper that puts a client into the audience of access tokens."""
    config = {
        "included.client.audience": client_id,
        "access.token.claim": "true",
        "introspection.token.claim": "true",
        "id.token.claim": "false",
        "lightweight.claim": "false",
    }
    return {
        "name": "for-sidegate",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": config,
    }


RECIPE = yaml.safe_load((Path(__file__).parents[2] / "docs" / "recipes" / "api-clients.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with the rules of the recipe."""
    keys = {"routes": RECIPE["routes"], "keycloak": {"audience": RECIPE["keycloak"]["audience"]}}
    made = House(keycloak, tmp_path_factory.mktemp("house"), **keys)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@dataclass
class Programs:
    """A house, and clients in Keycloak whose tokens are for it.

    Attributes:
        own: Sidegate's own client, whose tokens hold itself as audience.
        mobile: another client, for people and as a service.
        light: one with lightweight tokens.
        stranger: one whose tokens are not for the house.
    """

    house: House
    own: Client
    mobile: Client
    light: Client
    stranger: Client

    def tokens(self, client: Client, username: str | None = "alice", **form: str) -> dict[str, Any]:
        """What the token endpoint gives to a person with this client, or to the client itself."""
        grant = {"grant_type": "client_credentials"}
        if username is not None:
            grant = {"grant_type": "password", "username": username, "password": f"{username}-pw", "scope": "openid"}
        who = {"client_id": client.client_id, "client_secret": client.secret}
        answer = WebBrowser().post(self.endpoint("token"), {**grant, **who, **form})
        assert answer.status == 200, answer.text
        found = answer.json
        assert isinstance(found, dict)
        return found

    def endpoint(self, name: str) -> str:
        return f"{self.house.keycloak.issuer(self.house.realm)}/protocol/openid-connect/{name}"

    def asks(self, token: str, path: str = "/api", **headers: str) -> Answer:
        """A request of a program that shows a token."""
        return WebBrowser().get(self.house.url + path, Authorization=f"Bearer {token}", Accept="*/*", **headers)

    def orders(self, token: str) -> Answer:
        """A request that changes something."""
        url = f"{self.house.url}/api/orders"
        return WebBrowser().post(url, {"a": "b"}, Authorization=f"Bearer {token}", Accept="*/*")

    def challenge(self, token: str, path: str = "/api") -> str:
        answer = self.asks(token, path)
        assert answer.status == 401, answer.text
        return answer.headers["www-authenticate"]

    def is_refused_soon(self, token: str) -> bool:
        """Say whether a token is refused within the second that is promised; half of one for a busy machine."""
        deadline = time.monotonic() + WITHIN_S + 0.5
        while self.asks(token).status == 200:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return self.asks(token).status == 401


@pytest.fixture(scope="module")
def programs(house: House) -> Iterator[Programs]:
    admin, own = house.keycloak.admin, house.client
    mapper = for_audience(own.client_id)
    lightweight = {"client.use.lightweight.access.token.enabled": "true"}

    def made(name: str, **overrides: Any) -> Client:
        client: Client = wait_for(
            admin.create_client(f"{name}-{own.client_id}", "http://127.0.0.1:9", realm=house.realm, **overrides)
        )
        return client

    wait_for(admin.call("POST", f"/{house.realm}/clients/{own.uuid}/protocol-mappers/models", json=mapper))
    found = Programs(
        house,
        own,
        made("mobile", serviceAccountsEnabled=True, protocolMappers=[mapper]),
        made("light", protocolMappers=[mapper], attributes=lightweight),
        made("stranger"),
    )
    yield found
    for client in (found.mobile, found.light, found.stranger):
        wait_for(admin.delete_client(client))


INVALID = 'Bearer realm="sidegate", error="invalid_token"'


def test_a_further_audience_of_the_recipe_counts(programs: Programs) -> None:
    admin, realm = programs.house.keycloak.admin, programs.house.realm
    (audience,) = RECIPE["keycloak"]["audience"]
    custom = {"included.custom.audience": audience, "access.token.claim": "true", "id.token.claim": "false"}
    mapper = {**for_audience(audience), "name": "orders", "config": custom}
    assert programs.challenge(programs.tokens(programs.stranger)["access_token"]) == INVALID

    url = f"/{realm}/clients/{programs.stranger.uuid}/protocol-mappers/models"
    mapper_id = wait_for(admin.call("POST", url, json=mapper))

    assert programs.asks(programs.tokens(programs.stranger)["access_token"]).status == 200
    wait_for(admin.call("DELETE", f"{url}/{mapper_id}"))


def test_people_of_another_client_and_services_pass_with_a_token_that_is_for_us(programs: Programs) -> None:
    alice = programs.tokens(programs.mobile)["access_token"]
    service = programs.tokens(programs.mobile, None)["access_token"]

    told = programs.asks(alice).json["headers"]
    assert (told["HTTP_X_AUTH_USERNAME"], told["HTTP_AUTHORIZATION"]) == ("alice", f"Bearer {alice}")
    assert "viewer" in told["HTTP_X_AUTH_ROLES"].split(",")
    assert told["HTTP_X_AUTH_SUBJECT"] == decoded(alice)["sub"]
    assert programs.orders(alice).status == 200
    assert programs.asks(alice, "/api/staff/rota").status == 200

    told = programs.asks(service).json["headers"]
    assert told["HTTP_X_AUTH_USERNAME"] == f"service-account-{programs.mobile.client_id}"
    forbidden = programs.orders(service)
    assert (forbidden.status, forbidden.json["code"]) == (403, "insufficient_permissions")
    assert forbidden.headers["www-authenticate"] == 'Bearer realm="sidegate", error="insufficient_scope"'


def test_a_token_for_others_and_other_tokens_of_the_same_login_are_refused(programs: Programs) -> None:
    given = programs.tokens(programs.own)
    assert programs.asks(given["access_token"]).status == 200

    assert programs.challenge(given["id_token"]) == INVALID
    assert programs.challenge(given["refresh_token"]) == INVALID
    assert programs.challenge(programs.tokens(programs.stranger)["access_token"]) == INVALID
    assert programs.challenge(given["access_token"][:-6] + "AAAAAA") == INVALID
    assert programs.challenge("not-a-jwt") == INVALID


def test_beside_a_cookie_the_token_counts_and_never_a_mixture(programs: Programs) -> None:
    person = Person(programs.house)
    person.sign_in("bob")
    alice = programs.tokens(programs.mobile)["access_token"]

    def asks(token: str, path: str = "/api") -> Answer:
        return person.browser.get(programs.house.url + path, Authorization=f"Bearer {token}", Accept="*/*")

    assert asks(alice).json["headers"]["HTTP_X_AUTH_USERNAME"] == "alice"
    assert asks(alice[:-6] + "AAAAAA").status == 401
    assert person.is_signed_in()
    url = programs.house.url + "/api"
    posted = person.browser.post(url, {"a": "b"}, Authorization=f"Bearer {alice}", Origin="https://evil.example")
    assert posted.status == 200
    assert person.browser.post(url, {"a": "b"}, Origin="https://evil.example").status == 403


def test_a_lightweight_token_is_what_keycloak_says_it_is(programs: Programs) -> None:
    given = programs.tokens(programs.light)
    token = given["access_token"]
    assert "sub" not in decoded(token)
    assert "aud" not in decoded(token)

    told = programs.asks(token).json["headers"]

    assert (told["HTTP_X_AUTH_USERNAME"], told["HTTP_AUTHORIZATION"]) == ("alice", f"Bearer {token}")
    assert "viewer" in told["HTTP_X_AUTH_ROLES"].split(",")
    assert programs.orders(token).status == 200


def test_after_a_logout_at_keycloak_a_token_is_refused_within_a_second(programs: Programs) -> None:
    given, other = programs.tokens(programs.own), programs.tokens(programs.own)
    assert programs.asks(given["access_token"]).status == programs.asks(other["access_token"]).status == 200

    client = {"client_id": programs.own.client_id, "client_secret": programs.own.secret}
    form = {**client, "refresh_token": given["refresh_token"]}
    assert WebBrowser().post(programs.endpoint("logout"), form).status == 204

    assert programs.is_refused_soon(given["access_token"])
    assert programs.asks(other["access_token"]).status == 200


def test_after_a_logout_here_the_token_of_the_same_login_is_refused(programs: Programs) -> None:
    person = Person(programs.house)
    person.sign_in_at_keycloak()
    tokens = programs.tokens(programs.own)
    assert programs.asks(tokens["access_token"]).status == 200

    everywhere = person.get("/_sidegate/sessions", Accept="application/json").json["csrf_token"]
    assert person.post("/_sidegate/logout/all", {"csrf_token": everywhere}).status in {200, 303}

    assert programs.is_refused_soon(tokens["access_token"])


def test_a_token_of_a_new_key_of_the_realm_counts_at_once(programs: Programs) -> None:
    admin, realm = programs.house.keycloak.admin, programs.house.realm
    # Not alice: where she has just signed out everywhere, a token of hers from the same second is over.
    before = programs.tokens(programs.mobile, "bob")["access_token"]
    component = wait_for(admin.rotate_key(realm=realm))
    try:
        after = programs.tokens(programs.mobile, "bob")["access_token"]
        assert [programs.asks(after).status, programs.asks(before).status] == [200, 200]
    finally:
        wait_for(admin.delete_key(component, realm=realm))


def test_what_was_issued_before_a_not_before_policy_was_pushed_is_refused(programs: Programs) -> None:
    admin, own, realm = programs.house.keycloak.admin, programs.own, programs.house.realm
    service, person = programs.tokens(programs.mobile, None), programs.tokens(programs.mobile)
    tokens = [service["access_token"], person["access_token"]]
    assert [programs.asks(token).status for token in tokens] == [200, 200]

    url = f"{programs.house.url}/_sidegate/keycloak"
    wait_for(admin.update_client(own, adminUrl=url, notBefore=int(time.time())))
    told = wait_for(admin.call("POST", f"/{realm}/clients/{own.uuid}/push-revocation"))

    assert told["successRequests"] == [url]
    assert all(programs.is_refused_soon(token) for token in tokens)


def test_where_the_file_says_so_a_token_is_the_apps_own_business(
    programs: Programs, build_house: Callable[..., House]
) -> None:
    house = build_house(bearer={"enabled": False})
    person = Person(house)
    assert person.get("/api", Authorization="Bearer anything", Accept="*/*").json["code"] == "auth_required"

    person.sign_in("bob")

    told = person.get("/api", Authorization="Bearer anything").json["headers"]
    assert (told["HTTP_X_AUTH_USERNAME"], told["HTTP_AUTHORIZATION"]) == ("bob", "Bearer anything")
