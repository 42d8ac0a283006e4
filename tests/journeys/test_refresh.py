"""Tokens are refreshed before they are over, and a session ends when the provider says so; all real."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.journeys.house import House, Person, decoded, sid_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = {"access.token.lifespan": "4"}


def test_many_requests_at_once_make_one_refresh_and_none_is_refused(build_house: Callable[..., House]) -> None:
    house = build_house(realm="rotating", client={"attributes": SHORT})
    person = Person(house)
    person.sign_in("alice")
    time.sleep(4.5)

    def visit(_number: int) -> int:
        visitor = Person(house)
        visitor.browser.cookies.update(person.browser.cookies)
        return visitor.get("/x").status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(visit, range(48)))

    assert statuses == [200] * 48
    time.sleep(1.2)
    assert person.is_signed_in()


def test_a_session_outlives_many_access_tokens_and_roles_follow(build_house: Callable[..., House]) -> None:
    house = build_house(client={"attributes": SHORT})
    person = Person(house)
    admin = house.keycloak.admin
    name = f"roles-{house.client.client_id}"

    async def make() -> str:
        return await admin.create_user(name)

    user_id = wait_for(make())
    person.sign_in(name)
    assert "editor" not in person.told_to_app()["headers"].get("HTTP_X_AUTH_ROLES", "")
    assert person.get("/admin/x").status == 403

    wait_for(admin.add_realm_roles(user_id, ("editor",)))
    deadline = time.monotonic() + 8
    while person.get("/admin/x").status != 200 and time.monotonic() < deadline:
        time.sleep(0.25)

    assert person.get("/admin/x").status == 200


def test_a_session_that_keycloak_forgot_is_over_at_the_next_refresh(build_house: Callable[..., House]) -> None:
    house = build_house(client={"attributes": {**SHORT, "backchannel.logout.url": ""}})
    person = Person(house)
    person.sign_in("bob")
    (sid,) = sid_of(house, "bob")

    wait_for(house.keycloak.admin.delete_session(sid))
    time.sleep(4.5)

    assert not person.is_signed_in()


def test_the_app_is_sent_the_access_token_only_where_the_file_says_so(build_house: Callable[..., House]) -> None:
    plain, told = Person(build_house()), Person(build_house(access_token=True))
    plain.sign_in()
    told.sign_in()

    assert "HTTP_AUTHORIZATION" not in plain.told_to_app()["headers"]
    authorization = told.get("/x", Authorization="Basic Zm9v").json["headers"]["HTTP_AUTHORIZATION"]
    assert decoded(authorization.removeprefix("Bearer "))["preferred_username"] == "alice"
