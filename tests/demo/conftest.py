"""A running provider with time in the hand, and a visitor who asks it things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.demo.clients import Client
from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.key_ring import KeyRing, RsaKey
from tests.demo.visitor import CALLBACK, Visitor
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session")
def signing_key() -> RsaKey:
    """Made once: it takes a tenth of a second."""
    return RsaKey.generate()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def issuer(clock: FakeClock, signing_key: RsaKey) -> AsyncIterator[Issuer]:
    """With one confidential client, ``app``, and alice, a viewer."""
    async with running_issuer(clock=clock.now, keys=KeyRing(signing=[signing_key])) as running:
        populate(running)
        yield running


@pytest.fixture
async def visitor(issuer: Issuer) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Visitor(issuer, http)


def populate(issuer: Issuer) -> None:
    issuer.register_client(Client(client_id="app", secret="app-secret", redirect_uris=(CALLBACK,)))
    issuer.add_user("alice", "alice-pw", realm_roles=("viewer",), email="alice@acme.test", groups=("/staff",))
