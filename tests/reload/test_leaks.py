"""A process that is reloaded for years is as large as one that was just started."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.app import Sidegate
from proxy.clock import SystemClock
from proxy.gate.handler import Gate
from proxy.leaving import MAX_LEAVING
from proxy.observe.observer import ProductionObserver
from proxy.realm_client import RealmClient
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from proxy.site import Site
from tests.forward.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.made_sites import site_file
from tests.support.sessions import make_tab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.settings.portals import SiteSettings

ROUNDS = 2 * MAX_LEAVING


class Lines:
    def __call__(self, _: bytes) -> None:
        """Whatever is said."""


@pytest.fixture
def sites(tmp_path: Path) -> tuple[SiteSettings, ...]:
    """A file with TLS at the door, whose provider is not there."""
    own = Certificates(tmp_path).files("127.0.0.1", stem="door")
    file: dict[str, Any] = site_file(
        server={
            "listen": "127.0.0.1:0",
            "tls": {"cert_file": str(own.certificate), "key_file": str(own.key)},
        },
        keycloak={"internal_url": "http://127.0.0.1:1/realms/acme", "timeout": "1s"},
        management={"listen": f"unix:{tmp_path}/management", "api_listen": f"unix:{tmp_path}/api"},
    )
    return one_site(Settings.model_validate(file))


@pytest.fixture
async def sidegate(sites: tuple[SiteSettings, ...]) -> AsyncIterator[Sidegate]:
    observer = ProductionObserver(Lines(), clock=SystemClock())
    made = Sidegate(sites, clock=SystemClock(), observer=observer)
    await made.start()
    yield made
    await made.close()
    observer.close()


def _held() -> Counter[str]:
    """What there is of everything that an exchange makes."""
    gc.collect()
    found = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, Site | Gate | RealmClient))
    found["tasks"] = len(asyncio.all_tasks())
    found["descriptors"] = len(list(Path("/proc/self/fd").iterdir()))
    return found


async def test_exchanges_leave_nothing_behind(sidegate: Sidegate, sites: tuple[SiteSettings, ...]) -> None:
    async def exchanged(rounds: int) -> Counter[str]:
        for _ in range(rounds):
            # Another certificate each time, as far as anybody can tell: another context, another listener.
            os.utime(str(sites[0].settings.server.tls.cert_file))  # type: ignore[union-attr]
            await sidegate.exchange(sites)
        await asyncio.sleep(0.1)
        return _held()

    first = await exchanged(ROUNDS)
    second = await exchanged(ROUNDS)

    assert second == first
    # Those that leave, the one that serves, and the first, which nobody has asked the collector for.
    assert first["Site"] <= MAX_LEAVING + 2
    assert first["RealmClient"] == 1


async def test_logins_under_way_at_a_client_that_is_gone_are_forgotten(
    sidegate: Sidegate, sites: tuple[SiteSettings, ...]
) -> None:
    under_way, soon = sidegate.stores.authentications, time.time() + 600
    await under_way.put(make_tab("root", "stays", expires_at=soon))
    await under_way.put(make_tab("root", "gone", client_id="former-app", expires_at=soon))

    await sidegate.exchange(sites)

    async def left() -> list[str]:
        return [tab.state for tab in await under_way.tabs("root")]

    await eventually(left, ["stays"])
