"""From a verified grant to a session: every value has one source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy import keys
from proxy.core.secret import Secret
from proxy.core.session import NEVER, EndCause, LoginOrigin, Persistence, session_key
from proxy.errors import StoreFull
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.web.establish import LoginManner, establish
from proxy.web.first_login import FIRST_LOGIN, FirstLogin
from proxy.web.options import OPTIONS
from tests.support.clocks import START
from tests.support.observers import RecordingObserver
from tests.support.own_pages import make_login_grant
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from aiohttp import web

    from tests.web.conftest import MakeRequest

FORM = LoginManner(origin=LoginOrigin.FORM)


def prepared(request: web.Request, limits: MemoryLimits | None = None) -> tuple[MemorySessionStore, RecordingObserver]:
    observer = RecordingObserver()
    live = LiveStreamRegistry(observer)
    clock = request.app[keys.CLOCK]
    store = MemorySessionStore(clock, live=live, observer=observer, limits=limits or MemoryLimits())
    request.app[keys.SESSIONS], request.app[keys.OBSERVER] = store, observer
    request.app[FIRST_LOGIN] = FirstLogin(request.app[OPTIONS].plan, observer)
    return store, observer


async def test_the_session_holds_what_the_grant_and_the_browser_say(make_request: MakeRequest) -> None:
    request = make_request("/", ("User-Agent", "Firefox"))
    store, _ = prepared(request)
    grant = make_login_grant(acr="gold", auth_time=START - 100)

    established = await establish(request, grant, LoginManner(origin=LoginOrigin.CODE, notes={"theme": "dark"}))

    session = established.session
    assert await store.load(established.cookie_value) == session
    assert session.key == session_key(established.cookie_value)
    assert (session.identity, session.tokens, session.sid) == (grant.identity, grant.tokens, grant.sid)
    assert (session.acr, session.authenticated_at, session.issued_at) == ("gold", START - 100, START)
    assert (session.user_agent, session.address, session.notes) == ("Firefox", "203.0.113.7", {"theme": "dark"})
    assert (session.origin, session.client_id, session.version) == (LoginOrigin.CODE, "legacy-app", 1)


@pytest.mark.parametrize(("origin", "expected"), [(LoginOrigin.FORM, START), (LoginOrigin.CODE, NEVER)])
async def test_without_auth_time_only_our_own_form_knows_when_somebody_was_asked(
    make_request: MakeRequest, origin: LoginOrigin, expected: float
) -> None:
    request = make_request()
    prepared(request)

    established = await establish(request, make_login_grant(auth_time=None), LoginManner(origin=origin))

    assert established.session.authenticated_at == expected


async def test_a_time_to_come_counts_as_now_and_grows_old(make_request: MakeRequest) -> None:
    request = make_request()
    prepared(request)

    established = await establish(request, make_login_grant(auth_time=START * 1000), FORM)

    assert established.session.authenticated_at == START


@pytest.mark.parametrize(
    ("persistence", "lifetime_s"), [(Persistence.LASTING, 30 * 86400), (Persistence.BROWSER, 12 * 3600)]
)
async def test_the_end_depends_on_how_long_the_browser_keeps_it(
    make_request: MakeRequest, persistence: Persistence, lifetime_s: int
) -> None:
    request = make_request()
    prepared(request)

    manner = LoginManner(origin=LoginOrigin.FORM, persistence=persistence)
    established = await establish(request, make_login_grant(), manner)

    assert established.session.expires_at == START + lifetime_s


async def test_a_cookie_is_256_bits_and_never_the_old_one(make_request: MakeRequest) -> None:
    old = Secret("v" * 43)
    request = make_request("/", ("Cookie", f"__Host-sidegate={old.reveal()}"))
    store, observer = prepared(request)
    await store.create(old, make_session(old))

    established = await establish(request, make_login_grant(), FORM)

    assert len(established.cookie_value.reveal()) == 43
    assert established.cookie_value != old
    assert await store.load(old) is None
    assert observer.ended == {EndCause.REPLACED: 1}


async def test_a_login_of_one_more_than_fits_is_refused_and_not_told_as_one(make_request: MakeRequest) -> None:
    request = make_request()
    store, observer = prepared(request, MemoryLimits(max_sessions=1))
    await store.create(Secret("v" * 43), make_session(Secret("v" * 43)))

    with pytest.raises(StoreFull):
        await establish(request, make_login_grant(), FORM)

    assert (observer.logins, observer.audits) == ([], [])


async def test_the_trail_knows_who_and_from_where(make_request: MakeRequest) -> None:
    request = make_request()
    _, observer = prepared(request)

    await establish(request, make_login_grant(), FORM)

    event: Any = observer.audits[0]
    assert (event.event, event.subject, event.username, event.address) == (
        "login.succeeded",
        "alice-id",
        "alice",
        "203.0.113.7",
    )


async def test_the_first_login_shows_how_long_sessions_last(make_request: MakeRequest) -> None:
    request = make_request()
    _, observer = prepared(request)

    for _ in range(2):
        await establish(request, make_login_grant(), FORM)

    assert len(observer.notices) == 1
