"""The provider's part of a logout: a page for the browser, a call from here that nobody waits for for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy import keys
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin
from proxy.tasks import TaskOwner
from proxy.web import logout_at_provider
from proxy.web.logout_at_provider import (
    Silence,
    end_at_provider,
    end_everywhere_at_provider,
    ends_with_the_browsers,
    leave_provider,
)
from tests.support.observers import RecordingObserver
from tests.support.own_pages import METADATA, FakeLoginProvider
from tests.support.sessions import make_session, make_tokens

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.tokens import TokenSet
    from proxy.ports import AccountAnswer
    from tests.web.conftest import MakeRequest


def with_provider(request: web.Request) -> tuple[FakeLoginProvider, TaskOwner]:
    provider, owner = FakeLoginProvider(), TaskOwner(lambda fault: pytest.fail(repr(fault)))
    request.app[keys.PROVIDER], request.app[keys.TASKS] = provider, owner
    request.app[keys.OBSERVER] = RecordingObserver()
    return provider, owner


def test_the_form_may_post_to_where_the_endpoint_is(make_request: MakeRequest) -> None:
    request = make_request()
    provider, _ = with_provider(request)
    provider.metadata_answer = replace(METADATA, end_session_endpoint="https://logout.example.net:8443/end?a=b")

    response: Any = leave_provider(request, make_tokens(), "/app")

    policy = response.headers.getall("Content-Security-Policy")
    assert len(policy) == 1
    assert "form-action 'self' https://sso.example.com https://logout.example.net:8443;" in policy[0]
    assert 'action="https://logout.example.net:8443/end?a=b"' in response.body.decode()


def test_the_script_is_a_file_and_the_form_has_a_button(make_request: MakeRequest) -> None:
    request = make_request()
    with_provider(request)

    response: Any = leave_provider(request, make_tokens(), "/app")

    text = response.body.decode()
    assert '<script src="/_sidegate/assets/submit.' in text
    assert '<button type="submit"' in text


async def test_a_provider_that_takes_its_time_is_not_waited_for(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout_at_provider, "PATIENCE_S", 0.01)
    request = make_request()
    provider, owner = with_provider(request)
    go, usual = asyncio.Event(), provider.end_session

    async def slow(session: Any) -> None:
        await go.wait()
        await usual(session)

    provider.end_session = slow  # type: ignore[method-assign]

    await end_at_provider(request, make_session(Secret("v" * 43)))
    assert provider.ended == []
    go.set()
    await asyncio.gather(*owner._tasks)

    assert provider.ended == ["refresh-1"]


async def test_a_provider_that_ends_everything_slowly_is_waited_for_a_while_and_then_goes_on(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout_at_provider, "LONG_PATIENCE_S", 0.01)
    request = make_request()
    provider, owner = with_provider(request)
    go, usual = asyncio.Event(), provider.end_all_sessions

    async def slow(session: Any) -> AccountAnswer:
        await go.wait()
        return await usual(session)

    provider.end_all_sessions = slow  # type: ignore[method-assign]

    assert await end_everywhere_at_provider(request, make_session(Secret("v" * 43))) is Silence.UNAVAILABLE
    assert provider.ended_everywhere == []
    go.set()
    await asyncio.gather(*owner._tasks)

    assert provider.ended_everywhere == ["alice-id"]


@pytest.mark.parametrize(
    ("origin", "tokens", "ends"),
    [
        (LoginOrigin.CODE, make_tokens(), True),
        (LoginOrigin.CODE, make_tokens(refresh_expires_at=None), False),
        (LoginOrigin.FORM, make_tokens(), False),
        (LoginOrigin.FORM, make_tokens(refresh_token=None), True),
    ],
    ids=["code", "offline", "form", "nothing to end"],
)
def test_what_the_browsers_logout_does_not_end_the_server_must(
    origin: LoginOrigin, tokens: TokenSet, *, ends: bool
) -> None:
    session = make_session(Secret("a"), origin=origin, tokens=tokens)

    assert ends_with_the_browsers(session, ("openid", "offline_access")) is ends


def test_a_provider_that_names_no_end_of_its_refresh_tokens_has_given_no_offline_session() -> None:
    session = make_session(Secret("a"), origin=LoginOrigin.CODE, tokens=make_tokens(refresh_expires_at=None))

    assert ends_with_the_browsers(session, ("openid", "profile"))
