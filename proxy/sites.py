"""The sites of one process, held so that a reload can exchange them all in one step.

A part of the composition root. Whoever outlives an exchange (the keeper of open streams, ``/readyz``, the management
API) asks here each time and keeps no site: what belongs to a session is found by the session's own portal.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy import slices
from proxy.errors import ProviderUnavailable
from proxy.forward.served import Served
from proxy.gate.portals import Portals
from proxy.ports import Readiness
from proxy.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.core.authentication import OfClient
    from proxy.core.routing import Access
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.ports import Forward, Gatekeeper
    from proxy.realm_client import RealmClient
    from proxy.settings.portals import SiteSettings
    from proxy.site import SharedParts


class Sites:
    """See the module; to the keeper of streams it is a ``ports.Refresher``."""

    def __init__(self, sites: Sequence[Site]) -> None:
        """Hold these, at least one."""
        self.current = tuple(sites)
        self._named = _named_hosts(self.current)
        self._was_ready = False

    def replace(self, sites: Sequence[Site]) -> tuple[Site, ...]:
        """Hold these from now on; returns those that were held, which the caller closes when nobody uses them."""
        former, self.current = self.current, tuple(sites)
        self._named = _named_hosts(self.current)
        for site in sites:
            site.take_over()
        return former

    def named(self, name: str) -> Site | None:
        """Return the site of a portal; the empty name is that of the site at the top."""
        return next((site for site in self.current if site.name == name), None)

    def have(self, client: RealmClient) -> bool:
        """Say whether a site has this client at its realm."""
        return any(site.client is client for site in self.current)

    def clients(self) -> tuple[OfClient, ...]:
        """Return the clients whose logins can be finished here."""
        return tuple(client for site in self.current for client in slices.served_clients(site.settings))

    def of(self, session: Session) -> Site | None:
        """Return the site whose session this is, or None when the file has it no more."""
        for site in self.current:
            if site.home == session.home:
                return site
        return None

    def served(self) -> Served:
        """Return what the data path is to serve: with one site its gate itself, so that nobody pays for portals."""
        return Served(
            gatekeeper=self._gatekeeper(),
            upstreams={key: options for site in self.current for key, options in site.upstreams.items()},
            own_pages={site.key: site.own_pages for site in self.current},
        )

    def _gatekeeper(self) -> Gatekeeper:
        if len(self.current) == 1:
            return self.current[0].gate
        return Portals(
            [site.portal for site in self.current],
            stranger=self.current[0].gate_of_strangers(),
            acceptor=self.current[0].acceptor,
        )

    def demanded(self, admitted: Forward) -> Access | None:
        """Return what is demanded now of what a site admitted, perhaps a former one; None: nobody may have it."""
        person = admitted.allow.person
        # As at the door: a name is itself, whatever another portal's wildcard stands for.
        named = self._named.get(admitted.event.host)
        for site in self.current if named is None else (named,):
            if person is not None and site.knows(person) and (access := site.gate.demanded(admitted.event)) is not None:
                return access
        return None

    # --- ports.Refresher ----------------------------------------------------------------------------------------------

    def ready(self, session: Session) -> bool:
        """Ask the session's own site; what belongs to none is never ready."""
        site = self.of(session)
        return site is not None and site.refresher.ready(session)

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        """Ask the session's own site; what belongs to none is nobody's session any more."""
        site = self.of(session)
        return None if site is None else await site.refresher.fresh(cookie_value, session)

    # --- /readyz ------------------------------------------------------------------------------------------------------

    def readiness(self) -> Readiness:
        """Ready once a provider of any site was had, and from then on, whatever is exchanged; names what is away."""
        said = [(site.name, site.provider.readiness()) for site in self.current]
        self._was_ready = self._was_ready or any(one.is_ready for _, one in said)
        for name, one in said:
            if one.detail != "ok":
                detail = f"{name}: {one.detail}" if name else one.detail
                return Readiness(is_ready=self._was_ready, detail=detail, since=one.since)
        return Readiness(is_ready=self._was_ready, since=said[0][1].since)


def _named_hosts(sites: Sequence[Site]) -> dict[str, Site]:
    return {host: site for site in sites for host in site.settings.server.host_values.exact}


async def sites_beside(
    present: Sites, given: Sequence[SiteSettings], *, shared: SharedParts, generation: int
) -> list[Site]:
    """Return new sites that have begun; one whose provider is new is there only when its provider is.

    Raises:
        SettingsError: one cannot be made; there is none then.
        ProviderUnavailable: a new provider cannot be had within ``keycloak.timeout``; the same.
    """
    made: list[Site] = []
    try:
        for one in given:
            # In a thread, for certificates and templates are read, and others go on meanwhile.
            site = await asyncio.to_thread(Site, one, shared, generation=generation, former=present.named(one.name))
            made.append(site)
            await site.start()
        strangers = [site for site in made if not present.have(site.client)]
        await asyncio.gather(*(site.until_ready() for site in strangers))
        _refuse_absent(strangers)
    except BaseException:
        await close_all(made)
        raise
    return made


async def close_all(sites: Iterable[Site]) -> None:
    """Close each."""
    for site in sites:
        await site.close()


def _refuse_absent(strangers: Iterable[Site]) -> None:
    for site in strangers:
        readiness = site.provider.readiness()
        if not readiness.is_ready:
            where = f"keycloak of {site.name}" if site.name else "keycloak"
            raise ProviderUnavailable(f"{where}: the provider is not there, and is waited for: {readiness.detail}")
