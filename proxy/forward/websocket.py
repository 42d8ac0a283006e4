"""A tunnel after a 101: bytes are passed on; only frame boundaries are watched (RFC 6455 §5.2).

So that a close frame can be put between two frames when the session ends or the process drains, and never into the
middle of one. Content is not looked at; extensions and fragments pass as they are.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from proxy.errors import RightsLost, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.session import SessionKey
    from proxy.errors import SidegateError, UpstreamFault
    from proxy.forward.framing import AnswerFrame
    from proxy.forward.upstream import UpstreamConnection
    from proxy.ports import Forward, LiveStreams, OpenStream, RequestEvent

FRAME_PATIENCE_S = 1.0
"""How long a frame under way may take to end when the tunnel must: a logout is law everywhere within a second."""

_CLOSE_OPCODE = 0x88
_MASK_BIT = 0x80


class CloseCode(Struct, frozen=True):
    """Status code and reason of a close frame (RFC 6455 §7.4.1)."""

    code: int
    reason: bytes


SESSION_ENDED = CloseCode(1008, b"session ended")
RIGHTS_LOST = CloseCode(1008, b"no longer allowed")
TRY_AGAIN_LATER = CloseCode(1013, b"try again later")
"""Registered with IANA after RFC 6455: a state of the server that will pass."""

GOING_AWAY = CloseCode(1001, b"going away")

_CLOSE_CODES = {SessionEnded: SESSION_ENDED, RightsLost: RIGHTS_LOST}


def close_frame(close: CloseCode) -> bytes:
    """Return a close frame as a server sends it, unmasked."""
    payload = close.code.to_bytes(2, "big") + close.reason
    return bytes((_CLOSE_OPCODE, len(payload))) + payload


def masked_close_frame(close: CloseCode, mask: bytes) -> bytes:
    """Return a close frame as a client sends it; ``mask`` is four random bytes (RFC 6455 §5.3)."""
    payload = close.code.to_bytes(2, "big") + close.reason
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes((_CLOSE_OPCODE, _MASK_BIT | len(payload))) + mask + masked


class FrameWatcher:
    """Knows after each byte of one direction whether a frame has just ended."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._header = b""
        self._left = 0

    @property
    def is_at_boundary(self) -> bool:
        """Say whether the bytes so far are whole frames."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        """Watch all of ``data``."""
        if len(data) == _short_frame(data) and not self._left and not self._header:
            return  # the ordinary case: one whole short message, and nothing changes
        position = 0
        while position < len(data):
            position = self._one(data, position)

    def feed_to_boundary(self, data: bytes) -> int:
        """Watch ``data`` up to the end of the frame under way; returns how many bytes that were."""
        position = 0
        while position < len(data) and not self.is_at_boundary:
            position = self._one(data, position)
        return position

    def _one(self, data: bytes, position: int) -> int:
        """Take one header, or payload as far as it goes; returns the position behind."""
        if self._left:
            taken = min(self._left, len(data) - position)
            self._left -= taken
            return position + taken
        header = self._header + data[position : position + 14 - len(self._header)]
        size = _header_size(header)
        if not size:
            self._header = header
            return len(data)
        position += size - len(self._header)
        self._header = b""
        self._left = _payload_size(header)
        return position


def _short_frame(data: bytes) -> int:
    """Return the bytes of the frame at the start of ``data`` when its length is in the first two, else 0."""
    if len(data) < 2:
        return 0
    second = data[1]
    if second < _MASK_BIT:
        return second + 2 if second < 126 else 0
    return second - _MASK_BIT + 6 if second < _MASK_BIT + 126 else 0


def _header_size(header: bytes) -> int:
    """Return the bytes of a frame header, 0 while it is not all there."""
    if len(header) < 2:
        return 0
    length = header[1] & 0x7F
    size = 2 + (4 if header[1] & _MASK_BIT else 0)
    size += 8 if length == 127 else 2 if length == 126 else 0
    return size if len(header) >= size else 0


def _payload_size(header: bytes) -> int:
    length = header[1] & 0x7F
    if length == 126:
        return int.from_bytes(header[2:4], "big")
    if length == 127:
        return int.from_bytes(header[2:10], "big")
    return length


class TunnelClient(Protocol):
    """The client's connection, as a tunnel sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def hold_upload(self) -> None:
        """Read no more of the client for now."""

    def release_upload(self) -> None:
        """Read on."""

    def cut(self) -> None:
        """End the connection at once."""

    def tunnel_over(self) -> None:
        """End the connection after what is written."""


