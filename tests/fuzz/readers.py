"""Parsers of others, asked one question: which requests, or answers, are in these bytes?

Each reader takes the bytes of one connection and returns a :class:`Transcript`. A reader may refuse; what it may not do
is read something else than the others. None of them shares code with ``proxy.forward.framing`` but aiohttp's C parser,
which is llhttp too, in an older dress.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import h11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParserC, HttpRequestParserPy, HttpResponseParserC, HttpResponseParserPy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Fields = tuple[tuple[bytes, bytes], ...]
LARGEST_HEAD = 1024 * 1024
READ_LIMIT = 2**26
"""Above every body here: aiohttp's parsers stop in the middle of a larger one, to be asked again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request or one final answer as somebody read it.

    Attributes:
        start: method and target, or the status; as sent.
        fields: names in lower case, values without surrounding space, in order.
        body: without its framing.
        is_whole: the end of the body was seen.
    """

    start: tuple[bytes, ...]
    fields: Fields
    body: bytes
    is_whole: bool = True


@dataclass(slots=True)
class Transcript:
    """All that a reader found.

    Attributes:
        refusal: why it read no further; empty when it did not refuse.
        rest: bytes behind the last message that begin no message, or an incomplete one.
    """

    messages: list[Message] = field(default_factory=list)
    refusal: str = ""
    rest: bytes = b""


# --- h11 -------------------------------------------------------------------------------------------------------------


def requests_by_h11(stream: bytes) -> Transcript:
    """Read requests as a server of h11 does, which answers each with 200."""
    transcript = Transcript()
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
    connection.receive_data(stream)
    try:
        while connection.our_state is h11.IDLE:
            event = connection.next_event()
            if not isinstance(event, h11.Request):
                break
            start = (event.method, event.target)
            transcript.messages.append(_message_by_h11(connection, start, event.headers))
            if not transcript.messages[-1].is_whole or event.method == b"CONNECT":
                break
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break  # it was the last: Connection: close, or an upgrade
            connection.start_next_cycle()
    except h11.RemoteProtocolError as refused:
        transcript.refusal = str(refused) or "refused"
    transcript.rest = connection.trailing_data[0]
    return transcript


def answers_by_h11(stream: bytes, asked: Sequence[bytes], *, is_ended: bool) -> Transcript:
    """Read the answers to requests of these methods as a client of h11 does."""
    transcript = Transcript()
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
    if stream:
        connection.receive_data(stream)
    if is_ended:
        connection.receive_data(b"")
    try:
        for method in asked:
            connection.send(h11.Request(method=method, target="/", headers=[("Host", "app")]))
            connection.send(h11.EndOfMessage())
            event = connection.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = connection.next_event()
            if not isinstance(event, h11.Response):
                break
            transcript.messages.append(_message_by_h11(connection, (b"%d" % event.status_code,), event.headers))
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except h11.ProtocolError as refused:
        transcript.refusal = str(refused) or "refused"
    transcript.rest = connection.trailing_data[0]
    return transcript


def _message_by_h11(connection: h11.Connection, start: tuple[bytes, ...], headers: Any) -> Message:
    """Read the body; one that breaks off, or breaks its framing, is not whole."""
    body = b""
    fields = tuple((bytes(name), bytes(value)) for name, value in headers)
    try:
        event = connection.next_event()
        while isinstance(event, h11.Data):
            body += event.data
            event = connection.next_event()
    except h11.RemoteProtocolError:
        return Message(start, fields, body, is_whole=False)
    return Message(start, fields, body, is_whole=isinstance(event, h11.EndOfMessage))


# --- aiohttp ---------------------------------------------------------------------------------------------------------


def requests_by_aiohttp(stream: bytes, parser_class: Any = HttpRequestParserC) -> Transcript:
    """Read requests as a server of aiohttp does."""
    loop = asyncio.get_running_loop()
    parser = parser_class(
        BaseProtocol(loop), loop, READ_LIMIT, max_line_size=LARGEST_HEAD, max_field_size=LARGEST_HEAD, max_headers=1000,
        auto_decompress=False,
    )  # fmt: skip
    return _fed(parser, stream, lambda head: (_bytes(head.method), _bytes(head.path)))


def answers_by_aiohttp(stream: bytes, parser_class: Any = HttpResponseParserC, *, is_ended: bool) -> Transcript:
    """Read answers as a client of aiohttp does; it knows no HEAD here."""
    loop = asyncio.get_running_loop()
    parser = parser_class(
        BaseProtocol(loop), loop, READ_LIMIT, max_line_size=LARGEST_HEAD, max_field_size=LARGEST_HEAD, max_headers=1000,
        auto_decompress=False, read_until_eof=True,
    )  # fmt: skip
    transcript = _fed(parser, stream, lambda head: (b"%d" % head.code,), is_ended=is_ended)
    transcript.messages = [message for message in transcript.messages if int(message.start[0]) >= 200]
    return transcript


def _fed(
    parser: Any, stream: bytes, start: Callable[[Any], tuple[bytes, ...]], *, is_ended: bool = False
) -> Transcript:
    transcript = Transcript()
    found: list[tuple[Any, Any]] = []
    try:
        # Byte by byte where it matters little would hide what one read may do: all at once, then the end.
        messages, _, transcript.rest = parser.feed_data(stream)
        found += messages
        if is_ended:
            parser.feed_eof()
    except (HttpProcessingError, ValueError) as refused:
        transcript.refusal = str(refused) or type(refused).__name__
    for head, payload in found:
        fields = tuple((name.lower(), value.strip(b" \t")) for name, value in head.raw_headers)
        body, is_whole = _payload(payload)
        transcript.messages.append(Message(start(head), fields, body, is_whole))
    return transcript


def _payload(payload: Any) -> tuple[bytes, bool]:
    buffer = getattr(payload, "_buffer", ())
    is_whole = bool(payload.is_eof()) and payload.exception() is None
    return b"".join(buffer), is_whole


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# --- the standard library --------------------------------------------------------------------------------------------


class _Stream(io.BytesIO):
    """A file that http.client does not close between two answers."""

    def close(self) -> None:
        """Stay open."""


class _Socket:
    """A socket of which all bytes have come."""

    def __init__(self, stream: bytes) -> None:
        self.file = _Stream(stream)

    def makefile(self, mode: str) -> io.BytesIO:
        return self.file


def answers_by_http_client(stream: bytes, asked: Sequence[bytes]) -> Transcript:
    """Read answers as Python's own client does."""
    transcript = Transcript()
    sock = _Socket(stream)
    for method in asked:
        if sock.file.tell() == len(stream):
            break
        try:
            response = _final_answer(sock, method.decode("latin-1"))
        except http.client.RemoteDisconnected:
            break  # nothing came behind an interim answer
        except (http.client.HTTPException, ValueError) as refused:
            transcript.refusal = f"{type(refused).__name__}: {refused}"
            break
        transcript.messages.append(_message_by_http_client(response))
        if response.will_close or not transcript.messages[-1].is_whole:
            break
    transcript.rest = stream[sock.file.tell() :]
    return transcript


