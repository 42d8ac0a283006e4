"""Several gates behind one door: the Host of a request chooses the portal, and only that portal's gate decides.

The choice is no decision. The gate that is chosen looks at Host again, by its own rules, and refuses what is not its
own; so a mistake here is a 421, never another portal's app. What is no portal's host goes to the stranger's gate, which
answers 421 to everybody and looks like none of them. Nothing is kept here of a host that was asked for; what the
acceptor remembers of its spelling has a cap (law 12).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.gate.accept import normal_host
from proxy.gate.verify import VERIFY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from proxy.core.hosts import HostNames
    from proxy.core.request import RequestHead
    from proxy.errors import SidegateError
    from proxy.gate.accept import Acceptor
    from proxy.ports import Admission, Gatekeeper, Reply, RequestEvent

_URL = re.compile(rb"(https?)://([^/?#]+)/", re.IGNORECASE)


class Portal(Struct, frozen=True):
    """One of several.

    Attributes:
        own_prefix: of its own pages, the public URL's path before it.
    """

    hosts: HostNames
    gate: Gatekeeper
    own_prefix: bytes


class Portals:
    """``ports.Gatekeeper`` of several sites."""

    def __init__(self, portals: Sequence[Portal], *, stranger: Gatekeeper, acceptor: Acceptor) -> None:
        """Choose among them.

        Args:
            stranger: the gate of every other host.
            acceptor: knows which peers are believed about a host; the same peers for all portals.
        """
        self._exact = {host: portal.gate for portal in portals for host in portal.hosts.exact}
        self._wide = tuple(portal for portal in portals if portal.hosts.wildcards)
        self._question_of = {portal.gate: portal.own_prefix + VERIFY for portal in portals}
        self._questions = tuple(set(self._question_of.values()))
        self._stranger = stranger
        self._acceptor = acceptor

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Have the host's own gate decide."""
        return self._of(head).admit(head)

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        """Have the gate answer that was asked, or would have been."""
        return (self._stranger if head is None else self._of(head)).fault(error, head, event)

    def finished(self, event: RequestEvent) -> None:
        """Say the line of this request, which is the same whoever says it."""
        self._stranger.finished(event)

    def _of(self, head: RequestHead) -> Gatekeeper:
        judge = head.judge
        if judge in self._question_of:
            # The same bytes of the same client: their host is what it was.
            return judge
        told = self._original_host(head)
        if told is not None:
            asked = self._at(told)
            # A wildcard may stand for the Host of this request too: what is no question to that portal is not its own.
            if asked is self._stranger or head.target.startswith(self._question_of[asked]):
                return asked
        host = self._acceptor.host_of(head)
        return self._stranger if host is None else self._at(host)

    def _at(self, host: str) -> Gatekeeper:
        # A name is itself, whatever another portal's wildcard stands for.
        gate = self._exact.get(host)
        return gate or next((portal.gate for portal in self._wide if host in portal.hosts), self._stranger)

    def _original_host(self, head: RequestHead) -> str | None:
        """Return the host that another proxy asks about by X-Original-URL, at ``/verify`` alone; else None.

        By the other two sets the host is told as any proxy tells it. Whether this set is the right one, the portal's
        own gate says.
        """
        if not head.target.startswith(self._questions) or not self._acceptor.peer_is_trusted(head.peer):
            return None
        found = _URL.match(head.value(b"x-original-url") or b"")
        return None if found is None else normal_host(found[2], found[1].lower().decode())
