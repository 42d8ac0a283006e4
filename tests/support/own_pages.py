"""Sidegate's own pages in the hands of a test: real application and stores, a fake provider, time that stands still."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import DummyCookieJar

from proxy import ports
from proxy.core.cookies import OwnCookies
from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.throttle import ThrottleRules
from proxy.core.tokens import Grant, GrantRefusal
from proxy.errors import SidegateError, TokenRejected
from proxy.pages.look import Look
from proxy.pages.render import JinjaPages
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.memory_authentication import MemoryAuthenticationStore
from proxy.sessions.memory_kept import MemoryKeptRequests
from proxy.sessions.memory_throttle import MemoryFailures
from proxy.sessions.sealing import Sealer
from proxy.sessions.throttle import FailureThrottle
from proxy.web.application import WebServices, own_application
from proxy.web.options import LoginOptions, SessionOptions, WebOptions
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_tokens
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient

    from proxy.core.session import Session
    from proxy.core.tokens import ExchangedToken, ExchangeRefusal

PUBLIC_URL = "https://app.example.com"
OWN = "/_sidegate"
AUTHORIZATION = f"{ISSUER}/protocol/openid-connect/auth"
END_SESSION = f"{ISSUER}/protocol/openid-connect/logout"

METADATA = ports.ProviderMetadata(
    issuer=ISSUER,
    authorization_endpoint=AUTHORIZATION,
    token_endpoint=f"{ISSUER}/protocol/openid-connect/token",
    jwks_uri=f"{ISSUER}/protocol/openid-connect/certs",
    end_session_endpoint=END_SESSION,
    iss_parameter_supported=True,
)


def make_login_grant(username: str = "alice", serial: int = 1, **changes: Any) -> Grant:
    """A verified grant of a fresh login: its own sid, its own tokens."""
    identity = Identity(
        issuer=ISSUER,
        subject=f"{username}-id",
        username=username,
        name=username.title(),
        email=f"{username}@example.com",
        roles=frozenset({"viewer", "editor"}),
        groups=frozenset({"/staff"}),
    )
    members: dict[str, Any] = {
        "tokens": make_tokens(serial),
        "identity": identity,
        "sid": f"sid-{serial}",
        "issued_at": START,
        "auth_time": None,
        "acr": None,
    }
    return Grant(**{**members, **changes})


Answer = Grant | GrantRefusal | SidegateError


class FakeLoginProvider:
    """A provider with one user, alice/secret words; it remembers what it was asked and answers otherwise when told."""

    def __init__(self) -> None:
        """Begin with metadata and nothing asked."""
        self.answer: Answer | None = None
        self.metadata_answer: ports.ProviderMetadata | SidegateError = METADATA
        self.end_session_fault: SidegateError | None = None
        self.passwords: list[tuple[str, str, str | None]] = []
        self.addresses: list[str | None] = []
        self.exchanges: list[dict[str, str]] = []
        self.ended: list[str] = []
        self.account_answer: ports.AccountAnswer | SidegateError = ports.AccountAnswer.ENDED
        self.ended_everywhere: list[str] = []
        self.ended_elsewhere: list[tuple[str, str]] = []
        self.verified: list[tuple[str, str, str]] = []
        self.logout_tokens: dict[str, ports.VerifiedJws | SidegateError] = {}
        self._serial = 0

    def readiness(self) -> ports.Readiness:
        return ports.Readiness(is_ready=True)

    def metadata(self) -> ports.ProviderMetadata:
        if isinstance(self.metadata_answer, SidegateError):
            raise self.metadata_answer
        return self.metadata_answer

    async def password_grant(
        self, username: str, password: Secret, otp: Secret | None = None, *, address: str | None = None
    ) -> Grant | GrantRefusal:
        self.addresses.append(address)
        self.passwords.append((username, password.reveal(), None if otp is None else otp.reveal()))
        is_right = password.reveal() == "secret words"
        return self._answer(self._grant(username) if is_right else GrantRefusal.INVALID_CREDENTIALS)

    async def exchange_code(
        self, code: Secret, *, code_verifier: Secret, redirect_uri: str, nonce: str
    ) -> Grant | GrantRefusal:
        asked = {
            "code": code.reveal(),
            "verifier": code_verifier.reveal(),
            "redirect_uri": redirect_uri,
            "nonce": nonce,
        }
        self.exchanges.append(asked)
        return self._answer(self._grant("alice"))

    async def refresh(self, session: Any) -> Grant | GrantRefusal:
        raise NotImplementedError

    async def end_session(self, tokens_of: Any) -> None:
        if self.end_session_fault is not None:
            raise self.end_session_fault
        self.ended.append(tokens_of.tokens.refresh_token.reveal())

    async def end_all_sessions(self, session: Any) -> ports.AccountAnswer:
        self.ended_everywhere.append(session.identity.subject)
        return self._account()

    async def end_other_session(self, session: Any, sid: str) -> ports.AccountAnswer:
        self.ended_elsewhere.append((session.identity.subject, sid))
        return self._account()

    async def introspect(self, token: Secret) -> Mapping[str, object] | None:
        raise NotImplementedError

    async def exchange(
        self, subject_token: Secret, *, audience: str, scope: str | None
    ) -> ExchangedToken | ExchangeRefusal:
        raise NotImplementedError

    def _account(self) -> ports.AccountAnswer:
        if isinstance(self.account_answer, SidegateError):
            raise self.account_answer
        return self.account_answer

    async def verify(self, compact: str, *, purpose: str, peer: str = "") -> ports.VerifiedJws:
        self.verified.append((compact, purpose, peer))
        known = self.logout_tokens.get(compact, TokenRejected("no such token", reason="bad_signature"))
        if isinstance(known, SidegateError):
            raise known
        return known

    def _grant(self, username: str) -> Grant:
        self._serial += 1
        return make_login_grant(username, self._serial)

    def _answer(self, usual: Grant | GrantRefusal) -> Grant | GrantRefusal:
        answer = usual if self.answer is None else self.answer
        if isinstance(answer, SidegateError):
            raise answer
        return answer


class FakeRefresher:
    """A ``ports.Refresher`` whose sessions are as fresh as the test says."""

    def __init__(self) -> None:
        """Begin with every token usable."""
        self.is_ready = True
        self.answer: Session | SidegateError | None = None
        self.refreshed = 0

    def ready(self, session: Session) -> bool:
        return self.is_ready

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        self.refreshed += 1
        if isinstance(self.answer, SidegateError):
            raise self.answer
        return self.answer


class CountingRandom:
    """Bytes that differ each time and are known to the test."""

    def __init__(self) -> None:
        """Begin at one."""
        self._count = 0

    def __call__(self, size: int) -> bytes:
        """Return ``size`` bytes."""
        self._count += 1
        return self._count.to_bytes(4) * (size // 4)


@dataclass
class Page:
    """An answer, read to its end."""

    status: int
    headers: Any
    text: str
    set_cookies: dict[str, Any]

    @property
    def location(self) -> str:
        """Where it leads."""
        return str(self.headers["Location"])

    def field(self, name: str) -> str:
        """The value of a hidden field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name} in {self.text}"
        return unescape(found[1])


