"""What the gate sees of a request, whoever parsed the bytes.

A :class:`RequestHead` is the wire, undecided: nothing in it is trusted. :class:`Accepted` is the same request after
``gate.accept`` said who the client is, which scheme and host the browser used, and that the target can be read in one
way only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import Struct

from proxy.core.remembered import Remembered

if TYPE_CHECKING:
    from proxy.core.target import RequestTarget

Scheme = Literal["http", "https"]

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order of the wire; names in the spelling of the wire, values without surrounding space."""

Outcome = TypeVar("Outcome")

_LOWER_CASE = Remembered(bytes.lower)


class PeerTrust(Enum):
    """Whether the connection's other end is in ``server.trusted_proxies``."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One request head as it was parsed.

    A value: whoever reads equal bytes again on a connection may hand on the same object, and what the rules made of it
    (:meth:`remember`) is not worked out a second time. What is remembered may follow from the head and the rules alone,
    never from the clock or from anybody's session, and dies with the head; the gate keeps some 2 KiB.

    Attributes:
        method: as sent, e.g. ``b"GET"``.
        target: the request-target as sent, byte for byte (RFC 9112 §3.2).
        headers: every field, repeated ones too, framing fields included.
        peer: IP address of the connection's other end; empty for a unix socket.
        scheme: of this connection: ``https`` when *we* ended TLS.
        version: ``b"1.1"`` or ``b"1.0"``.
    """

    method: bytes
    target: bytes
    headers: Headers
    peer: str
    scheme: Scheme
    version: bytes = b"1.1"
    _last: dict[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)
    _remembered: tuple[object, object] | None = field(default=None, init=False, repr=False, compare=False)

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return every value of the field ``name`` (given in lower case), in order."""
        last = self._last if self._last is not None else self._indexed()
        value = last.get(name)
        if value is None:
            return ()
        if len(last) == len(self.headers):
            return (value,)
        return tuple(value for key, value in self.headers if key.lower() == name)

    def value(self, name: bytes) -> bytes | None:
        """Return the first value of the field ``name`` (given in lower case), or None."""
        values = self.values(name)
        return values[0] if values else None

    def remember(self, judge: object, outcome: object) -> None:
        """Keep what the rules of ``judge`` make of the head; what another's made of it is forgotten."""
        object.__setattr__(self, "_remembered", (judge, outcome))

    @property
    def judge(self) -> object:
        """Return who remembered something of this head; None when nobody did."""
        return None if self._remembered is None else self._remembered[0]

    def recall(self, judge: object, kind: type[Outcome]) -> Outcome | None:
        """Return what this very judge remembered (the same object, not an equal one), or None."""
        kept = self._remembered
        if kept is None or kept[0] is not judge:
            return None
        outcome = kept[1]
        return outcome if isinstance(outcome, kind) else None

    def _indexed(self) -> dict[bytes, bytes]:
        """Index the fields by name, once: a dozen rules ask, and each would walk through all of them."""
        index = {_LOWER_CASE[name]: value for name, value in self.headers}
        object.__setattr__(self, "_last", index)
        return index


class Accepted(Struct, frozen=True):
    """A request whose outside is settled.

    Attributes:
        head: the wire.
        target: parsed, with every reading.
        request_id: ours, or the trusted proxy's.
        traceparent: W3C trace context to pass on.
        client_address: the browser's address: the peer, or what a trusted proxy says.
        scheme: what the browser used.
        host: what the browser asked, lower case, with the port when it is not the scheme's own.
        forwarded_for: the chain to send on in X-Forwarded-For, trusted part only; the peer is added after it.
        peer_trust: whether X-Forwarded-* of this peer pass to the upstream.
    """

    head: RequestHead
    target: RequestTarget
    request_id: str
    traceparent: str
    client_address: str
    scheme: Scheme
    host: str
    forwarded_for: tuple[str, ...]
    peer_trust: PeerTrust = PeerTrust.UNTRUSTED
