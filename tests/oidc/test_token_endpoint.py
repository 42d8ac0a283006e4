"""The token endpoint: what is asked, and every way in which it says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, TokenRejected
from proxy.oidc.client_auth import ClientAuthentication, ClientSecretBasic, ClientSecretPost
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.http_client import HttpClient
from proxy.oidc.token_endpoint import MAX_LIFETIME_S, TokenAnswer, TokenEndpoint
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oidc.answering import AnsweringServer

TOKENS = {"access_token": "at", "token_type": "Bearer", "expires_in": 300, "refresh_token": "rt", "id_token": "it"}


class Bench:
    """An endpoint over a real socket."""

    def __init__(self, http: HttpClient, server: AnsweringServer) -> None:
        self.http = http
        self.server = server
        self.endpoint = self.endpoint_as(ClientSecretPost("app", lambda: Secret("client-secret")))

    def endpoint_as(self, authentication: ClientAuthentication) -> TokenEndpoint:
        calls = ClientCalls(
            self.http, authentication=authentication, audience="https://sso.example.com", observer=RecordingObserver()
        )
        return TokenEndpoint(calls, scopes=("openid", "email"))

    @property
    def url(self) -> str:
        return f"{self.server.url}/token"

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        self.server.give("/token", body, status=status, **headers)

    async def password(self, password: str = "pw", otp: Secret | None = None) -> TokenAnswer | GrantRefusal:
        return await self.endpoint.password(self.url, username="alice", password=Secret(password), otp=otp)

    async def code(self) -> TokenAnswer | GrantRefusal:
        return await self.endpoint.code(
            self.url, code=Secret("c"), code_verifier=Secret("v"), redirect_uri="https://app/cb"
        )

    async def refresh(self) -> TokenAnswer | GrantRefusal:
        return await self.endpoint.refresh(self.url, refresh_token=Secret("rt"))

    async def tokens(self, **members: Any) -> TokenAnswer:
        self.answers({name: value for name, value in {**TOKENS, **members}.items() if value is not None})
        found = await self.password()
        assert isinstance(found, TokenAnswer)
        return found


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(http, server)
    await http.close()


CLIENT = {"client_id": "app", "client_secret": "client-secret"}


async def test_a_password_grant_asks_for_our_scopes(bench: Bench) -> None:
    bench.answers(TOKENS)

    await bench.password(password="p w+ü%", otp=Secret("123456"))

    assert bench.server.asked[0].form == {
        "grant_type": "password",
        "username": "alice",
        "password": "p w+ü%",
        "scope": "openid email",
        "otp": "123456",
        **CLIENT,
    }


async def test_the_address_of_the_browser_goes_along_in_one_field_with_one_value(bench: Bench) -> None:
    bench.answers(TOKENS)

    await bench.endpoint.password(bench.url, username="alice", password=Secret("pw"), otp=None, address="203.0.113.7")
    await bench.password()

    told, untold = ({name.lower(): value for name, value in asked.headers.items()} for asked in bench.server.asked)
    assert told["x-forwarded-for"] == "203.0.113.7"
    assert [name for name in told if "forwarded" in name or name in {"origin", "referer"}] == ["x-forwarded-for"]
    assert not [name for name in untold if "forwarded" in name]


async def test_without_an_otp_none_is_sent(bench: Bench) -> None:
    bench.answers(TOKENS)

    await bench.password()

    assert "otp" not in bench.server.asked[0].form


async def test_a_code_is_exchanged_with_its_verifier_and_redirect_uri(bench: Bench) -> None:
    bench.answers(TOKENS)

    await bench.code()

    assert bench.server.asked[0].form == {
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": "v",
        "redirect_uri": "https://app/cb",
        **CLIENT,
    }


async def test_a_refresh_sends_the_refresh_token_alone(bench: Bench) -> None:
    bench.answers(TOKENS)

    await bench.refresh()

    assert bench.server.asked[0].form == {"grant_type": "refresh_token", "refresh_token": "rt", **CLIENT}


async def test_basic_authentication_travels_in_its_header(bench: Bench) -> None:
    endpoint = bench.endpoint_as(ClientSecretBasic("app", lambda: Secret("s")))
    bench.answers(TOKENS)

    await endpoint.refresh(bench.url, refresh_token=Secret("rt"))

    assert bench.server.asked[0].headers["authorization"] == "Basic YXBwOnM="
    assert "client_secret" not in bench.server.asked[0].form


async def test_tokens_come_with_their_ends_by_our_own_clock(bench: Bench) -> None:
    found = (await bench.tokens(refresh_expires_in=1800)).tokens

    assert (found.access_token, found.refresh_token, found.id_token) == (Secret("at"), Secret("rt"), Secret("it"))
    assert (found.obtained_at, found.access_expires_at, found.refresh_expires_at) == (START, START + 300, START + 1800)


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (None, None),
        ("300", START + 300),
        (2.5, START + 2.5),
        (0, START),
        (-5, START),
        (10**30, START + MAX_LIFETIME_S),
        ("9" * 5000, START + MAX_LIFETIME_S),
        ("soon", None),
        ("", None),
        ("٣٠٠", None),
        (True, None),
        ([300], None),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_lifetime_may_be_absent_or_a_text_of_digits(bench: Bench, value: object, end: float | None) -> None:
    assert (await bench.tokens(expires_in=value)).tokens.access_expires_at == end


async def test_a_refresh_token_without_an_end_is_keycloaks_zero(bench: Bench) -> None:
    assert (await bench.tokens(refresh_expires_in=0)).tokens.refresh_expires_at is None


@pytest.mark.parametrize("value", [None, "", 7])
async def test_a_refresh_token_may_be_absent(bench: Bench, value: object) -> None:
    assert (await bench.tokens(refresh_token=value)).tokens.refresh_token is None


async def test_the_difference_of_the_clocks_is_noticed(bench: Bench) -> None:
    bench.answers(TOKENS, Date="Fri, 15 Jan 2027 07:58:00 GMT")

    found = await bench.password()

    assert isinstance(found, TokenAnswer)
    assert found.clock_difference_s == -120.0


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"access_token": None}, "missing_access_token"),
        ({"access_token": ["at"]}, "missing_access_token"),
        ({"token_type": None}, "wrong_token_type"),
        ({"token_type": "DPoP"}, "wrong_token_type"),
        ({"token_type": "N_A"}, "wrong_token_type"),
    ],
)
async def test_an_answer_without_a_usable_token_is_refused(bench: Bench, members: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRejected) as refused:
        await bench.tokens(**members)
    assert refused.value.reason == reason


def refusal(error: object, description: object = "") -> dict[str, object]:
    return {"error": error, "error_description": description}


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Invalid user credentials", GrantRefusal.INVALID_CREDENTIALS),
        ("Account disabled", GrantRefusal.ACCOUNT_DISABLED),
        ("Account is not fully set up", GrantRefusal.ACCOUNT_SETUP_REQUIRED),
        ("anything else", GrantRefusal.INVALID_CREDENTIALS),
        ("", GrantRefusal.INVALID_CREDENTIALS),
    ],
)
@pytest.mark.parametrize("status", [400, 403])
async def test_a_wrong_password_is_an_outcome(
    bench: Bench, description: str, expected: GrantRefusal, status: int
) -> None:
    bench.answers(refusal("invalid_grant", description), status)

    assert await bench.password() is expected


@pytest.mark.parametrize("description", ["Session not active", "Stale token", "User disabled", "Code not valid", ""])
async def test_a_code_or_refresh_token_that_is_over_is_an_outcome(bench: Bench, description: str) -> None:
    bench.answers(refusal("invalid_grant", description), 400)

    assert await bench.refresh() is GrantRefusal.INVALID_GRANT
    assert await bench.code() is GrantRefusal.INVALID_GRANT


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_what_no_provider_can_read_is_no_password_and_not_even_sent(bench: Bench, text: str) -> None:
    bench.answers(TOKENS)

    assert await bench.password(password=text) is GrantRefusal.INVALID_CREDENTIALS
    assert bench.server.asked == []


@pytest.mark.parametrize(
    ("status", "error", "description"),
    [
        (401, "unauthorized_client", "Invalid client or Invalid client credentials"),
        (401, "invalid_client", "Invalid client or Invalid client credentials"),
        (400, "unauthorized_client", "Client not allowed for direct access grants"),
        (400, "invalid_client", "Client requires user consent"),
        (400, "invalid_scope", "Invalid scopes: openid nonsense"),
        (400, "not_allowed", "Offline tokens not allowed for the user or client"),
        (400, "invalid_request", "duplicated parameter"),
        (400, "unsupported_grant_type", "Unsupported grant_type"),
        (403, "Invalid origin", ""),
        (401, "invalid_grant", "nobody says so"),
        (400, "invalid_grant", "Invalid token issuer. Expected 'http://kc.internal/realms/acme'"),
    ],
)
async def test_a_refusal_of_us_is_never_the_users_fault(
    bench: Bench, status: int, error: str, description: str
) -> None:
    bench.answers(refusal(error, description), status)

    for ask in (bench.password, bench.refresh, bench.code):
        with pytest.raises(ClientMisconfigured, match="refuses this client"):
            await ask()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, refusal("invalid_grant")),
        (502, b"<html>"),
        (503, b"Bootstrap in progress. Retry in 1 seconds."),
        (404, {"error": "Realm does not exist"}),
        (405, {"error": "HTTP 405 Method Not Allowed"}),
        (429, refusal("invalid_grant")),
        (400, b"<html>"),
        (400, b"{}"),
        (400, refusal(["invalid_grant"])),
        (400, refusal("invalid_grant", 7)),
        (401, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"access_token": "a", "access_token": "b", "token_type": "Bearer"}'),
        (204, b""),
        (302, b""),
    ],
    ids=str,
)
async def test_nonsense_ends_nothing(bench: Bench, status: int, body: object) -> None:
    bench.answers(body, status)

    for ask in (bench.password, bench.refresh, bench.code):
        with pytest.raises(ProviderUnavailable):
            await ask()


async def test_no_refusal_shows_what_was_sent(bench: Bench) -> None:
    bench.answers(refusal("invalid_client", "x" * 5000), 401)

    with pytest.raises(ClientMisconfigured) as refused:
        await bench.password(password="hunter2")

    assert "hunter2" not in str(refused.value)
    assert "client-secret" not in str(refused.value)
    assert len(str(refused.value)) < 400
