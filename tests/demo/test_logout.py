"""Logout at the provider: what the contract suite does not reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.demo.visitor import CALLBACK

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


async def test_an_expired_hint_is_a_hint(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    tokens = await visitor.browser_tokens()
    clock.advance(1000)

    answer = await visitor.get(
        issuer.endpoint("logout"), {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": CALLBACK}
    )

    assert (answer.status, answer.headers["Location"]) == (302, CALLBACK)
    assert issuer.live_sessions() == []


async def test_a_question_is_answered_once_and_with_its_own_code(issuer: Issuer, visitor: Visitor) -> None:
    await visitor.sign_in()
    first = await visitor.get(issuer.endpoint("logout"))
    second = await visitor.get(issuer.endpoint("logout"))

    forged = await visitor.post(first.form_action, {"session_code": "ü", "confirmLogout": "Logout"})
    again = await visitor.post(first.form_action, first.hidden)
    alive = len(issuer.live_sessions())
    answered = await visitor.post(second.form_action, second.hidden)

    assert (forged.status, again.status, alive) == (400, 400, 1)
    assert "You are logged out" in answered.text
    assert issuer.live_sessions() == []


async def test_an_expired_refresh_token_still_ends_its_session(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    old = (await visitor.direct()).json
    clock.advance(1000)
    await visitor.refresh(old)
    clock.advance(1000)

    answer = await visitor.call("logout", refresh_token=old["refresh_token"])

    assert answer.status == 204
    assert issuer.live_sessions() == []
