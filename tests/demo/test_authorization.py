"""The first answer of a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.realm import Registration

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


async def test_registration_makes_a_user_and_signs_in(issuer: Issuer, visitor: Visitor) -> None:
    issuer.realm.registration = Registration.OPEN
    page = await visitor.authorize(prompt="create")
    form = {"username": "new", "password": "pw", "password-confirm": "pw", "email": "new@acme.test"}

    refused = await visitor.post(page.form_action, {**form, "password-confirm": "other"})
    done = await visitor.post(refused.form_action, form)

    assert "Password confirmation doesn" in refused.text
    assert "code" in done.parameters
    assert issuer.users["new"].email == "new@acme.test"
    assert (await visitor.direct("new", password="pw")).status == 200


async def test_a_name_that_is_taken_cannot_be_registered(issuer: Issuer, visitor: Visitor) -> None:
    issuer.realm.registration = Registration.OPEN
    page = await visitor.authorize(prompt="create")

    answer = await visitor.post(page.form_action, {"username": "alice", "password": "x", "password-confirm": "x"})

    assert "Username already exists." in answer.text
    assert (await visitor.direct()).status == 200


async def test_an_error_travels_by_the_mode_that_was_asked_for(visitor: Visitor) -> None:
    fragment = await visitor.authorize(response_mode="fragment", scope="openid x")
    posted = await visitor.authorize(response_mode="form_post", prompt="none")

    assert "#error=invalid_scope" in fragment.headers["Location"]
    assert posted.hidden["error"] == "login_required"


async def test_an_action_on_a_living_session_is_a_page(visitor: Visitor) -> None:
    await visitor.sign_in()

    page = await visitor.authorize(kc_action="UPDATE_PASSWORD")
    done = await visitor.post(page.form_action, {"password-new": "n", "password-confirm": "n"})

    assert page.status == 200
    assert done.parameters["kc_action_status"] == "success"
    assert (await visitor.direct(password="n")).status == 200
