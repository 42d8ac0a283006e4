"""Heads as bytes: parsed and judged. Pure: bytes in, values out; no socket, no clock, no state.

A head is judged twice. Our own scan refuses what parsers disagree about (bare CR or LF, control bytes, folded lines,
spaces around names) and keeps the limits that llhttp lacks; then llhttp (httptools) parses it. Framing fields are read
here into a :class:`Body` and written anew (``writing.py``); they are never copied (RFC 9112 §6.3, §11.2).

Two things llhttp refuses are lawful: a method it has not heard of (RFC 9110 §9.1) and bytes above 127 in a target,
which the law of the target judges. It is shown a stand-in for these, and the true bytes are kept.

Most heads are plain: one pattern, narrower than both judges, says so, and they need not be asked. Whatever it does not
match is judged twice as above; a plain head is read as they would read it, which the tests hold against each other.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import httptools
from msgspec import Struct

from proxy.errors import (
    FramingRefused,
    HeadTooLarge,
    MethodRefused,
    RequestRefused,
    TargetRefused,
    TargetTooLong,
    UpstreamGarbled,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.request import Headers
    from proxy.forward.options import HeadLimits

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"

# Everything that may stand in a head besides CRLF: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5).
TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
# Lines that begin with something visible and end with CRLF, then an empty one: nothing folded, nothing bare.
_WHOLE_HEAD = re.compile(rb"(?:[!-~\x80-\xff][\t -~\x80-\xff]*+\r\n)++\r\n").fullmatch
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MAX_LENGTH_DIGITS = 15
_ABOVE_ASCII_TO_LETTER = bytes([*range(0x80), *([ord("x")] * 0x80)])

# Heads that nobody reads in two ways: words of ASCII, one space behind each colon, no value empty, none with space at
# its ends; no interim answer, which llhttp reads in its own way. Narrower than the scan and llhttp together, so that
# what matches passes both.
_PLAIN_FIELDS = rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++: [!-~](?:[\t -~]*+(?<![\t ]))?\r\n)++)\r\n"
_PLAIN_REQUEST = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (/[0-9A-Za-z\-._~!$&'()*+,;=:@%/?]*+) HTTP/(1\.[01])\r\n"
    + _PLAIN_FIELDS
).fullmatch
_PLAIN_ANSWER = re.compile(
    rb"HTTP/(1\.[01]) ([2-5][0-9][0-9]) ([A-Za-z][A-Za-z \-']*+)(?<! )\r\n" + _PLAIN_FIELDS
).fullmatch
_FIELDS_OF_PLAIN = re.compile(rb"([^:]++): ([^\r]++)\r\n").findall

FRAMING_FIELDS = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields of one connection only (RFC 9110 §7.6.1, RFC 9112 §6): read here, never passed on as they came."""

_READ_IN_REQUESTS = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"authorization"}
)
_READ_IN_ANSWERS = FRAMING_FIELDS | {b"www-authenticate", b"date"}
MAX_LEARNT_NAMES = 4096
_VERSIONS = {b"HTTP/1.1": b"1.1", b"HTTP/1.0": b"1.0"}
_NEVER_FORWARDED = frozenset({b"CONNECT", b"PRI", b"TRACE"})
"""PRI begins HTTP/2 (RFC 9113 §11.6): some servers change protocol at its sight."""
_KNOWN_TO_LLHTTP = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"})
_CONNECTION_AUTHENTICATION = (b"ntlm", b"nego")


