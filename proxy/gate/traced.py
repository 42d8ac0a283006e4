"""The gate where traces are told: the same decisions, and a span for each request.

A class of its own, so that a gate without tracing is asked nothing. What is added: an event carries the context that
tracing gave it, whoever is asked on the way is asked inside of it, and what goes to the own pages names it, since they
run in tasks of their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from proxy.gate.accept import given_traceparent
from proxy.gate.handler import Gate
from proxy.ports import CallerTrace, Forward, OwnPage, SendKept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.request import Accepted, RequestHead
    from proxy.gate.rules import GateParts, GateRules
    from proxy.gate.settled import Settled
    from proxy.gate.verify import ForwardAuth
    from proxy.ports import Admission, RequestEvent, Tracing, UpstreamPlace

A = TypeVar("A", bound="Admission | None")

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

MAX_TRACESTATE = 512
"""Bytes that are passed on; W3C Trace Context §3.3.1.5 asks for at least so many."""


class TracedGate(Gate):
    """See the module."""

    def __init__(
        self, rules: GateRules, parts: GateParts, *, tracing: Tracing, places: Mapping[str, UpstreamPlace]
    ) -> None:
        """Keep them; ``places`` by the names that ``Forward.upstream`` has."""
        super().__init__(rules, parts)
        self._tracing = tracing
        self._places = places

    # --- events -------------------------------------------------------------------------------------------------------

    def _event(self, head: RequestHead | None) -> RequestEvent:
        event = super()._event(head)
        event.traceparent = self._tracing.begin(CallerTrace() if head is None else self._caller(head, head.scheme))
        return event

    def _event_again(self, head: RequestHead, settled: Settled) -> RequestEvent:
        event = super()._event_again(head, settled)
        event.traceparent = self._tracing.begin(self._caller(head, settled.scheme))
        return event

    def _accept(self, head: RequestHead, event: RequestEvent) -> Accepted:
        began = event.traceparent
        accepted = super()._accept(head, event)
        event.traceparent = began
        self._tracing.asked_by(began, accepted.scheme)
        return accepted

    def _caller(self, head: RequestHead, scheme: str) -> CallerTrace:
        traceparent = given_traceparent(head)
        if traceparent is None:
            return CallerTrace(scheme=scheme)
        return CallerTrace(
            traceparent=traceparent,
            tracestate=_tracestate(head),
            is_trusted=self._parts.acceptor.peer_is_trusted(head.peer),
            scheme=scheme,
        )

    def _verify(
        self, forward_auth: ForwardAuth, head: RequestHead, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        """Let the trace of the question end with the event of what was asked about, which is the one that is told."""
        admission = super()._verify(forward_auth, head, event)
        return _told_for(admission, event)

    # --- on the way ---------------------------------------------------------------------------------------------------

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Decide, and tell of what goes on to an upstream; see ``ports.Gatekeeper``."""
        admission = super().admit(self._without_strangers_state(head))
        if isinstance(admission, Forward):
            self._sent_on(admission)
        return admission

    async def _closed(self, asking: Awaitable[Admission], head: RequestHead, event: RequestEvent) -> Admission:
        with self._tracing.inside(event.traceparent):
            admission = await super()._closed(asking, head, event)
        if isinstance(admission, Forward | SendKept):
            self._sent_on(admission if isinstance(admission, Forward) else admission.forward)
        return admission

    def _without_strangers_state(self, head: RequestHead) -> RequestHead:
        """Take out what is said of a trace that does not go on (W3C Trace Context §3.3: it belongs to its parent)."""
        if not head.values(TRACESTATE) or self._parts.acceptor.peer_is_trusted(head.peer):
            return head
        return dataclasses.replace(
            head, headers=tuple(field for field in head.headers if field[0].lower() != TRACESTATE)
        )

    def _sent_on(self, forward: Forward) -> None:
        self._tracing.sent_on(forward.event.traceparent, self._places[forward.upstream])

    def _own_page(self, accepted: Accepted, event: RequestEvent) -> Admission | None:
        return _naming_its_trace(super()._own_page(accepted, event))

    def _app_logout(self, accepted: Accepted, event: RequestEvent) -> Admission:
        return _naming_its_trace(super()._app_logout(accepted, event))


def _told_for(admission: Admission | Awaitable[Admission], event: RequestEvent) -> Admission | Awaitable[Admission]:
    if isinstance(admission, Awaitable):
        return _told_for_later(admission, event)
    _hand_over(event, admission)
    return admission


async def _told_for_later(asking: Awaitable[Admission], event: RequestEvent) -> Admission:
    admission = await asking
    _hand_over(event, admission)
    return admission


def _hand_over(event: RequestEvent, admission: Admission) -> None:
    told = admission.forward.event if isinstance(admission, SendKept) else admission.event
    told.traceparent = event.traceparent


def _tracestate(head: RequestHead) -> str | None:
    """Return what other systems say of the trace, in one field (RFC 9110 §5.3); None when it is too long to pass on."""
    joined = b",".join(head.values(TRACESTATE))
    return joined.decode("latin-1") if joined and len(joined) <= MAX_TRACESTATE else None


def _naming_its_trace(admission: A) -> A:
    if isinstance(admission, OwnPage):
        return replace(admission, headers=(*admission.headers, (TRACEPARENT, admission.event.traceparent.encode())))
    return admission
