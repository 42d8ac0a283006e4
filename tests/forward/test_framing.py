"""Heads: what is refused, what is read, and that what we write is read the same by others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unittest.mock import patch

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    FramingRefused,
    HeadTooLarge,
    MethodRefused,
    RequestRefused,
    TargetRefused,
    TargetTooLong,
    UpstreamGarbled,
)
from proxy.forward import framing
from proxy.forward.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    AnswerFrame,
    Body,
    Delimiter,
    RequestFrame,
    cut_answer_head,
    cut_request_head,
    has_field,
    parse_answer,
    parse_request,
    scan_head,
)
from proxy.forward.options import ANSWER_LIMITS, HeadLimits
from proxy.forward.writing import reason_phrase, serialise_request

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = HeadLimits(head_bytes=2048, line_bytes=512, fields=20)
TWO_BYTES = Body(Delimiter.LENGTH, 2)

TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte >= 0x20 and byte != 0x7F).strip(b" "))
TARGET = st.text("/abcxyz0123456789-._~!$&'()*+,;=:@%?", max_size=30).map(lambda text: b"/" + text.encode())
OWN_NAME = TOKEN.map(lambda token: b"X-" + token)


def request_head(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: app\r\n") -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def parsed(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> RequestFrame:
    return parse_request(request_head(*fields, line=line), LIMITS)


def answered(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", asked: bytes = b"GET") -> AnswerFrame:
    head = line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"
    return parse_answer(head, ANSWER_LIMITS, asked=asked)


# --- requests: refused


AMBIGUOUS = {
    "length and transfer coding": [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
    "transfer coding and length": [b"Transfer-Encoding: chunked", b"Content-Length: 3"],
    "two lengths": [b"Content-Length: 3", b"Content-Length: 4"],
    "the same length twice": [b"Content-Length: 3", b"Content-Length: 3"],
    "a length with a comma": [b"Content-Length: 3, 3"],
    "a length with plus": [b"Content-Length: +3"],
    "a length with minus": [b"Content-Length: -3"],
    "a length with a space": [b"Content-Length: 3 3"],
    "a hexadecimal length": [b"Content-Length: 0x3"],
    "a length with underscore": [b"Content-Length: 1_0"],
    "a length in foreign digits": ["Content-Length: \u0663".encode()],
    "an empty length": [b"Content-Length:"],
    "an endless length": [b"Content-Length: " + b"9" * 30],
    "a coding before chunked": [b"Transfer-Encoding: gzip, chunked"],
    "chunked twice": [b"Transfer-Encoding: chunked, chunked"],
    "two fields of chunked": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    "identity": [b"Transfer-Encoding: identity"],
    "a word like chunked": [b"Transfer-Encoding: xchunked"],
    "chunked with a parameter": [b"Transfer-Encoding: chunked;q=1"],
    "quoted chunked": [b'Transfer-Encoding: "chunked"'],
    "chunked behind a vertical tab": [b"Transfer-Encoding: \x0bchunked"],
    "an empty coding": [b"Transfer-Encoding:"],
    "a folded field": [b"X: a\r\n b"],
    "a line of space": [b"X: a\r\n \r\nY: b"],
    "a field folded by tab": [b"X: a\r\n\tb"],
    "a space before the colon": [b"X : a"],
    "a tab before the colon": [b"X\t: a"],
    "a space before the name": [b" X: a"],
    "a name that is empty": [b": a"],
    "a field without colon": [b"X"],
    "a name with a bracket": [b"X[]: a"],
    "a name beyond ASCII": [b"X\xc3\xa9: a"],
    "a bare LF in a value": [b"X: a\nY: b"],
    "a bare CR in a value": [b"X: a\rY: b"],
    "a bare CR that swallows": [b"X: a\r\r\nY: b"],
    "NUL": [b"X: a\x00b"],
    "an escape": [b"X: a\x1bb"],
    "DEL": [b"X: a\x7fb"],
    "two hosts": [b"Host: app"],
    "two hosts that differ": [b"host: other"],
}


@pytest.mark.parametrize("fields", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_head_that_two_parsers_could_read_in_two_ways_is_refused(fields: list[bytes]) -> None:
    with pytest.raises(FramingRefused):
        parsed(*fields, line=b"POST / HTTP/1.1")


LINES = {
    "no version": b"GET /",
    "HTTP/0.9": b"GET / HTTP/0.9",
    "HTTP/1.2": b"GET / HTTP/1.2",
    "HTTP/2.0": b"PRI * HTTP/2.0",
    "a lower-case version": b"GET / http/1.1",
    "a version with space behind": b"GET / HTTP/1.1 ",
    "two spaces": b"GET  / HTTP/1.1",
    "a space before": b" GET / HTTP/1.1",
    "a tab between": b"GET\t/ HTTP/1.1",
    "a tab in the target": b"GET /a\tb HTTP/1.1",
    "a space in the target": b"GET /a b HTTP/1.1",
    "no target": b"GET  HTTP/1.1",
    "no method": b" / HTTP/1.1",
    "CONNECT": b"CONNECT app:443 HTTP/1.1",
    "TRACE": b"TRACE / HTTP/1.1",
    "PRI": b"PRI / HTTP/1.1",
    "a method in small letters, which some apps fold": b"delete / HTTP/1.1",
    "a method with one small letter": b"GEt / HTTP/1.1",
    "a method that is no token": b"G(T / HTTP/1.1",
    "a method beyond ASCII": b"G\xc3\x89T / HTTP/1.1",
    "a target that is neither path nor URL": b"GET ?x HTTP/1.1",
    "NUL in the target": b"GET /\x00 HTTP/1.1",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_request_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises((FramingRefused, MethodRefused, TargetRefused)):
        parsed(line=line)


def test_connect_and_trace_are_refused_by_name() -> None:
    with pytest.raises(MethodRefused):
        parsed(line=b"TRACE / HTTP/1.1")


def test_a_request_without_host_is_refused_in_both_versions() -> None:
    for version in (b"1.0", b"1.1"):
        with pytest.raises(FramingRefused, match="Host"):
            parse_request(request_head(line=b"GET / HTTP/" + version, host=b""), LIMITS)


def test_a_transfer_coding_in_http_1_0_is_refused() -> None:
    with pytest.raises(FramingRefused):
        parsed(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")


def test_each_limit_has_its_own_error() -> None:
    with pytest.raises(TargetTooLong):
        parsed(line=b"GET /" + b"x" * 600 + b" HTTP/1.1")
    with pytest.raises(HeadTooLarge):
        parsed(b"X: " + b"x" * 600)
    with pytest.raises(HeadTooLarge):
        parsed(*[b"X: " + b"x" * 400] * 6)
    with pytest.raises(HeadTooLarge):
        parsed(*[b"X: a"] * 20)


def test_exactly_as_many_fields_as_the_limit_pass() -> None:
    frame = parsed(*[b"X: a"] * 19)

    assert len(frame.headers) == LIMITS.fields


# --- requests: read


def test_a_request_is_read_field_by_field() -> None:
    frame = parsed(b"X-Empty:", b"X-Space: \t a b \t ", b"X-High: \xff", b"x_low: 1", line=b"GET /a?b HTTP/1.1")

    assert (frame.method, frame.target, frame.version) == (b"GET", b"/a?b", b"1.1")
    assert frame.headers[1:] == ((b"X-Empty", b""), (b"X-Space", b"a b"), (b"X-High", b"\xff"), (b"x_low", b"1"))
    assert frame.body == NO_BODY


def test_a_target_is_kept_byte_for_byte() -> None:
    for target in (b"/caf\xc3\xa9?q=\xff", b"//a//b/../c", b"/%2e%2e/%00", b"http://app/x", b"*", b"/a?", b"/a#b"):
        assert parsed(line=b"GET " + target + b" HTTP/1.1").target == target


def test_methods_that_nobody_has_heard_of_are_methods() -> None:
    for method in (b"PROPFIND", b"FROBNICATE", b"M-SEARCH", b"POS", b"M_S-1!"):
        assert parsed(line=method + b" / HTTP/1.1").method == method


def test_a_body_has_the_framing_that_was_declared() -> None:
    assert parsed(b"Content-Length: 2").body == TWO_BYTES
    assert parsed(b"Content-Length: 0").body == Body(Delimiter.LENGTH, 0)
    assert parsed(b"Transfer-Encoding: Chunked").body == CHUNKED


def test_a_connection_persists_as_the_version_and_the_client_say() -> None:
    assert parsed().is_persistent
    assert not parsed(b"Connection: x, Close").is_persistent
    assert not parsed(line=b"GET / HTTP/1.0").is_persistent
    assert parsed(b"Connection: keep-alive", line=b"GET / HTTP/1.0").is_persistent
    assert not parsed(b"Connection: keep-alive", b"Connection: close", line=b"GET / HTTP/1.0").is_persistent


def test_an_upgrade_does_not_change_how_a_head_is_read() -> None:
    frame = parsed(b"Connection: Upgrade", b"Upgrade: websocket")

    assert frame.body == NO_BODY
    assert len(frame.headers) == 3


def test_an_expectation_counts_in_http_1_1_only() -> None:
    assert parsed(b"Expect: 100-Continue", b"Content-Length: 1").expects_continue
    assert not parsed(b"Expect: 100-continue", b"Content-Length: 1", line=b"PUT / HTTP/1.0").expects_continue


def test_a_login_of_the_connection_is_noticed() -> None:
    assert parsed(b"Authorization: NTLM abc").pins_connection
    assert parsed(b"Authorization: negotiate abc").pins_connection
    assert not parsed(b"Authorization: Bearer abc").pins_connection
    assert answered(b"WWW-Authenticate: Basic x", b"WWW-Authenticate: NTLM").pins_connection


@given(TOKEN, TARGET, st.lists(st.tuples(OWN_NAME, VALUE), max_size=10))
def test_what_we_write_others_read_the_same(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    headers = ((b"Host", b"app"), *fields)

    head = serialise_request(method, target, headers, body=TWO_BYTES, upgrade=None)

    expected = [(name.lower(), value) for name, value in (*headers, (b"Content-Length", b"2"))]
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(head)
    event = reader.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method, target)
    assert [(bytes(name), bytes(value)) for name, value in event.headers] == expected
    assert _as_httptools_reads(head.replace(method, b"POST", 1)) == (target, expected)


def _as_httptools_reads(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    class Collector:
        def __init__(self) -> None:
            self.fields: list[tuple[bytes, bytes]] = []
            self.target = b""

        def on_url(self, url: bytes) -> None:
            self.target = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.fields.append((name.lower(), value.strip(b" \t")))

    found = Collector()
    httptools.HttpRequestParser(found).feed_data(head)
    return found.target, found.fields


@given(TOKEN.map(bytes.upper), TARGET, st.lists(st.tuples(OWN_NAME, VALUE), max_size=10))
def test_what_we_write_we_read_the_same(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    if method in {b"CONNECT", b"TRACE"}:
        return
    headers = ((b"Host", b"app"), *fields)

    frame = parse_request(serialise_request(method, target, headers, body=NO_BODY, upgrade=None), LIMITS)

    assert (frame.method, frame.target, frame.headers) == (method, target, headers)


PIECE = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"\r\n",
        b"\n",
        b"\r",
        b"Host: a",
        b"X: b",
        b" ",
        b"\t",
        b":",
        b"\x00",
        b"Content-Length: 1",
        b",",
    ]
)


@given(st.lists(PIECE, max_size=12).map(b"".join))
def test_whatever_we_let_pass_h11_reads_as_the_same_request(raw: bytes) -> None:
    head = raw + b"\r\n\r\n"
    if head.find(b"\r\n\r\n") != len(head) - 4:
        return
    try:
        frame = parse_request(head, LIMITS)
    except RequestRefused:
        return

    reader = h11.Connection(h11.SERVER)
    reader.receive_data(head)
    event = reader.next_event()

    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (frame.method, frame.target)
    assert [(bytes(n), bytes(v)) for n, v in event.headers] == [(n.lower(), v) for n, v in frame.headers]


# --- plain heads

PLAIN_FIELD = st.builds(
    lambda name, value: name + b": " + value,
    st.text("!#$%&'*+-.^_`|~0123456789abXY", min_size=1, max_size=12).map(str.encode)
    | st.sampled_from(
        [b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Host", b"Expect", b"Date"]
    ),
    st.text("".join(map(chr, range(0x20, 0x7F))) + "\t", min_size=1, max_size=24).map(
        lambda text: text.strip().encode()
    )
    | st.sampled_from([b"1", b"chunked", b"gzip, chunked", b"keep-alive", b"Upgrade", b"websocket", b"9" * 40, b"a:b"]),
)
STATUS_LINE = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 404 Not Found",
        b"HTTP/1.1 418 I'm a teapot",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 500 O\xfe",
        b"HTTP/1.1 600 No",
    ]
)
REQUEST_LINE = st.builds(
    lambda method, target, version: method + b" " + target + b" HTTP/1." + version,
    st.sampled_from([b"GET", b"POST", b"OPTIONS", b"DELETE", b"PATCH", b"BREW"]),
    TARGET,
    st.sampled_from([b"0", b"1"]),
)
SPOILT = st.sampled_from(
    [b"\r", b"\n", b"\x00", b" ", b"\t", b":", b"\r\n", b"\x7f", b"\x80", b"\x0b", b";", b"#", b'"', b"x"]
)


@st.composite
def nearly_plain(draw: st.DrawFn, first: st.SearchStrategy[bytes]) -> bytes:
    """Draw a head, with one odd thing somewhere in it, or none."""
    head = b"\r\n".join([draw(first), b"Host: app", *draw(st.lists(PLAIN_FIELD, max_size=6)), b"", b""])
    if draw(st.booleans()):
        return head
    at = draw(st.integers(0, len(head) - 4))
    return head[:at] + draw(SPOILT) + head[at + draw(st.integers(0, 1)) :]


def outcome(read: Callable[[], object]) -> object:
    """Return what was read, or the kind of the refusal."""
    try:
        return read()
    except (FramingRefused, MethodRefused, TargetRefused, HeadTooLarge, UpstreamGarbled) as refused:
        return type(refused)


NOT_PLAIN = re.compile(rb"(?!)").fullmatch


@given(nearly_plain(REQUEST_LINE))
def test_a_request_is_read_in_the_same_way_with_and_without_the_pattern_of_plain_ones(head: bytes) -> None:
    short = outcome(lambda: parse_request(head, LIMITS))

    with patch.object(framing, "_PLAIN_REQUEST", NOT_PLAIN):
        assert outcome(lambda: parse_request(head, LIMITS)) == short


@given(nearly_plain(STATUS_LINE), st.sampled_from([b"GET", b"HEAD"]))
def test_an_answer_is_read_in_the_same_way_with_and_without_the_pattern_of_plain_ones(
    head: bytes, asked: bytes
) -> None:
    short = outcome(lambda: parse_answer(head, LIMITS, asked=asked))

    with patch.object(framing, "_PLAIN_ANSWER", NOT_PLAIN):
        assert outcome(lambda: parse_answer(head, LIMITS, asked=asked)) == short


def test_ordinary_heads_are_plain_and_need_no_second_judge() -> None:
    with patch.object(framing, "httptools", None):
        frame = parsed(b"Accept: */*", b"Cookie: a=b; c=d", line=b"GET /a%20b?c=d&e HTTP/1.1")
        answer = answered(b"Content-Length: 3", b'ETag: "x"', b"Date: Sat, 21 Nov 2026 10:00:00 GMT")

    assert frame.target == b"/a%20b?c=d&e"
    assert frame.headers == ((b"Host", b"app"), (b"Accept", b"*/*"), (b"Cookie", b"a=b; c=d"))
    assert answer.body == Body(Delimiter.LENGTH, 3)
    assert answer.is_dated


def test_limits_hold_for_plain_heads_too() -> None:
    few = HeadLimits(head_bytes=60, line_bytes=40, fields=2)

    assert parse_request(request_head(b"A: b"), few).target == b"/"
    for head in (
        request_head(b"A: b", b"C: d"),
        request_head(b"A: " + b"b" * 38),
        request_head(line=b"GET /%b HTTP/1.1" % (b"x" * 40)),
    ):
        with pytest.raises((HeadTooLarge, TargetTooLong)):
            parse_request(head, few)


# --- finding the end


def test_a_head_ends_at_the_first_empty_line() -> None:
    head = request_head()

    assert cut_request_head(head + b"rest\r\n\r\n", LIMITS) == len(head)


def test_a_head_that_comes_in_pieces_is_found_wherever_it_is_cut() -> None:
    head = request_head(b"X: a")

    for cut in range(1, len(head)):
        assert cut_request_head(head[:cut], LIMITS) == 0
        assert cut_request_head(head, LIMITS, scanned=cut) == len(head)


@pytest.mark.parametrize(
    "part", [b"GET / HTTP/1.1\nHost: app\n\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nX: \x00"]
)
def test_what_is_wrong_already_is_not_waited_for(part: bytes) -> None:
    with pytest.raises(FramingRefused):
        cut_request_head(part, LIMITS)


def test_what_is_too_large_already_is_not_waited_for() -> None:
    with pytest.raises(TargetTooLong):
        cut_request_head(b"GET /" + b"x" * 600, LIMITS)
    with pytest.raises(HeadTooLarge):
        cut_request_head(b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 30, LIMITS)
    with pytest.raises(HeadTooLarge):
        cut_request_head(b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 300 + b"\r\n") * 8, LIMITS)
    with pytest.raises(UpstreamGarbled):
        cut_answer_head(b"HTTP/1.1 200 OK\r\nX: " + b"a" * ANSWER_LIMITS.head_bytes, ANSWER_LIMITS)


def test_a_cr_at_the_end_of_what_came_may_become_a_line_end() -> None:
    assert cut_request_head(b"GET / HTTP/1.1\r", LIMITS) == 0


def test_framing_is_judged_by_us_and_not_by_llhttp_alone() -> None:
    for lengths, codings in (([b"1", b"1"], []), ([b"1"], [b"chunked"]), ([], [b"chunked", b"chunked"]), ([b"+1"], [])):
        with pytest.raises(ValueError, match=r".+"):
            framing._declared_body(lengths, codings, b"1.1")


# --- answers


GARBLED = {
    "length and transfer coding": [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
    "two lengths": [b"Content-Length: 3", b"Content-Length: 4"],
    "a length with a sign": [b"Content-Length: +3"],
    "a coding that is not chunked": [b"Transfer-Encoding: gzip"],
    "a folded field": [b"X: a\r\n b"],
    "a bare LF": [b"X: a\nY: b"],
    "NUL": [b"X: \x00"],
    "a space before the colon": [b"X : a"],
    "too many fields": [b"X: a"] * 300,
    "too large a field": [b"X: " + b"a" * 40_000],
}


@pytest.mark.parametrize("fields", GARBLED.values(), ids=GARBLED.keys())
def test_an_ambiguous_answer_is_garbled(fields: list[bytes]) -> None:
    with pytest.raises(UpstreamGarbled):
        answered(*fields)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/2.0 200 OK", b"ICY 200 OK", b"HTTP/1.1 99 Low", b"HTTP/1.1 600 High", b"HTTP/1.1 abc", b"<html>", b""],
)
def test_an_answer_of_another_kind_is_garbled(line: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        answered(line=line)


def test_a_transfer_coding_in_an_answer_of_http_1_0_is_garbled() -> None:
    with pytest.raises(UpstreamGarbled):
        answered(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK")


def test_an_answer_has_the_body_that_status_and_method_allow() -> None:
    length = b"Content-Length: 2"

    assert answered(length).body == TWO_BYTES
    assert answered(b"Transfer-Encoding: chunked").body == CHUNKED
    assert answered().body == UNTIL_CLOSE
    assert answered(length, asked=b"HEAD").body == NO_BODY
    assert answered(length, asked=b"HEAD").declared_length == 2
    assert answered(length, line=b"HTTP/1.1 304 Not Modified").declared_length == 2
    assert answered(length, line=b"HTTP/1.1 304 Not Modified").body == NO_BODY
    assert answered(length, line=b"HTTP/1.1 204 No Content").body == NO_BODY
    assert answered(length, line=b"HTTP/1.1 204 No Content").declared_length is None


def test_a_connection_is_not_used_again_behind_a_204_that_announces_a_body() -> None:
    line = b"HTTP/1.1 204 No Content"

    assert answered(line=line).is_persistent
    assert answered(b"Content-Length: 0", line=line).is_persistent
    assert not answered(b"Content-Length: 3", line=line).is_persistent
    assert not answered(b"Transfer-Encoding: chunked", line=line).is_persistent
    assert answered(line=b"HTTP/1.1 103 Early Hints").body == NO_BODY


def test_fields_of_the_connection_stay_with_the_connection() -> None:
    frame = answered(
        b"Connection: close, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Trailer: X", b"Upgrade: h2", b"X-Kept: 1"
    )

    assert frame.headers == ((b"X-Kept", b"1"),)
    assert not frame.is_persistent
    assert frame.keep_alive_s == 5.0
    assert frame.upgrade is None


def test_an_answer_in_the_old_version_persists_only_when_it_says_so() -> None:
    assert not answered(line=b"HTTP/1.0 200 OK").is_persistent
    assert answered(b"Connection: Keep-Alive", line=b"HTTP/1.0 200 OK").is_persistent


def test_an_upgrade_is_read_when_connection_names_it() -> None:
    frame = answered(b"Connection: Upgrade", b"Upgrade: WebSocket", line=b"HTTP/1.1 101 Switching Protocols")

    assert frame.upgrade == b"websocket"


def test_a_reason_phrase_may_be_missing_or_foreign() -> None:
    assert answered(line=b"HTTP/1.1 200").reason == b""
    assert answered(line=b"HTTP/1.1 200 C'est \xc3\xa7a").reason == b"C'est \xc3\xa7a"
    assert reason_phrase(404) == b"Not Found"
    assert reason_phrase(599) == b""


def test_a_field_is_found_in_any_case() -> None:
    assert has_field(((b"DATE", b"x"),), b"date")
    assert not has_field(((b"X-Date", b"x"),), b"date")


def test_the_scan_finds_a_cr_and_an_lf_that_are_apart() -> None:
    assert scan_head(b"GET / HTTP/1.1\rX\n\r\n\r\n") is not None
    assert scan_head(request_head()) is None
