"""Too many failed tries, all real: a Keycloak that locks after three failures, and Sidegate before it after two."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.house import House, Person, wait_for
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.web_browser import Answer
    from tests.keycloak.server import KeycloakServer

REALM = "guarded"
PER_USER = 2
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.66"


@pytest.fixture(scope="module")
def guarded(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house behind a proxy that it trusts, so that people have addresses of their own."""
    made = House(
        keycloak,
        tmp_path_factory.mktemp("house"),
        realm=REALM,
        server={"trusted_proxies": ["127.0.0.1"]},
        login={"throttle": {"per_user": f"{PER_USER}/5m", "per_address": "100/5m"}},
    )
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture
def name(guarded: House) -> str:
    """Somebody new; whoever is locked stays locked for a minute, and the realm is shared."""
    made = f"frank-{uuid.uuid4().hex[:8]}"
    wait_for(guarded.keycloak.admin.create_user(made, realm=REALM))
    return made


def attempt(person: Person, username: str, password: str, *, address: str) -> Answer:
    """Open the login page and send it, by way of the proxy."""
    page = person.get("/_sidegate/login", X_Forwarded_For=address)
    form = {**page.hidden_inputs(), "username": username, "password": password}
    return person.browser.post(
        page.form_action, form, Accept="text/html", Origin=person.house.url, X_Forwarded_For=address
    )


def test_strangers_are_refused_before_keycloak_locks_and_the_owner_comes_in_at_home(guarded: House, name: str) -> None:
    admin, owner = guarded.keycloak.admin, Person(guarded)
    assert attempt(owner, name, f"{name}-pw", address=HOME).status == 303
    user_id = wait_for(admin.user_id(name, realm=REALM))
    assert [one["ipAddress"] for one in wait_for(admin.sessions(user_id, realm=REALM))] == [HOME]

    stranger = Person(guarded)
    spellings = [name, name.upper(), f" {name}", name, name.title()]
    statuses = [attempt(stranger, spelling, "wrong", address=ELSEWHERE).status for spelling in spellings]
    refused = attempt(stranger, name, f"{name}-pw", address=ELSEWHERE)

    assert statuses == [401] * PER_USER + [429] * 3
    assert refused.status == 429
    assert 200 < int(refused.headers["retry-after"]) <= 300
    assert "Please wait 5 minutes" in refused.text
    assert f'value="{name}"' in refused.text
    assert wait_for(failures_at_keycloak(guarded, user_id)) == (PER_USER, ELSEWHERE, False)
    owner.browser.cookies.pop("sidegate")
    assert attempt(owner, name, f"{name}-pw", address=HOME).status == 303


async def failures_at_keycloak(house: House, user_id: str) -> tuple[int, str, bool]:
    """What Keycloak counted once it has heard of all; it lags behind."""

    async def look() -> bool:
        status = await house.keycloak.admin.brute_force_status(user_id, realm=REALM)
        return bool(status["numFailures"] >= PER_USER)

    await eventually(look, expected=True)
    status: dict[str, Any] = await house.keycloak.admin.brute_force_status(user_id, realm=REALM)
    return status["numFailures"], status["lastIPFailure"], status["disabled"]


def test_nobody_learns_from_the_throttle_whether_a_user_exists_or_is_disabled(guarded: House, name: str) -> None:
    unknown, disabled = f"nobody-{uuid.uuid4().hex[:8]}", name
    wrong = f"grace-{uuid.uuid4().hex[:8]}"
    wait_for(guarded.keycloak.admin.create_user(wrong, realm=REALM))
    wait_for(
        guarded.keycloak.admin.disable_user(
            wait_for(guarded.keycloak.admin.user_id(disabled, realm=REALM)), realm=REALM
        )
    )

    seen = set()
    for username, password in ((unknown, "x"), (wrong, "wrong"), (disabled, f"{disabled}-pw")):
        person = Person(guarded)
        answers = [attempt(person, username, password, address=ELSEWHERE) for _ in range(PER_USER + 1)]
        assert [answer.status for answer in answers] == [401] * PER_USER + [429]
        seen.add(json.dumps([shape(answer, username) for answer in answers]))

    assert len(seen) == 1


def shape(answer: Answer, username: str) -> list[Any]:
    """What it looks like, without what differs by chance."""
    text = answer.text.replace(username, "USER").replace(answer.headers["x-request-id"], "")
    for value in answer.hidden_inputs().values():
        text = text.replace(value, "")
    return [answer.status, sorted(answer.headers), text.replace("4 minutes", "5 minutes")]