class Tunnel:
    """Both directions of one WebSocket; consumes what the upstream sends, and is given what the client sends.

    Attributes:
        admitted, began_at: as in ``ports.OpenStream``, from :meth:`takes_place_of` on.
    """

    admitted: Forward
    began_at: float

    def __init__(
        self,
        client: TunnelClient,
        connection: UpstreamConnection,
        *,
        event: RequestEvent,
        told_end: Callable[[], None],
    ) -> None:
        """``told_end`` is called once, when it is over; ``event`` counts bytes until then."""
        self.event = event
        self._client = client
        self._connection = connection
        self._told_end = told_end
        self._up = FrameWatcher()
        self._down = FrameWatcher()
        self._closing: CloseCode | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._live: tuple[LiveStreams, SessionKey] | None = None
        self._is_over = False

    def takes_place_of(self, request: OpenStream, live: LiveStreams, key: SessionKey) -> None:
        """Close with 1008 when the session ends or may have this no longer.

        Raises:
            StreamsFull: at the cap; nothing is registered.
        """
        self.admitted, self.began_at = request.admitted, request.began_at
        bearer = request.admitted.allow.bearer
        if bearer is None:
            live.opened(self, key)
        else:
            live.opened_by_bearer(self, bearer)
        self._live = live, key

    def end(self, fault: SidegateError) -> None:
        """The session may have this tunnel no longer; see ``ports.OpenStream``."""
        self.close(_CLOSE_CODES.get(type(fault), TRY_AGAIN_LATER))

    def close(self, close: CloseCode) -> None:
        """Say ``close`` to both sides at their next frame boundary, and be over."""
        if self._is_over or self._closing is not None:
            return
        self._closing = close
        if self._down.is_at_boundary:
            self._say_close(close)
        else:
            self._patience = asyncio.get_running_loop().call_later(FRAME_PATIENCE_S, self._give_up)

    # --- the client's side

    def client_data(self, data: bytes) -> None:
        """Pass on what the client sent; after the end of its session, nothing."""
        if self._is_over or self._closing is not None:
            return
        self._up.feed(data)
        self.event.bytes_in += len(data)
        self._connection.write(data)

    def client_gone(self) -> None:
        """The client ended its side: the upstream gets what was written, and the end."""
        if self._is_over:
            return
        self._finish()
        self._connection.close()

    def client_full(self) -> None:
        """Read less of the upstream."""
        self._connection.pause_reading()

    def client_writable(self) -> None:
        """Read on."""
        self._connection.resume_reading()

    # --- the upstream's side

    @property
    def waits_for_client(self) -> bool:
        """Silence is lawful in a tunnel."""
        return True

    def answer_interim(self, frame: AnswerFrame) -> None:
        """Never comes after a 101."""

    def answer_head(self, frame: AnswerFrame) -> None:
        """Never comes after a 101."""

    def answer_whole(self, frame: AnswerFrame, body: bytes) -> None:
        """Never comes after a 101."""

    def upstream_data(self, data: bytes) -> None:
        """Pass on what the upstream sent; once the tunnel must end, to the end of the frame under way."""
        if self._closing is None:
            self._down.feed(data)
            self._send_down(data)
            return
        self._send_down(data[: self._down.feed_to_boundary(data)])
        if self._down.is_at_boundary:
            self._say_close(self._closing)

    def _send_down(self, data: bytes) -> None:
        self.event.bytes_out += len(data)
        self._client.write(data)

    def answer_body(self, pieces: list[bytes]) -> None:
        """Never comes after a 101."""

    def answer_flush(self) -> None:
        """Never comes after a 101."""

    def answer_complete(self) -> None:
        self._over()

    def answer_failed(self, fault: UpstreamFault) -> None:
        self.event.fault = fault.reason
        self._over()

    def upstream_full(self) -> None:
        self._client.hold_upload()

    def upstream_writable(self) -> None:
        self._client.release_upload()

    # --- ends

    def _say_close(self, close: CloseCode) -> None:
        if self._is_over:
            return
        self._client.write(close_frame(close))
        if self._up.is_at_boundary:
            self._connection.write(masked_close_frame(close, os.urandom(4)))
            self._connection.close()
        else:
            self._connection.abort()
        self._over()

    def _give_up(self) -> None:
        """The frame under way does not end: cut it."""
        if not self._is_over:
            self._finish()
            self._connection.abort()
            self._client.cut()

    def _over(self) -> None:
        if not self._is_over:
            self._finish()
            self._client.tunnel_over()

    def _finish(self) -> None:
        self._is_over = True
        if self._patience is not None:
            self._patience.cancel()
        if self._live is not None:
            live, key = self._live
            live.over(self, key)
        self._told_end()
