"""The connection to an upstream: writes what it is given, reads answers, and serves one consumer at a time.

It knows no client and no gate. Whoever consumes the answer is let go of before anybody else can be served; a callback
that comes late finds no consumer, and bytes that nobody asked for end the connection (law 4).

::

    idle  --begin-->  head  --final head-->  body  --complete-->  idle (or over)
                       |  ^
                       +--+ interim head
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Protocol, cast

from proxy.errors import UpstreamFault, UpstreamGarbled, UpstreamTimeout, UpstreamUnreachable
from proxy.forward.bodies import BodyDecoder, BodyMalformed, CloseBody, decoder_for
from proxy.forward.buffers import READ_SIZE, WRITE_HIGH
from proxy.forward.deadlines import Deadline
from proxy.forward.framing import HEAD_END, AnswerFrame, Delimiter, cut_answer_head, parse_answer
from proxy.forward.options import ANSWER_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.forward.buffers import ReadBuffer
    from proxy.forward.recent import Recent

    KnownAnswers = Recent[bytes, AnswerFrame]

MAX_INTERIM = 32
"""Interim answers before the final one; more is an upstream gone wild."""

MAX_KNOWN_ANSWER = 2 * 1024
"""Bytes of an answer's head that is remembered; longer ones (policies, cookies) seldom come again unchanged."""

MAX_KNOWN_ANSWERS = 512
"""Answer heads of one upstream that are remembered for two seconds, with what is made of them some 3 MiB."""


class AnswerConsumer(Protocol):
    """Who asked."""

    @property
    def waits_for_client(self) -> bool:
        """Say whether the request is not complete yet, so that silence is not the upstream's fault."""

    def answer_interim(self, frame: AnswerFrame) -> None:
        """Hear a 1xx other than 101."""

    def answer_head(self, frame: AnswerFrame) -> None:
        """Hear the final head, or a 101, after which bytes come as a body until close."""

    def answer_whole(self, frame: AnswerFrame, body: bytes) -> None:
        """Hear the final head and all of the body at once; the connection has let go of the consumer."""

    def answer_body(self, pieces: list[bytes]) -> None:
        """Take content; the list is the consumer's."""

    def answer_flush(self) -> None:
        """All that was read at once has been told."""

    def answer_complete(self) -> None:
        """The answer is whole; the connection has let go of the consumer."""

    def answer_failed(self, fault: UpstreamFault) -> None:
        """The answer will not be whole; the connection is over and has let go of the consumer."""

    def upstream_full(self) -> None:
        """Write no more for now."""

    def upstream_writable(self) -> None:
        """Write on."""


class TunnelConsumer(AnswerConsumer, Protocol):
    """Who is given the bytes after a 101."""

    def upstream_data(self, data: bytes) -> None:
        """Take bytes; the end comes as ``answer_complete`` or ``answer_failed``."""


