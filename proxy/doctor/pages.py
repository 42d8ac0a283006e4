"""Whether Keycloak's pages take our addresses, and whether the client must use PKCE.

They are visited as a browser without a cookie would, with ``prompt=none``, so that the provider must answer at once:
by a redirect to our own address, which is proof that it takes it, or by a page of its own, which is proof that it does
not. No login is begun. Nothing of the redirect is followed.

Source: OIDC Core 1.0 §3.1.2.1, §3.1.2.6 (``login_required``), RFC 7636 §4.4.1, RFC 9207, OIDC RP-Initiated Logout 1.0
§2 to §3; that Keycloak looks at PKCE before ``prompt`` is measured (26.7).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from msgspec import Struct

from proxy.core.secret import Secret
from proxy.doctor.finding import SETUP, fail, of_fault, ok, warn
from proxy.errors import ProviderUnavailable
from proxy.oidc.http_client import shown
from proxy.web.authorization import code_challenge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.oidc.http_client import ProviderAnswer
    from proxy.ports import ProviderMetadata

REDIRECT: Final = "redirect URI"
AFTERWARDS: Final = "post-logout URI"
PKCE: Final = "PKCE"

_NOBODY_SIGNED_IN: Final = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
"""What ``prompt=none`` must be answered with when all else is well."""

_NO_CHALLENGE: Final = "invalid_request"
"""What a request without PKCE is answered with where it is demanded (RFC 7636 §4.4.1)."""


class Led(Struct, frozen=True):
    """A redirect to the address that was named; ``parameters`` are what it brought along."""

    parameters: Mapping[str, str]

    @property
    def error(self) -> str:
        """Return the error code; empty when there is none."""
        return self.parameters.get("error", "")

    def __str__(self) -> str:
        """Return the provider's own words, short and printable."""
        said = (self.error, self.parameters.get("error_description", ""))
        return shown(": ".join(word for word in said if word))


async def look_at_pages(visit: Visit, metadata: ProviderMetadata) -> tuple[Finding, ...]:
    """Visit both pages, all at once; without a name of our own there is no address that they could take."""
    if visit.settings.server.public_url.is_wildcard:
        return ()
    with_challenge, without, afterwards = await asyncio.gather(
        _authorization(visit, metadata, _challenge()),
        _authorization(visit, metadata, {}),
        _end_session(visit, metadata),
    )
    if not isinstance(with_challenge, Led):
        return (with_challenge, afterwards)
    findings = [_redirect_finding(visit, metadata, with_challenge)]
    if isinstance(without, Led) and with_challenge.error in _NOBODY_SIGNED_IN:
        findings.append(_pkce_finding(visit, without))
    return (*findings, afterwards)


# --- authorization ---------------------------------------------------------------------------------------------------


def _challenge() -> Mapping[str, str]:
    verifier = Secret(secrets.token_urlsafe(32))
    return {"code_challenge": code_challenge(verifier), "code_challenge_method": "S256"}


async def _authorization(visit: Visit, metadata: ProviderMetadata, challenge: Mapping[str, str]) -> Led | Finding:
    callback = f"{visit.own_pages}/callback"
    parameters = {
        **visit.settings.keycloak.auth_params,
        "client_id": visit.provider.client_id,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": " ".join(visit.provider.scopes),
        "state": secrets.token_urlsafe(16),
        "nonce": secrets.token_urlsafe(16),
        "prompt": "none",
        **challenge,
    }
    try:
        answer = await _visited(visit, metadata.authorization_endpoint, parameters)
    except ProviderUnavailable as fault:
        return of_fault(REDIRECT, fault, remedy=_from_elsewhere("keycloak.issuer"))
    led = _led(answer, callback)
    if led is not None:
        return led
    return fail(
        REDIRECT,
        f"Keycloak does not lead back to {callback} (it answers {answer.status})",
        f"add it to {visit.console('Access settings → Valid redirect URIs')}, or run: {SETUP}",
    )


def _redirect_finding(visit: Visit, metadata: ProviderMetadata, led: Led) -> Finding:
    if led.error in _NOBODY_SIGNED_IN:
        return _iss_finding(visit, metadata, led)
    if led.error == "invalid_scope":
        return fail(
            REDIRECT,
            f"Keycloak refuses keycloak.scopes: {led}",
            f"add the scope under {visit.console('Client scopes')}, or take it out of keycloak.scopes",
        )
    if led.error in {"unauthorized_client", "unsupported_response_type"}:
        return fail(
            REDIRECT,
            f"Keycloak does not let this client use its login page: {led}",
            f"switch on {visit.console('Capability config → Standard flow')}, or run: {SETUP}",
        )
    said = f"Keycloak leads back with {led}" if led.error else "Keycloak leads back without a word"
    return warn(REDIRECT, said, "look into Keycloak's log, and at keycloak.auth_params")


