"""One client at one realm: its provider, and the refreshes of its sessions. What of a site outlives an exchange.

A part of the composition root. A new file seldom says anything else of the realm, and then the sites that are made of
it go on with the client of those before: metadata and keys are at hand although the provider is away just now, nothing
is asked twice, and a refresh under way is the same one for who began to wait before the exchange and who comes after
it. Whoever uses it says so, and the last one that leaves lets go of it.

Files that ``keycloak`` names are looked at whenever they are used, so nothing need be made anew for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import slices
from proxy.oidc.provider import OpenIdProvider
from proxy.sessions.fresh_tokens import RefreshParts
from proxy.sessions.refresher import SessionRefresher

if TYPE_CHECKING:
    from proxy.ports import Clock, Observer
    from proxy.settings.model import Settings
    from proxy.stores import Stores


class RealmClient:
    """See the module.

    Attributes:
        provider: the client at its realm.
        refresher: keeps the tokens of its sessions fresh.
    """

    def __init__(self, settings: Settings, *, stores: Stores, clock: Clock, observer: Observer) -> None:
        """Make it; nothing is asked before somebody has entered.

        Raises:
            SettingsError: a file of ``keycloak`` cannot be used.
        """
        self._made_of = _made_of(settings)
        self.provider = OpenIdProvider(slices.provider_options(settings), clock=clock, observer=observer)
        self.refresher = SessionRefresher(
            RefreshParts(
                provider=self.provider, store=stores.sessions, leases=stores.leases, clock=clock, observer=observer
            ),
            policy=slices.refresh_policy(settings),
        )
        self._users: set[object] = set()
        self._has_begun = False

    def serves(self, settings: Settings) -> bool:
        """Say whether one that is made of these settings would be the same."""
        return self._made_of == _made_of(settings)

    async def enter(self, user: object) -> None:
        """Be used by ``user`` from now on; the first one begins to look for the provider."""
        self._users.add(user)
        if not self._has_begun:
            self._has_begun = True
            await self.provider.start()

    async def leave(self, user: object) -> None:
        """Be used by ``user`` no more; after the last one, refreshes are given their time, and all is let go."""
        self._users.discard(user)
        if not self._users:
            await self.refresher.close()
            await self.provider.close()


def _made_of(settings: Settings) -> tuple[object, ...]:
    """Return everything of the settings that :func:`slices.provider_options` looks at."""
    return settings.keycloak, settings.identity_headers.username_claim
