"""A test login: what the tokens show, and that nothing of it stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.demo.clients import Feature, Lifetimes
from proxy.demo.issuer import running_issuer
from proxy.demo.misbehaviour import Endpoint, TokenKind, broken_signature, dropped, opaque, status, without_claims
from proxy.demo.shape import Shape
from proxy.demo.users import UserState
from proxy.doctor.person import TriedAccount, look_at_person
from proxy.doctor.provider import look_at_provider
from tests.doctor.conftest import register, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from proxy.demo.issuer import Issuer
    from proxy.demo.misbehaviour import Fault, Handler
    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

pytestmark = pytest.mark.usefixtures("no_proxy")

SHORT = {"lifetime": "20m", "idle_timeout": "10m"}
VIEWERS = [{"path": "/**", "access": {"any_role": ["viewer"], "any_group": ["/staff"]}}]


async def findings(
    visit_to: Begin, issuer: Issuer, *, username: str = "alice", password: str = "alice-pw", **file: Any
) -> dict[str, tuple[str, str, str]]:
    visit = await visit_to(issuer.url, **file)
    metadata = (await look_at_provider(visit)).metadata
    assert metadata is not None
    found = told(await look_at_person(visit, metadata, TriedAccount(username, Secret(password))))
    assert password not in repr(found)
    assert "eyJ" not in repr(found)
    return found


async def test_a_login_that_is_well_is_ok_in_every_line_and_is_ended(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer, sessions=SHORT, routes=VIEWERS)

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {
        "login": "ok",
        "clock": "ok",
        "access token": "ok",
        "roles": "ok",
        "groups": "ok",
        "sessions": "ok",
        "access lifetime": "ok",
        "logout": "ok",
    }
    assert found["roles"][1].startswith("viewer")
    assert found["groups"][1] == "/staff"
    assert issuer.live_sessions() == []


async def test_a_wrong_password_is_one_line(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer, password="not-hers")

    assert list(found) == ["login"]
    assert found["login"][:2] == (
        "fail",
        "alice: Keycloak does not take the password (nor does it say whether a one-time code is missing)",
    )


async def test_an_account_that_cannot_sign_in_by_the_form_says_what_is_missing(issuer: Issuer, visit_to: Begin) -> None:
    issuer.users["alice"].required_actions = ["UPDATE_PASSWORD"]
    unready = await findings(visit_to, issuer)
    issuer.users["alice"].state = UserState.DISABLED
    disabled = await findings(visit_to, issuer)

    assert "not fully set up" in unready["login"][1]
    assert "the account is disabled" in disabled["login"][1]


async def test_a_client_that_is_refused_points_at_the_lines_above(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, without=Feature.DIRECT_GRANTS)

    verdict, _, remedy = (await findings(visit_to, issuer))["login"]

    assert (verdict, remedy) == ("fail", "mend the client first, as the lines above say")


async def test_an_id_token_that_is_not_the_issuers_is_a_failure_and_the_session_ends_all_the_same(
    issuer: Issuer, visit_to: Begin
) -> None:
    issuer.misbehaviour.forge(TokenKind.ID, broken_signature())

    found = await findings(visit_to, issuer)

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {"login": "fail", "logout": "ok"}
    assert issuer.live_sessions() == []


@pytest.mark.parametrize(
    ("ahead_s", "verdicts"),
    [(20, ("ok", "warn")), (-20, ("ok", "warn")), (200, (None, "fail")), (-1000, (None, "fail"))],
)
async def test_tokens_tell_by_how_much_the_clocks_differ(
    visit_to: Begin, ahead_s: float, verdicts: tuple[str | None, str]
) -> None:
    async with running_issuer(shape=Shape("/realms/demo"), clock=lambda: time.time() + ahead_s) as issuer:
        register(issuer)
        issuer.add_user("alice", "alice-pw")
        issuer.misbehaviour.answer(Endpoint.TOKEN, without_date())
        found = await findings(visit_to, issuer)
        assert issuer.live_sessions() == []

    assert (found.get("login", (None,))[0], found["clock"][0]) == verdicts
    if verdicts[1] != "ok":
        assert "NTP" in found["clock"][2]


def without_date() -> Fault:
    """As Keycloak answers."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        answer.headers["Date"] = ""
        return answer

    return fault


async def test_an_access_token_without_sub_is_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.forge(TokenKind.ACCESS, without_claims("sub"))

    verdict, _, remedy = (await findings(visit_to, issuer))["access token"]

    assert verdict == "warn"
    assert "Advanced → Lightweight access token" in remedy
    assert "basic" in remedy


async def test_an_opaque_access_token_is_nobodys_fault(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.forge(TokenKind.ACCESS, opaque())

    assert (await findings(visit_to, issuer))["access token"][0] == "ok"


async def test_tokens_without_the_rights_that_routes_ask_for_are_a_failure(issuer: Issuer, visit_to: Begin) -> None:
    lean = ("realm_access", "resource_access", "groups")
    for kind in (TokenKind.ACCESS, TokenKind.ID):
        issuer.misbehaviour.forge(kind, without_claims(*lean), times=2)

    asked = await findings(visit_to, issuer, routes=VIEWERS)
    free = await findings(visit_to, issuer)

    assert (asked["roles"][0], asked["groups"][0]) == ("fail", "fail")
    assert "routes ask for viewer" in asked["roles"][1]
    assert "Add mapper" in asked["groups"][2]
    assert (free["roles"][0], free["roles"][1]) == ("ok", "none, and no route asks for one")
    assert "groups" not in free


async def test_sessions_that_end_before_the_file_says_so_are_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    verdict, sentence, remedy = (await findings(visit_to, issuer))["sessions"]

    assert verdict == "warn"
    assert "sessions.lifetime is 30d, but the provider's refresh tokens last 30m" in sentence
    assert "keycloak.offline_access: true" in remedy


async def test_without_refresh_tokens_sessions_end_with_their_access_token(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, without=Feature.REFRESH_TOKENS)

    found = await findings(visit_to, issuer, sessions=SHORT)

    assert found["sessions"][0] == "warn"
    assert found["logout"][:2] == ("warn", "there is no refresh token, so the session of the test login stays")
    assert "Users → alice → Sessions" in found["logout"][2]


async def test_offline_sessions_last_as_long_as_the_file_says(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer, keycloak={"offline_access": True})

    assert found["sessions"][0] == "ok"
    assert issuer.live_sessions() == []


async def test_access_tokens_that_live_shorter_than_their_refresh_needs_are_a_warning(
    issuer: Issuer, visit_to: Begin
) -> None:
    register(issuer, lifetimes=Lifetimes(access_token_s=100))

    verdict, sentence, remedy = (await findings(visit_to, issuer))["access lifetime"]

    assert verdict == "warn"
    assert "less than twice sessions.refresh_before_expiry" in sentence
    assert "Access Token Lifespan" in remedy


async def test_a_logout_that_is_refused_is_a_failure_with_the_place_to_do_it_by_hand(
    issuer: Issuer, visit_to: Begin
) -> None:
    issuer.misbehaviour.answer(Endpoint.END_SESSION, status(500))

    verdict, _, remedy = (await findings(visit_to, issuer))["logout"]

    assert (verdict, remedy) == ("fail", "end it in the console: Users → alice → Sessions")


async def test_a_provider_that_goes_away_at_the_logout_is_a_failure_too(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.END_SESSION, dropped())

    assert (await findings(visit_to, issuer))["logout"][0] == "fail"
