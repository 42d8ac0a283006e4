"""Authentication sessions of one process, in memory: the flows of signing in that are under way.

Bounded twice: a root holds MAX_TABS tabs, and all roots together ``max_tabs`` (so there are never more roots than
that either). At that cap what has expired goes first, then the oldest root with all its tabs: somebody who began half
an hour ago begins again. That one address cannot fill it alone is the business of the web's quota.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.authentication import MAX_TABS, OfClient, matches
from proxy.sessions.expiring import Deadlines

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.core.authentication import Tab, TabsFilter
    from proxy.ports import Clock

DEFAULT_MAX_TABS = 20_000
"""Tabs of all roots together: about 60 MiB when each has the longest ``return_to`` (2 KiB)."""


class MemoryAuthenticationStore:
    """``ports.AuthenticationStore`` of one process."""

    def __init__(self, clock: Clock, *, max_tabs: int = DEFAULT_MAX_TABS) -> None:
        """Begin empty; ``max_tabs`` is a number of tabs, at least ``MAX_TABS``."""
        self._clock = clock
        self._max_tabs = max_tabs
        self._count = 0
        # Both dicts keep the order of their making: the first root is the oldest, and so is the first tab in it.
        self._roots: dict[str, dict[str, Tab]] = {}
        self._deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        """Return how many tabs are held."""
        return self._count

    @property
    def root_count(self) -> int:
        """How many roots are held."""
        return len(self._roots)

    async def put(self, tab: Tab) -> None:
        """Keep a tab in its root (made when new); the oldest tab goes above MAX_TABS."""
        self._sweep()
        known = self._roots.get(tab.root_id, {})
        if tab.state not in known:
            self._make_room(tab.root_id)
            self._count += 1
        root = self._roots.setdefault(tab.root_id, {})
        root[tab.state] = tab
        self._deadlines.schedule(tab.root_id, max(kept.expires_at for kept in root.values()))

    async def peek(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab with this state in this root, or None."""
        tab = self._roots.get(root_id, {}).get(state)
        return tab if tab is not None and self._clock.now() < tab.expires_at else None

    async def take(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab and remove it in one step: a tab is used once."""
        tab = await self.peek(root_id, state)
        if tab is not None:
            self._remove_tab(root_id, state)
        return tab

    async def tabs(self, root_id: str) -> tuple[Tab, ...]:
        """Return the unexpired tabs of a root, the oldest first."""
        now = self._clock.now()
        return tuple(tab for tab in self._roots.get(root_id, {}).values() if now < tab.expires_at)

    async def drop_root(self, root_id: str) -> None:
        """Forget a root with all its tabs."""
        if root_id in self._roots:
            self._drop(root_id)

    async def drop_matching(self, which: TabsFilter) -> int:
        """Forget every tab of a client or an issuer; returns how many."""
        found = [tab for root in self._roots.values() for tab in root.values() if matches(which, tab)]
        for tab in found:
            self._remove_tab(tab.root_id, tab.state)
        return len(found)

    async def keep_only(self, served: Collection[OfClient]) -> int:
        """Forget every tab of a client that is none of these; returns how many."""
        clients = {OfClient(tab.issuer, tab.client_id) for root in self._roots.values() for tab in root.values()}
        return sum([await self.drop_matching(client) for client in clients - set(served)])

    def _make_room(self, root_id: str) -> None:
        """Let the oldest tab of the root go, or else the oldest roots, so that one more tab has its place."""
        root = self._roots.get(root_id, {})
        if len(root) >= MAX_TABS:
            self._remove_tab(root_id, next(iter(root)))
        while self._count >= self._max_tabs:
            self._drop(next(iter(self._roots)))

    def _remove_tab(self, root_id: str, state: str) -> None:
        root = self._roots[root_id]
        del root[state]
        self._count -= 1
        if not root:
            self._drop(root_id)

    def _drop(self, root_id: str) -> None:
        self._count -= len(self._roots.pop(root_id))
        self._deadlines.forget(root_id)

    def _sweep(self) -> None:
        now = self._clock.now()
        while (root_id := self._deadlines.pop_due(now)) is not None:
            self._count -= len(self._roots.pop(root_id))
