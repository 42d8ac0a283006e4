"""What the form leaves to Keycloak: another provider behind it, a new account, a forgotten password."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visitor import fill_keycloak_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTNER = "partner"
"""Alias of the button in the house of this folder."""


@asynccontextmanager
async def partner_realm(house: House) -> AsyncIterator[None]:
    """Let the realm ``rotating`` be an identity provider of ``acme`` for a while."""
    admin, front, behind = house.keycloak.admin, house.keycloak.issuer("acme"), house.keycloak.issuer("rotating")
    secret = uuid.uuid4().hex
    client = {
        "clientId": f"broker-{secret[:8]}",
        "protocol": "openid-connect",
        "secret": secret,
        "redirectUris": [f"{front}/broker/{PARTNER}/endpoint"],
        "adminUrl": "",
    }
    endpoints = f"{behind}/protocol/openid-connect"
    config = {
        "clientId": client["clientId"],
        "clientSecret": secret,
        "clientAuthMethod": "client_secret_post",
        "issuer": behind,
        "authorizationUrl": f"{endpoints}/auth",
        "tokenUrl": f"{endpoints}/token",
        "jwksUrl": f"{endpoints}/certs",
        "useJwksUrl": "true",
        "validateSignature": "true",
        "defaultScope": "openid profile email",
        "syncMode": "IMPORT",
    }
    provider: dict[str, Any] = {"alias": PARTNER, "providerId": "oidc", "enabled": True, "trustEmail": True}
    client_id = await admin.call("POST", "/rotating/clients", json=client)
    await admin.call("POST", "/acme/identity-provider/instances", json={**provider, "config": config})
    try:
        yield
    finally:
        await admin.call("DELETE", f"/acme/identity-provider/instances/{PARTNER}")
        await admin.call("DELETE", f"/rotating/clients/{client_id}")


@asynccontextmanager
async def realm_that_allows(house: House, *names: str) -> AsyncIterator[None]:
    on: dict[str, Any] = dict.fromkeys(names, True)
    off: dict[str, Any] = dict.fromkeys(names, False)
    await house.keycloak.admin.update_realm(**on)
    try:
        yield
    finally:
        await house.keycloak.admin.update_realm(**off)


async def test_a_button_leads_to_the_partners_own_page_and_back_without_script(house: House, arrive: Arrive) -> None:
    visitor, name = await arrive(house.url, java_script_enabled=False), f"partner-{uuid.uuid4().hex[:8]}"
    await house.keycloak.admin.create_user(name, realm="rotating")

    async with partner_realm(house):
        await visitor.open("/notes?by=partner")
        await visitor.page.get_by_role("link", name="Continue with Partner network").click()
        await visitor.page.wait_for_url(lambda url: "/realms/rotating/" in url)
        await fill_keycloak_form(visitor.page, name, f"{name}-pw")
        await visitor.page.wait_for_url(visitor.url + "/notes?by=partner")

    assert f"{name.capitalize()} Test" in await visitor.page.inner_text("header")


async def test_a_new_account_is_made_at_keycloak_and_leads_back_signed_in(house: House, visitor: Visitor) -> None:
    name, page = f"new-{uuid.uuid4().hex[:8]}", visitor.page
    await visitor.open("/notes?new")
    async with realm_that_allows(house, "registrationAllowed"):
        await page.get_by_role("link", name="Create one").click()
        for field, value in {
            "username": name,
            "password": f"{name}-pw",
            "password-confirm": f"{name}-pw",
            "email": f"{name}@acme.test",
            "firstName": "New",
            "lastName": "Comer",
        }.items():
            await page.locator(f"#{field}").fill(value)
        await page.locator("#kc-form-buttons input, #kc-form-buttons button, [type=submit]").first.click()
        await page.wait_for_url(visitor.url + "/notes?new")

    assert "New Comer" in await page.inner_text("header")


async def test_where_nobody_may_register_the_way_back_is_the_browsers(visitor: Visitor) -> None:
    await visitor.open("/notes")
    await visitor.page.get_by_role("link", name="Create one").click()
    assert "/realms/acme/" in visitor.page.url

    await visitor.page.go_back()

    await visitor.page.get_by_role("heading", name="Sign in").wait_for()


async def test_a_forgotten_password_is_asked_for_at_keycloak(house: House, visitor: Visitor) -> None:
    await visitor.open("/notes")
    async with realm_that_allows(house, "resetPasswordAllowed"):
        await visitor.page.get_by_role("link", name="Forgot password?").click()
        await visitor.page.get_by_role("link", name="Forgot Password?").click()
        await visitor.page.wait_for_url(lambda url: "/login-actions/reset-credentials" in url)
        assert await visitor.page.locator("#username").count() == 1
