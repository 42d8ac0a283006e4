"""One site: everything that follows from one ``Settings``, wired; a process has one, or one for each portal.

A part of the composition root. What outlives a change of the file is not here but in :class:`SharedParts`: stores, open
streams, the observer, the server's keys. A site is made, started, served and closed; a reload makes a new one beside it
and lets go of the old. So a site keeps nothing that must survive: pages, keys of the provider, refreshes under way (the
lease of each is in the store), bearer tokens that were verified.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from proxy import slices
from proxy.certificates import watch
from proxy.errors import SidegateError
from proxy.forward.own_pages import OwnPages
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.handler import Gate, GateParts
from proxy.oidc.provider import OpenIdProvider
from proxy.pages.render import JinjaPages
from proxy.respond import Responder
from proxy.sessions.fresh_tokens import RefreshParts
from proxy.sessions.refresher import SessionRefresher
from proxy.tasks import TaskOwner
from proxy.web.application import WebServices, own_application

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.forward.options import UpstreamOptions
    from proxy.ports import Clock, Observer
    from proxy.settings.load import SiteSettings
    from proxy.stores import Stores

OWN_PAGES_KEEPALIVE_S = 75.0
"""Longer than the data path keeps an idle pair, so that aiohttp never closes one that is about to be used."""

LOOK_EVERY_S = 0.02
"""How often a provider is looked at that is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """What all sites of a process have in common, and what stays when they are exchanged.

    Attributes:
        server_keys: of ``sessions.encryption_keys``, the newest first; one that lives as long as the process where the
            file has none.
    """

    stores: Stores
    clock: Clock
    observer: Observer
    server_keys: tuple[bytes, ...] = field(repr=False)


class Site:
    """See the module.

    Attributes:
        name: of the portal; empty for a file without portals.
        key: by which the data path knows this site and no other, former ones of the same name included.
        gate: decides about its requests.
        refresher: keeps the tokens of its sessions fresh.
        provider: its client at its realm.
        upstreams: as the data path takes them, each key its own.
    """

    def __init__(self, given: SiteSettings, shared: SharedParts, *, generation: int = 0) -> None:
        """Wire it; nothing is opened or asked before :meth:`start`.

        Args:
            generation: how many times the sites of this process were exchanged before.

        Raises:
            SettingsError: a certificate, CA file, key or template cannot be used.
        """
        settings = given.settings
        self.name = given.name
        self.settings = settings
        self.key = f"{given.name}#{generation}" if given.name or generation else ""
        self._shared = shared
        self._pages = JinjaPages(slices.look(settings))
        self.provider = OpenIdProvider(slices.provider_options(settings), clock=shared.clock, observer=shared.observer)
        self.refresher = SessionRefresher(self._refresh_parts(), policy=slices.refresh_policy(settings))
        self.web_options = slices.web_options(settings, keys=shared.server_keys)
        self._own = web.AppRunner(self._own_application(), access_log=None, keepalive_timeout=OWN_PAGES_KEEPALIVE_S)
        self.gate = self._make_gate()
        self._tls = slices.upstream_tls(settings)
        self._tasks = TaskOwner(
            lambda fault: shared.observer.error("the watch over TLS files ended", fault=repr(fault))
        )
        self.own_pages = OwnPages(self._new_protocol)

    @property
    def upstreams(self) -> dict[str, UpstreamOptions]:
        """Return how each upstream is reached, by the key that the gate gives it."""
        return slices.upstream_options(self.settings, self._tls, site=self.key)

    async def start(self) -> None:
        """Begin to look for the provider, open the own pages and watch the files; never waits for the provider."""
        await self.provider.start()
        await self._own.setup()
        _ = self._tasks.start(watch(self._tls.values(), self._shared.observer))

    async def until_ready(self) -> None:
        """Return when the provider is there, or after ``keycloak.timeout`` without it."""
        try:
            async with asyncio.timeout(self.settings.keycloak.timeout):
                while not self.provider.readiness().is_ready:  # noqa: ASYNC110 - a provider has no event
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            return

    async def close(self) -> None:
        """Let requests at own pages end, give refreshes their time, and let go of the provider."""
        await self._tasks.close()
        self.own_pages.retire()
        await self._own.cleanup()
        await self.refresher.close()
        await self.provider.close()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_gate(self) -> Gate:
        settings, shared = self.settings, self._shared
        return Gate(
            slices.gate_rules(settings, site=self.key),
            GateParts(
                acceptor=Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes),
                authenticator=Authenticator(
                    shared.stores.sessions,
                    self.refresher,
                    client_id=settings.keycloak.client_id,
                    clock=shared.clock,
                    observer=shared.observer,
                ),
                kept=shared.stores.kept,
                responder=Responder(self._pages, everywhere=slices.everywhere(settings)),
                observer=shared.observer,
                clock=shared.clock,
            ),
        )

    def _refresh_parts(self) -> RefreshParts:
        shared = self._shared
        return RefreshParts(
            provider=self.provider,
            store=shared.stores.sessions,
            leases=shared.stores.leases,
            clock=shared.clock,
            observer=shared.observer,
        )

    def _own_application(self) -> web.Application:
        shared = self._shared
        return own_application(
            WebServices(
                options=self.web_options,
                sessions=shared.stores.sessions,
                authentications=shared.stores.authentications,
                kept=shared.stores.kept,
                provider=self.provider,
                throttle=shared.stores.throttle,
                refresher=self.refresher,
                observer=shared.observer,
                pages=self._pages,
                assets=self._pages.assets,
                clock=shared.clock,
            )
        )

    def _new_protocol(self) -> asyncio.Protocol:
        server: Callable[[], asyncio.Protocol] | None = self._own.server
        if server is None:
            raise SidegateError("the own pages were not set up")
        return server()
