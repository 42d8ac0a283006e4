"""One form that was sent: what makes two of them the same, and that a login ends although nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.authentication import ROOT_LIFETIME_S, Execution, ExecutionStatus, TabStatus
from proxy.tasks import TaskOwner
from tests.support.eventually import eventually
from tests.support.own_pages import OWN, OwnPages, submit_login
from tests.web.test_tabs import LOGIN, ROOT, filled, together, with_cookies_of

if TYPE_CHECKING:
    from tests.support.own_pages import Page


@pytest.mark.parametrize(
    ("query", "fields"),
    [(["", ""], [{}, {"remember_me": "true"}]), ([f"kept={'a' * 22}", f"kept={'b' * 22}"], [{}, {}])],
)
async def test_a_form_that_asks_for_another_session_is_another_form(
    own: OwnPages, query: list[str], fields: list[dict[str, str]]
) -> None:
    browser = own.browser()
    shown = [await browser.get(f"{LOGIN}?{one}") for one in query]
    sent = with_cookies_of(browser)
    forms = [filled(page, **more) for page, more in zip(shown, fields, strict=True)]

    await together(own, *(browser.post(LOGIN, form, **sent) for form in forms), asked=2)

    assert len(own.provider.passwords) == 2


async def test_a_login_ends_although_its_browser_hung_up(own: OwnPages) -> None:
    browser, asked, go = own.browser(), asyncio.Event(), asyncio.Event()
    usual = own.provider.password_grant

    async def slow(*args: Any, **more: Any) -> Any:
        asked.set()
        await go.wait()
        return await usual(*args, **more)

    own.provider.password_grant = slow  # type: ignore[method-assign]
    shown = await browser.get(LOGIN)

    sent = TaskOwner(lambda fault: None).start(browser.post(LOGIN, filled(shown)))
    async with asyncio.timeout(10):
        await asked.wait()
    sent.cancel()
    await asyncio.gather(sent, return_exceptions=True)
    go.set()

    await eventually(own.sessions.count, 1)


async def test_a_tab_says_how_each_step_stands(own: OwnPages) -> None:
    browser = own.browser()
    await submit_login(browser, password="wrong", otp="123456")
    (refused,) = await own.authentications.tabs(browser.cookies[ROOT])
    old_root = browser.cookies[ROOT]

    await submit_login(browser)

    assert refused.executions == {
        Execution.PASSWORD: ExecutionStatus.FAILED,
        Execution.OTP: ExecutionStatus.ATTEMPTED,
    }
    assert refused.expires_at - own.clock.now() <= ROOT_LIFETIME_S
    states = {tab.status for tab in await own.authentications.tabs(old_root)}
    assert states == {TabStatus.SUPERSEDED, TabStatus.USED}


async def test_what_cannot_be_a_password_counts_as_a_refusal_of_the_form(own: OwnPages) -> None:
    browser = own.browser()

    page: Page = await submit_login(browser, password="")

    assert page.status == 401
    assert [tab.attempts for tab in await own.authentications.tabs(browser.cookies[ROOT])] == [1]
    assert own.provider.passwords == []
    assert f"{OWN}/login" in page.text
