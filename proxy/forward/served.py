"""What clients meet, as one value that can be exchanged while we run: who decides, and where what is admitted goes.

A request that was admitted before an exchange still goes where it was meant to: keys of origins are never used again
for another place, and what left the table stays reachable for :data:`LEAVES_AFTER_S`. Later it leads to
:class:`Nowhere`, which is 502; nothing falls back to a place of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from proxy.forward.options import UnixAddress, UpstreamOptions
from proxy.forward.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.forward.upstream import UpstreamConnection
    from proxy.ports import Gatekeeper

LEAVES_AFTER_S = 120.0
"""Seconds for which what was exchanged is still found: longer than the gate waits for a store or a provider."""


class Served(Struct, frozen=True, kw_only=True):
    """See the module.

    Attributes:
        upstreams: by ``ports.Forward.upstream``; a key never means another place than it did before.
        own_pages: by ``ports.OwnPage.site``; the same holds.
    """

    gatekeeper: Gatekeeper
    upstreams: Mapping[str, UpstreamOptions] = field(default_factory=dict)
    own_pages: Mapping[str, Origin] = field(default_factory=dict)


class Nowhere(Origin):
    """Where a key leads that was taken out of the table."""

    def __init__(self) -> None:
        """There is nothing to reach."""
        super().__init__(UpstreamOptions(address=UnixAddress("")))

    async def _connect(self) -> UpstreamConnection:
        raise OSError("the settings have changed since the request was admitted, and name it no more")


class OriginTable(dict[str, Origin]):
    """Origins by key."""

    def __missing__(self, key: str) -> Origin:
        """Lead nowhere, which is an answer; a missing key would be a defect."""
        return Nowhere()

    def leave(self, keys: Mapping[str, Origin]) -> None:
        """Take out those that are still the ones meant."""
        for key, origin in keys.items():
            if self.get(key) is origin:
                del self[key]
