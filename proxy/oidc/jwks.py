"""The provider's keys: RFC 7517, OIDC Core 1.0 §10.1.1.

Fetched at start and every five minutes in the background, so that a rotated key is mostly here before its first token.
A ``kid`` that we do not know fetches the keys at once, within a budget for each purpose and peer: somebody who floods
one endpoint with invented ``kid``s neither overloads the provider nor uses up what the real logout token needs.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.errors import ProviderUnavailable, TokenRejected
from proxy.oidc.jws import (
    ParsedJws,
    SigningKey,
    import_algorithms,
    key_from_jwk,
    makes_a_key,
    parse_jws,
    verify_jws,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from proxy.oidc.fetched import Fetched
    from proxy.oidc.http_client import HttpClient
    from proxy.ports import Clock, VerifiedJws

KEYS_EVERY_S = 300.0
"""Seconds between two fetches in the background; Keycloak's own headers forbid caching, so the figure is ours."""

MAX_KEYS = 100
"""Keys of a set that are looked at; Keycloak has 2, in the middle of a rotation 4."""

BURST = 5
"""Fetches for unknown ``kid``s that one peer may cause at once."""

REFILL_S = 10.0
"""Seconds until it may cause one more."""

MAX_BUDGETS = 10_000
"""Peers whose budgets are told apart; those beyond share one, so that no crowd makes room for itself."""


class KeySet(Struct, frozen=True):
    """Keys that can verify one of our algorithms, in the provider's order."""

    keys: tuple[SigningKey, ...]

    def for_token(self, token: ParsedJws) -> tuple[SigningKey, ...]:
        """Return the keys that may have signed a token: of its ``kid``; without ``kid`` all (RFC 7515 §4.1.4).

        A key that is broken is as one that is not here: it may have been mended since, so the set is asked for again.
        """
        named = (key for key in self.keys if token.kid is None or key.kid == token.kid)
        return tuple(key for key in named if makes_a_key(key))


async def fetch_keys(http: HttpClient, jwks_uri: str, *, allowed: Collection[str]) -> KeySet:
    """Get the key set.

    Raises:
        ProviderUnavailable: it cannot be had, is no key set, or holds no key for our algorithms.
    """
    answer = await http.get("jwks", jwks_uri, headers={"Accept": "application/json, application/jwk-set+json"})
    if answer.status != 200:
        raise ProviderUnavailable(f"{jwks_uri} answers {answer.status} instead of the keys")
    return parse_keys(answer.json_object(), jwks_uri, allowed=allowed)


def parse_keys(document: Mapping[str, object], jwks_uri: str, *, allowed: Collection[str]) -> KeySet:
    """Return the usable keys of a JWK Set; what we do not understand is skipped (RFC 7517 §5).

    Raises:
        ProviderUnavailable: no list of keys, or none of them is usable.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ProviderUnavailable(f"{jwks_uri} holds no list of keys")
    found = (key_from_jwk(entry, allowed=allowed) for entry in entries[:MAX_KEYS] if isinstance(entry, dict))
    keys = tuple(key for key in found if key is not None)
    if not keys:
        algorithms = ", ".join(sorted(allowed))
        raise ProviderUnavailable(f"{jwks_uri} holds no key that can verify {algorithms} (keycloak.signing_algorithms)")
    return KeySet(keys)


class FetchBudgets:
    """How often each purpose and peer may have the keys fetched: a bucket of BURST that refills every REFILL_S."""

    def __init__(self, clock: Clock) -> None:
        """Start with every budget full."""
        self._clock = clock
        self._full_at: dict[tuple[str, str], float] = {}

    def spend(self, purpose: str, peer: str) -> bool:
        """Take one fetch; False when there is none left.

        Only the instant at which the bucket will be full again is kept: one number a peer.
        """
        now = self._clock.monotonic()
        name = self._bucket(purpose, peer, now)
        full_at = max(self._full_at.get(name, now), now)
        if full_at - now > (BURST - 1) * REFILL_S:
            return False
        self._full_at[name] = full_at + REFILL_S
        return True

    def __len__(self) -> int:
        """Return how many budgets are remembered: those that are not full."""
        return len(self._full_at)

    def _bucket(self, purpose: str, peer: str, now: float) -> tuple[str, str]:
        name = (purpose, _neighbourhood(peer))
        if name in self._full_at or len(self._full_at) < MAX_BUDGETS:
            return name
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        return name if len(self._full_at) < MAX_BUDGETS else (purpose, "everybody else")


class KeyStore:
    """Verifies with the provider's keys, fetching them again when one is missing."""

    def __init__(self, keys: Fetched[KeySet], budgets: FetchBudgets, *, allowed: Collection[str]) -> None:
        """Look at ``keys``, which somebody else keeps fresh; ``allowed``: ``signing_algorithms``."""
        self._keys = keys
        self._budgets = budgets
        self._allowed = frozenset(allowed)

    async def verify(self, compact: str, *, purpose: str, peer: str = "") -> VerifiedJws:
        """Return the token when a key of the provider signed it; the claims are the caller's to judge.

        Raises:
            TokenRejected: not a JWS, algorithm not allowed, ``unknown_key``, ``wrong_signature``.
            ProviderUnavailable: the key is not here and the keys cannot be had.
        """
        token = parse_jws(compact, allowed=self._allowed)
        await import_algorithms()
        known = self._keys.value
        if known is not None and known.for_token(token) and (token.kid is not None or _signed(token, known)):
            return verify_jws(token, known.for_token(token))
        fresh = await self._with_new_keys(token, purpose=purpose, peer=peer)
        return verify_jws(token, fresh.for_token(token))

    async def _with_new_keys(self, token: ParsedJws, *, purpose: str, peer: str) -> KeySet:
        """Return a key set that holds a key for the token.

        A fetch under way is joined for nothing; it may have begun before the key was published, so it is not the last
        word: after it comes one of our own.
        """
        if self._keys.in_flight:
            joined = await self._keys.fetch()
            if joined.for_token(token):
                return joined
        if not self._budgets.spend(purpose, peer):
            return self._out_of_budget()
        fresh = await self._keys.fetch()
        if not fresh.for_token(token):
            raise TokenRejected("the provider has no key with this kid", reason="unknown_key")
        return fresh

    def _out_of_budget(self) -> KeySet:
        if self._keys.value is None:
            raise ProviderUnavailable(self._keys.trouble or "the provider's keys were not had yet")
        raise TokenRejected("an unknown kid, and too many of those came before it", reason="unknown_key")


def _signed(token: ParsedJws, keys: KeySet) -> bool:
    """Say whether one of the keys signed a token that names none: else it may be a key that is not here yet."""
    try:
        verify_jws(token, keys.for_token(token))
    except TokenRejected:
        return False
    return True


def _neighbourhood(peer: str) -> str:
    """Return the peer as budgets tell them apart: an IPv6 address by its /64, which is one customer's."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer[:64]
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return peer
