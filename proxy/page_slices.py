"""From the settings to what Sidegate's own pages take, and those who work on sessions from outside.

Apart from ``slices.py`` because it is wanted late: nobody needs it before somebody asks for a page of ours, and what it
imports is a good part of a start.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from proxy.core.throttle import ThrottleRules
from proxy.slices import everywhere, own_cookies, server_keys
from proxy.web.administration import ManagedSite
from proxy.web.options import Feature, LoginMode, LoginOptions, OtpField, ProviderButton, SessionOptions, WebOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.settings.model import Settings


def web_options(settings: Settings, *, portal: str = "", keys: Sequence[bytes] = ()) -> WebOptions:
    """Return what Sidegate's own endpoints take; ``keys`` as :func:`server_keys` gave them to the process.

    Each portal's are derived from them, so that no form, link or mark of one is worth anything at another.
    """
    keycloak, sessions = settings.keycloak, settings.sessions
    newest, *older = (key_of_portal(key, portal) for key in keys or server_keys(settings))
    return WebOptions(
        portal=portal,
        public_url=str(settings.server.public_url),
        issuer=keycloak.issuer,
        client_id=keycloak.client_id,
        cookies=own_cookies(settings),
        server_key=newest,
        older_keys=tuple(older),
        login=_login_options(settings),
        sessions=SessionOptions(lifetime_s=sessions.lifetime, idle_timeout_s=sessions.idle_timeout),
        prefix=settings.server.prefix,
        scopes=keycloak.asked_scopes,
        auth_params=keycloak.auth_params,
        acr_values=_acr_values(settings),
        backchannel=_feature(settings.backchannel.enabled),
        strict_transport_security=_feature(bool(everywhere(settings))),
    )


def _acr_values(settings: Settings) -> frozenset[str]:
    rules = (route.access for route in settings.routes if not isinstance(route.access, str))
    return frozenset(value for rule in rules for value in rule.acr or ())


def _login_options(settings: Settings) -> LoginOptions:
    login = settings.login
    return LoginOptions(
        mode=LoginMode(login.mode),
        landing=login.landing,
        otp=OtpField(login.otp),
        providers=tuple(ProviderButton(one.alias, one.label) for one in login.providers),
        registration=_feature(login.registration),
        forgot_password=_feature(login.forgot_password),
        remember_me=_feature(login.remember_me),
        csrf_lifetime_s=login.csrf_lifetime,
        max_concurrent=login.max_concurrent,
        max_wait_s=settings.keycloak.timeout,
    )


def _feature(switch: bool) -> Feature:  # noqa: FBT001 - where booleans of the file end
    return Feature.ON if switch else Feature.OFF


def managed_site(options: WebOptions) -> ManagedSite:
    """Return whose sessions operators see; the server key is that of the own pages, so that ids are the same."""
    return ManagedSite(options.portal, options.issuer, options.client_id, options.server_key)


def key_of_portal(server_key: bytes, portal: str) -> bytes:
    """Return the key by which one portal seals what it shows; the site at the top has the server's own."""
    return hmac.digest(server_key, f"sidegate portal 1 {portal}".encode(), "sha256") if portal else server_key


def throttle_rules(settings: Settings) -> ThrottleRules:
    """Return how many sign-ins may fail."""
    throttle = settings.login.throttle
    return ThrottleRules(issuer=settings.keycloak.issuer, per_user=throttle.per_user, per_address=throttle.per_address)
