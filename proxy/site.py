"""One site: everything that follows from one ``Settings``, wired; a process has one, or one for each portal.

A part of the composition root. What outlives a change of the file is not here but in :class:`SharedParts`: stores, open
streams, the observer, the server's keys. A site is made, started, served and closed; a reload makes a new one beside it
and lets go of the old. So a site keeps nothing that must survive: pages, routes, bearer tokens that were verified. Its
client at the realm goes over to the new one where the file says nothing else of it (``realm_client.py``).
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy import slices
from proxy.core.bearer import Bearer
from proxy.forward.own_pages import OwnPages
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.bearer import BearerParts, VerifiedBearers
from proxy.gate.exchange import TokenExchanges
from proxy.gate.handler import Gate
from proxy.gate.portals import Portal
from proxy.gate.rules import GateParts
from proxy.gate.traced import TracedGate
from proxy.observe.of_portal import observer_of
from proxy.own_server import OwnServer
from proxy.pages.late import LatePages
from proxy.realm_client import RealmClient
from proxy.respond import Responder
from proxy.settings.portals import cookies_of_neighbours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp import web

    from proxy.core.session import Home, Session
    from proxy.forward.options import UpstreamOptions
    from proxy.gate.rules import GateRules
    from proxy.ports import Clock, Observer, Tracing
    from proxy.sessions.live import LiveStreamRegistry
    from proxy.settings.portals import SiteSettings
    from proxy.stores import Stores
    from proxy.web.options import WebOptions

LOOK_EVERY_S = 0.02
"""How often a provider is looked at that is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """What all sites of a process have in common, and what stays when they are exchanged.

    Attributes:
        server_keys: of ``sessions.encryption_keys``, the newest first; one that lives as long as the process where the
            file has none.
        sites: all of them, as the file has them.
    """

    stores: Stores
    live: LiveStreamRegistry
    clock: Clock
    observer: Observer
    server_keys: tuple[bytes, ...] = field(repr=False)
    tracing: Tracing | None = None
    sites: Sequence[SiteSettings] = ()


