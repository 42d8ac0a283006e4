"""The account API: where it lies, what is sent there, and what each answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable
from proxy.oidc.account import Account, account_sessions_url
from proxy.oidc.http_client import HttpClient
from proxy.oidc.metadata import Addresses
from proxy.ports import AccountAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oidc.answering import AnsweringServer
    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver

PATH = "/realms/acme/account/sessions"
TOKEN = Secret("the-access-token")


@pytest_asyncio.fixture
async def http(clock: FakeClock, observer: RecordingObserver) -> AsyncIterator[HttpClient]:
    client = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield client
    await client.close()


@pytest.fixture
def account(http: HttpClient, server: AnsweringServer) -> Account:
    return Account(http, sessions_url=server.url + PATH)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://sso.example.com/realms/acme", "https://sso.example.com/realms/acme/account/sessions"),
        ("https://sso.example.com/realms/acme/", "https://sso.example.com/realms/acme/account/sessions"),
        ("https://sso.example.com/auth/realms/a%20b", "https://sso.example.com/auth/realms/a%20b/account/sessions"),
        ("https://sso.example.com", None),
        ("https://sso.example.com/", None),
        ("https://sso.example.com/realms/", None),
        ("https://sso.example.com/realms/acme/more", None),
        ("https://sso.example.com/myrealms/acme", None),
        ("https://sso.example.com/tenant/v2.0", None),
        ("https://sso.example.com/x?y=/realms/acme", None),
    ],
)
def test_only_an_issuer_of_keycloaks_shape_has_one(issuer: str, url: str | None) -> None:
    assert account_sessions_url(Addresses(issuer=issuer)) == url


def test_it_is_reached_where_this_process_reaches_the_provider() -> None:
    addresses = Addresses(issuer="https://sso.example.com/realms/acme", internal_url="http://kc:8080/realms/acme")

    assert account_sessions_url(addresses) == "http://kc:8080/realms/acme/account/sessions"


async def test_all_sessions_end_the_tokens_own_included(account: Account, server: AnsweringServer) -> None:
    server.give(PATH, b"", status=204)

    assert await account.end_all(TOKEN) is AccountAnswer.ENDED

    (asked,) = server.asked
    assert (asked.method, asked.path) == ("DELETE", f"{PATH}?current=true")
    assert asked.headers["authorization"] == "Bearer the-access-token"
    assert asked.headers["accept"] == "application/json"


@pytest.mark.parametrize("sid", ["uXDuqGhtb3LUJSoO-cOBCBLs", "-starts", "a/b?c=d#e", "ü %"])
async def test_one_session_is_named_by_one_segment_of_the_path(
    account: Account, server: AnsweringServer, sid: str
) -> None:
    server.give(f"{PATH}/{sid}", b"", status=204)

    assert await account.end_one(TOKEN, sid) is AccountAnswer.ENDED

    (asked,) = server.asked
    assert asked.method == "DELETE"
    assert asked.path.count("/") == PATH.count("/") + 1
    assert "?" not in asked.path


@pytest.mark.parametrize("sid", ["", ".", ".."])
async def test_what_no_segment_can_name_is_not_sent(account: Account, server: AnsweringServer, sid: str) -> None:
    assert await account.end_one(TOKEN, sid) is AccountAnswer.NO_ENDPOINT
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, AccountAnswer.ENDED),
        (401, AccountAnswer.REFUSED),
        (403, AccountAnswer.REFUSED),
        (404, AccountAnswer.NO_ENDPOINT),
        (405, AccountAnswer.NO_ENDPOINT),
    ],
)
async def test_each_answer_means_one_thing(
    account: Account, server: AnsweringServer, status: int, answer: AccountAnswer
) -> None:
    server.give(PATH, b"", status=status)

    assert await account.end_all(TOKEN) is answer


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
async def test_any_other_answer_says_that_the_provider_is_away(
    account: Account, server: AnsweringServer, status: int
) -> None:
    server.give(f"{PATH}/secret-sid", b"", status=status, Location="/elsewhere")

    with pytest.raises(ProviderUnavailable):
        await account.end_one(TOKEN, "secret-sid")


async def test_without_an_address_nothing_is_sent(http: HttpClient, observer: RecordingObserver) -> None:
    account = Account(http, sessions_url=None)

    assert await account.end_all(TOKEN) is AccountAnswer.NO_ENDPOINT
    assert await account.end_one(TOKEN, "sid") is AccountAnswer.NO_ENDPOINT
    assert observer.provider_calls == []


async def test_each_call_is_measured(account: Account, server: AnsweringServer, observer: RecordingObserver) -> None:
    server.give(PATH, b"", status=403)

    await account.end_all(TOKEN)

    assert [call[:2] for call in observer.provider_calls] == [("account", "refused")]
