"""Bodies piece by piece: where one ends and what is in it (RFC 9112 §6, §7.1). Pure: bytes in, pieces out.

Each decoder has ``feed(data, pieces)``: it appends the content in ``data`` to ``pieces``, never an empty piece, and
returns the bytes behind the body's end; ``is_complete`` says whether the end was there. A decoder is fed no more after
that.

The chunked decoder is our own because llhttp tells neither where in the bytes a message ended nor limits what stands
between the chunks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from proxy.forward.framing import Body, Delimiter

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHUNK_LINE = 256
"""Bytes of a chunk's size and extension: extensions are dropped and nobody sends them (h2o 256, Go 4096)."""

MAX_OVERHEAD = 16 * 1024
"""Bytes of all extensions of one body (Go's net/http: 16 KiB)."""

MAX_TRAILER = 8 * 1024
"""Bytes of the trailer section; it is read and dropped."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class BodyMalformed(ValueError):
    """The body breaks its own framing; the message says where."""


class BodyDecoder(Protocol):
    """See the module."""

    is_complete: bool

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Take ``data``; returns what is left behind the end.

        Raises:
            BodyMalformed
        """


class NoBody:
    """Complete before it begins."""

    __slots__ = ("is_complete",)

    def __init__(self) -> None:
        self.is_complete = True

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:  # noqa: ARG002  the signature of all decoders
        return data


class LengthBody:
    """``length`` bytes."""

    __slots__ = ("is_complete", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.is_complete = length == 0

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        size = len(data)
        if size < self.left:
            self.left -= size
            if data:
                pieces.append(data)
            return b""
        piece, rest = (data, b"") if size == self.left else (data[: self.left], data[self.left :])
        if piece:
            pieces.append(piece)
        self.left = 0
        self.is_complete = True
        return rest


class CloseBody:
    """Until the connection ends; whoever holds the connection says so."""

    __slots__ = ("is_complete",)

    def __init__(self) -> None:
        self.is_complete = False

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        if data:
            pieces.append(data)
        return b""


class ChunkedBody:
    """Chunks, strictly: no space around the size, CRLF everywhere, limits on all that is not content."""

    __slots__ = ("_held", "_left", "_overhead", "_pieces", "_step", "_trailer", "is_complete")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0
        self._pieces: list[bytes] = []
        self._overhead = 0
        self._trailer = 0
        self._step: Callable[[bytes, int], int] = self._size
        self.is_complete = False

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes:
        self._pieces = pieces
        if self._held:
            data = self._held + data
            self._held = b""
        position = 0
        while not self.is_complete:
            following = self._step(data, position)
            if following < 0:
                self._held = data[position:]
                return b""
            position = following
        return data[position:]

    # Each step returns the position behind what it took, or -1 when it needs more bytes.

    def _size(self, data: bytes, position: int) -> int:
        line, following = self._line(data, position, MAX_CHUNK_LINE)
        if following < 0:
            return -1
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise BodyMalformed("a chunk size that is no hexadecimal number")
        self._overhead += len(found[2] or b"")
        if self._overhead > MAX_OVERHEAD:
            raise BodyMalformed("too many chunk extensions")
        self._left = int(found[1], 16)
        self._step = self._content if self._left else self._trailer_line
        return following

    def _content(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._left] if position or len(data) > self._left else data
        if not piece:
            return -1
        self._pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._content_end
        return position + len(piece)

    def _content_end(self, data: bytes, position: int) -> int:
        end = data[position : position + 2]
        if not b"\r\n".startswith(end):
            raise BodyMalformed("a chunk that is longer than its size")
        if len(end) < 2:
            return -1
        self._step = self._size
        return position + 2

    def _trailer_line(self, data: bytes, position: int) -> int:
        line, following = self._line(data, position, MAX_TRAILER)
        if following < 0:
            return -1
        self._trailer += len(line) + 2
        if self._trailer > MAX_TRAILER:
            raise BodyMalformed("too large a trailer section")
        if not line:
            self.is_complete = True
        elif not _TRAILER_LINE.fullmatch(line):
            raise BodyMalformed("a trailer that is no field")
        return following

    @staticmethod
    def _line(data: bytes, position: int, limit: int) -> tuple[bytes, int]:
        """Return the line at ``position`` and where the next begins, -1 when its end is not there yet."""
        end = data.find(b"\n", position, position + limit + 2)
        if end < 0:
            if len(data) - position > limit:
                raise BodyMalformed("too long a line between chunks")
            if b"\r" in data[position:-1]:
                raise BodyMalformed("a bare CR between chunks")
            return b"", -1
        if data[end - 1 : end] != b"\r" or end == position:
            raise BodyMalformed("a bare LF between chunks")
        return data[position : end - 1], end + 1


_NO_BODY = NoBody()
"""It takes nothing, so one serves all."""


def decoder_for(body: Body) -> BodyDecoder:
    """Return a fresh decoder for a body framed so."""
    match body.delimiter:
        case Delimiter.NONE:
            return _NO_BODY
        case Delimiter.LENGTH:
            return LengthBody(body.length)
        case Delimiter.CHUNKED:
            return ChunkedBody()
        case _:
            return CloseBody()
