"""The connection of a client: a table of states and events.

Requests are read one at a time and answered in order; what comes early waits, within one read. The connection knows
how requests are framed and nothing of what they mean: the gatekeeper decides, an exchange does it.

::

    IDLE        no byte of a request was read            DISCARDING  our answer is out, the rest of a short body is
    HEAD        a part of a head was read                            read and thrown away
    ADMITTING   the gatekeeper is asking somebody        TUNNEL      a WebSocket
    ANSWERING   an exchange runs                         LINGERING   the last answer is out; input is thrown away
                                                         CLOSED      over
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, cast

from msgspec.structs import replace

from proxy.core.request import RequestHead
from proxy.errors import BodyTooLarge, ClientTooSlow, FramingRefused, RequestRefused, SidegateError
from proxy.forward.bodies import BodyDecoder, BodyMalformed, LengthBody, decoder_for
from proxy.forward.buffers import READ_SIZE, WRITE_HIGH
from proxy.forward.deadlines import Deadline
from proxy.forward.exchange import CLIENT_GONE, STATUS_CLIENT_GONE, Exchange, Forwarded, KeptSent, OwnPageShown
from proxy.forward.framing import (
    CRLF,
    NO_BODY,
    UNTIL_CLOSE,
    Body,
    Delimiter,
    cut_request_head,
    parse_request,
)
from proxy.forward.keeping import BodyKept
from proxy.forward.surroundings import MAX_KEPT_HEAD, ReadHead
from proxy.forward.websocket import GOING_AWAY, Tunnel
from proxy.forward.writing import answer_framing, serialise_answer
from proxy.ports import Forward, KeepBody, OwnPage, Reply, SendKept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from proxy.core.answer import Answer
    from proxy.core.request import Scheme
    from proxy.forward.origin import Origin
    from proxy.forward.surroundings import Surroundings
    from proxy.forward.upstream import UpstreamConnection
    from proxy.ports import Admission

DISCARD_LIMIT = 64 * 1024
"""Bytes of a body nobody wants that are read for the sake of the connection; above, it is closed."""

OWN_PAGE_MAX_BODY = 1024 * 1024
"""Bytes of a body for Sidegate's own pages, whatever ``max_body_size`` lets through to the app: the largest is a form
that is kept over a login (contract §4)."""

DRAIN_PATIENCE_S = 1.0
"""A connection idle for less than this may have a request under way: it is answered before the connection ends."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


_NO_BODY = decoder_for(NO_BODY)


class State(IntEnum):
    """See the module."""

    IDLE = 0
    HEAD = 1
    ADMITTING = 2
    ANSWERING = 3
    DISCARDING = 4
    TUNNEL = 5
    LINGERING = 6
    CLOSED = 7


class Event(IntEnum):
    """What happens to a connection, besides bytes."""

    EOF = 0
    DEADLINE = 1
    FULL = 2
    WRITABLE = 3
    DRAIN = 4
    LOST = 5


