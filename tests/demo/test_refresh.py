"""Rotation and stale tokens, with time in the hand; the contract suite asks a real Keycloak the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.clients import Lifetimes
from proxy.demo.oauth_errors import OAuthError
from proxy.demo.realm import Rotation
from proxy.demo.refresh import session_of_refresh_token

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


@pytest.fixture
def rotating(issuer: Issuer) -> Issuer:
    issuer.realm.rotation = Rotation.STRICT
    return issuer


async def test_reuse_loses_everything_in_three_sentences(rotating: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    first = (await visitor.direct()).json
    clock.advance(2)
    winner = (await visitor.refresh(first)).json
    answers = [await visitor.refresh(tokens) for tokens in (first, first, winner)]

    assert [answer.json["error_description"] for answer in answers] == [
        "Maximum allowed refresh token reuse exceeded",
        "Session doesn't have required client",
        "Session doesn't have required client",
    ]


@pytest.mark.parametrize(("pause_s", "sentence"), [(0, None), (2, "Stale token")])
async def test_an_older_token_is_noticed_from_the_next_second_on(
    rotating: Issuer, visitor: Visitor, clock: FakeClock, pause_s: int, sentence: str | None
) -> None:
    first = (await visitor.direct()).json
    second = (await visitor.refresh(first)).json
    clock.advance(pause_s)
    await visitor.refresh(second)

    assert (await visitor.refresh(first)).json.get("error_description") == sentence


async def test_one_reuse_saves_a_lost_answer(issuer: Issuer, visitor: Visitor) -> None:
    issuer.realm.rotation = Rotation.ONE_REUSE
    first = (await visitor.direct()).json

    statuses = [(await visitor.refresh(first)).status for _ in range(3)]

    assert statuses == [200, 200, 400]


async def test_a_realm_wide_logout_makes_earlier_tokens_stale_and_later_ones_not(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    before = (await visitor.direct()).json
    clock.advance(5)
    issuer.logout_all()
    after = (await visitor.direct()).json

    assert (await visitor.refresh(before)).json["error_description"] == "Stale token"
    assert (await visitor.refresh(after)).status == 200


async def test_a_token_is_good_through_its_last_second_but_the_idle_client_session_is_not(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    issuer.clients["app"].lifetimes = Lifetimes(session_idle_s=60)
    tokens = (await visitor.direct()).json
    sentences: list[str] = []
    for pause_s in (60, 1):
        clock.advance(pause_s)
        sentences.append((await visitor.refresh(tokens)).json["error_description"])

    assert sentences == ["Session doesn't have required client", "Token is not active"]


async def test_a_token_of_another_issuer_is_told_which_was_expected(issuer: Issuer, visitor: Visitor) -> None:
    tokens = (await visitor.direct()).json
    issuer.realm.origin = "https://elsewhere.test"

    with pytest.raises(OAuthError, match=r"Expected 'https://elsewhere\.test/realms/acme'"):
        session_of_refresh_token(issuer.realm, issuer.clients["app"], tokens["refresh_token"])
