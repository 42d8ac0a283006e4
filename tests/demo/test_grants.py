"""Grants, where time or a setting decides; the wording is asked of a real Keycloak in the contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.grants import challenge_of, granted_scope
from proxy.demo.oauth_errors import OAuthError
from proxy.demo.users import UserState
from tests.demo.visitor import claims

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


def test_the_challenge_is_that_of_the_rfc() -> None:
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("", ("email", "profile")),
        ("openid", ("openid", "email", "profile")),
        ("openid offline_access offline_access", ("openid", "email", "profile", "offline_access")),
    ],
)
def test_default_scopes_are_always_granted(asked: str, granted: tuple[str, ...]) -> None:
    assert granted_scope(asked) == granted


def test_an_unknown_scope_is_refused_with_all_that_was_asked() -> None:
    with pytest.raises(OAuthError, match="openid nonsense"):
        granted_scope("openid nonsense")


async def test_a_locked_user_looks_like_a_wrong_password(issuer: Issuer, visitor: Visitor) -> None:
    issuer.users["alice"].state = UserState.LOCKED

    right, wrong = await visitor.direct(), await visitor.direct(password="wrong")

    assert (right.status, right.body) == (wrong.status, wrong.body)


async def test_a_code_is_good_for_a_minute(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    in_time = (await visitor.sign_in()).parameters["code"]
    clock.advance(59)
    taken = await visitor.exchange(in_time)
    late = (await visitor.authorize()).parameters["code"]
    clock.advance(60)

    assert taken.status == 200
    assert (await visitor.exchange(late)).json["error_description"] == "Code not valid"


async def test_a_disabled_user_gets_nothing_for_a_code(issuer: Issuer, visitor: Visitor) -> None:
    code = (await visitor.sign_in()).parameters["code"]
    issuer.disable_user("alice")

    assert (await visitor.exchange(code)).json["error_description"] == "User disabled"


async def test_roles_are_looked_up_at_each_refresh(issuer: Issuer, visitor: Visitor) -> None:
    tokens = (await visitor.direct()).json
    issuer.set_roles("alice", "editor")

    roles = claims((await visitor.refresh(tokens)).json["access_token"])["realm_access"]["roles"]

    assert "editor" in roles
    assert "viewer" not in roles
    assert "default-roles-acme" in roles
