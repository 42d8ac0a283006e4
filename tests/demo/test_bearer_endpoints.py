"""Userinfo, introspection, revocation: what a setting or the time decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


async def test_userinfo_tells_what_the_user_is_now(issuer: Issuer, visitor: Visitor) -> None:
    token = (await visitor.direct()).json["access_token"]
    issuer.users["alice"].email = "new@acme.test"

    answer = await visitor.get(issuer.endpoint("userinfo"), Authorization=f"Bearer {token}")

    assert answer.json["email"] == "new@acme.test"


async def test_a_token_for_the_caller_is_active_until_it_expires(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    issuer.clients["app"].audiences = ("api",)
    issuer.register_client(type(issuer.clients["app"])(client_id="api", secret="api-secret"))
    token = (await visitor.direct()).json["access_token"]
    as_api = {"client_id": "api", "client_secret": "api-secret", "token": token}

    active = await visitor.call("token/introspect", **as_api)
    clock.advance(301)
    expired = await visitor.call("token/introspect", **as_api)

    assert (active.json["active"], active.json["username"]) == (True, "alice")
    assert expired.json == {"active": False}


async def test_an_id_token_is_active_for_its_client(visitor: Visitor) -> None:
    tokens = (await visitor.direct()).json

    answer = await visitor.call("token/introspect", token=tokens["id_token"])

    assert (answer.json["active"], answer.json["typ"]) == (True, "ID")


async def test_a_refresh_token_revoked_twice_is_invalid_the_second_time(visitor: Visitor) -> None:
    token = (await visitor.direct()).json["refresh_token"]

    first, second = [await visitor.call("revoke", token=token) for _ in range(2)]

    assert (first.status, first.body) == (200, b"")
    assert (second.status, second.json["error"]) == (200, "invalid_token")
