"""The fields of a request for an upstream, apart by what they follow from.

What follows from the head alone is the same for equal heads, and what is of a person is the same for all requests of a
session. Whoever writes such a :class:`Block` to the wire may keep the lines with it, judged once; what is of one
request is judged each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.request import Headers


class Block:
    """Fields that stay as they are, and their lines once somebody wrote them; nobody changes the fields.

    Attributes:
        lines: whole lines, each with its CRLF; None until they are asked for.
    """

    __slots__ = ("fields", "lines")

    def __init__(self, fields: Headers) -> None:
        """Begin without lines."""
        self.fields = fields
        self.lines: bytes | None = None


class HeadBlock(Block):
    """Method, target and the fields that follow from the client's head; the request line is the first of the lines."""

    __slots__ = ("method", "target")

    def __init__(self, method: bytes, target: bytes, fields: Headers) -> None:
        """Begin without lines."""
        super().__init__(fields)
        self.method = method
        self.target = target


class RequestFields:
    """All end-to-end fields of one request, in the order in which they are sent.

    Attributes:
        of_head: Host, the client's own, what is said of the way; not changed by who asks.
        request_id, traceparent: of this request.
        of_person: who asks.
    """

    __slots__ = ("of_head", "of_person", "request_id", "traceparent")

    def __init__(self, of_head: HeadBlock, request_id: bytes, traceparent: bytes, of_person: Block) -> None:
        """Put them together."""
        self.of_head = of_head
        self.request_id = request_id
        self.traceparent = traceparent
        self.of_person = of_person

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every field."""
        yield from self.of_head.fields
        yield b"X-Request-ID", self.request_id
        yield b"traceparent", self.traceparent
        yield from self.of_person.fields
