"""What stands in tokens, where time decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.clients import Client, Feature, Lifetimes
from tests.demo.visitor import CALLBACK, claims

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


async def test_lifetimes_shrink_towards_the_end_of_the_session(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    issuer.realm.lifetimes = Lifetimes(session_max_s=12)
    tokens = (await visitor.direct()).json
    seen = [(tokens["expires_in"], tokens["refresh_expires_in"])]
    for _ in range(2):
        clock.advance(4)
        tokens = (await visitor.refresh(tokens)).json
        seen.append((tokens["expires_in"], tokens["refresh_expires_in"]))
    clock.advance(5)

    assert seen == [(12, 12), (8, 8), (4, 4)]
    assert (await visitor.refresh(tokens)).json["error_description"] == "Token is not active"


async def test_a_refresh_puts_the_idle_end_off(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    issuer.realm.lifetimes = Lifetimes(session_idle_s=8)
    tokens = (await visitor.direct()).json
    statuses = []
    for _ in range(3):
        clock.advance(6)
        answer = await visitor.refresh(tokens)
        statuses.append(answer.status)
        tokens = answer.json

    assert statuses == [200, 200, 200]


async def test_a_client_without_refresh_tokens_gets_none(issuer: Issuer, visitor: Visitor) -> None:
    issuer.clients["app"].features ^= Feature.REFRESH_TOKENS

    tokens = (await visitor.direct()).json

    assert "refresh_token" not in tokens
    assert tokens["refresh_expires_in"] == 0


async def test_a_user_has_only_what_is_known_of_him(issuer: Issuer, visitor: Visitor) -> None:
    issuer.add_user("bare", "bare-pw", attributes={"department": "finance"})

    told = claims((await visitor.direct("bare")).json["id_token"])

    assert not {"name", "given_name", "family_name", "email"} & set(told)
    assert told["department"] == "finance"


async def test_the_requesting_client_is_never_in_its_own_audience(issuer: Issuer, visitor: Visitor) -> None:
    issuer.users["alice"].client_roles = {"app": ("editor",), "other": ("x",)}
    issuer.register_client(
        Client(client_id="app", secret="app-secret", redirect_uris=(CALLBACK,), audiences=("api",), groups_claim="")
    )

    told = claims((await visitor.direct()).json["access_token"])

    assert told["aud"] == ["api", "other", "account"]
    assert told["resource_access"]["app"] == {"roles": ["editor"]}
    assert "groups" not in told
