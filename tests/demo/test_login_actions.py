"""The steps of a login in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo import totp

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock

RIGHT = {"username": "alice", "password": "alice-pw"}


async def test_a_page_kept_too_long_leads_to_a_fresh_one(visitor: Visitor, clock: FakeClock) -> None:
    page = await visitor.authorize()
    clock.advance(1800)

    answer = await visitor.post(page.form_action, RIGHT)
    fresh = await visitor.get(answer.headers["Location"])

    assert answer.status == 302
    assert answer.headers["Location"].startswith(visitor.issuer.endpoint("auth"))
    assert "code" in (await visitor.post(fresh.form_action, RIGHT)).parameters


async def test_a_reload_shows_the_step_that_the_tab_is_at(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    issuer.users["alice"].otp_secret = b"secret"
    page = await visitor.authorize()
    await visitor.post(page.form_action, RIGHT)

    reloaded = await visitor.get(page.form_action)
    done = await visitor.post(reloaded.form_action, {"otp": totp.code_at(b"secret", clock.now())})

    assert 'name="otp"' in reloaded.text
    assert "code" in done.parameters


async def test_the_otp_step_cannot_be_skipped(issuer: Issuer, visitor: Visitor) -> None:
    issuer.users["alice"].otp_secret = b"secret"
    page = await visitor.authorize()
    await visitor.post(page.form_action, RIGHT)

    answer = await visitor.post(page.form_action, RIGHT)

    assert "Invalid authenticator code." in answer.text


async def test_a_disabled_user_is_told_only_after_the_right_password(issuer: Issuer, visitor: Visitor) -> None:
    issuer.disable_user("alice")
    page = await visitor.authorize()

    wrong = await visitor.post(page.form_action, {**RIGHT, "password": "wrong"})
    right = await visitor.post(page.form_action, RIGHT)

    assert "Invalid username or password." in wrong.text
    assert "Account is disabled" in right.text


async def test_reauthentication_is_for_the_same_user_alone(issuer: Issuer, visitor: Visitor) -> None:
    issuer.add_user("bob", "bob-pw")
    await visitor.sign_in()
    page = await visitor.authorize(prompt="login")

    answer = await visitor.post(page.form_action, {"username": "bob", "password": "bob-pw"})

    assert 'name="username"' not in page.text
    assert "Invalid username or password." in answer.text


async def test_a_required_action_is_done_before_there_is_a_code(issuer: Issuer, visitor: Visitor) -> None:
    issuer.users["alice"].required_actions = ("UPDATE_PASSWORD",)
    page = await visitor.authorize()
    question = await visitor.post(page.form_action, RIGHT)

    cancelled = await visitor.post(question.form_action, {"cancel-aia": "true"})
    done = await visitor.post(question.form_action, {"password-new": "n", "password-confirm": "n"})

    assert "code" not in cancelled.parameters
    assert "code" in done.parameters
    assert (await visitor.direct(password="n")).status == 200