class Delimiter(IntEnum):
    """How the end of a body is found (RFC 9112 §6.3)."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3


class Body(NamedTuple):
    """The framing of one body; ``length`` in bytes, of LENGTH only."""

    delimiter: Delimiter
    length: int = 0


NO_BODY = Body(Delimiter.NONE)
CHUNKED = Body(Delimiter.CHUNKED)
UNTIL_CLOSE = Body(Delimiter.CLOSE)


class RequestFrame(Struct):
    """A request head that can be read in one way only.

    Attributes:
        headers: as on the wire, surrounding space taken away.
        is_persistent: the client wants to go on after the answer (RFC 9112 §9.3).
        expects_continue: it waits for a 100 before it sends the body (RFC 9110 §10.1.1).
        pins_connection: NTLM or Negotiate was sent: the upstream connection carries a login from now on.
        is_ordinary: HTTP/1.1, whole without a body, kept, and nothing of the above: what nearly all requests are.
    """

    method: bytes
    target: bytes
    headers: Headers
    version: bytes
    body: Body
    is_persistent: bool
    expects_continue: bool
    pins_connection: bool
    is_ordinary: bool


class AnswerFrame(Struct):
    """An answer's head, hop-by-hop fields taken away.

    Attributes:
        declared_length: Content-Length of an answer that has no body because of HEAD or 304; else None.
        is_persistent: the upstream keeps the connection.
        keep_alive_s: for how long, when it said so (``Keep-Alive: timeout=5``); else None.
        upgrade: value of Upgrade in lower case when Connection names it; else None.
        is_dated: it has a Date (RFC 9110 §6.6.1 wants one in each answer).
        may_be_kept: nothing of it is of one moment or one connection, so that the head made of it serves again.
        written: the head that was last made of it for a client, and what it was made by; see :meth:`recall`.
    """

    status: int
    reason: bytes
    headers: Headers
    body: Body
    declared_length: int | None
    is_persistent: bool
    keep_alive_s: float | None
    upgrade: bytes | None
    pins_connection: bool
    is_dated: bool
    may_be_kept: bool
    written: tuple[object, bytes] | None = None

    def recall(self, plan: object) -> bytes | None:
        """Return the head that this very plan made for an ordinary request, or None."""
        written = self.written
        return written[1] if written is not None and written[0] is plan else None


class _LowerCase(dict[bytes, bytes]):
    """Field name as spelled -> lower case, for names that are tokens (RFC 9110 §5.1); learns a bounded number."""

    def __missing__(self, name: bytes) -> bytes:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no field name")
        lower = name.lower()
        if len(self) < MAX_LEARNT_NAMES:
            self[name] = lower
        return lower


LOWER = _LowerCase()


class _Read(dict[bytes, bytes | None]):
    """Field name as spelled -> lower case when it is one of ``names``, else None; learns a bounded number.

    Raises:
        ValueError: a name that is no token.
    """

    __slots__ = ("_names",)

    def __init__(self, names: frozenset[bytes]) -> None:
        self._names = names

    def __missing__(self, name: bytes) -> bytes | None:
        lower = LOWER[name]
        read = lower if lower in self._names else None
        if len(self) < MAX_LEARNT_NAMES:
            self[name] = read
        return read


_OF_REQUESTS = _Read(_READ_IN_REQUESTS)
_OF_ANSWERS = _Read(_READ_IN_ANSWERS)


# --- the scan --------------------------------------------------------------------------------------------------------


def scan_head(head: bytes) -> str | None:
    """Name what two parsers could read differently in a head that ends with an empty line; None when nothing."""
    if _WHOLE_HEAD(head) is None:
        return "a control byte, a bare CR or LF, or a line that begins with space"
    return None


def scan_part(part: bytes) -> str | None:
    """Do the same for a head that is not complete: no need to wait for the rest of what is wrong already."""
    if part and not _TOKEN.match(part):
        return "something else than a word for its beginning"
    whole = part.removesuffix(b"\r")
    if whole.translate(None, TEXT) != CRLF * whole.count(CRLF):
        return "a control byte, a bare CR or a bare LF"
    return None


def _is_small(head: bytes, limits: HeadLimits) -> bool:
    """Say whether no line of the head can be too long, nor the head; False when in doubt."""
    size = len(head)
    return size <= limits.line_bytes and size <= limits.head_bytes


def _check_size(head: bytes, limits: HeadLimits) -> None:
    """Raise TargetTooLong or HeadTooLarge; ``head`` may be incomplete."""
    if len(head) > limits.line_bytes:
        lines = head.split(CRLF)
        if len(lines[0]) > limits.line_bytes:
            raise TargetTooLong(f"the request line is longer than {limits.line_bytes} bytes")
        if max(map(len, lines)) > limits.line_bytes:
            raise HeadTooLarge(f"a header field is longer than {limits.line_bytes} bytes")
    if len(head) > limits.head_bytes:
        raise HeadTooLarge(f"the head is longer than {limits.head_bytes} bytes")
    if head.count(CRLF) - 2 > limits.fields:
        raise HeadTooLarge(f"there are more than {limits.fields} header fields")


def cut_request_head(received: bytes, limits: HeadLimits, *, scanned: int = 0) -> int:
    """Return where the first head in ``received`` ends, or 0 when it is not complete.

    Args:
        scanned: bytes that an earlier call has looked at.

    Raises:
        TargetTooLong, HeadTooLarge: it is or will be over a limit.
        FramingRefused: it cannot become a head any more.
    """
    end = received.find(HEAD_END, max(0, scanned - len(HEAD_END)))
    if end >= 0:
        return end + len(HEAD_END)
    _check_size(received, limits)
    if wrong := scan_part(received):
        raise FramingRefused(f"the request head has {wrong}")
    return 0


def cut_answer_head(received: bytes, limits: HeadLimits, *, scanned: int = 0) -> int:
    """Do as :func:`cut_request_head` for an answer.

    Raises:
        UpstreamGarbled
    """
    try:
        return cut_request_head(received, limits, scanned=scanned)
    except RequestRefused as refused:
        raise UpstreamGarbled(f"the upstream's answer is no head: {refused}") from refused


# --- requests --------------------------------------------------------------------------------------------------------


class _Fields:
    """What llhttp found: a fresh one for each head, so that no head can leave anything to the next."""

    __slots__ = ("found", "reason")

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []
        self.reason = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name, value))

    def on_status(self, reason: bytes) -> None:
        self.reason += reason


def parse_request(head: bytes, limits: HeadLimits) -> RequestFrame:
    """Read one request head, empty line included (RFC 9112 §2, §3, §5).

    Raises:
        TargetTooLong, HeadTooLarge: over a limit.
        MethodRefused: CONNECT, TRACE, PRI, or small letters in it.
        TargetRefused: llhttp can read no target there.
        FramingRefused: everything that two parsers could read in two ways.
    """
    method, target, version, headers = _plain_request(head, limits) or _judged_request(head, limits)
    try:
        return _framed_request(method, target, headers, version)
    except ValueError as wrong_field:
        raise FramingRefused(f"the request head is ambiguous: {wrong_field}") from wrong_field


def _plain_request(head: bytes, limits: HeadLimits) -> tuple[bytes, bytes, bytes, Headers] | None:
    """Read a head that is plain and surely within the limits; None for every other."""
    plain = _PLAIN_REQUEST(head) if _is_small(head, limits) else None
    if plain is None:
        return None
    method, target, version, lines = plain.groups()
    headers = tuple(_FIELDS_OF_PLAIN(lines))
    return (method, target, version, headers) if len(headers) <= limits.fields else None


def _judged_request(head: bytes, limits: HeadLimits) -> tuple[bytes, bytes, bytes, Headers]:
    """Read any head, by our own scan and by llhttp; raises as :func:`parse_request`."""
    _check_size(head, limits)
    if wrong := scan_head(head):
        raise FramingRefused(f"the request head has {wrong}")
    line, _, rest = head.partition(CRLF)
    method, target, version = _split_request_line(line)
    return method, target, version, _request_fields(method, target, line, rest)


def _split_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    words = line.split(b" ")
    if len(words) != 3 or b"\t" in line:
        raise FramingRefused("the request line is not method, target and version with one space between")
    method, target, version = words
    if method in _NEVER_FORWARDED:
        raise MethodRefused(f"{method.decode()} is not served")
    if not _TOKEN.fullmatch(method):
        raise FramingRefused("the method is no token")
    if method != method.upper():
        # Methods are case-sensitive (RFC 9110 §9.1), but aiohttp and old gunicorn fold them: they would do what a rule
        # for DELETE never saw. No method with a small letter is registered; nginx refuses them too.
        raise MethodRefused("the method has small letters")
    if version not in _VERSIONS or not target:
        raise FramingRefused("the request is neither HTTP/1.1 nor HTTP/1.0")
    return method, target, _VERSIONS[version]


def _request_fields(method: bytes, target: bytes, line: bytes, rest: bytes) -> Headers:
    fields = _Fields()
    shown = line
    if method not in _KNOWN_TO_LLHTTP or not target.isascii():
        shown = line.replace(method, b"POST", 1).translate(_ABOVE_ASCII_TO_LETTER)
    try:
        httptools.HttpRequestParser(fields).feed_data(shown + CRLF + rest)
    except httptools.HttpParserUpgrade:
        pass  # an Upgrade was asked for; all of the head has been read
    except httptools.HttpParserInvalidURLError as wrong:
        raise TargetRefused(f"the request target cannot be read: {wrong}") from wrong
    except httptools.HttpParserError as wrong:
        raise FramingRefused(f"the request head cannot be read: {wrong}") from wrong
    return _trimmed(fields.found, rest)


def _trimmed(found: list[tuple[bytes, bytes]], raw: bytes) -> Headers:
    """Take away the space that llhttp leaves at the end of a value (RFC 9112 §5.1 excludes it)."""
    if b" \r\n" in raw or b"\t\r\n" in raw:
        return tuple((name, value.strip(b" \t")) for name, value in found)
    return tuple(found)


def _framed_request(method: bytes, target: bytes, headers: Headers, version: bytes) -> RequestFrame:
    """Raises ValueError for whatever is ambiguous."""
    hosts = 0
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection = expect = authorization = b""
    for field, value in headers:
        name = _OF_REQUESTS[field]
        if name is None:
            continue
        match name:
            case b"host":
                hosts += 1
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"connection":
                connection += b"," + value
            case b"expect":
                expect = value
            case b"authorization":
                authorization = value
    if hosts != 1:
        raise ValueError("there must be one Host")
    body = _declared_body(lengths, codings, version)
    is_persistent = _connection(connection, version).is_persistent
    pins = authorization[:4].lower() in _CONNECTION_AUTHENTICATION
    # By position, at half the price: method, target, headers, version, body, is_persistent, expects_continue, …
    return RequestFrame(
        method,
        target,
        headers,
        version,
        NO_BODY if body is None else body,
        is_persistent,
        version == b"1.1" and expect.lower() == b"100-continue",
        pins,
        body is None and is_persistent and version == b"1.1" and not expect and not pins,
    )


def _declared_body(lengths: list[bytes], codings: list[bytes], version: bytes) -> Body | None:
    """Return the framing that the fields declare, None when they declare none (RFC 9112 §6.1 to 6.3).

    Raises:
        ValueError: more than one way to read them.
    """
    if not lengths and not codings:
        return None
    if len(lengths) + len(codings) > 1:
        raise ValueError("more than one length or transfer coding")
    if lengths:
        length = lengths[0]
        if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
            raise ValueError("Content-Length is no plain number")
        return Body(Delimiter.LENGTH, int(length))
    if codings[0].lower() != b"chunked" or version == b"1.0":
        raise ValueError("the transfer coding is not exactly chunked, or HTTP/1.0 has one")
    return CHUNKED


class _Connection(NamedTuple):
    """What the fields named Connection say."""

    options: frozenset[bytes]
    is_persistent: bool


@lru_cache(maxsize=64)  # nearly all say keep-alive or close, or nothing
def _connection(values: bytes, version: bytes) -> _Connection:
    """Read the values, with commas between (RFC 9110 §7.6.1, RFC 9112 §9.3)."""
    options = frozenset(token.strip(b" \t").lower() for token in values.split(b",")) - {b""}
    is_wanted = version == b"1.1" or b"keep-alive" in options
    return _Connection(options, is_wanted and b"close" not in options)


# --- answers ---------------------------------------------------------------------------------------------------------


def parse_answer(head: bytes, limits: HeadLimits, *, asked: bytes) -> AnswerFrame:
    """Read one answer's head, empty line included.

    Args:
        asked: the method of the request; HEAD has no body (RFC 9112 §6.3 rule 1).

    Raises:
        UpstreamGarbled: it cannot be read in one way only, or is over a limit.
    """
    version, status, reason, headers = _plain_answer(head, limits) or _judged_answer(head, limits)
    try:
        return _framed_answer(status, reason, headers, version=version, asked=asked)
    except ValueError as wrong_field:
        raise UpstreamGarbled(f"the upstream's answer is ambiguous: {wrong_field}") from wrong_field


def _plain_answer(head: bytes, limits: HeadLimits) -> tuple[bytes, int, bytes, Headers] | None:
    """Read a head that is plain and surely within the limits; None for every other."""
    plain = _PLAIN_ANSWER(head) if _is_small(head, limits) else None
    if plain is None:
        return None
    version, status, reason, lines = plain.groups()
    headers = tuple(_FIELDS_OF_PLAIN(lines))
    return (version, int(status), reason, headers) if len(headers) <= limits.fields else None


def _judged_answer(head: bytes, limits: HeadLimits) -> tuple[bytes, int, bytes, Headers]:
    """Read any head, by our own scan and by llhttp; raises as :func:`parse_answer`."""
    try:
        _check_size(head, limits)
    except RequestRefused as refused:
        raise UpstreamGarbled(f"the upstream's answer has too large a head: {refused}") from refused
    if wrong := scan_head(head):
        raise UpstreamGarbled(f"the upstream's answer has {wrong}")
    version = _VERSIONS.get(head[:8])
    if version is None:
        raise UpstreamGarbled("the upstream's answer is neither HTTP/1.1 nor HTTP/1.0")
    return version, *_answer_fields(head)


def _answer_fields(head: bytes) -> tuple[int, bytes, Headers]:
    fields = _Fields()
    parser = httptools.HttpResponseParser(fields)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # a 101; all of the head has been read
    except httptools.HttpParserError as wrong:
        raise UpstreamGarbled(f"the upstream's answer cannot be read: {wrong}") from wrong
    status = parser.get_status_code()
    if not 100 <= status <= 599:
        raise UpstreamGarbled(f"the upstream's answer has the status {status}")
    return status, fields.reason, _trimmed(fields.found, head)


def _framed_answer(status: int, reason: bytes, headers: Headers, *, version: bytes, asked: bytes) -> AnswerFrame:
    """Raises ValueError for whatever is ambiguous."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    kept: list[tuple[bytes, bytes]] = []
    connection = keep_alive = upgrade = b""
    pins = is_dated = False
    for field in headers:
        name = _OF_ANSWERS[field[0]]
        if name is None:
            kept.append(field)
            continue
        match name:
            case b"date":
                is_dated = True
                kept.append(field)
            case b"content-length":
                lengths.append(field[1])
            case b"transfer-encoding":
                codings.append(field[1])
            case b"connection":
                connection += b"," + field[1]
            case b"keep-alive":
                keep_alive = field[1]
            case b"upgrade":
                upgrade += b"," + field[1]
            case b"www-authenticate":
                pins = pins or field[1][:4].lower() in _CONNECTION_AUTHENTICATION
                kept.append(field)
    declared = _declared_body(lengths, codings, version)
    options, is_persistent = _connection(connection, version)
    is_bodiless = asked == b"HEAD" or status < 200 or status in {204, 304}
    is_persistent = is_persistent and not (status == 204 and _has_body(declared))
    return AnswerFrame(
        status=status,
        reason=reason,
        headers=tuple(kept) if options <= _PLAIN_OPTIONS else _without(kept, options),
        body=NO_BODY if is_bodiless else _answer_body(declared),
        declared_length=_declared_length(declared) if asked == b"HEAD" or status == 304 else None,
        is_persistent=is_persistent,
        keep_alive_s=_keep_alive_s(keep_alive),
        upgrade=upgrade.strip(b", ").lower() if b"upgrade" in options else None,
        pins_connection=pins,
        is_dated=is_dated,
        may_be_kept=is_dated and is_persistent and not pins,
    )


def _has_body(declared: Body | None) -> bool:
    """Say whether a body is announced; behind a 204 it would be read as the next answer (RFC 9112 §6.3)."""
    return declared is not None and declared != Body(Delimiter.LENGTH, 0)


_PLAIN_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade"})


def _answer_body(declared: Body | None) -> Body:
    return UNTIL_CLOSE if declared is None else declared


def _declared_length(declared: Body | None) -> int | None:
    return declared.length if declared is not None and declared.delimiter is Delimiter.LENGTH else None


def _without(headers: list[tuple[bytes, bytes]], named: frozenset[bytes]) -> Headers:
    """Take away the fields that Connection names (RFC 9110 §7.6.1)."""
    return tuple(field for field in headers if LOWER[field[0]] not in named)


def _keep_alive_s(value: bytes) -> float | None:
    found = re.search(rb"timeout=([0-9]{1,9})(?![0-9])", value) if value else None
    return float(found[1]) if found else None


# --- fields


def has_field(headers: Iterable[tuple[bytes, bytes]], lower_name: bytes) -> bool:
    """Say whether a field of this name is there.

    Raises:
        ValueError: a name that is no token.
    """
    return any(LOWER[name] == lower_name for name, _ in headers)
