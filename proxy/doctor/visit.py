"""What every look has in its hands."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from proxy import slices
from proxy.clock import SystemClock
from proxy.doctor.finding import SETUP, fail, of_fault
from proxy.errors import SidegateError
from proxy.keycloak_setup.needs import needs_of
from proxy.observe.log import LogLevel
from proxy.observe.observer import ProductionObserver
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.http_client import HttpClient
from proxy.oidc.provider import addresses_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from proxy.doctor.finding import Finding
    from proxy.keycloak_setup.wanted import ClientNeeds
    from proxy.oidc.metadata import Addresses
    from proxy.oidc.options import ProviderOptions
    from proxy.ports import Clock, Observer
    from proxy.settings.model import Settings

LOOK_S: Final = 30.0
"""Seconds for one look, several exchanges included; each of these has its own, shorter bound."""


class Visit(Struct, frozen=True, kw_only=True):
    """One site that is looked at.

    Attributes:
        file: the path that the settings came from, as it was given.
        http: towards the provider, as the gate's own.
        calls: to the provider as our client.
        admin_url: of Keycloak as ``keycloak-setup`` wants it; None when nobody said.
        neighbours: further sites of the file, some of which may share the client.
    """

    settings: Settings
    file: str
    http: HttpClient
    calls: ClientCalls
    clock: Clock
    observer: Observer
    admin_url: str | None = None
    neighbours: tuple[Settings, ...] = ()

    @property
    def needs(self) -> ClientNeeds:
        """Return what the file needs of the client."""
        return needs_of(self.settings, neighbours=self.neighbours)

    @property
    def provider(self) -> ProviderOptions:
        """Return the client and the identity provider."""
        return slices.provider_options(self.settings)

    @property
    def outside(self) -> Addresses:
        """Return the provider's addresses as browsers know them."""
        return replace(self.inside, internal_url=None)

    @property
    def inside(self) -> Addresses:
        """Return the same as this process calls them."""
        return addresses_of(self.provider)

    def provider_tls(self) -> ssl.SSLContext:
        """Return what the provider's certificate is verified by."""
        return ssl.create_default_context(cafile=self.settings.keycloak.ca_file)

    @staticmethod
    def public_tls() -> ssl.SSLContext:
        """Return what our own certificate is verified by: what browsers trust, as far as this system knows."""
        return ssl.create_default_context()

    @property
    def own_pages(self) -> str:
        """Return where Sidegate's own pages begin, as browsers know it."""
        return f"{self.settings.server.public_url}{self.settings.server.prefix}"

    @property
    def setup_command(self) -> str:
        """Return the whole command that mends the client."""
        base_url, _, _ = self.settings.keycloak.issuer.partition("/realms/")
        return f"{SETUP} -c {self.file} --admin-url {self.admin_url or base_url}"

    def console(self, where: str) -> str:
        """Return a place of the client in Keycloak's console."""
        return f"Clients → {self.settings.keycloak.client_id} → {where}"


@asynccontextmanager
async def visiting(
    settings: Settings, *, file: str, admin_url: str | None = None, neighbours: tuple[Settings, ...] = ()
) -> AsyncIterator[Visit]:
    """Give what looks need, and let go of its connections at the end.

    Raises:
        SettingsError: ``keycloak.ca_file`` or another file of the provider cannot be used.
    """
    clock, options = SystemClock(), slices.provider_options(settings)
    observer = ProductionObserver(lambda _lines: None, clock=clock, level=LogLevel.ERROR)
    http = HttpClient(
        clock=clock,
        observer=observer,
        timeout_s=options.timeout_s,
        ca_file=options.ca_file,
        certificate=options.certificate,
    )
    calls = ClientCalls(http, authentication=options.authentication, audience=options.issuer, observer=observer)
    try:
        yield Visit(
            settings=settings,
            file=file,
            http=http,
            calls=calls,
            clock=clock,
            observer=observer,
            admin_url=admin_url,
            neighbours=neighbours,
        )
    finally:
        await http.close()
        observer.close()


async def in_time(check: str, look: Awaitable[Sequence[Finding]], *, seconds: float = LOOK_S) -> tuple[Finding, ...]:
    """Return what a look finds; a fault of it, and no end of it, are findings too."""
    try:
        async with asyncio.timeout(seconds):
            return tuple(await look)
    except TimeoutError:
        return (fail(check, f"no end after {seconds:g} s", "check the network between, and run the doctor again"),)
    except SidegateError as fault:
        return (of_fault(check, fault, remedy="mend that, and run the doctor again"),)
