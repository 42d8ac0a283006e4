"""A signed-in person as JSON, the same for ``/status`` and for the answer to a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.identity import Identity


def person(identity: Identity) -> dict[str, object]:
    """Return name and rights as contract §3 names them."""
    return {
        "username": identity.username,
        "name": identity.name,
        "email": identity.email,
        "roles": sorted(identity.roles),
        "groups": sorted(identity.groups),
    }


STRANGER: dict[str, object] = {"username": None, "name": None, "email": None, "roles": [], "groups": []}
"""The same members for nobody."""
