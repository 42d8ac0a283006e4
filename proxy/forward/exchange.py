"""One request and its answer: holds the client's side and the upstream's together, and lets go of both.

An exchange is made of what the gate admitted and nothing else: :class:`Forwarded` wants a ``Forward`` with its
``Allow`` (law 1), :class:`OwnPageShown` an ``OwnPage``. All that a callback may touch belongs to this one exchange;
once it is over, every callback finds it so and does nothing (law 4). The end of each is told once.

::

    held --connection--> sent --final head--> answering --whole--> over
      |                   |                       |
      +---- fault --------+--> answered by us     +--> the client's connection is cut, never completed
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from proxy.core.policy import Allow
from proxy.core.request_fields import RequestFields
from proxy.errors import (
    FramingRefused,
    SidegateError,
    StreamsFull,
    UpstreamFault,
    UpstreamGarbled,
    UpstreamUnreachable,
)
from proxy.forward.framing import (
    CHUNKED,
    CRLF,
    NO_BODY,
    UNTIL_CLOSE,
    AnswerFrame,
    Body,
    Delimiter,
    has_field,
)
from proxy.forward.websocket import Tunnel
from proxy.forward.writing import (
    LAST_CHUNK,
    answer_framing,
    encode_chunk,
    serialise_answer,
    serialise_parts,
    serialise_request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.request import Headers
    from proxy.core.session import SessionKey
    from proxy.forward.origin import Origin
    from proxy.forward.surroundings import ReadHead, Surroundings
    from proxy.forward.upstream import UpstreamConnection
    from proxy.ports import Forward, OwnPage, Reply, SendKept

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""RFC 9110 §9.2.2, without TRACE, which is never forwarded."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

CLIENT_GONE = "client_gone"
STATUS_CLIENT_GONE = 499
"""nginx's number in logs for a client that did not wait; nobody is sent it."""


class Plan(Protocol):
    """What is done to an answer's head."""

    def apply(self, status: int, headers: Headers) -> Headers:
        """Return the fields to send."""


class _OwnPagePlan:
    """Our own pages name no server (contract §4: no server version)."""

    def apply(self, status: int, headers: Headers) -> Headers:  # noqa: ARG002  the signature of all plans
        return tuple(field for field in headers if field[0].lower() != b"server")


_OWN_PAGE_PLAN = _OwnPagePlan()


class ClientSide(Protocol):
    """The client's connection, as an exchange sees it."""

    @property
    def is_full(self) -> bool:
        """Say whether too much waits to be written."""

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""

    def hold_upload(self) -> None:
        """Read no more of the client for now."""

    def release_upload(self) -> None:
        """Read on."""

    def exchange_over(self, *, keep: bool) -> None:
        """The answer is written whole; ``keep`` says whether another request may come."""

    def exchange_failed(self, reply: Reply) -> None:
        """Answer with ``reply``, and tell its end; nothing of an answer was sent."""

    def cut(self) -> None:
        """End the connection so that nobody takes the answer for whole."""

    def switch(self, tunnel: Tunnel) -> None:
        """Give all further bytes to the tunnel."""

    def tunnel_over(self) -> None:
        """End the connection after what is written."""

    def pinned(self, origin: Origin) -> UpstreamConnection | None:
        """Return the idle upstream connection that belongs to this client alone; it is lent until :meth:`pin`."""

    def pin(self, origin: Origin, connection: UpstreamConnection) -> None:
        """Keep an upstream connection for this client alone."""


