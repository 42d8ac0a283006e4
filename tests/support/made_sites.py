"""Sites as the composition root makes them, on stores in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.sessions.live import LiveStreamRegistry
from proxy.site import SharedParts
from tests.support.clocks import FakeClock
from tests.support.made_stores import stores_of
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_KEY = b"k" * 32


def site_file(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """A file of everyday kind; ``changes`` are merged into its sections."""
    file: dict[str, Any] = {
        "server": {"public_url": "https://app.example.com"},
        "keycloak": {"issuer": ISSUER, "client_id": "legacy-app", "client_auth": {"method": "none"}},
        "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
    }
    return {**file, **{section: {**file.get(section, {}), **keys} for section, keys in changes.items()}}


def shared_parts() -> SharedParts:
    """What sites of one process share."""
    clock = FakeClock()
    stores, observer = stores_of({}, clock)
    live = LiveStreamRegistry(observer)
    return SharedParts(stores=stores, live=live, clock=clock, observer=observer, server_keys=(SERVER_KEY,))