@dataclass
class Browser:
    """Keeps cookies by name, and sends what the gate would send."""

    client: TestClient[Any, Any]
    address: str = "203.0.113.7"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Page:
        """Navigate."""
        return await self.send("GET", path, headers=headers)

    async def post(self, path: str, data: Any = None, **headers: str) -> Page:
        """Send a form as a page of ours does."""
        return await self.send("POST", path, data=data, headers={"Sec-Fetch-Site": "same-origin", **headers})

    async def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Page:
        """Send anything; a header named None is left out."""
        sent = {
            "sidegate-request-id": "req-1",
            "sidegate-address": self.address,
            "sidegate-scheme": "https",
            "Host": "app.example.com",
            "Accept": "text/html",
            **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
        }
        if self.cookies and "Cookie" not in sent:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.client.request(method, path, headers=sent, allow_redirects=False, **body) as response:
            return await self._keep(response)

    async def _keep(self, response: ClientResponse) -> Page:
        jar: SimpleCookie = SimpleCookie()
        for line in response.headers.getall("Set-Cookie", []):
            jar.load(line)
        for name, morsel in jar.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return Page(response.status, response.headers, await response.text(), dict(jar))


@dataclass
class OwnPages:
    """The application with everything that a test may want to look at or bend."""

    client: TestClient[Any, Any]
    options: WebOptions
    clock: FakeClock
    observer: RecordingObserver
    provider: FakeLoginProvider
    sessions: FailingSessionStore
    authentications: MemoryAuthenticationStore
    slept: list[float]
    refresher: FakeRefresher
    kept: MemoryKeptRequests

    def browser(self, **changes: Any) -> Browser:
        """A fresh browser."""
        return Browser(self.client, **changes)

    async def signed_in(self, **form: str) -> Browser:
        """A browser that signed in by the form."""
        browser = self.browser()
        page = await submit_login(browser, **form)
        assert page.status == 303, page.text
        return browser

    async def signed_in_by_code(self, **start: str) -> Browser:
        """A browser that signed in by the code flow."""
        browser = self.browser()
        page = await browser.get(f"{OWN}/callback?" + callback_query(await browser.get(f"{OWN}/start")))
        assert page.status == 302, page.text
        return browser

    async def live(self, browser: Browser) -> Any:
        """The session of the browser's cookie, or None."""
        value = browser.cookies.get("__Host-sidegate")
        return None if value is None else await self.sessions.inner.load(Secret(value))


