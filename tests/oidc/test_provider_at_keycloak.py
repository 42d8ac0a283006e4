"""The same provider against a real Keycloak: what the embedded issuer was made to resemble."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio

from proxy.clock import SystemClock
from proxy.core.logout_token import validate_logout_token
from proxy.core.secret import Secret
from proxy.core.tokens import Grant, GrantRefusal
from proxy.errors import ClientMisconfigured, TokenRejected
from proxy.oidc.client_auth import ClientSecretBasic
from proxy.oidc.options import ClaimsSource, ProviderOptions
from proxy.oidc.provider import OpenIdProvider
from proxy.ports import AccountAnswer
from tests.contracts.provider import challenge, claims
from tests.contracts.web_browser import WebBrowser
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session
    from tests.keycloak.server import KeycloakServer

VERIFIER = "v" * 43
REDIRECT_URI = "http://127.0.0.1:18999/legacy-app/callback"


class StartProvider(Protocol):
    """Start a provider at a realm and wait until it is ready."""

    async def __call__(self, realm: str = "acme", client_id: str = "legacy-app", secret: str = "") -> OpenIdProvider:
        """See the class; the secret is ``<client_id>-secret`` unless another is named."""


@pytest_asyncio.fixture
async def start(keycloak: KeycloakServer) -> AsyncIterator[StartProvider]:
    """Providers of a test, closed at its end."""
    started: list[OpenIdProvider] = []

    async def provider(realm: str = "acme", client_id: str = "legacy-app", secret: str = "") -> OpenIdProvider:
        options = ProviderOptions(
            issuer=keycloak.issuer(realm),
            client_id=client_id,
            authentication=ClientSecretBasic(client_id, lambda: Secret(secret or f"{client_id}-secret")),
            claims_from=(ClaimsSource.ID_TOKEN, ClaimsSource.ACCESS_TOKEN, ClaimsSource.USERINFO),
        )
        made = OpenIdProvider(options, clock=SystemClock(), observer=RecordingObserver())
        started.append(made)
        await made.start()

        async def look() -> bool:
            return made.readiness().is_ready

        await eventually(look, expected=True, within_s=10)
        return made

    yield provider
    for made in started:
        await made.close()


async def signed_in(provider: OpenIdProvider, username: str = "alice") -> Grant:
    grant = await provider.password_grant(username, Secret(f"{username}-pw"), None)
    assert isinstance(grant, Grant)
    return grant


def session_of(grant: Grant, authenticated_at: float = 0.0) -> Session:
    return make_session(
        Secret("cookie"),
        identity=grant.identity,
        tokens=grant.tokens,
        sid=grant.sid,
        issued_at=grant.issued_at,
        authenticated_at=grant.auth_time or authenticated_at,
    )


def code_by_browser(browser: WebBrowser, issuer: str, client_id: str = "legacy-app", **extra: str) -> str:
    """Sign alice in at Keycloak's own page, or go through silently, and return the code."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI.replace("legacy-app", client_id),
        "scope": "openid profile email",
        "state": "s",
        "nonce": "n-1",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
        **extra,
    }
    answer = browser.get(f"{issuer}/protocol/openid-connect/auth", query)
    if answer.status == 200:
        answer = browser.post(answer.form_action, {"username": "alice", "password": "alice-pw"})
    assert answer.status == 302, answer.text[:400]
    return answer.parameters["code"]


async def exchange(provider: OpenIdProvider, code: str, client_id: str = "legacy-app") -> Grant | GrantRefusal:
    return await provider.exchange_code(
        Secret(code),
        code_verifier=Secret(VERIFIER),
        redirect_uri=REDIRECT_URI.replace("legacy-app", client_id),
        nonce="n-1",
    )


async def test_a_password_becomes_a_person_with_roles_and_groups(start: StartProvider) -> None:
    grant = await signed_in(await start())

    assert (grant.identity.username, grant.identity.email_is_verified, grant.auth_time) == ("alice", True, None)
    assert {"admin", "editor", "viewer"} & grant.identity.roles
    assert all(group.startswith("/") for group in grant.identity.groups)
    assert grant.tokens.refresh_expires_at is not None


@pytest.mark.parametrize(
    ("username", "password", "refusal"),
    [
        ("alice", "wrong", GrantRefusal.INVALID_CREDENTIALS),
        ("nobody", "wrong", GrantRefusal.INVALID_CREDENTIALS),
        ("alice", "", GrantRefusal.INVALID_CREDENTIALS),
        ("al\0ice", "x", GrantRefusal.INVALID_CREDENTIALS),
    ],
)
async def test_a_wrong_password_is_an_outcome(
    start: StartProvider, username: str, password: str, refusal: GrantRefusal
) -> None:
    provider = await start()

    assert await provider.password_grant(username, Secret(password), None) is refusal


