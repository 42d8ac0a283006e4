"""``sidegate doctor``, start to end: every look beside the others, told in one order.

What one look must know of another waits for it: what the client may do is asked at the addresses that discovery gave.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from proxy.doctor.client import look_at_client
from proxy.doctor.finding import Diagnosis, Group, Place, fail, of_fault
from proxy.doctor.names import look_at_names
from proxy.doctor.own import look_at_certificates, look_at_public_url, look_at_secrets
from proxy.doctor.pages import look_at_pages
from proxy.doctor.person import look_at_person
from proxy.doctor.provider import look_at_provider
from proxy.doctor.registration import how_to_see, look_at_registration
from proxy.doctor.report import document
from proxy.doctor.store import look_at_store
from proxy.doctor.upstreams import look_at_upstreams
from proxy.doctor.visit import in_time, visiting
from proxy.errors import SettingsError, SidegateError
from proxy.keycloak_setup.needs import at_each_host
from proxy.settings.portals import SiteSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from proxy.doctor.finding import Finding
    from proxy.doctor.person import TriedAccount
    from proxy.doctor.visit import Visit
    from proxy.keycloak_setup.admin_api import Administrator
    from proxy.ports import ProviderMetadata
    from proxy.settings.model import Settings
    from proxy.settings.problems import Problem

_NO_ACCOUNT: Final = "tokens, roles and how long sessions really last: give --user NAME, a test account"

_NEEDS_BROWSER: Final = "a test login: login.mode is redirect, so only a browser can sign in"

_NO_TIME: Final = "the clock: its answers have no Date; the tokens of --user tell the time"

_NO_ENDPOINTS: Final = "the client: without discovery nobody knows where to ask; mend the lines above first"


class Orders(Struct, frozen=True, kw_only=True):
    """What the command line says.

    Attributes:
        file: the path of the settings, as it was given.
        problems: what is wrong with secrets and other files that the settings name.
        administrator: who may see the client in Keycloak; None: nobody.
        account: whose login is tried; None: nobody's.
    """

    file: str
    problems: tuple[Problem, ...] = ()
    administrator: Administrator | None = None
    account: TriedAccount | None = None


def examine(sites: Sequence[SiteSettings], orders: Orders) -> Diagnosis:
    """Look at everything; a fault is a finding.

    Raises:
        SidegateError: somebody stopped it.
    """
    try:
        return asyncio.run(_examined(sites, orders))
    except KeyboardInterrupt:
        raise SidegateError("stopped; a test login that was under way ends by itself, as idle sessions do") from None


async def _examined(sites: Sequence[SiteSettings], orders: Orders) -> Diagnosis:
    first, *further = _at_each_host(sites)
    settings = tuple(site.settings for site in sites)
    places = await asyncio.gather(
        _place(first, orders, _of_process, neighbours=settings),
        *(_place(site, orders, _of_site_alone, neighbours=settings) for site in further),
    )
    return Diagnosis(orders.file, tuple(places))


def _at_each_host(sites: Sequence[SiteSettings]) -> list[SiteSettings]:
    """Return the sites, one with a wildcard in its public URL at each of its names."""
    return [SiteSettings(name, one) for name, settings in sites for one in _named(settings)]


def _named(settings: Settings) -> tuple[Settings, ...]:
    try:
        return at_each_host(settings)
    except SidegateError:
        return (settings,)  # its looks at the public URL say so


def document_text(diagnosis: Diagnosis) -> str:
    """Return the document as it is printed."""
    return json.dumps(document(diagnosis), indent=2, ensure_ascii=False)


# --- one site --------------------------------------------------------------------------------------------------------


class _LookAtPlace(Protocol):
    """Gives the groups of one site."""

    async def __call__(self, visit: Visit, orders: Orders, /) -> tuple[Group, ...]: ...


async def _place(site: SiteSettings, orders: Orders, look: _LookAtPlace, *, neighbours: tuple[Settings, ...]) -> Place:
    administrator = orders.administrator
    base_url = None if administrator is None else administrator.base_url
    try:
        async with visiting(site.settings, file=orders.file, admin_url=base_url, neighbours=neighbours) as visit:
            groups, setup = await look(visit, orders), visit.setup_command
    except SettingsError as fault:
        finding = of_fault("file", fault, remedy="mend what the file names")
        groups, setup = (Group("file", f"File {orders.file}", (finding,)),), ""
    return Place(site.name or None, str(site.settings.server.public_url), groups, setup)


async def _of_process(visit: Visit, orders: Orders) -> tuple[Group, ...]:
    """Look at a site and at what all sites of the process share."""
    file, store, (names, *rest) = await asyncio.gather(
        _file(visit, orders), _store(visit), _of_site_alone(visit, orders)
    )
    return (file, names, *rest[:-2], store, *rest[-2:])


async def _of_site_alone(visit: Visit, orders: Orders) -> tuple[Group, ...]:
    """Look at what belongs to one site: names first, the apps and the public URL last."""
    names, keycloak, upstreams, public = await asyncio.gather(
        _group("names", "Names", look_at_names(visit.settings)),
        _keycloak(visit, orders),
        _group("upstreams", "Apps", look_at_upstreams(visit)),
        _group("public", f"Public URL {visit.settings.server.public_url}", look_at_public_url(visit)),
    )
    return (names, *keycloak, upstreams, public)


async def _group(name: str, title: str, look: Awaitable[Sequence[Finding]], *unseen: str) -> Group:
    return Group(name, title, await in_time(name, look), unseen)


async def _file(visit: Visit, orders: Orders) -> Group:
    title = f"File {orders.file}"
    if orders.problems:
        return Group("file", title, tuple(map(_of_problem, orders.problems)))
    secrets, certificates = await asyncio.gather(look_at_secrets(visit), look_at_certificates(visit))
    return Group("file", title, (*secrets, *certificates))


def _of_problem(problem: Problem) -> Finding:
    return fail("file", f"line {problem.line}, {problem.key_path}: {problem.message}", problem.remedy)


async def _store(visit: Visit) -> Group:
    kind = {"memory": "Sessions", "redis": "Redis"}[visit.settings.sessions.store]
    return await _group("store", kind, look_at_store(visit))


# --- keycloak --------------------------------------------------------------------------------------------------------


async def _keycloak(visit: Visit, orders: Orders) -> tuple[Group, ...]:
    known = await look_at_provider(visit)
    is_timeless = known.metadata is not None and not known.says_time and orders.account is None
    provider = Group(
        "keycloak", f"Keycloak {visit.provider.issuer}", known.findings, (_NO_TIME,) if is_timeless else ()
    )
    client = f"Client {visit.provider.client_id}"
    if known.metadata is None:
        return (provider, Group("client", client, (), (_NO_ENDPOINTS,)))
    unseen = () if orders.administrator is not None else (how_to_see(visit),)
    return (
        provider,
        *await asyncio.gather(
            _group("client", client, _of_client(visit, known.metadata), *unseen),
            _registration(visit, orders),
            _login(visit, known.metadata, orders),
        ),
    )


async def _of_client(visit: Visit, metadata: ProviderMetadata) -> tuple[Finding, ...]:
    by_itself, by_browser = await asyncio.gather(look_at_client(visit, metadata), look_at_pages(visit, metadata))
    return (*by_itself, *by_browser)


async def _registration(visit: Visit, orders: Orders) -> Group:
    title = "Client, as an administrator sees it"
    if orders.administrator is None:
        return Group("registration", title, ())
    return await _group("registration", title, look_at_registration(visit, orders.administrator))


async def _login(visit: Visit, metadata: ProviderMetadata, orders: Orders) -> Group:
    account = orders.account
    if account is None:
        return Group("login", "Test login", (), (_NO_ACCOUNT,))
    if visit.settings.login.mode == "redirect":
        return Group("login", "Test login", (), (_NEEDS_BROWSER,))
    return await _group("login", f"Test login of {account.username}", look_at_person(visit, metadata, account))