class ClientConnection(asyncio.BufferedProtocol):
    """See the module."""

    def __init__(self, around: Surroundings) -> None:
        """Begin without a transport."""
        self.state = State.IDLE
        self._around = around
        self._view = around.buffer.view
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._deadline = Deadline(self._loop, self._deadline_passed)
        self._peer = ""
        self._scheme: Scheme = "https" if around.options.tls is not None else "http"
        self._unread = b""
        self._scanned = 0
        self._asked: ReadHead | None = None
        self._body: BodyDecoder = _NO_BODY
        self._body_size = 0
        self._max_body_size = 0
        self._exchange: Exchange | BodyKept | None = None
        self._tunnel: Tunnel | None = None
        self._admitting: asyncio.Task[None] | None = None
        self._pinned: dict[Origin, UpstreamConnection] = {}
        self.is_full = False
        self._is_held = False
        self._is_advancing = False
        self._waiting_size = 0
        self._progress_at = 0.0
        self._idle_since = 0.0

    # --- for the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._around.takes(self):
            self.state = State.CLOSED
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._peer = _peer_address(transport.get_extra_info("peername"))
        self._idle_since = self._loop.time()
        self._deadline.set(self._around.options.head_timeout_s)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  one size for all
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        ON_DATA[self.state](self, bytes(self._view[:nbytes]))

    def eof_received(self) -> None:
        self.happen(Event.EOF)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  gone is gone
        self.happen(Event.LOST)

    def pause_writing(self) -> None:
        self.is_full = True
        self.happen(Event.FULL)

    def resume_writing(self) -> None:
        self.is_full = False
        self.happen(Event.WRITABLE)

    def drain(self) -> None:
        """Take no further request; end when what runs is done."""
        self.happen(Event.DRAIN)

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def happen(self, event: Event) -> None:
        """Do what the table says."""
        TABLE[self.state][event](self)

    def _deadline_passed(self) -> None:
        self.happen(Event.DEADLINE)

    # --- reading heads

    def _read_request(self, data: bytes) -> None:
        known = self._around.heads.get(self)
        if known is not None and known.received == data and not (self._unread or self.is_full):
            self._deadline.clear()
            self._admit(known)
            return
        self._unread = self._unread + data if self._unread else data
        self._advance()

    def _advance(self) -> None:
        """Begin what can be begun of what was read; a loop, since many short requests may wait at once."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._unread and self.state <= State.HEAD and not self.is_full and self._begin():
                pass
        finally:
            self._is_advancing = False

    def _begin(self) -> bool:
        """Read one head and have it admitted; False when it is not complete, or refused."""
        if self.state is State.IDLE and self._unread.startswith(CRLF):
            # One empty line before a request is an old client's habit (RFC 9112 §2.2).
            self._unread = self._unread[len(CRLF) :]
        try:
            end = cut_request_head(self._unread, self._around.options.limits, scanned=self._scanned)
            read = self._parsed(self._unread[:end]) if end else None
        except RequestRefused as refused:
            self._refuse(refused)
            return False
        if read is None:
            self._head_goes_on()
            return False
        self._unread = self._unread[end:]
        self._scanned = 0
        self._deadline.clear()
        self._admit(read)
        return True

    def _parsed(self, received: bytes) -> ReadHead:
        """Return what these bytes are; browsers and their scripts repeat themselves, and equal bytes are read once.

        Raises:
            RequestRefused
        """
        known = self._around.heads.get(self)
        if known is not None and known.received == received:
            return known
        frame = parse_request(received, self._around.options.limits)
        head = RequestHead(frame.method, frame.target, frame.headers, self._peer, self._scheme, frame.version)
        read = ReadHead(received, frame, head)
        if len(received) <= MAX_KEPT_HEAD:
            self._around.heads.keep(self, read)
        return read

    def _head_goes_on(self) -> None:
        self._scanned = len(self._unread)
        if self.state is State.IDLE and self._unread:
            self.state = State.HEAD
            self._deadline.set(self._around.options.head_timeout_s)

    def _refuse(self, error: SidegateError) -> None:
        """Answer what could not be read, and read no more."""
        self._asked = None
        # Nothing is known of the request but who sent it; the log is to name at least that.
        unread = RequestHead(b"", b"", (), self._peer, self._scheme)
        self._reply(self._around.gatekeeper.fault(error, unread, None))

    def _head_too_slow(self) -> None:
        self._refuse(ClientTooSlow("the request head did not arrive in time"))

    # --- the gate

    def _admit(self, read: ReadHead) -> None:
        self._asked = read
        self.state = State.ADMITTING
        self._body = _NO_BODY if read.frame.is_ordinary else decoder_for(read.frame.body)
        self._body_size = 0
        self._max_body_size = self._around.options.max_body_size
        admission = self._around.gatekeeper.admit(read.head)
        if isinstance(admission, Forward) and read.frame.is_ordinary:
            self._forward(admission, read)
        elif isinstance(admission, (Forward, OwnPage, Reply, KeepBody, SendKept)):
            self._admitted(admission)
        else:
            self._admitting = self._around.tasks.start(self._await_admission(admission))

    def _forward(self, admission: Forward, read: ReadHead) -> None:
        """Do as :meth:`_admitted` for a request that came whole without a body."""
        exchange = self._exchange = Forwarded(admission, read, client=self, around=self._around)
        self.state = State.ANSWERING
        exchange.start([], is_complete=True)

    async def _await_admission(self, asking: Awaitable[Admission]) -> None:
        try:
            admission = await asking
        except BaseException:
            self._transport.abort()
            raise
        self._admitted(admission)

    def _admitted(self, admission: Admission) -> None:
        asked = self._asked
        if self.state is not State.ADMITTING or asked is None:
            self._nobody_waits(admission)
        elif isinstance(admission, Reply):
            self._reply(admission)
        elif isinstance(admission, SendKept):
            self._send_kept(admission, asked)
        else:
            if isinstance(admission, OwnPage):
                self._max_body_size = min(self._max_body_size or OWN_PAGE_MAX_BODY, OWN_PAGE_MAX_BODY)
            self._open(admission, asked)

    def _nobody_waits(self, admission: Admission) -> None:
        if isinstance(admission, SendKept):
            _ = self._around.tasks.start(admission.give_back())
            admission = admission.forward
        admission.event.fault = CLIENT_GONE
        admission.event.status = STATUS_CLIENT_GONE
        self._around.gatekeeper.finished(admission.event)

    def _is_too_large(self, size: int) -> bool:
        return 0 < self._max_body_size < size

    def _send_kept(self, admission: SendKept, asked: ReadHead) -> None:
        """Send on what was kept, framed anew, in the place of a request that came whole without a body."""
        if not self._body.is_complete:
            refused = FramingRefused("a request with a body of its own comes in the place of one that was kept")
            _ = self._around.tasks.start(admission.give_back())
            self._reply(self._around.gatekeeper.fault(refused, asked.head, admission.forward.event))
            return
        body = Body(Delimiter.LENGTH, len(admission.body))
        frame = replace(
            asked.frame, method=admission.forward.method, body=body, expects_continue=False, is_ordinary=False
        )
        self._exchange = KeptSent(admission, asked._replace(frame=frame), client=self, around=self._around)
        self.state = State.ANSWERING
        self._watch_silence()
        self._exchange.start([admission.body] if admission.body else [], is_complete=True)

    def _open(self, admission: Forward | OwnPage | KeepBody, asked: ReadHead) -> None:
        """Start the exchange with what has come of the body."""
        try:
            if self._is_too_large(asked.frame.body.length):
                raise BodyTooLarge(f"the body has {asked.frame.body.length} bytes")
            pieces = [] if self._body.is_complete else self._pieces_of(self._unread)
        except RequestRefused as refused:
            self._reply(self._around.gatekeeper.fault(refused, asked.head, admission.event))
            return
        if isinstance(admission, Forward):
            self._exchange = Forwarded(admission, asked, client=self, around=self._around)
        elif isinstance(admission, KeepBody):
            self._exchange = BodyKept(admission, asked, client=self, around=self._around)
        else:
            self._exchange = OwnPageShown(admission, asked, client=self, around=self._around)
        self.state = State.ANSWERING
        self._watch_silence()
        self._exchange.start(pieces, is_complete=self._body.is_complete)

    # --- the request's body

    def _pieces_of(self, data: bytes) -> list[bytes]:
        """Take the body's part of ``data``; the rest waits.

        Raises:
            FramingRefused, BodyTooLarge
        """
        pieces: list[bytes] = []
        try:
            self._unread = self._body.feed(data, pieces) if not self._body.is_complete else data
        except BodyMalformed as malformed:
            self._unframe()
            raise FramingRefused(f"the request body has {malformed}") from malformed
        self._body_size += sum(map(len, pieces))
        if self._is_too_large(self._body_size):
            self._unframe()
            raise BodyTooLarge(f"the body has more than {self._max_body_size} bytes")
        return pieces

    def _unframe(self) -> None:
        """What comes now belongs to no request: nobody can say where the next would begin."""
        self._unread = b""
        self._body = decoder_for(UNTIL_CLOSE)

    def _upload(self, data: bytes) -> None:
        exchange = self._exchange
        if self._body.is_complete or exchange is None:
            self._keep_for_later(data)
            return
        try:
            pieces = self._pieces_of(data)
        except RequestRefused as refused:
            exchange.upload_failed(refused)
            return
        self._watch_silence()
        exchange.upload(pieces, is_complete=self._body.is_complete)

    def _keep_for_later(self, data: bytes) -> None:
        """Hold what comes early, and read no more than one read of it."""
        self._unread += data
        if len(self._unread) >= READ_SIZE:
            self._hold_reading()

    def _discard(self, data: bytes) -> None:
        try:
            self._pieces_of(data)
        except RequestRefused:
            self._linger()
            return
        if self._body.is_complete:
            self._next()

    # --- reading and not reading

    def hold_upload(self) -> None:
        """Stop reading what must not pile up; with all of a request read, go on, to hear the client leave."""
        if self.state is State.TUNNEL:
            self._hold_reading()
        elif not self._body.is_complete:
            self._hold_reading()
            self._watch_silence()

    def release_upload(self) -> None:
        if self.state is State.TUNNEL:
            self._read_on()
        elif not self._body.is_complete:
            self._read_on()
            self._watch_silence()

    def _hold_reading(self) -> None:
        if not self._is_held and not self._transport.is_closing():
            self._is_held = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._is_held and not self._transport.is_closing():
            self._is_held = False
            self._transport.resume_reading()

    def _watch_silence(self) -> None:
        """Time the client where it is the client's turn to send or to read."""
        if self.is_full or not (self._body.is_complete or self._is_held):
            self._waiting_size = self._transport.get_write_buffer_size()
            self._deadline.set(self._around.options.body_idle_timeout_s)
        else:
            self._deadline.clear()

    def _silence(self) -> None:
        """Nothing came, or nothing was read, for the whole time."""
        exchange = self._exchange
        if exchange is None:
            return
        if not self.is_full:
            exchange.upload_failed(ClientTooSlow("the request body did not arrive in time"))
        elif self._transport.get_write_buffer_size() == self._waiting_size:
            exchange.client_gone(ClientTooSlow.reason)
            self.cut()
        else:
            self._watch_silence()

    def _idle_over(self) -> None:
        """Close what is idle; an answer that is still being read is not idle."""
        if self._still_reads():
            self._deadline.set(self._around.options.linger_timeout_s)
        else:
            self._close()

    def _linger_over(self) -> None:
        """End what the client does not end; an answer that is still being read is let through."""
        if self._still_reads():
            self._deadline.set(self._around.options.linger_timeout_s)
        else:
            self._transport.abort()

    def _still_reads(self) -> bool:
        """Say whether written bytes wait, and some of them went within the time allowed to silence."""
        waiting, now = self._transport.get_write_buffer_size(), self._loop.time()
        if waiting != self._waiting_size:
            self._waiting_size = waiting
            self._progress_at = now
        return bool(waiting) and now - self._progress_at < self._around.options.body_idle_timeout_s

    # --- answers

    def write(self, data: bytes) -> None:
        # Joined before: writelines forgot to tell of a full buffer in 3.12 and 3.13 (CVE-2024-12254).
        if not self._transport.is_closing():
            self._transport.write(data)

    def exchange_over(self, *, keep: bool) -> None:
        self._exchange = None
        if keep and not self._around.is_draining:
            self._next()
        else:
            self._finish()

    def exchange_failed(self, reply: Reply) -> None:
        self._exchange = None
        self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        """Answer by ourselves and tell the end; go on when the rest of the request is no trouble."""
        asked, event, answer = self._asked, reply.event, reply.answer
        keep = asked is not None and self._may_go_on(asked, answer)
        is_head = asked is not None and asked.frame.method == b"HEAD"
        self.write(b"".join(self._own_answer(answer, is_head=is_head, keep=keep)))
        event.status = answer.status
        event.bytes_out = 0 if is_head else len(answer.body)
        self._around.gatekeeper.finished(event)
        if not keep:
            self._linger()
        elif self._body.is_complete:
            self._next()
        else:
            self.state = State.DISCARDING
            self._read_on()
            self._deadline.set(self._around.options.body_idle_timeout_s)

    def _own_answer(self, answer: Answer, *, is_head: bool, keep: bool) -> list[bytes]:
        is_bodiless = answer.status in {204, 304}
        body = NO_BODY if is_bodiless else Body(Delimiter.LENGTH, len(answer.body))
        option = b"" if keep else b"close"
        if keep and self._asked is not None and self._asked.frame.version == b"1.0":
            option = b"keep-alive"
        headers = (*answer.headers, (b"Date", self._around.date()))
        framing = answer_framing(body, declared_length=None, connection=option)
        head = serialise_answer(answer.status, headers, framing=framing)
        return [head] if is_head or is_bodiless or not answer.body else [head, answer.body]

    def _may_go_on(self, asked: ReadHead, answer: Answer) -> bool:
        """Say whether another request may come behind our answer; 400 says that something here is read in two ways."""
        if answer.status == HTTPStatus.BAD_REQUEST or self._around.is_draining:
            return False
        return asked.frame.is_persistent and self._can_skip(asked)

    def _can_skip(self, asked: ReadHead) -> bool:
        """Say whether the rest of the body is here or short; a client that waits for 100 may send it or not."""
        if not self._body.is_complete:
            try:
                self._pieces_of(self._unread)
            except RequestRefused:
                return False
        return self._body.is_complete or (self._is_short() and not asked.frame.expects_continue)

    def _is_short(self) -> bool:
        return isinstance(self._body, LengthBody) and self._body.left <= DISCARD_LIMIT

    # --- what comes next

    def _next(self) -> None:
        """Wait for another request, or begin the one that waits."""
        self.state = State.IDLE
        self._asked = None
        if self._is_held:
            self._read_on()
        self._waiting_size = 0
        self._idle_since = self._deadline.set(self._around.options.idle_timeout_s)
        if self._unread:
            self._advance()

    def _finish(self) -> None:
        """Close after an answer; linger when the client may still be sending, since a reset would eat the answer."""
        if self._body.is_complete and not self._unread:
            self._close()
        else:
            self._linger()

    def _close(self) -> None:
        self.state = State.LINGERING
        self._deadline.set(self._around.options.linger_timeout_s)
        self._transport.close()

    def _linger(self) -> None:
        self.state = State.LINGERING
        self._unread = b""
        self._deadline.set(self._around.options.linger_timeout_s)
        self._read_on()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def _drop(self, data: bytes) -> None:
        """Read and forget."""

    def cut(self) -> None:
        """Reset the connection: an answer that only the connection's end delimits must not look whole."""
        self.state = State.LINGERING
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            # uvloop's stand-in for a socket takes no options, but a copy of its descriptor is the same socket.
            with socket.socket(fileno=os.dup(sock.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._transport.abort()

    # --- tunnels and pinned connections

    def switch(self, tunnel: Tunnel) -> None:
        self._exchange = None
        self._tunnel = tunnel
        self.state = State.TUNNEL
        self._deadline.clear()
        self._read_on()
        early, self._unread = self._unread, b""
        if early:
            tunnel.client_data(early)

    def tunnel_over(self) -> None:
        self._tunnel = None
        self._linger()

    def _tunnel_data(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.client_data(data)

    def pinned(self, origin: Origin) -> UpstreamConnection | None:
        if not self._pinned:
            return None
        connection = self._pinned.pop(origin, None)
        return connection if connection is not None and connection.is_usable else None

    def pin(self, origin: Origin, connection: UpstreamConnection) -> None:
        self._pinned[origin] = connection

    # --- the cells of the table that are no method above

    def _nothing(self) -> None:
        """The event means nothing in this state."""

    def _gone(self) -> None:
        """The client ended its side while it is owed something: as with nginx, that is going away."""
        self.state = State.CLOSED
        if self._exchange is not None:
            self._exchange.client_gone()
        if self._tunnel is not None:
            self._tunnel.client_gone()
        self._transport.abort()

    def _lost(self) -> None:
        if self._exchange is not None:
            self._exchange.client_gone()
        if self._tunnel is not None:
            self._tunnel.client_gone()
        self._over()

    def _over(self) -> None:
        """Let go of everything."""
        self.state = State.CLOSED
        self._exchange = None
        self._tunnel = None
        self._unread = b""
        self._deadline.close()
        self._around.forget(self)
        for connection in self._pinned.values():
            connection.close()
        self._pinned.clear()

    def _full(self) -> None:
        if self._exchange is not None:
            self._exchange.client_full()
            self._watch_silence()
        if self._tunnel is not None:
            self._tunnel.client_full()

    def _writable(self) -> None:
        if self._exchange is not None:
            self._exchange.client_writable()
            self._watch_silence()
        if self._tunnel is not None:
            self._tunnel.client_writable()

    def _too_slow(self) -> None:
        self._transport.abort()

    def _shut(self) -> None:
        self._transport.close()

    def _drain_idle(self) -> None:
        if self._loop.time() - self._idle_since >= DRAIN_PATIENCE_S:
            self._close()
        else:
            self._deadline.set(DRAIN_PATIENCE_S)

    def _drain_tunnel(self) -> None:
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)

    # --- the table

    COLUMNS: ClassVar = (Event.EOF, Event.DEADLINE, Event.FULL, Event.WRITABLE, Event.DRAIN, Event.LOST)
    ROWS: ClassVar[Mapping[State, tuple[Callable[[ClientConnection], None], ...]]] = {
        State.IDLE:       (_close,   _idle_over,     _nothing, _advance,  _drain_idle,   _over),
        State.HEAD:       (_close,   _head_too_slow, _nothing, _advance,  _nothing,      _over),
        State.ADMITTING:  (_gone,    _nothing,       _nothing, _nothing,  _nothing,      _over),
        State.ANSWERING:  (_gone,    _silence,       _full,    _writable, _nothing,      _lost),
        State.DISCARDING: (_close,   _too_slow,      _nothing, _nothing,  _nothing,      _over),
        State.TUNNEL:     (_gone,    _nothing,       _full,    _writable, _drain_tunnel, _lost),
        State.LINGERING:  (_shut,    _linger_over,   _nothing, _nothing,  _nothing,      _over),
        State.CLOSED:     (_nothing, _nothing,       _nothing, _nothing,  _nothing,      _over),
    }  # fmt: skip
    ON_DATA: ClassVar[Mapping[State, Callable[[ClientConnection, bytes], None]]] = {
        State.IDLE: _read_request,
        State.HEAD: _read_request,
        State.ADMITTING: _keep_for_later,
        State.ANSWERING: _upload,
        State.DISCARDING: _discard,
        State.TUNNEL: _tunnel_data,
        State.LINGERING: _drop,
        State.CLOSED: _drop,
    }


TABLE: Mapping[State, Mapping[Event, Callable[[ClientConnection], None]]] = {
    state: dict(zip(ClientConnection.COLUMNS, row, strict=True)) for state, row in ClientConnection.ROWS.items()
}
"""What each event does in each state, besides bytes."""

ON_DATA = tuple(ClientConnection.ON_DATA[state] for state in State)
"""What bytes are in each state, by its number."""


def _peer_address(peername: object) -> str:
    """Return the IP address of a socket's other end; empty for a unix socket. IPv4 in IPv6 is IPv4."""
    if not isinstance(peername, tuple):
        return ""
    address = str(peername[0])
    mapped = address.removeprefix("::ffff:")
    return mapped if "." in mapped else address
