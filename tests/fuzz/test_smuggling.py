r"""The corpus: what has smuggled a request past some proxy. Refused with 400, the connection ended, nothing upstream.

Behind each stands a second request on the same connection, which must not be heard of either. Names are those of the
literature: the first word is what the front would have believed, the second what the back would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.forward.dialogue import serving
from tests.fuzz.course import Course
from tests.fuzz.readers import REQUEST_READERS
from tests.fuzz.wire import End, Script, request_id
from tests.support.raw_upstream import AnswerEarly, Send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.raw_upstream import RawUpstream

HOST = b"Host: app.example.com\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST


def coded(value: bytes) -> bytes:
    """A request whose body is chunked for whoever takes this value for chunked, and 4 bytes long for the others."""
    return POST + b"Content-Length: 4\r\nTransfer-Encoding: " + value + b"\r\n\r\n" + CHUNKS


def only_coded(value: bytes) -> bytes:
    return POST + b"Transfer-Encoding:" + value + b"\r\n\r\n" + CHUNKS


def field(line: bytes) -> bytes:
    return POST + line + b"\r\n\r\n" + CHUNKS


def length(value: bytes) -> bytes:
    return POST + b"Content-Length:" + value + b"\r\n\r\n12345"


def chunks(body: bytes) -> bytes:
    return POST + CHUNKED + b"\r\n" + body


REFUSED = {
    # Two framings.
    "CL.TE": POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n" + CHUNKS + b"G",
    "TE.CL": POST + CHUNKED + b"Content-Length: 4\r\n\r\n1e\r\n" + SMUGGLED[:30] + b"\r\n" + CHUNKS,
    "CL.CL": POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n12345",
    "CL.CL, equal": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
    "CL.CL in another case": POST + b"Content-Length: 0\r\ncontent-length: 5\r\n\r\n12345",
    "TE.TE, doubled": POST + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "TE.TE, cow": POST + CHUNKED + b"Transfer-Encoding: cow\r\n\r\n" + CHUNKS,
    "TE.TE, cow first": POST + b"Transfer-Encoding: cow\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "TE.TE, identity first": POST + b"Transfer-Encoding: identity\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "TE in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + CHUNKS,
    "TE in HTTP/1.0, kept alive": b"POST / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n"
    + CHUNKED + b"\r\n" + CHUNKS,
    # A coding that one takes for chunked and the other does not.
    "xchunked": coded(b"xchunked"),
    "xchunked alone": only_coded(b" xchunked"),
    "chunked, identity": only_coded(b" chunked, identity"),
    "identity, chunked": only_coded(b" identity, chunked"),
    "identity alone": only_coded(b" identity"),
    "gzip, chunked": only_coded(b" gzip, chunked"),
    "chunked twice in one": only_coded(b" chunked, chunked"),
    "chunked and a comma": only_coded(b" chunked,"),
    "a comma and chunked": only_coded(b" , chunked"),
    "chunked with a parameter": only_coded(b" chunked;q=1"),
    "chunked in quotes": only_coded(b' "chunked"'),
    "chunked in single quotes": only_coded(b" 'chunked'"),
    "an empty coding": only_coded(b""),
    "vertical tab before": only_coded(b" \x0bchunked"),
    "vertical tab behind": only_coded(b" chunked\x0b"),
    "vertical tab for the space": only_coded(b"\x0bchunked"),
    "form feed": only_coded(b" \x0cchunked"),
    "NUL before": only_coded(b" \x00chunked"),
    "NUL behind": only_coded(b" chunked\x00"),
    "next line": only_coded(b" chunked\x85"),
    "no-break space": only_coded(b"\xa0chunked"),
    "a letter that folds to k": only_coded(b" chun\xe2\x84\xaaed"),
    "folded": only_coded(b"\r\n chunked"),
    "folded by tab": only_coded(b"\r\n\tchunked"),
    "folded behind": only_coded(b" chunked\r\n "),
    "folded inside": only_coded(b" chun\r\n ked"),
    "a coding behind a bare CR": field(b"X: y\rTransfer-Encoding: chunked"),
    "a coding behind a bare LF": field(b"X: y\nTransfer-Encoding: chunked"),
    "a coding before a bare LF": field(b"Transfer-Encoding: chunked\nX: y"),
    "a coding before a bare CR": field(b"Transfer-Encoding: chunked\rX: y"),
    "CR CR LF": field(b"Transfer-Encoding: chunked\r"),
    # A name that one takes for a framing field and the other does not.
    "TE, space before the colon": field(b"Transfer-Encoding : chunked"),
    "TE, tab before the colon": field(b"Transfer-Encoding\t: chunked"),
    "TE, vertical tab before the colon": field(b"Transfer-Encoding\x0b: chunked"),
    "TE, NUL before the colon": field(b"Transfer-Encoding\x00: chunked"),
    "TE, space before the name": field(b" Transfer-Encoding: chunked"),
    "TE, tab before the name": field(b"\tTransfer-Encoding: chunked"),
    "TE, NUL before the name": field(b"\x00Transfer-Encoding: chunked"),
    "TE, folded before the colon": field(b"Transfer-Encoding\r\n : chunked"),
    "TE, a space in the name": field(b"Transfer Encoding: chunked"),
    "TE, beyond ASCII": field(b"Transfer-Encod\xc4\xb1ng: chunked"),
    "TE, a line without colon before": field(b"X\r\nTransfer-Encoding: chunked"),
    "TE, an empty name before": field(b": x\r\nTransfer-Encoding: chunked"),
    "0.CL, space before the colon": field(b"Content-Length : 5"),
    "0.CL, tab before the colon": field(b"Content-Length\t: 5"),
    "0.CL, space before the name": field(b" Content-Length: 5"),
    "0.CL, behind a bare LF": field(b"X: y\nContent-Length: 5"),
    "0.CL, behind a bare CR": field(b"X: y\rContent-Length: 5"),
    "0.CL, first line folded": b"GET / HTTP/1.1\r\n Content-Length: 5\r\n" + HOST + b"\r\n12345",
    "0.CL, folded value": field(b"Content-Length:\r\n 5"),
    # Lengths.
    "CL with plus": length(b" +5"),
    "CL with minus": length(b" -5"),
    "CL minus zero": length(b" -0"),
    "CL, hexadecimal": length(b" 0x5"),
    "CL with a comma": length(b" 5, 5"),
    "CL with another behind a comma": length(b" 0,5"),
    "CL with a space inside": length(b" 0 5"),
    "CL with a fraction": length(b" 5.0"),
    "CL with an exponent": length(b" 5e0"),
    "CL with an underscore": length(b" 0_5"),
    "CL in foreign digits": length(b" \xd9\xa5"),
    "CL in quotes": length(b' "5"'),
    "CL with a semicolon": length(b" 5;x"),
    "CL with a vertical tab": length(b" \x0b5"),
    "CL with NUL": length(b" 5\x00"),
    "CL with a no-break space": length(b"\xa05"),
    "an empty CL": length(b""),
    "CL of 2**64 + 5": length(b" 18446744073709551621"),
    "CL with twenty zeros": length(b" " + b"0" * 20 + b"5"),
    # Chunks.
    "a chunk size with 0x": chunks(b"0x5\r\n12345\r\n" + CHUNKS),
    "a chunk size with plus": chunks(b"+5\r\n12345\r\n" + CHUNKS),
    "a chunk size with minus": chunks(b"-5\r\n12345\r\n" + CHUNKS),
    "a chunk size with a space before": chunks(b" 5\r\n12345\r\n" + CHUNKS),
    "a chunk size with a space behind": chunks(b"5 \r\n12345\r\n" + CHUNKS),
    "a chunk size with a tab behind": chunks(b"5\t\r\n12345\r\n" + CHUNKS),
    "a chunk size with an underscore": chunks(b"0_5\r\n12345\r\n" + CHUNKS),
    "a chunk size over 2**64": chunks(b"10000000000000005\r\n12345\r\n" + CHUNKS),
    "an empty chunk size": chunks(b"\r\n12345\r\n" + CHUNKS),
    "a chunk line that ends with LF": chunks(b"5\n12345\r\n" + CHUNKS),
    "a chunk line that ends with CR": chunks(b"5\r12345\r\n" + CHUNKS),
    "chunk data that ends with LF": chunks(b"5\r\n12345\n" + CHUNKS),
    "chunk data that ends with CR": chunks(b"5\r\n12345\r" + CHUNKS),
    "chunk data that does not end": chunks(b"5\r\n12345" + CHUNKS),
    "chunk data that is longer": chunks(b"5\r\n123456\r\n" + CHUNKS),
    "an extension with LF": chunks(b"5;a\nb\r\n12345\r\n" + CHUNKS),
    "an extension with CR": chunks(b"5;a\rb\r\n12345\r\n" + CHUNKS),
    "an extension with NUL": chunks(b"5;\x00\r\n12345\r\n" + CHUNKS),
    "an extension with LF in quotes": chunks(b'5;a="\n"\r\n12345\r\n' + CHUNKS),
    "an endless extension": chunks(b"5;" + b"x" * 9000 + b"\r\n12345\r\n" + CHUNKS),
    "a last chunk that ends with LF": chunks(b"0\n\r\n"),
    "a trailer section that ends with LF": chunks(b"0\r\n\n"),
    "a trailer that is no field": chunks(b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
    "a folded trailer": chunks(b"0\r\nX: y\r\n z\r\n\r\n"),
    "a trailer with a bare LF": chunks(b"0\r\nX: y\nZ: z\r\n\r\n"),
    "a trailer with a space before the colon": chunks(b"0\r\nX : y\r\n\r\n"),
    # Host and target.
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "no Host in HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "two Hosts that differ": b"GET / HTTP/1.1\r\n" + HOST + b"host: other\r\n\r\n",
    "a Host behind a bare LF": b"GET / HTTP/1.1\r\n" + HOST[:-2] + b"\nHost: other\r\n\r\n",
    "a folded Host": b"GET / HTTP/1.1\r\n" + HOST + b" other\r\n\r\n",
    "a Host before which is space": b"GET / HTTP/1.1\r\n Host: other\r\n" + HOST + b"\r\n",
    "a Host with space before the colon": b"GET / HTTP/1.1\r\nHost : app.example.com\r\n\r\n",
    "an absolute target of another host": b"GET http://other.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with userinfo": b"GET http://app.example.com@other/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with another port": b"GET http://app.example.com:81/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target without host": b"GET http:///a HTTP/1.1\r\n" + HOST + b"\r\n",
    "an authority for a target": b"GET app.example.com:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a space": b"GET /a /b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a version in it": b"GET /a HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a bare CR": b"GET /a\rX: y HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a bare LF": b"GET /a\nX: y HTTP/1.1\r\n" + HOST + b"\r\n",
    # The request line and the ends of lines.
    "HTTP/0.9": b"GET /\r\n" + HOST + b"\r\n",
    "a version that does not exist": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "a version in small letters": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab for a space": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a line of space before the fields": b"GET / HTTP/1.1\r\n \r\n" + HOST + b"\r\n",
    "LF everywhere": b"GET / HTTP/1.1\nHost: app.example.com\n\n",
    "LF at the end of the head": b"GET / HTTP/1.1\r\n" + HOST + b"\n" + SMUGGLED,
    "LF LF inside": b"GET / HTTP/1.1\r\n" + HOST + b"X: y\n\n" + SMUGGLED,
    "CR at the end of the head": b"GET / HTTP/1.1\r\n" + HOST + b"\r\r\n" + SMUGGLED,
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: \x00\r\n\r\n",
    "a byte order mark": b"\xef\xbb\xbfGET / HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


def echo(request: bytes) -> Script:
    return Script([b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n" + request_id(request)])


@pytest_asyncio.fixture
async def course() -> AsyncIterator[Course]:
    """A data path with its gate, whose upstream echoes ids."""
    course = Course(echo)
    await course.start()
    yield course
    await course.stop()


async def sent(course: Course, *pieces: bytes) -> tuple[bytes, bool]:
    """Return what the client got, and whether its connection was ended for it."""
    course.begin()
    client = await course.client()
    await client.send(pieces)
    await client.until_quiet(0.3)
    ended = client.ended.done()
    await client.close()
    assert await course.settled()
    return bytes(client.received), ended


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
async def test_what_could_smuggle_is_refused_and_reaches_nobody(course: Course, request_bytes: bytes) -> None:
    answer, ended = await sent(course, request_bytes + SMUGGLED)

    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert ended
    assert course.log.touched == []


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
async def test_behind_a_good_request_it_is_refused_all_the_same(course: Course, request_bytes: bytes) -> None:
    answer, ended = await sent(course, b"GET /good HTTP/1.1\r\n" + HOST + b"\r\n" + request_bytes + SMUGGLED)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert ended
    assert [bytes(connection.received).count(b" HTTP/1.1\r\n") for connection in course.log.touched] == [1]
    assert b"smuggled" not in bytes(course.log.touched[0].received)


@pytest.mark.parametrize(
    "line",
    [
        b"PRI * HTTP/2.0",
        b"PRI / HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"CONNECT app.example.com:80 HTTP/1.1",
        b"get / HTTP/1.1",
    ],
)
async def test_a_method_that_others_read_otherwise_is_refused_and_reaches_nobody(course: Course, line: bytes) -> None:
    answer, ended = await sent(course, line + b"\r\n" + HOST + b"\r\n" + SMUGGLED)

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert ended
    assert course.log.touched == []


BREAKS_LATER = {name: bytes_ for name, bytes_ in REFUSED.items() if bytes_.startswith(POST + CHUNKED + b"\r\n")}


@pytest.mark.parametrize("request_bytes", BREAKS_LATER.values(), ids=BREAKS_LATER.keys())
async def test_a_body_that_breaks_off_later_never_looks_whole(course: Course, request_bytes: bytes) -> None:
    """Its head was good and has gone on: what the upstream got must be seen to be incomplete."""
    head, body = request_bytes[: len(POST + CHUNKED) + 2], request_bytes[len(POST + CHUNKED) + 2 :]
    course.begin()
    client = await course.client()
    await client.send([head + b"3\r\nabc\r\n"])
    while not course.log.touched:
        await client.until_quiet(0.01)
    await client.send([body + SMUGGLED])
    await client.until_quiet(0.3)

    assert bytes(client.received).startswith(b"HTTP/1.1 400 ")
    assert bytes(client.received).count(b"HTTP/1.1 ") == 1
    await client.close()
    assert await course.settled()
    (connection,) = course.log.touched
    assert connection.is_lost
    for read in REQUEST_READERS.values():
        assert [message.is_whole for message in read(bytes(connection.received)).messages] == [False]
    assert b"smuggled" not in connection.received


# --- what is lawful, and must stay one request

LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
IN_A_CHUNK = b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n" + CHUNKS

TUNNELLED = {
    "a request in a body with a length": POST + LENGTH + b"\r\n" + SMUGGLED,
    "a request in a chunk": POST + CHUNKED + b"\r\n" + IN_A_CHUNK,
    "a request in the body of GET": b"GET / HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + SMUGGLED,
    "a request in the body of HEAD": b"HEAD / HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + SMUGGLED,
    "a request behind an upgrade": POST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + LENGTH
    + b"\r\n" + SMUGGLED,
    "a request and Connection: Content-Length": POST + b"Connection: Content-Length\r\n" + LENGTH
    + b"\r\n" + SMUGGLED,
    "a request and Connection: Transfer-Encoding": POST + b"Connection: Transfer-Encoding\r\n" + CHUNKED
    + b"\r\n" + IN_A_CHUNK,
    "a length in a name with underscores": POST + b"Content_Length: 0\r\n" + LENGTH + b"\r\n" + SMUGGLED,
}  # fmt: skip


@pytest.mark.parametrize("request_bytes", TUNNELLED.values(), ids=TUNNELLED.keys())
async def test_a_request_in_a_body_stays_a_body(course: Course, request_bytes: bytes) -> None:
    await sent(course, request_bytes)

    (connection,) = course.log.touched
    for read in REQUEST_READERS.values():
        (message,) = read(bytes(connection.received)).messages
        assert message.body == SMUGGLED
        assert message.is_whole


async def test_an_app_that_does_not_read_the_body_gets_no_second_request_on_that_connection(
    echo_app: RawUpstream,
) -> None:
    """CL.0: the app answers at the head, and would take the body for the next request."""
    body = SMUGGLED * 3000
    async with serving(echo_app.port) as path:
        echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"))
        client = await path.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: %d\r\n\r\n" % (len(body) + 9) + body)
        assert (await client.answer()).body == b"early"
        assert await client.ended() == b""

        other = await path.client()
        assert (await other.ask(b"GET /other HTTP/1.1\r\nHost: app\r\n\r\n")).body == b"ok"

        assert echo_app.requests[-1].request_line == b"GET /other HTTP/1.1"
        assert echo_app.requests[-1].connection != echo_app.requests[0].connection


async def test_bytes_behind_an_answer_are_nobodys(course: Course) -> None:
    """The other direction: an app whose answer is longer than its length."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    scripts = [Script([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + evil], End.KEEP)]
    course.log.script = lambda request: scripts.pop() if scripts else echo(request)

    answer, _ = await sent(course, b"GET /a HTTP/1.1\r\n" + HOST + b"\r\nGET /b HTTP/1.1\r\n" + HOST + b"\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"evil" not in answer
    assert len(course.log.touched) == 2
