"""What is written is read as exactly what was meant, and nothing else is written."""

from __future__ import annotations

import pytest

from proxy.core.request_fields import Block, HeadBlock, RequestFields
from proxy.errors import FramingRefused, UpstreamGarbled
from proxy.forward.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Body, Delimiter
from proxy.forward.writing import (
    answer_framing,
    encode_chunk,
    serialise_answer,
    serialise_parts,
    serialise_request,
)

TWO_BYTES = Body(Delimiter.LENGTH, 2)


def test_framing_is_written_anew_and_never_copied() -> None:
    headers = (
        (b"Host", b"app"),
        (b"content-length", b"99"),
        (b"Transfer-Encoding", b"gzip"),
        (b"CONNECTION", b"close"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"h2c"),
        (b"Keep-Alive", b"1"),
        (b"Proxy-Connection", b"x"),
        (b"Trailer", b"X"),
    )

    assert (
        serialise_request(b"GET", b"/", headers, body=NO_BODY, upgrade=None) == b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
    )


def test_an_upgrade_is_written_by_us() -> None:
    head = serialise_request(b"GET", b"/", ((b"Host", b"app"),), body=NO_BODY, upgrade=b"websocket")

    assert head == b"GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "field"),
    [
        (b"GET", b"/", (b"X", b"a\r\nY: b")),
        (b"GET", b"/", (b"X", b"a\nY: b")),
        (b"GET", b"/", (b"X", b"a\x00")),
        (b"GET", b"/", (b"X", b"a\r\n b")),
        (b"GET", b"/", (b"X\r\nY", b"a")),
        (b"GET", b"/", (b"X Y", b"a")),
        (b"GET", b"/", (b"", b"a")),
        (b"GET", b"/ HTTP/1.1\r\nX: y", (b"X", b"a")),
        (b"GET", b"/\r\nX: y", (b"X", b"a")),
        (b"GET /", b"/", (b"X", b"a")),
        (b"", b"/", (b"X", b"a")),
    ],
)
def test_nothing_is_sent_that_would_be_read_as_something_else(
    method: bytes, target: bytes, field: tuple[bytes, bytes]
) -> None:
    with pytest.raises(FramingRefused):
        serialise_request(method, target, (field,), body=NO_BODY, upgrade=None)


def test_no_answer_is_sent_that_would_be_read_as_something_else() -> None:
    for field in ((b"X", b"a\r\nY: b"), (b"X Y", b"a"), (b"X", b"\x00")):
        with pytest.raises(UpstreamGarbled):
            serialise_answer(200, (field,), framing=b"")
    with pytest.raises(UpstreamGarbled):
        serialise_answer(200, (), framing=b"", reason=b"OK\r\nX: y")


def test_an_answer_is_written_with_its_framing() -> None:
    framing = answer_framing(TWO_BYTES, declared_length=None, connection=b"close")

    head = serialise_answer(200, ((b"X", b"y"), (b"content-length", b"9")), framing=framing)

    assert head == b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"


def test_framing_lines_follow_the_body() -> None:
    assert answer_framing(CHUNKED, declared_length=None, connection=b"") == b"Transfer-Encoding: chunked\r\n"
    assert answer_framing(UNTIL_CLOSE, declared_length=None, connection=b"close") == b"Connection: close\r\n"
    assert answer_framing(NO_BODY, declared_length=7, connection=b"") == b"Content-Length: 7\r\n"
    assert answer_framing(NO_BODY, declared_length=None, connection=b"") == b""


def test_pieces_become_one_chunk() -> None:
    assert b"".join(encode_chunk([b"ab", b"c" * 14])) == b"10\r\nab" + b"c" * 14 + b"\r\n"


# --- in parts


def in_parts(
    *,
    target: bytes = b"/a",
    of_head: tuple[bytes, bytes] = (b"Host", b"app"),
    request_id: bytes = b"id-1",
    traceparent: bytes = b"00-a-b-00",
    of_person: tuple[bytes, bytes] = (b"X-Auth-Subject", b"alice"),
) -> RequestFields:
    return RequestFields(HeadBlock(b"GET", target, (of_head,)), request_id, traceparent, Block((of_person,)))


@pytest.mark.parametrize("body", [NO_BODY, TWO_BYTES, CHUNKED])
@pytest.mark.parametrize("upgrade", [None, b"websocket"])
def test_parts_are_written_as_the_whole_would_be_the_first_time_and_the_second(
    body: Body, upgrade: bytes | None
) -> None:
    fields = in_parts()
    whole = serialise_request(b"GET", b"/a", tuple(fields), body=body, upgrade=upgrade)

    assert serialise_parts(fields, body=body, upgrade=upgrade) == whole
    assert serialise_parts(fields, body=body, upgrade=upgrade) == whole


def test_framing_fields_do_not_pass_in_parts_either() -> None:
    fields = in_parts(of_head=(b"content-length", b"99"), of_person=(b"Transfer-Encoding", b"gzip"))

    head = serialise_parts(fields, body=NO_BODY, upgrade=None)

    assert head == b"GET /a HTTP/1.1\r\nX-Request-ID: id-1\r\ntraceparent: 00-a-b-00\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        in_parts(target=b"/ HTTP/1.1\r\nX: y"),
        in_parts(of_head=(b"X", b"a\r\nY: b")),
        in_parts(of_head=(b"X Y", b"a")),
        in_parts(request_id=b"a\r\nY: b"),
        in_parts(request_id=b"a\x00"),
        in_parts(traceparent=b"a\n"),
        in_parts(of_person=(b"X", b"a\nY: b")),
    ],
)
def test_no_part_is_sent_that_would_be_read_as_something_else(fields: RequestFields) -> None:
    for _ in range(2):
        with pytest.raises(FramingRefused):
            serialise_parts(fields, body=NO_BODY, upgrade=None)
