"""From the settings to what is needed of the client, and which realm of which Keycloak they speak of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from proxy.core.hosts import stands_for
from proxy.errors import SidegateError
from proxy.keycloak_setup.proof import proof_of
from proxy.keycloak_setup.wanted import ClientNeeds, LoginWay

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.keycloak_setup.wanted import Proof
    from proxy.settings.model import AccessConditions, Settings

_REALM = re.compile(r"/realms/([^/?#]+)/?$")

_SENDS_ROLES = frozenset({"x-auth", "x-auth-request", "x-forwarded"})
_REALM_WORD = "realm"


def realm_of(issuer: str) -> str:
    """Return the name of the realm.

    Raises:
        SidegateError: the issuer is no Keycloak's.
    """
    found = _REALM.search(issuer)
    if found is None:
        raise SidegateError(
            f"keycloak.issuer {issuer} is no realm of a Keycloak (…/realms/NAME), and only Keycloak can be set up; "
            "mend the issuer, or register the addresses of the README's table at your provider by hand"
        )
    return unquote(found[1])


def at_each_host(settings: Settings) -> tuple[Settings, ...]:
    """Return the settings at each public URL: of a wildcard, one for each name that ``hosts`` has beside it.

    Raises:
        SidegateError: there is no such name, and Keycloak takes no wildcard within a host.
    """
    server = settings.server
    if not server.public_url.is_wildcard:
        return (settings,)
    hosts = sorted(host for host in server.host_values.exact if stands_for(server.public_url.authority, host))
    if not hosts:
        raise SidegateError(
            f"Keycloak takes no wildcard in a host such as {server.public_url.authority}; "
            "name each app in hosts beside the wildcard, and its addresses are registered"
        )
    urls = (replace(server.public_url, authority=host) for host in hosts)
    return tuple(settings.model_copy(update={"server": server.model_copy(update={"public_url": url})}) for url in urls)


def needs_of(
    settings: Settings,
    *,
    audiences: tuple[str, ...] = (),
    neighbours: Iterable[Settings] = (),
    proof: Proof | None = None,
) -> ClientNeeds:
    """Return what this file needs of its client.

    Args:
        neighbours: further sites of the file.
        proof: how the client proves itself, when more is known of it than the file says.
    """
    server, keycloak = settings.server, settings.keycloak
    same = tuple(one for one in neighbours if _client_of(one) == _client_of(settings))
    further = (
        f"{scheme}://{host}{one.server.own_prefix}"
        for one in (settings, *same)
        for host in one.server.host_values.exact
        for scheme in ("http", "https")
    )
    return ClientNeeds(
        client_id=keycloak.client_id,
        site=str(server.public_url),
        pages=f"{server.public_url}{server.prefix}",
        further_pages=frozenset(further),
        proof=proof_of(keycloak.client_auth, service_account=None) if proof is None else proof,
        login=_login_of(settings, *same),
        hears_logout=settings.backchannel.enabled,
        scopes=keycloak.asked_scopes,
        sources=keycloak.claims_from,
        role_clients=_role_clients(settings),
        needs_groups=_needs_groups(settings),
        audiences=audiences,
        exchanges=any(route.token_exchange is not None for route in settings.routes),
    )


def _login_of(*sites: Settings) -> LoginWay:
    """Return how people sign in at a client: by the form where one of its sites has one."""
    return LoginWay.FORM if any(one.login.mode == "form" for one in sites) else LoginWay.REDIRECT


def _client_of(settings: Settings) -> tuple[str, str]:
    return settings.keycloak.issuer, settings.keycloak.client_id


def _rules(settings: Settings) -> Iterable[AccessConditions]:
    return (route.access for route in settings.routes if not isinstance(route.access, str))


def _role_clients(settings: Settings) -> tuple[str, ...] | None:
    """Return the clients whose roles are looked at, our own first; None when no role is."""
    named = [role for rule in _rules(settings) for role in (*(rule.any_role or ()), *(rule.all_roles or ()))]
    headers = settings.identity_headers
    if not named and headers.preset not in _SENDS_ROLES:
        return None
    own = settings.keycloak.client_id
    in_rules = [own if role.startswith(f"{own}:") else role.partition(":")[0] for role in named if ":" in role]
    in_headers = (own, *headers.role_clients) if headers.preset in _SENDS_ROLES else ()
    return tuple(name for name in dict.fromkeys((*in_headers, *in_rules)) if name != _REALM_WORD)


def _needs_groups(settings: Settings) -> bool:
    if settings.identity_headers.preset != "none":
        return True
    rules = list(_rules(settings))
    in_rules = any(rule.any_group or "groups" in (rule.claims or {}) for rule in rules)
    return in_rules or any("{claims.groups}" in text for text in _templates(settings))


def _templates(settings: Settings) -> Iterable[str]:
    sets: list[Mapping[str, object]] = [settings.identity_headers.set, *(one.headers.set for one in settings.routes)]
    return (str(text) for one in sets for text in one.values())
