"""A key store whose provider publishes what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.oidc.fetched import Fetched, Surroundings
from proxy.oidc.jwks import FetchBudgets, KeySet, KeyStore, parse_keys
from proxy.tasks import TaskOwner
from tests.oidc.signing import jwk
from tests.oidc.stepping import SteppedSleep
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.clocks import FakeClock

ALLOWED = frozenset({"RS256", "ES256"})


def key_store(clock: FakeClock, entries: Sequence[dict[str, Any]] = ()) -> KeyStore:
    """A store of these JWKs, or of the test's usual key; fetching again gives the same."""
    document = {"keys": list(entries) or [jwk("RSA-2048")]}

    async def fetch() -> KeySet:
        return parse_keys(document, "https://sso.example.com/certs", allowed=ALLOWED)

    around = Surroundings(
        clock=clock, observer=RecordingObserver(), tasks=TaskOwner(lambda _fault: None), sleep=SteppedSleep()
    )
    return KeyStore(Fetched("keys", fetch, every_s=300.0, surroundings=around), FetchBudgets(clock), allowed=ALLOWED)
