"""The own pages as most tests want them, and a bare request to their handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from proxy import keys
from proxy.ports import Caller
from proxy.web.options import OPTIONS
from tests.support.clocks import FakeClock
from tests.support.own_pages import CountingRandom, OwnPages, make_options, make_pages, open_own_pages

if TYPE_CHECKING:
    from aiohttp import web


@pytest_asyncio.fixture
async def own(aiohttp_client: Any) -> OwnPages:
    """The application with default options."""
    return await open_own_pages(aiohttp_client)


class MakeRequest(Protocol):
    """Make a request that came through the gate; ``headers`` as pairs."""

    def __call__(self, path: str = "/", *headers: tuple[str, str]) -> web.Request:
        """See the class."""


@pytest.fixture
def make_request() -> MakeRequest:
    """A bare request, for what needs no server."""

    def make(path: str = "/", *headers: tuple[str, str]) -> web.Request:
        request = make_mocked_request("GET", path, headers=CIMultiDict([("Host", "app.example.com"), *headers]))
        options = make_options()
        request.app[OPTIONS] = options
        request.app[keys.PAGES] = make_pages(options)
        request.app[keys.CLOCK] = FakeClock()
        request.app[keys.RANDOM_BYTES] = CountingRandom()
        request[keys.CALLER] = Caller(request_id="req-1", address="203.0.113.7", scheme="https")
        return request

    return make
