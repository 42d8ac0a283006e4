"""Heads and chunks as bytes: written, with framing of our own. Pure, as ``framing.py``, which reads them.

Nothing leaves here that would not be read as exactly what was meant: a name that is no token, a line break or control
byte anywhere is refused. Lines that were made and judged once may be kept and put together again.
"""

from __future__ import annotations

from http import HTTPStatus
from operator import itemgetter
from typing import TYPE_CHECKING, NoReturn

from proxy.errors import FramingRefused, UpstreamGarbled
from proxy.forward.framing import CRLF, FRAMING_FIELDS, LOWER, MAX_LEARNT_NAMES, NO_BODY, TEXT, Body, Delimiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.request import Headers
    from proxy.core.request_fields import HeadBlock, RequestFields


def serialise_request(method: bytes, target: bytes, headers: Headers, *, body: Body, upgrade: bytes | None) -> bytes:
    """Return a request head with framing of our own.

    Raises:
        FramingRefused: a method, target, name or value that would not be read as exactly this.
    """
    head = _head(_request_line(method, target), headers, _request_framing(body, upgrade))
    return head or _refuse("a line break or control byte in a field")


def _request_line(method: bytes, target: bytes) -> bytes:
    line = b"%b %b HTTP/1.1" % (method, target)
    if line.split() != [method, target, b"HTTP/1.1"]:
        _refuse("a space in method or target")
    return line


def _request_framing(body: Body, upgrade: bytes | None) -> bytes:
    lines = _framing_line(body)
    return lines if upgrade is None else lines + b"Connection: Upgrade\r\nUpgrade: " + upgrade + CRLF


def serialise_parts(fields: RequestFields, *, body: Body, upgrade: bytes | None) -> bytes:
    """Do as :func:`serialise_request` for fields in parts: lines that were made and judged once are made no more.

    Raises:
        FramingRefused
    """
    start = fields.of_head.lines
    if start is None:
        start = fields.of_head.lines = _head_lines(fields.of_head)
    person = fields.of_person.lines
    if person is None:
        person = fields.of_person.lines = _lines(fields.of_person.fields)
    ids = b"X-Request-ID: %b\r\ntraceparent: %b\r\n" % (fields.request_id, fields.traceparent)
    if len(ids.translate(None, TEXT)) != len(CRLF) * 2:
        _refuse("a line break or control byte in an id")
    if body is NO_BODY and upgrade is None:
        return b"%b%b%b\r\n" % (start, ids, person)
    return b"".join((start, ids, person, _request_framing(body, upgrade), CRLF))


def _head_lines(block: HeadBlock) -> bytes:
    return _request_line(block.method, block.target) + CRLF + _lines(block.fields)


def _lines(fields: Headers) -> bytes:
    return (_head(b"", fields, b"") or _refuse("a line break or control byte in a field"))[len(CRLF) : -len(CRLF)]


def serialise_answer(status: int, headers: Headers, *, framing: bytes, reason: bytes | None = None) -> bytes:
    """Return an answer's head; ``framing`` is the lines that :func:`answer_framing` made.

    Raises:
        UpstreamGarbled: a name or value that would not be read as exactly this.
    """
    line = b"HTTP/1.1 %d %b" % (status, reason_phrase(status) if reason is None else reason)
    try:
        head = _head(line, headers, framing)
    except FramingRefused as refused:
        raise UpstreamGarbled(f"the answer has {refused}") from refused
    if not head:
        raise UpstreamGarbled("the answer has a line break or control byte in a field")
    return head


def answer_framing(body: Body, *, declared_length: int | None, connection: bytes) -> bytes:
    """Return the framing lines of an answer; ``connection`` is ``close``, ``keep-alive`` or empty.

    A body until close has no line: the connection's end is the framing.
    """
    line = _framing_line(body)
    if declared_length is not None:
        line = b"Content-Length: %d\r\n" % declared_length
    return line + b"Connection: " + connection + CRLF if connection else line


_NAME = itemgetter(0)
_FIELD_LINE = b": ".join
_SENDABLE: set[bytes] = set()
"""Names as spelled that were found to be tokens and no framing fields; a bounded number."""


def _head(line: bytes, headers: Headers, framing: bytes) -> bytes:
    """Put a head together; empty when something in it is not what :func:`scan_head` would let pass.

    Args:
        framing: whole lines.

    Raises:
        FramingRefused: a name that is no token.
    """
    fields = headers if _SENDABLE.issuperset(map(_NAME, headers)) else _sendable(headers)
    head = CRLF.join((line, *map(_FIELD_LINE, fields), framing + CRLF))
    # No line begins with space, since names are tokens; so all that can be wrong is a control byte beside our own.
    line_ends = len(fields) + 2 + framing.count(CRLF)
    return head if len(head.translate(None, TEXT)) == line_ends * len(CRLF) else b""


def _sendable(headers: Headers) -> Sequence[tuple[bytes, bytes]]:
    """Take away framing fields, and learn which names are none."""
    try:
        fields = [field for field in headers if LOWER[field[0]] not in FRAMING_FIELDS]
    except ValueError as wrong:
        raise FramingRefused(f"a field that cannot be sent: {wrong}") from wrong
    if len(_SENDABLE) + len(fields) <= MAX_LEARNT_NAMES:
        _SENDABLE.update(map(_NAME, fields))
    return fields


def _framing_line(body: Body) -> bytes:
    if body.delimiter is Delimiter.LENGTH:
        return b"Content-Length: %d\r\n" % body.length
    return b"Transfer-Encoding: chunked\r\n" if body.delimiter is Delimiter.CHUNKED else b""


def _refuse(what: str) -> NoReturn:
    raise FramingRefused(f"the request would be forwarded with {what}")


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def reason_phrase(status: int) -> bytes:
    """Return the standard's phrase, empty for an unknown status (RFC 9112 §4 allows that)."""
    return _REASONS.get(status, b"")


LAST_CHUNK = b"0\r\n\r\n"


def encode_chunk(parts: Sequence[bytes]) -> list[bytes]:
    """Return one chunk around all of ``parts``, which hold at least one byte (RFC 9112 §7.1)."""
    return [b"%x\r\n" % sum(map(len, parts)), *parts, CRLF]