async def test_a_disabled_account_and_one_that_is_not_set_up_are_told_apart(
    start: StartProvider, keycloak: KeycloakServer
) -> None:
    provider = await start()
    disabled = await keycloak.admin.create_user("oidc-disabled", enabled=False)
    unfinished = await keycloak.admin.create_user("oidc-unfinished", requiredActions=["UPDATE_PASSWORD"])

    found = [
        await provider.password_grant(name, Secret(f"{name}-pw"), None) for name in ("oidc-disabled", "oidc-unfinished")
    ]

    await keycloak.admin.delete_user(disabled)
    await keycloak.admin.delete_user(unfinished)
    assert found == [GrantRefusal.ACCOUNT_DISABLED, GrantRefusal.ACCOUNT_SETUP_REQUIRED]


@pytest.mark.parametrize(("client_id", "secret"), [("legacy-app", "wrong"), ("no-direct", ""), ("unknown", "x")])
async def test_a_client_that_is_set_up_wrong_is_not_the_users_fault(
    start: StartProvider, client_id: str, secret: str
) -> None:
    provider = await start(client_id=client_id, secret=secret)

    with pytest.raises(ClientMisconfigured):
        await provider.password_grant("alice", Secret("alice-pw"), None)


async def test_a_code_becomes_a_person_once(start: StartProvider, keycloak: KeycloakServer) -> None:
    provider = await start()
    code = await asyncio.to_thread(code_by_browser, WebBrowser(), keycloak.issuer())

    grant = await exchange(provider, code)

    assert isinstance(grant, Grant)
    assert grant.auth_time is not None
    assert await exchange(provider, code) is GrantRefusal.INVALID_GRANT


async def test_a_refresh_keeps_who_it_is(start: StartProvider) -> None:
    provider = await start("rotating")
    session = session_of(await signed_in(provider))

    grant = await provider.refresh(session)

    assert isinstance(grant, Grant)
    assert (grant.identity.subject, grant.sid) == (session.identity.subject, session.sid)
    assert grant.tokens.refresh_token != session.tokens.refresh_token


async def test_signing_in_again_for_another_app_neither_ends_a_session_nor_renews_its_login(
    start: StartProvider, keycloak: KeycloakServer
) -> None:
    provider, other = await start(), await start(client_id="other-app")
    browser = WebBrowser()
    grant = await exchange(provider, await asyncio.to_thread(code_by_browser, browser, keycloak.issuer()))
    assert isinstance(grant, Grant)
    # Keycloak's times have whole seconds: the second login must lie in another one.
    await asyncio.sleep(1.1)
    again = await asyncio.to_thread(code_by_browser, browser, keycloak.issuer(), "other-app", prompt="login")
    assert isinstance(await exchange(other, again, "other-app"), Grant)

    refreshed = await provider.refresh(session_of(grant))

    assert isinstance(refreshed, Grant)
    assert refreshed.auth_time == grant.auth_time
    assert refreshed.tokens.id_token is not None
    assert claims(refreshed.tokens.id_token.reveal())["auth_time"] > (grant.auth_time or 0)


async def test_the_back_door_ends_the_session_and_may_be_used_twice(
    start: StartProvider, keycloak: KeycloakServer
) -> None:
    provider = await start()
    session = session_of(await signed_in(provider, "bob"))

    await provider.end_session(session)
    await provider.end_session(session)

    assert await provider.refresh(session) is GrantRefusal.INVALID_GRANT


async def test_a_person_ends_one_other_session_and_then_all(start: StartProvider, keycloak: KeycloakServer) -> None:
    await keycloak.admin.create_user("many-places")
    provider = await start()
    mine, other, third = [session_of(await signed_in(provider, "many-places")) for _ in range(3)]

    assert await provider.end_other_session(mine, other.sid or "") is AccountAnswer.ENDED
    assert await provider.refresh(other) is GrantRefusal.INVALID_GRANT
    assert isinstance(await provider.refresh(third), Grant)

    assert await provider.end_all_sessions(mine) is AccountAnswer.ENDED
    assert await provider.refresh(mine) is GrantRefusal.INVALID_GRANT
    assert await provider.refresh(third) is GrantRefusal.INVALID_GRANT


async def test_without_account_roles_only_the_own_session_ends(start: StartProvider, keycloak: KeycloakServer) -> None:
    user_id = await keycloak.admin.create_user("no-account-roles")
    await keycloak.admin.remove_realm_roles(user_id, ("default-roles-acme",))
    provider = await start()
    mine, other = [session_of(await signed_in(provider, "no-account-roles")) for _ in range(2)]

    assert await provider.end_other_session(mine, other.sid or "") is AccountAnswer.REFUSED
    assert await provider.end_all_sessions(mine) is AccountAnswer.REFUSED

    assert await provider.refresh(mine) is GrantRefusal.INVALID_GRANT
    assert isinstance(await provider.refresh(other), Grant)


async def test_no_token_of_a_login_passes_for_a_logout_token(start: StartProvider) -> None:
    provider = await start()
    tokens = (await signed_in(provider)).tokens
    assert tokens.id_token is not None

    for token in (tokens.id_token, tokens.access_token):
        verified = await provider.verify(token.reveal(), purpose="backchannel")
        with pytest.raises(TokenRejected):
            validate_logout_token(
                verified.header,
                verified.payload,
                issuer=provider.metadata().issuer,
                client_id="legacy-app",
                now=SystemClock().now(),
            )