class Exchange:
    """See the module."""

    # How each begins; what an ordinary exchange does not touch, it need not set.
    _upgrade: bytes | None = None
    _sent_at = 0.0
    _connection: UpstreamConnection | None = None
    _dialing: asyncio.Task[None] | None = None
    _continue_timer: asyncio.TimerHandle | None = None
    _upload_is_complete = False
    _body_was_sent = _was_written = False
    _is_reused = _was_retried = _is_pinned = False
    _answer: AnswerFrame | None = None
    _out: Sequence[bytes] = ()
    _pieces: Sequence[bytes] = ()
    _answer_was_sent = _is_chunked = _is_kept = False
    _is_over = False
    _origin: Origin
    _plan: Plan
    _head: bytes
    _held: list[bytes]

    def __init__(
        self, admission: Forward | OwnPage, asked: ReadHead, *, client: ClientSide, around: Surroundings
    ) -> None:
        """Prepare what both kinds have in common; sends nothing. Each kind adds its ``_origin`` and ``_plan``."""
        self.event = admission.event
        self._admission = admission
        self._asked = asked
        self._client = client
        self._around = around

    # --- for the client's connection

    @property
    def waits_for_client(self) -> bool:
        """Say whether more of the request's body must come."""
        return not self._upload_is_complete

    def start(self, pieces: list[bytes], *, is_complete: bool) -> None:
        """Send the request on, with what has come of its body; ``is_complete`` says whether that is all."""
        if pieces:
            self.event.bytes_in += sum(map(len, pieces))
        self._held = pieces
        self._upload_is_complete = is_complete
        try:
            self._head = self._serialised()
            self._register()
        except (FramingRefused, StreamsFull) as refused:
            self._fault(refused)
            return
        if self._asked.frame.expects_continue and not pieces and not is_complete:
            self._arrange_continue()
        self._use_idle_or_dial()

    def upload(self, pieces: list[bytes], *, is_complete: bool) -> None:
        """Pass on more of the request's body."""
        if self._is_over:
            return
        self.event.bytes_in += sum(map(len, pieces))
        self._upload_is_complete = is_complete
        if self._connection is None:
            self._held += pieces
            return
        self._body_was_sent = self._body_was_sent or bool(pieces)
        self._connection.write(b"".join(self._encoded(pieces)))

    def upload_failed(self, error: SidegateError) -> None:
        """The client's body is refused: answer so when nothing was answered, else cut."""
        if not self._is_over:
            self._fault(error)

    def client_full(self) -> None:
        """The client reads too slowly: read less of the upstream."""
        if self._connection is not None:
            self._connection.pause_reading()

    def client_writable(self) -> None:
        """The client has caught up."""
        if self._connection is not None:
            self._connection.resume_reading()

    def client_gone(self, fault: str = CLIENT_GONE) -> None:
        """The client is away: end the upstream's request at once."""
        if self._is_over:
            return
        self.event.fault = fault
        if not self._answer_was_sent:
            self.event.status = STATUS_CLIENT_GONE
        self._release()
        self._tell_end()

    def end(self, fault: SidegateError) -> None:
        """The session of this answer may have it no longer; see ``ports.OpenStream``."""
        self._fault(fault)

    # --- sending

    def _serialised(self) -> bytes:
        body, admission = self._asked.frame.body, self._admission
        headers = admission.headers
        if isinstance(headers, RequestFields):
            return serialise_parts(headers, body=body, upgrade=self._upgrade)
        return serialise_request(admission.method, admission.target, headers, body=body, upgrade=self._upgrade)

    def _encoded(self, pieces: list[bytes]) -> list[bytes]:
        if self._asked.frame.body.delimiter is not Delimiter.CHUNKED:
            return pieces
        parts = encode_chunk(pieces) if pieces else []
        if self._upload_is_complete:
            parts.append(LAST_CHUNK)
        return parts

    def _use_idle_or_dial(self) -> None:
        connection = self._client.pinned(self._origin)
        self._is_pinned = connection is not None
        connection = connection or self._origin.take()
        if connection is None:
            self._dial()
        else:
            self._is_reused = True
            self._use(connection)

    def _dial(self) -> None:
        self._client.hold_upload()
        self._is_reused = False
        self._dialing = self._around.tasks.start(self._connect())

    async def _connect(self) -> None:
        try:
            connection = await self._origin.open()
        except SidegateError as fault:
            self._dialing = None
            self._fault(fault)
            return
        except Exception:
            # The outermost frame of this task: whoever reports the defect, the client must not wait for it.
            self._dialing = None
            self._fault(UpstreamUnreachable("no connection to the upstream, because of a defect"))
            raise
        self._dialing = None
        if self._is_over:
            connection.close()
        elif not connection.is_usable:
            self._fault(UpstreamUnreachable("the upstream closed the connection at once"))
        else:
            self._use(connection)

    def _use(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.begin(self, asked=self._admission.method, response_timeout_s=self._origin.options.response_timeout_s)
        self._was_written = True
        self._sent_at = self._around.clock.monotonic()
        if self._asked.frame.body is NO_BODY:
            connection.write(self._head)
        else:
            self._write_with_body(connection)
        if self._client.is_full:
            connection.pause_reading()

    def _write_with_body(self, connection: UpstreamConnection) -> None:
        pieces, self._held = self._held, []
        self._body_was_sent = bool(pieces)
        connection.write(b"".join((self._head, *self._encoded(pieces))))
        if not connection.is_full:
            self._client.release_upload()

    def _arrange_continue(self) -> None:
        """Let the app say 100 when the field goes on to it; say it ourselves when it does not or is silent.

        Source: RFC 9110 §10.1.1; old servers ignore the expectation, and some clients wait for ever.
        """
        if has_field(self._admission.headers, b"expect"):
            delay_s = self._around.options.continue_after_s
            self._continue_timer = asyncio.get_running_loop().call_later(delay_s, self._say_continue)
        else:
            self._say_continue()

    def _say_continue(self) -> None:
        self._stop_continue_timer()
        if (
            not self._is_over
            and self._answer is None
            and self._asked.frame.expects_continue
            and not self.event.bytes_in
        ):
            self._client.write(CONTINUE)

    def _stop_continue_timer(self) -> None:
        if self._continue_timer is not None:
            self._continue_timer.cancel()
            self._continue_timer = None

    # --- the answer, as the upstream's connection tells it

    def answer_interim(self, frame: AnswerFrame) -> None:
        if frame.status == 100:
            if self._continue_timer is not None:
                self._say_continue()
        elif self._asked.frame.version == b"1.1":
            self._client.write(self._head_for_client(frame, framing=b"") + self._id_line + CRLF)

    def answer_whole(self, frame: AnswerFrame, body: bytes) -> None:
        head = frame.recall(self._plan) if self._is_ordinary() else None
        if head is None:
            self._answer_whole_anew(frame, body)
            return
        event = self.event
        event.upstream_s = self._around.clock.monotonic() - self._sent_at
        event.status = frame.status
        event.bytes_out = len(body)
        self._client.write(b"%bX-Request-ID: %b\r\n\r\n%b" % (head, event.request_id.encode(), body))
        connection, self._connection = self._connection, None
        if connection is not None:
            self._origin.give_back(connection)
        self._is_over = True
        self._unregister()
        self._tell_end()
        self._client.exchange_over(keep=True)

    def _answer_whole_anew(self, frame: AnswerFrame, body: bytes) -> None:
        try:
            self.answer_head(frame)
        except UpstreamGarbled as garbled:
            self._fault(garbled)
            return
        if body:
            self.answer_body([body])
        self.answer_complete()

    def _is_ordinary(self) -> bool:
        """Say whether the answer's head may be the one that was made for another ordinary request."""
        return self._asked.frame.is_ordinary and not self._is_pinned and not self._around.is_draining

    @property
    def _id_line(self) -> bytes:
        return b"X-Request-ID: %b\r\n" % self.event.request_id.encode()

    def answer_head(self, frame: AnswerFrame) -> None:
        self._stop_continue_timer()
        self.event.upstream_s = self._around.clock.monotonic() - self._sent_at
        if frame.status == 101:
            self._switch(frame)
            return
        body = self._body_for_client(frame.body)
        self._is_kept = self._may_be_kept(frame) and body is not UNTIL_CLOSE
        framing = answer_framing(body, declared_length=frame.declared_length, connection=self._connection_option())
        head = self._head_for_client(frame, framing=framing)
        if frame.may_be_kept and self._is_kept and self._is_ordinary():
            frame.written = self._plan, head
        self._out = head, self._id_line, CRLF
        self._answer = frame
        self._is_chunked = body is CHUNKED
        self.event.status = frame.status

    def _head_for_client(self, frame: AnswerFrame, *, framing: bytes) -> bytes:
        """Return the lines that follow from the answer and the plan alone."""
        headers = self._plan.apply(frame.status, frame.headers)
        if not frame.is_dated and frame.status >= 200:
            headers = (*headers, (b"Date", self._around.date()))
        return serialise_answer(frame.status, headers, framing=framing, reason=frame.reason)[: -len(CRLF)]

    def answer_body(self, pieces: list[bytes]) -> None:
        self.event.bytes_out += sum(map(len, pieces))
        self._pieces = [*self._pieces, *pieces]

    def answer_flush(self) -> None:
        if self._pieces:
            self._out = [*self._out, *(encode_chunk(self._pieces) if self._is_chunked else self._pieces)]
            self._pieces = ()
        if self._out:
            self._answer_was_sent = True
            out, self._out = self._out, ()
            self._client.write(b"".join(out))

    def answer_complete(self) -> None:
        self._flush_last()
        self._settle_connection()
        self._release()
        self._tell_end()
        self._client.exchange_over(keep=self._is_kept)

    def _flush_last(self) -> None:
        """Write what is left, and the end of the body."""
        if self._is_chunked:
            chunk = encode_chunk(self._pieces) if self._pieces else []
            self._out = [*self._out, *chunk, LAST_CHUNK]
            self._pieces = ()
        self.answer_flush()

    def answer_failed(self, fault: UpstreamFault) -> None:
        self._connection = None
        if self._is_over:
            return
        if isinstance(fault, UpstreamUnreachable) and self._may_retry():
            self._was_retried = True
            self._dial()
        else:
            self._fault(fault)

    def upstream_full(self) -> None:
        self._client.hold_upload()

    def upstream_writable(self) -> None:
        self._client.release_upload()

    def _may_retry(self) -> bool:
        """Once, for a connection that died idle: nothing of a body is gone, and doing it twice is doing it once."""
        if self._was_retried or not self._is_reused or self._body_was_sent:
            return False
        return not self._was_written or self._admission.method in _IDEMPOTENT

    def _body_for_client(self, body: Body) -> Body:
        if body.delimiter is Delimiter.CHUNKED or body.delimiter is Delimiter.CLOSE:
            return CHUNKED if self._asked.frame.version == b"1.1" else UNTIL_CLOSE
        return body

    def _may_be_kept(self, frame: AnswerFrame) -> bool:  # noqa: ARG002  own pages look at it
        return self._asked.frame.is_persistent and self._upload_is_complete and not self._around.is_draining

    def _connection_option(self) -> bytes:
        if not self._is_kept:
            return b"close"
        return b"keep-alive" if self._asked.frame.version == b"1.0" else b""

    def _switch(self, frame: AnswerFrame) -> None:
        """Turn into a tunnel (RFC 9110 §7.8, RFC 6455 §4.1): only to what was asked for.

        Raises:
            UpstreamGarbled: nobody asked for this.
        """
        connection = self._connection
        if self._upgrade is None or frame.upgrade != self._upgrade or connection is None:
            raise UpstreamGarbled("the upstream switched to a protocol that nobody asked for")
        framing = b"Connection: Upgrade\r\nUpgrade: " + self._upgrade + b"\r\n"
        head = self._head_for_client(frame, framing=framing) + self._id_line + CRLF
        tunnel = Tunnel(self._client, connection, event=self.event, told_end=self._tell_end)
        try:
            self._register_instead(tunnel)
        except StreamsFull as full:
            self._fault(full)
            return
        self.event.status = 101
        self._connection = None
        self._release()
        self._client.write(head)
        connection.hand_over(tunnel)
        self._client.switch(tunnel)

    # --- streams of sessions

    def _register(self) -> None:
        """Nobody's stream; who has a session says more."""

    def _register_instead(self, tunnel: Tunnel) -> None:
        """Nobody's tunnel."""

    def _unregister(self) -> None:
        """Undo :meth:`_register`, if it was done."""

    # --- ends

    def _settle_connection(self) -> None:
        """Give the connection to whoever may use it next, or end it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not connection.is_persistent or not self._upload_is_complete:
            connection.abort()
        elif self._is_pinned or self._pins():
            self._client.pin(self._origin, connection)
        else:
            self._origin.give_back(connection)

    def _pins(self) -> bool:
        """NTLM and Negotiate sign in the connection, not the request (RFC 4559 §6): nobody else may have it."""
        return self._asked.frame.pins_connection or (self._answer is not None and self._answer.pins_connection)

    def _fault(self, error: SidegateError) -> None:
        """Answer an error when nothing was answered yet; else cut the client off within the answer."""
        if self._is_over:
            return
        self._release()
        if self._answer_was_sent:
            self.event.fault = error.reason
            self._tell_end()
            self._client.cut()
        else:
            self._client.exchange_failed(self._around.gatekeeper.fault(error, self._asked.head, self.event))

    def _release(self) -> None:
        """Be over: nothing that comes later finds anything to touch."""
        self._is_over = True
        self._out = self._pieces = ()
        self._stop_continue_timer()
        self._unregister()
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _tell_end(self) -> None:
        self._around.gatekeeper.finished(self.event)


class Forwarded(Exchange):
    """A request that the policy allowed, at its upstream."""

    _registered_as: SessionKey | None = None

    def __init__(self, forward: Forward, asked: ReadHead, *, client: ClientSide, around: Surroundings) -> None:
        """Prepare it.

        Raises:
            TypeError: without an ``Allow`` nothing is forwarded (law 1).
        """
        if not isinstance(forward.allow, Allow):
            raise TypeError("nothing is forwarded without an Allow")
        super().__init__(forward, asked, client=client, around=around)
        self._origin = around.origins[forward.upstream]
        self._plan = forward.answer
        self.admitted = forward
        if forward.upgrade and asked.frame.version == b"1.1" and asked.frame.body is NO_BODY:
            self._upgrade = forward.upgrade

    @property
    def began_at(self) -> float:
        """As in ``ports.OpenStream``."""
        return self.event.started_at

    def _register(self) -> None:
        """Let the session's end, or that of its right, close this answer.

        Raises:
            StreamsFull: an answer that nobody could close is not begun.
        """
        allow = self.admitted.allow
        if allow.session is not None:
            self._around.live.opened(self, allow.session.key)
            self._registered_as = allow.session.key
        elif allow.bearer is not None:
            self._around.live.opened_by_bearer(self, allow.bearer)
            self._registered_as = allow.bearer.key

    def _register_instead(self, tunnel: Tunnel) -> None:
        """Let them close the tunnel from now on, in the place that was ours.

        Raises:
            StreamsFull: the place is lost; a tunnel that nobody could close is not opened.
        """
        key = self._registered_as
        self._unregister()
        if key is not None:
            tunnel.takes_place_of(self, self._around.live, key)

    def _unregister(self) -> None:
        key, self._registered_as = self._registered_as, None
        if key is not None:
            self._around.live.over(self, key)


class KeptSent(Forwarded):
    """A form that was kept over a login, sent on in the place of the request that came after it.

    Never over a connection that was idle: it may be dead, a POST is not tried twice, and this one is nowhere else any
    more. What could not be sent at all is given back.
    """

    def __init__(self, kept: SendKept, asked: ReadHead, *, client: ClientSide, around: Surroundings) -> None:
        """Prepare it; ``asked`` has the framing of what is sent."""
        super().__init__(kept.forward, asked, client=client, around=around)
        self._give_back = kept.give_back

    def _use_idle_or_dial(self) -> None:
        connection = self._client.pinned(self._origin)
        if connection is None:
            self._dial()
        else:
            self._is_pinned = True
            self._use(connection)

    def _release(self) -> None:
        if not (self._was_written or self._is_over):
            _ = self._around.tasks.start(self._give_back())
        super()._release()


class OwnPageShown(Exchange):
    """A request to Sidegate itself, at its own application."""

    _id_line = b""
    """They say their id themselves."""

    def __init__(self, page: OwnPage, asked: ReadHead, *, client: ClientSide, around: Surroundings) -> None:
        """Prepare it."""
        super().__init__(page, asked, client=client, around=around)
        self._origin = around.own_pages[page.site]
        self._plan = _OWN_PAGE_PLAN

    def _is_ordinary(self) -> bool:
        """Each of their answers is one visitor's."""
        return False

    def _may_be_kept(self, frame: AnswerFrame) -> bool:
        """Their ``Connection: close`` is meant for the client (OIDC Back-Channel Logout answers)."""
        return frame.is_persistent and super()._may_be_kept(frame)
