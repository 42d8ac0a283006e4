"""One house for the folder, with everything that the login page can show, and visitors with real browsers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import pytest_asyncio

from tests.browser.visitor import TELL_VIOLATIONS, Visitor
from tests.journeys.house import House
from tests.support.browser_fixtures import running_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from playwright.async_api import Browser

    from tests.keycloak.server import KeycloakServer

LOGIN = {
    "title": "Old Faithful",
    "description": "The archive of the geological service. Staff only.",
    "providers": [{"alias": "acme", "label": "Acme account"}, {"alias": "partner", "label": "Partner network"}],
    "registration": True,
    "forgot_password": True,
    # All people of this folder have one address, and some of them mistype the password of one alice.
    "throttle": {"per_user": "off", "per_address": "off"},
}


class Arrive(Protocol):
    """Somebody new comes, with options of a browser context; what the pages complain about fails the test."""

    def __call__(self, url: str, **options: Any) -> Awaitable[Visitor]:
        """See the class; ``url`` is where the house stands, without a final slash."""


@pytest.fixture(scope="session")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The house of all journeys in this folder; they make users of their own where they change them."""
    folder = tmp_path_factory.mktemp("browser-house")
    made = House(keycloak, folder, application="tests.support.example_pages:application", login=LOGIN)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the folder, because each start takes a second; people have contexts of their own in it.

    It lives in the loop of the session, so the tests do too: each file has the mark.
    """
    async with running_chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def arrive(browser: Browser) -> AsyncIterator[Arrive]:
    """Let people come; at the end no page of theirs may have complained."""
    visitors: list[Visitor] = []

    async def come(url: str, **options: Any) -> Visitor:
        context = await browser.new_context(locale="en-GB", reduced_motion="reduce", **options)
        context.set_default_timeout(10_000)
        await context.add_init_script(TELL_VIOLATIONS)
        visitor = Visitor(context, await context.new_page(), url)
        visitors.append(visitor)
        return visitor

    yield come
    for visitor in visitors:
        await visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(house: House, arrive: Arrive) -> Visitor:
    """Somebody with a fresh browser that runs scripts."""
    return await arrive(house.url)


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(house: House) -> str:
    """A user of one test alone; the password is ``<name>-pw``."""
    name = f"user-{uuid.uuid4().hex[:10]}"
    await house.keycloak.admin.create_user(name, realm_roles=("viewer",))
    return name
