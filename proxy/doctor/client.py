"""Whether Keycloak takes the client's word for who it is, and passwords from it.

Both are asked so that the answer must be no, for one reason or another: a refresh token that is none, and a user name
that nobody has, random each time. So no session is made, no account is locked, and nobody's failed sign-ins are
counted. The client proves itself by the same code as in a login.

Source: RFC 6749 §5.2; that Keycloak looks at the client before it looks at the grant is measured (26.7).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.doctor.finding import SETUP, fail, of_fault, ok, warn
from proxy.errors import ClientMisconfigured, ProviderUnavailable
from proxy.keycloak_setup.wanted import LoginWay
from proxy.oidc.http_client import shown
from proxy.oidc.token_endpoint import parse_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.ports import ProviderMetadata

CREDENTIALS: Final = "credentials"
PASSWORD_GRANT: Final = "password grant"  # noqa: S105 - the name of a check

NOBODY: Final = "sidegate-doctor-"
"""Begins the user name that nobody has; 128 random bits follow."""

_TAKES_NO_PASSWORD: Final = frozenset({"unauthorized_client", "unsupported_grant_type", "invalid_client"})
"""What a password is refused with whoever brings it; the last is Keycloak's word where consent is required."""


class Refusal(Struct, frozen=True):
    """How the token endpoint said no."""

    error: str
    description: str

    def __str__(self) -> str:
        """Return the provider's own words, short and printable."""
        return shown(f"{self.error}: {self.description}" if self.description else self.error)


async def look_at_client(visit: Visit, metadata: ProviderMetadata) -> tuple[Finding, ...]:
    """Ask for both; the second makes sense only when the first is well."""
    try:
        proof = _proof(visit, await _asked(visit, metadata, _no_refresh_token()))
        if proof.remedy:
            return (proof,)
        grant = await _asked(visit, metadata, _nobodys_password(visit))
    except ClientMisconfigured as fault:
        return (of_fault(CREDENTIALS, fault, remedy="mend keycloak.client_auth"),)
    except ProviderUnavailable as fault:
        return (of_fault(CREDENTIALS, fault, remedy="check keycloak.internal_url and keycloak.endpoints.token"),)
    return (proof, _password_finding(visit, grant))


def _no_refresh_token() -> Mapping[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": "sidegate-doctor-has-none"}


def _nobodys_password(visit: Visit) -> Mapping[str, str]:
    return {
        "grant_type": "password",
        "username": NOBODY + secrets.token_hex(16),
        "password": secrets.token_urlsafe(16),
        "scope": " ".join(visit.provider.scopes),
    }


async def _asked(visit: Visit, metadata: ProviderMetadata, form: Mapping[str, str]) -> Refusal:
    """Return the refusal.

    Raises:
        ClientMisconfigured: what proves who we are cannot be read.
        ProviderUnavailable: also when there is no refusal, for nobody should get tokens.
    """
    return Refusal(*parse_error(await visit.calls.post("doctor", metadata.token_endpoint, form)))


def _proof(visit: Visit, refusal: Refusal) -> Finding:
    method = visit.settings.keycloak.client_auth.method
    client_id = visit.settings.keycloak.client_id
    if refusal.error == "invalid_grant":
        return ok(CREDENTIALS, f"Keycloak takes them ({method}); asked with a refresh token that is none")
    if refusal.error == "invalid_client":
        return fail(
            CREDENTIALS,
            f"Keycloak has no client {client_id} that is enabled, or it does not take {method} ({refusal})",
            f"check keycloak.client_id; or make and mend the client: {SETUP}",
        )
    if refusal.error == "unauthorized_client":
        return fail(
            CREDENTIALS,
            f"Keycloak refuses what keycloak.client_auth says ({refusal})",
            _proof_remedy(visit),
        )
    return warn(CREDENTIALS, f"an answer that says neither yes nor no: {refusal}", "look into Keycloak's log")


def _proof_remedy(visit: Visit) -> str:
    if visit.settings.keycloak.client_auth.secret is None:
        return f"check keycloak.client_auth and {visit.console('Credentials → Client Authenticator')}"
    return (
        f"copy {visit.console('Credentials → Client Secret')} to where keycloak.client_auth.secret is read from, or "
        f"let the command write it: {SETUP} --secret-file FILE"
    )


def _password_finding(visit: Visit, refusal: Refusal) -> Finding:
    if visit.needs.login is LoginWay.REDIRECT:
        return _when_not_wanted(visit, refusal)
    if refusal.error == "invalid_grant":
        return ok(PASSWORD_GRANT, "allowed; asked with a user name that nobody has")
    switch, remedy = _switch(visit, refusal)
    return fail(PASSWORD_GRANT, f"login.mode is form, and Keycloak takes no password: {refusal}", f"{switch}{remedy}")


def _when_not_wanted(visit: Visit, refusal: Refusal) -> Finding:
    if refusal.error in _TAKES_NO_PASSWORD:
        return ok(PASSWORD_GRANT, "off, as login.mode: redirect wants it")
    if refusal.error != "invalid_grant":
        said = f"whether Keycloak takes passwords from this client cannot be told from its answer: {refusal}"
        return warn(PASSWORD_GRANT, said, f"see {visit.console('Capability config → Direct access grants')}")
    return warn(
        PASSWORD_GRANT,
        "login.mode is redirect, and Keycloak takes passwords from this client",
        f"switch off {visit.console('Capability config → Direct access grants')}, or run: {SETUP}",
    )


def _switch(visit: Visit, refusal: Refusal) -> tuple[str, str]:
    """Return where it is mended, and by which command."""
    by_command = f", or run: {SETUP}"
    if refusal.error == "invalid_scope":
        return "add the scope under " + visit.console("Client scopes"), ", or take it out of keycloak.scopes"
    if "consent" in refusal.description:
        return "switch off " + visit.console("Login settings → Consent required"), by_command
    return "switch on " + visit.console("Capability config → Direct access grants"), by_command