def _final_answer(sock: _Socket, method: str) -> http.client.HTTPResponse:
    """Read a head that is no 1xx; of these http.client passes over 100 only."""
    while True:
        response = http.client.HTTPResponse(cast("Any", sock), method=method)
        response.begin()
        if response.status >= 200:
            return response


def _message_by_http_client(response: http.client.HTTPResponse) -> Message:
    pairs = [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in response.getheaders()]
    fields = tuple((name, value.strip(b" \t")) for name, value in pairs)
    start = (b"%d" % response.status,)
    try:
        return Message(start, fields, response.read(), is_whole=True)
    except http.client.IncompleteRead as broken:
        return Message(start, fields, bytes(broken.partial), is_whole=False)
    except (http.client.HTTPException, ValueError, OverflowError):
        return Message(start, fields, b"", is_whole=False)


# --- all of them -----------------------------------------------------------------------------------------------------


REQUEST_READERS: Mapping[str, Callable[[bytes], Transcript]] = {
    "h11": requests_by_h11,
    "aiohttp in C": requests_by_aiohttp,
    "aiohttp in Python": lambda stream: requests_by_aiohttp(stream, HttpRequestParserPy),
}


def answer_readers(asked: Sequence[bytes], *, is_ended: bool) -> Mapping[str, Callable[[bytes], Transcript]]:
    """Return who reads answers to requests of these methods; aiohttp's parsers can hear of one method only."""
    readers: dict[str, Callable[[bytes], Transcript]] = {
        "h11": lambda stream: answers_by_h11(stream, asked, is_ended=is_ended),
        "http.client": lambda stream: answers_by_http_client(stream, asked),
    }
    if b"HEAD" not in asked:
        readers["aiohttp in C"] = lambda stream: answers_by_aiohttp(stream, is_ended=is_ended)
        readers["aiohttp in Python"] = lambda stream: answers_by_aiohttp(
            stream, HttpResponseParserPy, is_ended=is_ended
        )
    return readers
