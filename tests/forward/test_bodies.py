"""Bodies: where they end, what is in them, and what is refused within."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.bodies import (
    MAX_CHUNK_LINE,
    MAX_OVERHEAD,
    MAX_TRAILER,
    BodyMalformed,
    ChunkedBody,
    CloseBody,
    LengthBody,
    NoBody,
    decoder_for,
)
from proxy.forward.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Body, Delimiter


def decode(data: bytes, *, step: int = 0) -> tuple[bytes, bytes, bool]:
    """Feed a chunked body at once, or ``step`` bytes at a time; returns content, rest, completeness."""
    body, pieces, rest = ChunkedBody(), [], b""
    for start in range(0, len(data), step or len(data)):
        part = data[start : start + (step or len(data))]
        rest += body.feed(part, pieces) if not body.is_complete else part
    return b"".join(pieces), rest, body.is_complete


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
def test_chunks_are_put_together_however_they_come(step: int) -> None:
    data = b"5\r\nhello\r\n00A;name=value\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nNEXT"

    assert decode(data, step=step) == (b"hello0123456789", b"NEXT", True)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 20))
def test_what_h11_writes_we_read(contents: list[bytes], step: int) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"

    assert decode(data, step=step) == (b"".join(contents), b"", True)


MALFORMED = {
    "no size": b"\r\nabc",
    "no hexadecimal": b"g\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "0x": b"0x3\r\nabc\r\n",
    "a space before": b" 3\r\nabc\r\n",
    "a space behind": b"3 \r\nabc\r\n",
    "a tab behind": b"3\t\r\nabc\r\n",
    "an underscore": b"1_0\r\n",
    "too many digits": b"0" * 16 + b"3\r\nabc\r\n",
    "a bare LF behind the size": b"3\nabc\r\n",
    "a bare CR behind the size": b"3\rabc\r\n",
    "a control byte in the extension": b"3;a=\x00\r\nabc\r\n",
    "a bare CR in the extension": b"3;a\rb\r\nabc\r\n",
    "more content than its size": b"3\r\nabcd\r\n",
    "a bare LF behind the content": b"3\r\nabc\n0\r\n\r\n",
    "a bare CR behind the content": b"3\r\nabc\rX",
    "an endless size": b"1" * (MAX_CHUNK_LINE + 10),
    "an endless extension": b"3;" + b"a" * (MAX_CHUNK_LINE + 10),
    "a trailer that is no field": b"0\r\nabc\r\n\r\n",
    "a trailer with space before the colon": b"0\r\nA : b\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a trailer with NUL": b"0\r\nA: \x00\r\n\r\n",
    "a trailer with a bare LF": b"0\r\nA: b\n\r\n",
    "a bare LF for the end": b"0\r\n\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("step", [0, 1])
def test_a_chunked_body_of_another_form_is_malformed(data: bytes, step: int) -> None:
    with pytest.raises(BodyMalformed):
        decode(data, step=step)


def test_extensions_are_bounded_over_the_whole_body() -> None:
    chunk = b"1;" + b"e" * 200 + b"\r\na\r\n"

    with pytest.raises(BodyMalformed, match="extensions"):
        decode(chunk * (MAX_OVERHEAD // 200 + 1))


def test_trailers_are_bounded() -> None:
    with pytest.raises(BodyMalformed, match="trailer"):
        decode(b"0\r\n" + b"X: aaaaaaaa\r\n" * (MAX_TRAILER // 10))


def test_a_body_of_many_small_chunks_is_lawful() -> None:
    assert decode(b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n") == (b"a" * 50_000, b"", True)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_length_takes_exactly_so_much(length: int) -> None:
    body, pieces = LengthBody(length), []

    rest = body.feed(b"0123456789", pieces)

    assert b"".join(pieces) == b"0123456789"[:length]
    assert rest == b"0123456789"[length:]
    assert body.is_complete


def test_a_length_waits_for_the_rest() -> None:
    body, pieces = LengthBody(4), []

    assert body.feed(b"ab", pieces) == b""
    assert not body.is_complete
    assert body.feed(b"cd", pieces) == b""
    assert body.is_complete


def test_no_piece_is_empty_since_an_empty_chunk_is_the_last() -> None:
    for body in (NoBody(), LengthBody(3), CloseBody(), ChunkedBody()):
        pieces: list[bytes] = []
        body.feed(b"", pieces)
        assert pieces == []


def test_no_body_takes_nothing() -> None:
    body, pieces = NoBody(), []

    assert body.feed(b"next", pieces) == b"next"
    assert body.is_complete
    assert pieces == []


def test_a_body_until_close_takes_everything() -> None:
    body, pieces = CloseBody(), []

    assert body.feed(b"abc", pieces) == b""
    assert pieces == [b"abc"]
    assert not body.is_complete


def test_each_framing_has_its_decoder() -> None:
    assert isinstance(decoder_for(NO_BODY), NoBody)
    assert isinstance(decoder_for(CHUNKED), ChunkedBody)
    assert isinstance(decoder_for(UNTIL_CLOSE), CloseBody)
    assert isinstance(decoder_for(Body(Delimiter.LENGTH, 3)), LengthBody)


PIECE = st.sampled_from([b"0", b"1", b"a", b"\r\n", b"\n", b"\r", b";", b" ", b"x", b"0\r\n\r\n", b"1\r\na\r\n"])


@given(st.lists(PIECE, min_size=1, max_size=10).map(b"".join))
def test_a_body_that_we_take_whole_h11_reads_the_same(data: bytes) -> None:
    try:
        content, rest, is_complete = decode(data)
    except BodyMalformed:
        return
    if not is_complete:
        return

    reader = h11.Connection(h11.SERVER)
    reader.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    read, event = b"", reader.next_event()
    while not isinstance(event, h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        assert event is not h11.PAUSED
        read += bytes(event.data) if isinstance(event, h11.Data) else b""
        event = reader.next_event()

    assert read == content
    assert reader.trailing_data[0] == rest