class UpstreamConnection(asyncio.BufferedProtocol):
    """See the module."""

    __slots__ = (
        "_asked",
        "_consumer",
        "_deadline",
        "_decoder",
        "_frame",
        "_interim",
        "_is_over",
        "_is_paused",
        "_is_persistent",
        "_known",
        "_on_lost",
        "_response_timeout_s",
        "_scanned",
        "_socket_identity",
        "_transport",
        "_tunnel",
        "_unread",
        "_view",
        "is_full",
    )

    def __init__(
        self, buffer: ReadBuffer, on_lost: Callable[[UpstreamConnection], None], *, known: KnownAnswers
    ) -> None:
        """``on_lost`` hears once that the connection has ended.

        Attributes:
            is_full: whether too much waits to be written.
        """
        self.is_full = False
        self._known = known
        self._view = buffer.view
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._consumer: AnswerConsumer | None = None
        self._tunnel: TunnelConsumer | None = None
        self._decoder: BodyDecoder | None = None
        self._frame: AnswerFrame | None = None
        self._deadline: Deadline | None = None
        self._socket_identity: tuple[int, int] | None = None
        self._asked = b""
        self._unread = b""
        self._scanned = 0
        self._interim = 0
        self._response_timeout_s = 0.0
        self._is_persistent = False
        self._is_over = False
        self._is_paused = False

    # --- for the consumer

    @property
    def is_usable(self) -> bool:
        """Say whether another request may be sent."""
        return not self._is_over and self._transport is not None and not self._transport.is_closing()

    @property
    def is_persistent(self) -> bool:
        """Say whether the upstream keeps the connection after the answer just completed."""
        return self._is_persistent and self.is_usable

    @property
    def keep_alive_s(self) -> float | None:
        """How long the upstream said it would keep it, one second less for the way; None when it did not say."""
        stated = self._frame.keep_alive_s if self._frame is not None else None
        return None if stated is None else stated - 1.0

    def begin(self, consumer: AnswerConsumer, *, asked: bytes, response_timeout_s: float) -> None:
        """Serve ``consumer`` from now on; ``asked`` is the method of its request."""
        self._consumer = consumer
        self._tunnel = None
        self._asked = asked
        self._response_timeout_s = response_timeout_s
        self._frame = self._decoder = None
        self._unread = b""
        self._scanned = self._interim = 0
        self._is_persistent = False

    def hand_over(self, tunnel: TunnelConsumer) -> None:
        """Give all further bytes to ``tunnel``, as they come: nothing frames them any more (after a 101)."""
        self._consumer = self._tunnel = tunnel

    def write(self, data: bytes) -> None:
        """Send bytes; the silence of the upstream is measured from here."""
        if self._transport is not None and not self._is_over:
            self._transport.write(data)
            if self._frame is None and self._deadline is not None:
                self._deadline.set(self._response_timeout_s)

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self._is_paused and self.is_usable:
            self._is_paused = True
            cast("asyncio.Transport", self._transport).pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._is_paused:
            self._is_paused = False
            if self.is_usable:
                cast("asyncio.Transport", self._transport).resume_reading()

    def close(self) -> None:
        """End the connection after what is written; serve nobody."""
        self._let_go()
        self._is_over = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; serve nobody."""
        self._let_go()
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    # --- for the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        if transport.get_extra_info("ssl_object") is None:
            self._socket_identity = _socket_identity(transport.get_extra_info("socket").fileno())
        self._deadline = Deadline(asyncio.get_running_loop(), self._silent)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  one size for all
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self.received(bytes(self._view[:nbytes]))

    def received(self, data: bytes) -> None:
        """Take bytes of the upstream; those that nobody asked for end the connection."""
        consumer = self._consumer
        if consumer is None:
            self.abort()
            return
        if self._tunnel is not None:
            self._tunnel.upstream_data(data)
            return
        if self._decoder is None and not self._unread and self._is_known(consumer, data):
            return
        try:
            self._read(consumer, data)
        except BodyMalformed as malformed:
            self._fail(UpstreamGarbled(f"the upstream's answer has {malformed}"))
        except UpstreamGarbled as garbled:
            self._fail(garbled)
        else:
            if self._consumer is consumer:
                consumer.answer_flush()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        if isinstance(exc, OSError) and self._consumer is not None:
            self._read_what_is_left()
        self._ended(exc)
        if self._deadline is not None:
            self._deadline.close()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self.is_full = True
        if self._consumer is not None:
            self._consumer.upstream_full()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._consumer is not None:
            self._consumer.upstream_writable()

    def _read_what_is_left(self) -> None:
        """Take what the upstream said before it broke off: an early answer, then a reset, which we met while writing.

        The loop stops reading when writing fails, but the kernel still has the bytes. Not through TLS.
        """
        transport, identity = self._transport, self._socket_identity
        if transport is None or identity is None:
            return
        descriptor = transport.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):
            while self._consumer is not None and _socket_identity(descriptor) == identity:
                data = os.read(descriptor, READ_SIZE)
                if not data:
                    return
                self.received(data)

    # --- reading

    def _read(self, consumer: AnswerConsumer, data: bytes) -> None:
        while self._decoder is None:
            received = self._unread + data if self._unread else data
            end = cut_answer_head(received, ANSWER_LIMITS, scanned=self._scanned)
            if not end:
                self._unread = received
                self._scanned = len(received)
                return
            self._unread = b""
            self._scanned = 0
            data = received[end:]
            frame = self._parsed(received[:end])
            if frame.body.length == len(data) and frame.body.delimiter is Delimiter.LENGTH:
                self._whole(consumer, frame, data)
                return
            self._head(consumer, frame)
            if self._consumer is not consumer:
                self._after_hand_over(data)
                return
        self._body(consumer, self._decoder, data)

    def _is_known(self, consumer: AnswerConsumer, data: bytes) -> bool:
        """Take an answer that came whole, with a head that came before: an upstream repeats itself."""
        end = data.find(HEAD_END) + len(HEAD_END)
        frame = self._known.get(data[:end])
        # What HEAD is answered is framed otherwise.
        if frame is None or frame.body.length != len(data) - end or self._asked == b"HEAD":
            return False
        self._whole(consumer, frame, data[end:])
        return True

    def _parsed(self, head: bytes) -> AnswerFrame:
        """Return what these bytes are, and remember it when a whole answer may begin so again.

        Raises:
            UpstreamGarbled
        """
        frame = parse_answer(head, ANSWER_LIMITS, asked=self._asked)
        is_long = frame.body.delimiter is not Delimiter.LENGTH or len(head) > MAX_KNOWN_ANSWER
        if frame.may_be_kept and not is_long:
            self._known.keep(head, frame)
        return frame

    def _whole(self, consumer: AnswerConsumer, frame: AnswerFrame, body: bytes) -> None:
        """Tell of an answer that came at once; as :meth:`_head`, :meth:`_body` and :meth:`_complete` would."""
        self._frame = frame
        self._is_persistent = frame.is_persistent
        self._let_go()
        consumer.answer_whole(frame, body)

    def _head(self, consumer: AnswerConsumer, frame: AnswerFrame) -> None:
        if frame.status < 200 and frame.status != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise UpstreamGarbled(f"the upstream sent more than {MAX_INTERIM} interim answers")
            consumer.answer_interim(frame)
            return
        self._frame = frame
        if self._deadline is not None:
            self._deadline.clear()
        self._decoder = CloseBody() if frame.status == 101 else decoder_for(frame.body)
        consumer.answer_head(frame)

    def _after_hand_over(self, data: bytes) -> None:
        """Bytes that came with a 101 belong to the tunnel; to whoever let go of us, nothing."""
        if self._consumer is not None and data:
            self.received(data)

    def _body(self, consumer: AnswerConsumer, decoder: BodyDecoder, data: bytes) -> None:
        pieces: list[bytes] = []
        rest = decoder.feed(data, pieces) if data else b""
        if pieces:
            consumer.answer_body(pieces)
        if decoder.is_complete and self._consumer is consumer:
            self._complete(consumer, rest)

    # --- ends

    def _complete(self, consumer: AnswerConsumer, rest: bytes) -> None:
        """Tell that the answer is whole; bytes behind it were not asked for, so that nothing is asked again here."""
        frame = self._frame
        self._is_persistent = frame is not None and frame.is_persistent and not rest
        self._let_go()
        consumer.answer_complete()

    def _ended(self, exc: Exception | None) -> None:
        """The upstream ended its side: whole for a body until close, too soon for every other."""
        consumer = self._consumer
        if consumer is None:
            return
        if exc is None and isinstance(self._decoder, CloseBody):
            self._decoder.is_complete = True
            self._complete(consumer, b"")
        elif self._decoder is None and not self._unread:
            self._fail(UpstreamUnreachable("the upstream closed the connection without an answer"))
        else:
            self._fail(UpstreamGarbled("the upstream closed the connection within its answer"))

    def _fail(self, fault: UpstreamFault) -> None:
        consumer = self._consumer
        self.abort()
        if consumer is not None:
            consumer.answer_failed(fault)

    def _silent(self) -> None:
        consumer = self._consumer
        if consumer is None or self._frame is not None:
            return
        if consumer.waits_for_client and not self.is_full and self._deadline is not None:
            self._deadline.set(self._response_timeout_s)
        else:
            self._fail(UpstreamTimeout(f"the upstream did not answer within {self._response_timeout_s:g} s"))

    def _let_go(self) -> None:
        self._consumer = None
        if self._deadline is not None:
            self._deadline.clear()
        if self._is_paused:
            self.resume_reading()


def _socket_identity(descriptor: int) -> tuple[int, int]:
    """Tell one socket from another that got the same descriptor later.

    Raises:
        OSError: it is closed.
    """
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