async def submit_login(browser: Browser, *, path: str = f"{OWN}/login", **form: str) -> Page:
    """Open the form and send it, as alice with the right password unless told otherwise."""
    shown = await browser.get(path)
    fields = {"username": "alice", "password": "secret words", "csrf_token": shown.field("csrf_token")}
    return await browser.post(f"{OWN}/login", {**fields, "return_to": shown.field("return_to"), **form})


def query_of(location: str) -> dict[str, str]:
    """The query of a URL, each name once."""
    values = parse_qs(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(value) == 1 for value in values.values()), values
    return {name: value[0] for name, value in values.items()}


def callback_query(started: Page, **changes: str | None) -> str:
    """What the provider would send back to a flow that was started, with changes; None leaves a member out."""
    answer = {"state": query_of(started.location)["state"], "iss": ISSUER, "code": "a-code", **changes}
    return urlencode({name: value for name, value in answer.items() if value is not None})


def make_options(login: LoginOptions | None = None, **changes: Any) -> WebOptions:
    """Options of an ordinary site."""
    members: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "issuer": ISSUER,
        "client_id": "legacy-app",
        "cookies": OwnCookies(),
        "server_key": b"k" * 32,
        "acr_values": frozenset({"gold", "platinum"}),
        "login": login or LoginOptions(),
        "sessions": SessionOptions(lifetime_s=30 * 86400.0, idle_timeout_s=7 * 86400.0),
        **changes,
    }
    return WebOptions(**members)


def make_pages(options: WebOptions) -> JinjaPages:
    """The renderer that belongs to them."""
    origins = ("https://sso.example.com",)
    return pages_of(
        Look(title="Acme", description="", own_path=options.own_path, home=options.home, form_origins=origins)
    )


@cache
def pages_of(look: Look) -> JinjaPages:
    """The renderer of these pages, one for the process: it holds no state, and to compile a template takes 20 ms."""
    return JinjaPages(look)


def make_throttle(clock: FakeClock, rules: ThrottleRules | None = None) -> FailureThrottle:
    """The throttle of one process; without rules it limits nothing."""
    rules = rules or ThrottleRules(issuer=ISSUER, per_user=None, per_address=None)
    return FailureThrottle(MemoryFailures(clock), rules=rules, digest=Sealer([b"k" * 32]).digest)


async def open_own_pages(
    aiohttp_client: Any,
    login: LoginOptions | None = None,
    *,
    throttle: ThrottleRules | None = None,
    assertion: ports.IdentityAssertion | None = None,
    **changes: Any,
) -> OwnPages:
    """Start the application on a free port."""
    clock, observer, slept = FakeClock(), RecordingObserver(), list[float]()
    options = make_options(login, **changes)
    live = LiveStreamRegistry(observer)
    memory = MemorySessionStore(clock, live=live, observer=observer, limits=MemoryLimits())
    sessions, authentications = FailingSessionStore(memory), MemoryAuthenticationStore(clock)
    kept = MemoryKeptRequests(clock, random_bytes=CountingRandom())
    pages, provider, refresher = make_pages(options), FakeLoginProvider(), FakeRefresher()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    services = WebServices(
        options=options,
        sessions=sessions,
        authentications=authentications,
        kept=kept,
        provider=provider,
        throttle=make_throttle(clock, throttle),
        refresher=refresher,
        observer=observer,
        pages=pages,
        assets=pages.assets,
        clock=clock,
        assertion=assertion,
        sleep=sleep,
        random_bytes=CountingRandom(),
    )
    client = await aiohttp_client(own_application(services), cookie_jar=DummyCookieJar())
    return OwnPages(client, options, clock, observer, provider, sessions, authentications, slept, refresher, kept)
