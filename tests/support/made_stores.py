"""The stores that settings name, as the composition root makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.clock import SystemClock
from proxy.sessions.live import LiveStreamRegistry
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from proxy.stores import make_stores
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.ports import Clock
    from proxy.redis_stores import RedisStores
    from proxy.stores import MemoryStores

KEY = "A" * 43


def stores_of(
    sessions: Mapping[str, Any], clock: Clock | None = None
) -> tuple[MemoryStores | RedisStores, RecordingObserver]:
    """What ``sessions`` in a file makes, and the observer that it tells."""
    settings = Settings.model_validate(
        {
            "server": {"public_url": "https://app.example.com"},
            "keycloak": {"issuer": "https://sso.example.com", "client_id": "app", "client_auth": {"method": "none"}},
            "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
            "sessions": sessions,
        }
    )
    observer = RecordingObserver()
    live = LiveStreamRegistry(observer)
    return make_stores(one_site(settings), clock=clock or SystemClock(), observer=observer, live=live), observer


def on_redis(port: int, **redis: Any) -> dict[str, Any]:
    """``sessions`` for a Redis at this port; ``redis`` are further keys of its section."""
    url = f"redis://127.0.0.1:{port}/0"
    return {"store": "redis", "redis": {"url": url, **redis}, "encryption_keys": [{"value": KEY}]}
