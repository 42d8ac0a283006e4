"""A user's own sessions: who may look and who may end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.misbehaviour import TokenKind, claims

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Reply, Visitor


async def account(visitor: Visitor, method: str, token: str, path: str = "sessions") -> Reply:
    headers = {"Authorization": f"Bearer {token}"}
    return await visitor.ask(method, f"{visitor.issuer.url}/account/{path}", headers=headers)


async def test_without_the_role_it_is_403_and_nothing_ends(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ACCESS, claims(resource_access={"account": {"roles": ["view-profile"]}}))
    token = (await visitor.direct()).json["access_token"]

    assert (await account(visitor, "DELETE", token, "sessions?current=true")).status == 403
    assert (await account(visitor, "GET", token)).status == 200
    assert len(issuer.live_sessions("alice")) == 1


async def test_without_the_audience_it_is_401(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ACCESS, claims(aud="api"))
    token = (await visitor.direct()).json["access_token"]

    assert (await account(visitor, "GET", token)).status == 401


async def test_only_ones_own_sessions_are_told_and_ended(issuer: Issuer, visitor: Visitor) -> None:
    issuer.add_user("bob", "bob-pw")
    await visitor.direct("bob")
    token = (await visitor.direct()).json["access_token"]

    told = (await account(visitor, "GET", token)).json
    await account(visitor, "DELETE", token, "sessions?current=true")

    assert len(told) == 1
    assert len(issuer.live_sessions("bob")) == 1
    assert issuer.live_sessions("alice") == []
