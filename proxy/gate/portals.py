"""Several gates behind one door: the Host of a request chooses the portal, and only that portal's gate decides.

The choice is no decision. The gate that is chosen looks at Host again, by its own rules, and refuses what is not its
own; so a mistake here is a 421, never another portal's app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.gate.accept import normal_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from proxy.core.request import RequestHead
    from proxy.errors import SidegateError
    from proxy.ports import Admission, Gatekeeper, Reply, RequestEvent


class Portals:
    """``ports.Gatekeeper`` of several sites."""

    def __init__(self, gates: Mapping[str, Gatekeeper]) -> None:
        """Choose among gates by their hosts, lower case, without the scheme's own port."""
        self._gates = gates
        self._stranger = next(iter(gates.values()))

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Have the host's own gate decide."""
        return self._of(head).admit(head)

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        """Have the gate answer that was asked before, or would have been."""
        return (self._stranger if head is None else self._of(head)).fault(error, head, event)

    def finished(self, event: RequestEvent) -> None:
        """All gates say the same."""
        self._stranger.finished(event)

    def _of(self, head: RequestHead) -> Gatekeeper:
        host = normal_host(head.value(b"host") or b"", head.scheme)
        return self._gates.get(host or "", self._stranger)