class Site:
    """See the module.

    Attributes:
        name: of the portal; empty for a file without portals.
        key: by which the data path knows this site and no other, former ones of the same name included.
        gate: decides about its requests.
        client: at its realm.
        provider, refresher: the client's.
        upstreams: as the data path takes them, each key its own.
    """

    def __init__(
        self, given: SiteSettings, shared: SharedParts, *, generation: int = 0, former: Site | None = None
    ) -> None:
        """Wire it; nothing is opened or asked before :meth:`start`.

        Args:
            generation: how many times the sites of this process were exchanged before.
            former: in whose place it comes, if any; its client at the realm is taken over where nothing has changed.

        Raises:
            SettingsError: a certificate, CA file, key or template cannot be used.
        """
        settings = given.settings
        shared = dataclasses.replace(shared, observer=observer_of(given.name, shared.observer))
        self.name = given.name
        self.settings = settings
        self._neighbours = cookies_of_neighbours(settings, shared.sites)
        self.key = f"{given.name}#{generation}" if given.name or generation else ""
        self._shared = shared
        self._pages = LatePages(slices.look(settings))
        self.client = self._client_of(former)
        self.provider, self.refresher = self.client.provider, self.client.refresher
        self._assertion = slices.identity_assertion(settings, clock=shared.clock, observer=shared.observer)
        self._bearers = self._make_bearers()
        self._exchanges = TokenExchanges(self.provider, clock=shared.clock, observer=shared.observer)
        self._stop_hearing: Callable[[], None] = _nothing
        self._own = OwnServer(_load_own_pages, self._own_application)
        self.gate = self._make_gate()
        self._tls = slices.upstream_tls(settings)
        self.own_pages = OwnPages(self._own.protocol)

    @property
    def home(self) -> Home:
        """Return where the sessions of this site belong."""
        return slices.home(self.settings, self.name)

    @cached_property
    def web_options(self) -> WebOptions:
        """Return what the own pages take."""
        from proxy.page_slices import web_options  # noqa: PLC0415 - see own_server.py

        return web_options(self.settings, portal=self.name, keys=self._shared.server_keys)

    @property
    def upstreams(self) -> dict[str, UpstreamOptions]:
        """Return how each upstream is reached, by the key that the gate gives it."""
        return slices.upstream_options(self.settings, self._tls, site=self.key)

    async def start(self) -> None:
        """Begin to look for the provider, and open the own pages; never waits for the provider."""
        self._stop_hearing = self._shared.live.hear(self._exchanges.forget)
        await self.client.enter(self)
        self._own.start()

    def knows(self, person: Session | Bearer) -> bool:
        """Say whether somebody of another time would be taken here for who they were taken for then."""
        if isinstance(person, Bearer):
            return self._bearers is not None and self._bearers.would_take(person)
        return person.home == self.home

    def take_over(self) -> None:
        """Hear that requests come here from now on, and not to the site before it."""
        self.refresher.adopt(slices.refresh_policy(self.settings))

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
        self.own_pages.retire()
        await self._own.close()
        self._stop_hearing()
        self._stop_hearing = _nothing
        await self._exchanges.close()
        if self._bearers is not None:
            await self._bearers.close()
        await self.client.leave(self)

    @property
    def portal(self) -> Portal:
        """Return this site as one of several."""
        server = self.settings.server
        return Portal(server.host_values, self.gate, server.own_prefix.encode())

    @property
    def acceptor(self) -> Acceptor:
        """Return who knows which peers are believed."""
        return Acceptor(slices.accept_rules(self.settings), random_bytes=secrets.token_bytes)

    def gate_of_strangers(self) -> Gate:
        """Return a gate that refuses every host, in pages that look like no site's."""
        rules = replace(self._gate_rules(), forward_auth=None, https_origin=None)
        nobody = replace(slices.accept_rules(self.settings), hosts=())
        parts = replace(
            self._gate_parts(),
            acceptor=Acceptor(nobody, random_bytes=secrets.token_bytes),
            responder=Responder(LatePages(slices.look_of_nobody(self.settings))),
        )
        return self._gate_of(rules, parts)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_gate(self) -> Gate:
        return self._gate_of(self._gate_rules(), self._gate_parts())

    def _gate_rules(self) -> GateRules:
        return slices.gate_rules(self.settings, site=self.key, neighbours=self._neighbours)

    def _gate_of(self, rules: GateRules, parts: GateParts) -> Gate:
        tracing = self._shared.tracing
        if tracing is None:
            return Gate(rules, parts)
        return TracedGate(rules, parts, tracing=tracing, places=slices.upstream_places(self.settings, site=self.key))

    def _gate_parts(self) -> GateParts:
        settings, shared = self.settings, self._shared
        return GateParts(
            acceptor=Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes),
            authenticator=Authenticator(
                shared.stores.sessions,
                self.refresher,
                home=self.home,
                clock=shared.clock,
                observer=shared.observer,
            ),
            kept=shared.stores.kept,
            responder=Responder(self._pages, everywhere=slices.everywhere(settings)),
            observer=shared.observer,
            clock=shared.clock,
            assertion=self._assertion,
            exchanged=self._exchanges,
            bearers=self._bearers,
        )

    def _make_bearers(self) -> VerifiedBearers | None:
        rules, shared = slices.bearer_rules(self.settings), self._shared
        if rules is None:
            return None
        parts = BearerParts(
            provider=self.provider, store=shared.stores.sessions, clock=shared.clock, observer=shared.observer
        )
        return VerifiedBearers(rules, parts)

    def _client_of(self, former: Site | None) -> RealmClient:
        if former is not None and former.client.serves(self.settings):
            return former.client
        shared = self._shared
        return RealmClient(self.settings, stores=shared.stores, clock=shared.clock, observer=shared.observer)

    def _own_application(self) -> web.Application:
        from proxy.web.application import WebServices, own_application  # noqa: PLC0415 - see own_server.py

        shared, pages = self._shared, self._pages.made
        return own_application(
            WebServices(
                options=self.web_options,
                sessions=shared.stores.sessions,
                authentications=shared.stores.authentications,
                kept=shared.stores.kept,
                provider=self.provider,
                throttle=shared.stores.throttle(self.settings),
                refresher=self.refresher,
                observer=shared.observer,
                pages=pages,
                assets=pages.assets,
                clock=shared.clock,
                assertion=self._assertion,
                tracing=shared.tracing,
            )
        )


def _load_own_pages() -> None:
    """Import what the own pages are made of, and the templates' own reader."""
    import proxy.page_slices  # noqa: PLC0415 - late is the point, see own_server.py
    import proxy.pages.render  # noqa: PLC0415
    import proxy.sessions.throttle  # noqa: PLC0415
    import proxy.web.application  # noqa: F401, PLC0415


def _nothing() -> None:
    """Nothing was begun that could be stopped."""
