"""What an app is told with a real Keycloak at hand: proof that the examples of the documentation believe, tokens of its
own, no more roles than its route names; and an app of the root that lives below a path.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.settings.signing_keys import make_signing_key
from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import House, Person, decoded
from tests.journeys.test_bearer import for_audience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.server import KeycloakServer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "assertion"
ROUTES: list[dict[str, Any]] = [
    {"path": "/api/**", "token_exchange": {"audience": "api-client"}},
    {"path": "/unavailable/**", "token_exchange": {"audience": "other-app"}},
    {"path": "/unknown/**", "token_exchange": {"audience": "nobody-of-that-name"}},
    {"path": "/old/**", "strip_prefix": "/old", "headers": {"roles": ["view*"], "groups": []}},
    {"path": "/public/**", "access": "public"},
    {"path": "/**"},
]


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "assertion.pem").write_text(make_signing_key())
    made = House(
        keycloak,
        folder,
        client={
            "attributes": {"standard.token.exchange.enabled": "true"},
            "protocolMappers": [for_audience("api-client")],
        },
        keycloak={"audience": ["api-client"]},
        identity_headers={
            "assertion": {"audience": "app", "signing_key": {"file": str(folder / "assertion.pem")}},
        },
        routes=ROUTES,
    )
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def token_for_app(told: dict[str, Any]) -> dict[str, Any]:
    scheme, _, token = told["headers"]["HTTP_AUTHORIZATION"].partition(" ")
    assert scheme == "Bearer"
    return decoded(token)


def test_the_app_gets_a_token_of_its_own_and_nothing_instead_of_it(house: House, person: Person) -> None:
    person.sign_in("alice")

    first, second = person.told_to_app("/api/a"), person.told_to_app("/api/b")

    told = token_for_app(first)
    assert (told["aud"], told["azp"]) == ("api-client", house.client.client_id)
    assert told["sub"] == first["headers"]["HTTP_X_AUTH_SUBJECT"]
    assert first["headers"]["HTTP_AUTHORIZATION"] == second["headers"]["HTTP_AUTHORIZATION"], "asked for once"
    assert "HTTP_AUTHORIZATION" not in person.told_to_app("/who")["headers"]

    refused = person.get("/unavailable/x", Accept="*/*")
    assert (refused.status, refused.json["code"]) == (403, "token_exchange_refused")
    failed = person.get("/unknown/x", Accept="*/*")
    assert (failed.status, failed.json["code"]) == (502, "token_exchange_failed")
    assert person.is_signed_in()


def test_the_token_of_a_program_is_exchanged_too(house: House) -> None:
    who = {"client_id": house.client.client_id, "client_secret": house.client.secret}
    form = {**who, "grant_type": "password", "username": "alice", "password": "alice-pw", "scope": "openid"}
    own = WebBrowser().post(f"{house.keycloak.issuer(house.realm)}/protocol/openid-connect/token", form).json
    bearer = {"Authorization": f"Bearer {own['access_token']}", "Accept": "*/*"}

    answer = WebBrowser().get(house.url + "/api/x", **bearer)

    assert answer.status == 200, answer.text
    assert token_for_app(answer.json)["aud"] == "api-client"
    assert decoded(answer.json["headers"]["HTTP_X_SIDEGATE_ASSERTION"])["sub"] == decoded(own["access_token"])["sub"]


def test_the_examples_believe_what_the_app_is_told(house: House, person: Person) -> None:
    assert "HTTP_X_SIDEGATE_ASSERTION" not in person.told_to_app("/public/x")["headers"]
    person.sign_in("alice")
    told = person.told_to_app("/who")["headers"]

    for program in ([sys.executable, "-c", PYTHON], ["php", "-r", PHP]):
        environment = {**os.environ, "SIDEGATE_URL": house.url, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*program, told["HTTP_X_SIDEGATE_ASSERTION"]]
        ran = subprocess.run(command, cwd=EXAMPLES, env=environment, capture_output=True, text=True, check=False)
        assert ran.stdout == told["HTTP_X_AUTH_ROLES"], ran.stderr


PYTHON = "import sys, verify; print(','.join(verify.who_asks(sys.argv[1])['roles']), end='')"
PHP = """
require 'verify.php';
echo implode(',', who_asks($argv[1], getenv('SIDEGATE_URL'), 'app')['roles']);
"""


def test_an_app_of_the_root_lives_below_a_path_and_hears_of_what_its_route_names(person: Person) -> None:
    person.sign_in("alice")

    moved = person.get("/old/moved")
    arrived = person.follow(moved).json

    assert (moved.status, moved.location) == (302, "/old/?from=moved")
    assert (arrived["path"], arrived["query"]) == ("/", "from=moved")
    assert moved.headers["set-cookie"] == "theirs=1; Path=/old; HttpOnly"
    assert arrived["headers"]["HTTP_X_AUTH_ROLES"] == "viewer"
    said = decoded(arrived["headers"]["HTTP_X_SIDEGATE_ASSERTION"])
    assert (said["roles"], said["groups"]) == (["viewer"], [])
    assert set(person.told_to_app("/who")["headers"]["HTTP_X_AUTH_ROLES"].split(",")) > {"viewer"}