def _iss_finding(visit: Visit, metadata: ProviderMetadata, led: Led) -> Finding:
    """Look at ``iss`` of the answer, which the callback demands where the metadata promise it (RFC 9207 §2.4)."""
    said, wanted = led.parameters.get("iss"), visit.provider.issuer
    if said == wanted or (said is None and not metadata.iss_parameter_supported):
        return ok(REDIRECT, f"Keycloak leads back to {visit.own_pages}/callback")
    return fail(
        REDIRECT,
        f"Keycloak leads back in the name of {shown(said)}, and keycloak.issuer is {wanted}",
        "start Keycloak with --hostname and its public URL, so that its issuer does not follow the request",
    )


def _pkce_finding(visit: Visit, led: Led) -> Finding:
    if led.error == _NO_CHALLENGE:
        return ok(PKCE, "demanded; a request without it is refused")
    if led.error not in _NOBODY_SIGNED_IN:
        said = f"whether Keycloak demands it cannot be told from its answer: {led}"
        return warn(PKCE, said, f"see {visit.console('Capability config → PKCE Method')}")
    return warn(
        PKCE,
        "Sidegate uses it, and Keycloak does not demand it: a stolen code could be used without",
        f"choose S256 under {visit.console('Capability config → PKCE Method')}, or run: {SETUP}",
    )


# --- end of the session ----------------------------------------------------------------------------------------------


async def _end_session(visit: Visit, metadata: ProviderMetadata) -> Finding:
    address = f"{visit.own_pages}/logged-out"
    if metadata.end_session_endpoint is None:
        remedy = "give it by hand under keycloak.endpoints.end_session, if the provider has one"
        return warn(AFTERWARDS, "the provider names no end_session_endpoint, so logins there outlive ours", remedy)
    parameters = {"client_id": visit.provider.client_id, "post_logout_redirect_uri": address}
    try:
        answer = await _visited(visit, metadata.end_session_endpoint, parameters)
    except ProviderUnavailable as fault:
        return of_fault(AFTERWARDS, fault, remedy=_from_elsewhere("keycloak.issuer"))
    if _led(answer, address) is not None:
        return ok(AFTERWARDS, f"Keycloak leads back to {address}")
    if answer.status == 200:
        said = "the provider shows a page instead of leading back, with nobody signed in"
        return warn(AFTERWARDS, said, "sign out once in a browser, and see whether it comes back")
    return fail(
        AFTERWARDS,
        f"Keycloak does not lead back to {address} after a logout (it answers {answer.status})",
        f"add it to {visit.console('Access settings → Valid post logout redirect URIs')}, or run: {SETUP}",
    )


# --- visits ----------------------------------------------------------------------------------------------------------


async def _visited(visit: Visit, endpoint: str, parameters: Mapping[str, str]) -> ProviderAnswer:
    """Visit a page by the browser's address, else by ours: whether browsers get there is not for us to see.

    Raises:
        ProviderUnavailable: by neither; the sentence names the page without what was asked.
    """
    inner = visit.inside.internal(endpoint)
    query = urlencode(parameters, quote_via=quote)
    faults = []
    for page in dict.fromkeys((endpoint, inner)):
        url = f"{page}{'&' if '?' in page else '?'}{query}"
        try:
            return await visit.http.visit("doctor", url)
        except ProviderUnavailable as fault:
            faults.append(str(fault).replace(url, page))
    raise ProviderUnavailable(faults[0])


def _led(answer: ProviderAnswer, address: str) -> Led | None:
    """Return what a redirect brings to ``address``; None when it leads elsewhere or is none."""
    if not 300 <= answer.status < 400 or answer.location is None:
        return None
    parts = urlsplit(answer.location)
    if f"{parts.scheme}://{parts.netloc}{parts.path}" != address:
        return None
    return Led(dict(parse_qsl(parts.query or parts.fragment)))


def _from_elsewhere(key: str) -> str:
    return f"check {key}; if browsers get there and this machine does not, look from one that does"
