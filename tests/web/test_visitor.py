"""Who is before us; what the store cannot say is never taken for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy import keys
from proxy.core.secret import Secret
from proxy.errors import StoreUnavailable
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.web.visitor import visitor_of
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_session
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from aiohttp import web

    from tests.web.conftest import MakeRequest

VALUE = Secret("v" * 43)
COOKIE = ("Cookie", f"__Host-sidegate={VALUE.reveal()}")


def with_store(request: web.Request) -> FailingSessionStore:
    observer = RecordingObserver()
    live = LiveStreamRegistry(observer)
    store = MemorySessionStore(request.app[keys.CLOCK], live=live, observer=observer, limits=MemoryLimits())
    request.app[keys.SESSIONS] = FailingSessionStore(store)  # type: ignore[assignment]
    return request.app[keys.SESSIONS]  # type: ignore[return-value]


async def test_a_live_session_is_found_by_its_cookie(make_request: MakeRequest) -> None:
    request = make_request("/", COOKIE)
    session = make_session(VALUE)
    await with_store(request).create(VALUE, session)

    visitor = await visitor_of(request)

    assert (visitor.cookie_value, visitor.session) == (VALUE, session)


async def test_without_a_cookie_the_store_is_not_asked(make_request: MakeRequest) -> None:
    request = make_request()
    store = with_store(request)

    assert (await visitor_of(request)).session is None
    assert store.calls == []


async def test_an_unknown_cookie_names_nobody(make_request: MakeRequest) -> None:
    request = make_request("/", COOKIE)
    with_store(request)

    visitor = await visitor_of(request)

    assert (visitor.cookie_value, visitor.session) == (VALUE, None)


async def test_a_session_of_another_client_is_none(make_request: MakeRequest) -> None:
    request = make_request("/", COOKIE)
    await with_store(request).create(VALUE, make_session(VALUE, client_id="other-portal"))

    assert (await visitor_of(request)).session is None


async def test_a_store_that_is_away_raises(make_request: MakeRequest) -> None:
    request = make_request("/", COOKIE)
    with_store(request).go_away()

    with pytest.raises(StoreUnavailable):
        await visitor_of(request)
