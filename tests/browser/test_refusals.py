"""Pages that say no: not allowed, not there, not in a frame; each with a way on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at
from tests.support.ports import free_port

if TYPE_CHECKING:
    from playwright.async_api import Route

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House
    from tests.support.fixtures import StartSidegate

pytestmark = pytest.mark.asyncio(loop_scope="session")


def page_with_frame(address: str) -> str:
    return f'<!doctype html><html lang="en"><title>Around</title><h1>Around</h1><iframe src="{address}"></iframe>'


async def put_page(visitor: Visitor, path: str, content: str) -> None:
    """Let the app have one more page at ``path``; only the browser believes it."""

    async def show(route: Route) -> None:
        await route.fulfill(status=200, content_type="text/html", body=content)

    await visitor.context.route(visitor.url + path, show)


async def test_a_page_that_is_not_for_bob_names_what_is_missing(visitor: Visitor) -> None:
    await visitor.sign_in("bob")

    answer = await visitor.open("/admin")

    assert answer.status == 403
    text = await visitor.page.inner_text("main")
    assert "The role editor" in text
    assert "You are signed in as bob" in text
    await look_at(visitor.page, "forbidden")
    await visitor.page.get_by_role("link", name="To the start page").click()
    assert visitor.path() == "/"


async def test_somebody_else_can_sign_in_where_bob_may_not_go(visitor: Visitor) -> None:
    await visitor.sign_in("bob")
    await visitor.open("/admin")

    await visitor.page.get_by_role("link", name="Sign in as somebody else").click()
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("link", name="Sign in again").click()
    await visitor.fill_form("alice", "alice-pw")

    await visitor.page.locator("header").get_by_text("Alice Test").wait_for()
    assert visitor.path() == "/admin"


async def test_the_way_to_another_account_leads_back_to_the_refused_page(visitor: Visitor) -> None:
    await visitor.sign_in("bob")
    await visitor.open("/admin")

    link = await visitor.page.get_by_role("link", name="Sign in as somebody else").get_attribute("href")

    assert link == "/_sidegate/logout?return_to=/admin"


async def test_a_frame_that_needs_a_login_offers_it_in_the_whole_window(visitor: Visitor) -> None:
    await put_page(visitor, "/static/around.html", page_with_frame("/notes"))
    async with visitor.page.expect_response(visitor.url + "/notes") as framed:
        await visitor.open("/static/around.html")

    assert (await framed.value).status == 401
    link = visitor.page.frame_locator("iframe").get_by_role("link", name="Open the sign-in page")
    await link.click()
    await visitor.page.wait_for_url(lambda url: "/_sidegate/login" in url)
    await visitor.fill_form("alice", "alice-pw")

    # Back to the page around the frame: alone, what was in it would be half of what the person saw.
    await visitor.page.wait_for_url(visitor.url + "/static/around.html")
    assert await visitor.is_signed_in()


async def test_the_page_for_frames_looks_well_on_its_own(visitor: Visitor) -> None:
    async def as_in_a_frame(route: Route) -> None:
        answer = await visitor.context.request.get(
            visitor.url + "/notes", headers={"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
        )
        assert answer.status == 401
        await route.fulfill(response=answer)

    await visitor.page.route(visitor.url + "/notes", as_in_a_frame)
    await visitor.open("/notes")

    await look_at(visitor.page, "frame")


@pytest.mark.parametrize("path", ["/_sidegate/login", "/_sidegate/logout", "/_sidegate/logged-out"])
async def test_our_own_pages_show_in_no_frame(visitor: Visitor, path: str) -> None:
    if path == "/_sidegate/logout":
        await visitor.sign_in("alice")
    await put_page(visitor, "/static/around.html", page_with_frame(path))

    await visitor.open("/static/around.html")
    frame = visitor.page.frames[1]

    assert not frame.url.startswith(visitor.url)
    assert await frame.locator("form, h1 >> text=Sign").count() == 0
    heard, visitor.complaints = " | ".join(visitor.complaints), []
    assert "frame-ancestors" in heard or "X-Frame-Options" in heard


async def test_what_the_app_does_not_have_is_the_apps_own_page(visitor: Visitor) -> None:
    await visitor.sign_in("alice")

    answer = await visitor.open("/nowhere")

    assert answer.status == 404
    assert "There is no such page" in await visitor.page.inner_text("main")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/a%00b", 400), ("/_sidegate/nowhere", 404)],
)
async def test_our_refusals_have_a_page_with_a_way_on(visitor: Visitor, path: str, status: int) -> None:
    answer = await visitor.open(path)

    assert answer.status == status
    assert answer.headers["x-request-id"] in await visitor.page.inner_text("body")
    await look_at(visitor.page, f"error-{status}")
    await visitor.page.get_by_role("link", name="To the start page").click()
    assert visitor.path() == "/_sidegate/login"


async def test_a_form_from_elsewhere_is_refused_with_a_fresh_one(house: House, arrive: Arrive) -> None:
    visitor = await arrive(house.url)
    await visitor.open("/notes")
    await visitor.context.clear_cookies()

    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.get_by_role("alert").wait_for()

    assert not await visitor.is_signed_in()
    await look_at(visitor.page, "login-form-rejected")
    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes")


async def test_a_house_without_provider_and_app_says_so(sidegate_process: StartSidegate, arrive: Arrive) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    keycloak = {"issuer": f"{nobody}/realms/acme", "client_id": "app", "client_auth": {"method": "none"}}
    config = {
        "keycloak": keycloak,
        "upstreams": {"app": {"url": nobody}},
        "routes": [{"path": "/static/**", "access": "public"}, {"path": "/**", "access": "authenticated"}],
    }
    visitor = await arrive(sidegate_process(config, wait_for="listening").url)

    assert (await visitor.open("/static/x")).status == 502
    await look_at(visitor.page, "error-502")
    await visitor.open("/notes")
    await visitor.fill_form("alice", "alice-pw")
    alert = visitor.page.get_by_role("alert")
    await alert.wait_for()
    assert "does not answer right now" in await alert.inner_text()
    assert await visitor.page.get_by_label("User name").input_value() == "alice"
    await look_at(visitor.page, "login-provider-away")

    # What leads straight to the provider waits for it, keeps its address, and asks again without script.
    assert (await visitor.open("/_sidegate/start?return_to=/notes")).status == 503
    await look_at(visitor.page, "unavailable")
    async with visitor.page.expect_response(visitor.url + "/_sidegate/start?return_to=/notes") as again:
        pass
    assert (await again.value).status == 503
