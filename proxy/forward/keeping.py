"""A request that goes nowhere now: its body is read whole and given to whoever keeps it.

For the client's connection this is an exchange like any other, but there is no upstream: what came is held, up to a
limit, until it is all there; then the answer is asked for. Anything but a whole body within the limits is refused by
the rules of every refusal: what is left of a short body is read for the sake of the connection, else it ends.

Held bodies are bounded for each request, for each person and for all connections together (law 12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.kept import NotKept
from proxy.forward.exchange import CLIENT_GONE, CONTINUE, STATUS_CLIENT_GONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.errors import SidegateError
    from proxy.forward.exchange import ClientSide
    from proxy.forward.surroundings import ReadHead, Surroundings
    from proxy.ports import KeepBody, Reply

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Bytes of all bodies that are being read so at once: 32 of the largest, and nobody keeps a form for long."""

MAX_HELD_BYTES_OF_ONE = 4 * 1024 * 1024
"""Bytes of those of one person: as many as wait for one. Who sends slowly on many connections keeps nobody else out."""


class BodyKept:
    """See the module."""

    def __init__(self, keeping: KeepBody, asked: ReadHead, *, client: ClientSide, around: Surroundings) -> None:
        """Hold nothing yet."""
        self.event = keeping.event
        self._keeping = keeping
        self._asked = asked
        self._client = client
        self._around = around
        # One growing buffer: a body that comes byte by byte must not cost an object for each.
        self._body = bytearray()
        self._is_over = False
        self._is_handed_over = False

    def start(self, pieces: list[bytes], *, is_complete: bool) -> None:
        """Begin with what has come of the body; ``is_complete`` says whether that is all."""
        if self._asked.frame.body.length > self._keeping.max_bytes:
            self._refuse(NotKept.TOO_LARGE)
            return
        if self._asked.frame.expects_continue and not pieces and not is_complete:
            self._client.write(CONTINUE)
        self.upload(pieces, is_complete=is_complete)
        if not self._is_over:
            # Much may have come while the gate asked; then the connection has stopped reading.
            self._client.release_upload()

    def upload(self, pieces: Sequence[bytes], *, is_complete: bool) -> None:
        """Hold more of the body."""
        if self._is_over:
            return
        size = sum(map(len, pieces))
        self.event.bytes_in += size
        if len(self._body) + size > self._keeping.max_bytes:
            self._refuse(NotKept.TOO_LARGE)
        elif not self._has_room(size):
            self._refuse(NotKept.FULL)
        else:
            self._count(size)
            for piece in pieces:
                self._body += piece
            if is_complete:
                self._is_handed_over = True
                _ = self._around.tasks.start(self._keep())

    def upload_failed(self, error: SidegateError) -> None:
        """The body is refused by the connection: too slow, malformed, larger than anything may be."""
        if not self._is_over:
            self._answer(self._around.gatekeeper.fault(error, self._asked.head, self.event))

    def client_gone(self, fault: str = CLIENT_GONE) -> None:
        """Nobody waits for the answer; what is being kept already is forgotten in its time."""
        if self._is_over:
            return
        self._end()
        self.event.fault, self.event.status = fault, STATUS_CLIENT_GONE
        self._around.gatekeeper.finished(self.event)

    def client_full(self) -> None:
        """Nothing is written before the answer."""

    def client_writable(self) -> None:
        """Nothing waits to be written."""

    async def _keep(self) -> None:
        try:
            reply = await self._keeping.keep(bytes(self._body))
        except Exception:
            # The outermost frame of this task: whoever reports the defect, the client must not wait for it.
            if not self._is_over:
                self._refuse(NotKept.FULL)
            raise
        finally:
            self._let_go()
        if not self._is_over:
            self._answer(reply)

    def _refuse(self, why: NotKept) -> None:
        self._answer(self._keeping.refuse(why))

    def _answer(self, reply: Reply) -> None:
        self._end()
        self._client.exchange_failed(reply)

    def _end(self) -> None:
        self._is_over = True
        if not self._is_handed_over:
            self._let_go()

    def _let_go(self) -> None:
        """Hold nothing any more; while it is being kept it counts, though its client be gone."""
        self._count(-len(self._body))
        self._body = bytearray()

    def _has_room(self, size: int) -> bool:
        around, of_one = self._around, self._around.held_of.get(self._keeping.owner, 0)
        return around.held_bytes + size <= MAX_HELD_BYTES and of_one + size <= MAX_HELD_BYTES_OF_ONE

    def _count(self, size: int) -> None:
        around, owner = self._around, self._keeping.owner
        around.held_bytes += size
        around.held_of[owner] = around.held_of.get(owner, 0) + size
        if not around.held_of[owner]:
            del around.held_of[owner]
