"""Decoded sessions that this replica keeps, so that a request costs no round trip to the store.

Pure bookkeeping: no clock, no I/O. Whether what is kept may be believed at all is the business of ``tracking``; whether
a session is over, of whoever asks. The least recently used goes when there are too many or they are too large.

A record is asked for (:meth:`SessionCache.begin`), and comes (:meth:`SessionCache.keep`); a change that is told between
the two has overtaken it, so it is not kept. It may be used once: it was what the store held when it was asked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from proxy.core.session import Session, SessionKey


class Ticket:
    """One session on its way from the store; forgotten with its last holder, so a load that fails leaves nothing."""

    __slots__ = ("__weakref__", "is_overtaken", "key")

    def __init__(self, key: SessionKey) -> None:
        """Begin not overtaken."""
        self.key = key
        self.is_overtaken = False


class SessionCache:
    """Sessions by key.

    Attributes:
        bytes: of what is kept, as ``size`` said.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        """Begin empty.

        Args:
            max_entries: a number of sessions; 0 keeps nothing.
            max_bytes: of all of them together; a session larger than that is not kept.
        """
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[SessionKey, tuple[Session, int]] = OrderedDict()
        # Those who wait for the same record at the same time share a ticket; its key is free again once none holds it.
        self._tickets: WeakValueDictionary[SessionKey, Ticket] = WeakValueDictionary()
        self.bytes = 0

    def __len__(self) -> int:
        """Return how many sessions are kept."""
        return len(self._entries)

    def get(self, key: SessionKey) -> Session | None:
        """Return the session, or None when it is not kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def begin(self, key: SessionKey) -> Ticket:
        """Hear that the store is about to be asked; hold the ticket until :meth:`keep`."""
        ticket = self._tickets.get(key)
        if ticket is None:
            ticket = self._tickets[key] = Ticket(key)
        return ticket

    def keep(self, ticket: Ticket, session: Session, size: int) -> None:
        """Keep what came, unless a change overtook it; ``size`` is in bytes, any honest measure."""
        if ticket.is_overtaken or size > self._max_bytes:
            return
        self._drop(ticket.key)
        self._entries[ticket.key] = (session, size)
        self.bytes += size
        while len(self._entries) > self._max_entries or self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, key: SessionKey) -> None:
        """Hear that the record changed or is gone."""
        self._drop(key)
        ticket = self._tickets.pop(key, None)
        if ticket is not None:
            ticket.is_overtaken = True

    def forget_all(self) -> None:
        """Hear that any record may have changed."""
        self._entries.clear()
        self.bytes = 0
        for ticket in list(self._tickets.values()):
            ticket.is_overtaken = True
        self._tickets.clear()

    def _drop(self, key: SessionKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry[1]
