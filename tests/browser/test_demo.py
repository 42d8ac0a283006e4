"""``sidegate demo`` as a newcomer uses it: what is printed is followed, in a browser."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_fixtures import screenshot
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.sidegate_process import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Arrive

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.browser]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One demo on a free port, ended by Ctrl-C."""
    log = tmp_path_factory.mktemp("demo") / "demo.log"
    program = Program([str(COMMAND), "demo", "--port", str(free_port())], log=log)
    program.wait_until(lambda: "Ctrl-C" in program.output, timeout_s=20)
    yield program
    program.signal(signal.SIGINT)
    assert program.wait(timeout_s=15) == 0
    assert "Traceback" not in program.output
    assert "The demo has ended." in program.output


def addresses(demo: Program) -> list[str]:
    return re.findall(r"http://[^\s]+", demo.output)


async def test_alice_follows_what_is_printed(demo: Program, arrive: Arrive) -> None:
    start, _, admin, notes, session, _, status, _, provider = addresses(demo)
    visitor = await arrive(start.rstrip("/"))

    await visitor.open("/")
    await visitor.fill_form("alice", "alice")
    await visitor.page.wait_for_url(start)
    assert "Alice Liddell" in await visitor.page.inner_text("main")
    assert "X-Auth-Roles" in await visitor.page.inner_text("main")
    await screenshot(visitor.page, "demo-app")
    await visitor.page.goto(admin)
    assert "Here you may break things" in await visitor.page.inner_text("main")
    await visitor.page.goto(notes)
    await visitor.page.locator("textarea").fill("hello from alice")
    await visitor.page.get_by_role("button", name="Keep").click()
    assert "hello from alice" in await visitor.page.inner_text("main")
    await visitor.page.goto(session)
    await visitor.page.locator("main strong", has_text="Alice Liddell").wait_for()
    await visitor.page.goto(status)
    assert '"authenticated"' in await visitor.page.inner_text("body")

    at_provider = await visitor.new_tab()
    await at_provider.goto(provider)
    await screenshot(at_provider, "demo-provider")
    await at_provider.get_by_role("row").filter(has_text="alice").get_by_role("button", name="End").click()
    await eventually(visitor.is_signed_in, expected=False)
    await visitor.page.goto(notes)

    assert visitor.path() == "/_sidegate/login?return_to=/notes"
    assert "You were signed out elsewhere" in await visitor.page.locator(".note").inner_text()


async def test_bob_may_not_go_to_the_admin_page(demo: Program, arrive: Arrive) -> None:
    start, _, admin, *_ = addresses(demo)
    visitor = await arrive(start.rstrip("/"))

    await visitor.page.goto(admin)
    await visitor.fill_form("bob", "bob")
    await visitor.page.get_by_role("heading", level=1).wait_for()
    assert visitor.path() == "/admin"
    assert "admin" in await visitor.page.inner_text(".missing")

    await visitor.open("/")
    await visitor.page.get_by_role("link", name="Sign out").click()
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()
    assert not await visitor.is_signed_in()


async def test_localhost_leads_to_the_demo_too(demo: Program, arrive: Arrive) -> None:
    start = addresses(demo)[0].rstrip("/").replace("127.0.0.1", "localhost")
    visitor = await arrive(start)

    await visitor.open("/")
    await visitor.fill_form("bob", "bob")
    await visitor.page.get_by_role("heading", name="Who are you?").wait_for()

    assert "Bob Loblaw" in await visitor.page.inner_text("main")
