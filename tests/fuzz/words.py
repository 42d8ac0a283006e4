"""The words of both grammars: what is right, and the wrong turns that parsers have been led astray by.

Sources: RFC 9112 §11, the corpora of smuggling research (CL.TE, TE.CL, TE.TE, 0.CL), advisories of llhttp, aiohttp,
h11, gunicorn, nginx and Apache. ``strange`` is how many of a thousand turns are wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

METHODS = [b"GET"] * 6 + [b"POST"] * 6 + [b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"]
ODD_METHODS = [
    b"get", b"FOO", b"M-SEARCH", b"PROPFIND", b"G!T", b"CONNECT", b"TRACE", b"TRACK", b"", b"GE T", b"GET\x00",
    b"G\xc9T", b"PRI", b"X" * 40, b"_", b"\rGET", b"\nGET", b" GET", b"QUERY", b"LINK",
]  # fmt: skip
TARGETS = [b"/"] * 4 + [
    b"/a", b"/a/b?c=d", b"/a%20b", b"/x?", b"/?q=%zz", b"/~u/-._!$&'()*+,;=:@", b"/a?b#", b"/a?b=/../c",
]  # fmt: skip
ODD_TARGETS = [
    b"*", b"", b"a", b"//a/b", b"/a//b", b"/a/../b", b"/%2e%2e/b", b"/%00", b"/%0d%0aX:1", b"/a b", b"/a\tb",
    b"/a\x00", b"/\xc3\xa9", b"/\xff", b"/a?\xc3\xa9", b"http://app.example.com/a", b"http://app.example.com",
    b"http://other.example/a", b"HTTP://APP.EXAMPLE.COM/a", b"http://app.example.com@other/a",
    b"http://app.example.com:80/a", b"https://app.example.com/a", b"app.example.com:80", b"/a#b", b"/a\rb",
    b"/a HTTP/1.1\r\nX: y", b"/" + b"a" * 9000, b"/" + b"a" * 17000, b"/a\\b", b"/;a=b/c", b"?a", b"/_sidegate/login",
    b"/%5fsidegate", b"/a\x7f", b"http:///a", b"http://app.example.com?x", b"/a\x0bb", b'/{}|^`<>"',
]  # fmt: skip
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 2
ODD_VERSIONS = [
    b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1", b"HTTP/1.1 ",
    b" HTTP/1.1", b"HTTP/ 1.1", b"HTTP/1.", b"HTTP/11", b"", b"HTTP/1.1\t", b"HTTP/1.1 x", b"ICE/1.0", b"RTSP/1.0",
    b"HTTP/1.1\x00",
]  # fmt: skip
HOSTS = [
    b"Host: app.example.com", b"host: app.example.com", b"HOST:app.example.com", b"Host: app.example.com ",
    b"Host:\tapp.example.com", b"Host: app.example.com:80",
]  # fmt: skip
ODD_HOSTS = [
    b"", b"Host: other", b"Host:", b"Host: app.example.com\r\nHost: app.example.com",
    b"Host: app.example.com\r\nhost: other", b"Host : app.example.com", b"Host: app.example.com, other",
    b"Host: app.example.com/x", b"Host: x@app.example.com", b" Host: app.example.com", b"Host: app.example.com\x00",
    b"X: y\r\n Host: app.example.com", b"Host: app.example.com\r\n other", b"Host: app.example.com\rHost: other",
    b"Host: app.example.com\nHost: other", b"Host: APP.example.com", b"Host: app.example.com:",
    b"Host: app.example.com:99999", b"Ho\x00st: app.example.com",
]  # fmt: skip
LENGTHS = [
    b"+%d", b"-%d", b" %d", b"%d ", b"0%d", b"00000000000000000000%d", b"%d, %d", b"%d,%d", b"0x%x", b"%d.0", b"%de0",
    b"%d_", b"1_%d", b"%d\x00", b"\x0b%d", b"%d\x0b", b"", b'"%d"', b"%d;a", b"\t%d\t", b"99999999999999999999",
    b"18446744073709551616", b"4294967296", b"%d\xa0", b"\xc2\xa0%d", b"%d\r", b"%d\r\n ", b"%d\n", b"\xd9\xa3",
]  # fmt: skip
CODINGS = [
    b"Chunked", b"CHUNKED", b"xchunked", b"chunked ", b"\tchunked", b"\x0bchunked", b"chunked\x0b", b"\x00chunked",
    b"chunked\x00", b" chunked", b"chunked, identity", b"identity, chunked", b"identity", b"gzip, chunked",
    b"chunked, chunked", b"chunked;q=1", b'"chunked"', b"chunked,", b",chunked", b"chunk\r\n ed", b"\r\n chunked",
    b"chunked\r\n ", b"cow", b"", b"chunked\r", b"chunked\n", b"x\nchunked", b"chunke\xc4\x91", b"ch\xc3\xbcnked",
    b"chunked\x0c", b"'chunked'", b"chunked\x85", b"chunked\xa0",
]  # fmt: skip
LENGTH_NAMES = [
    b"content-length", b"Content-length", b"CONTENT-LENGTH", b"Content_Length", b"Content-Length ",
    b"Content-Length\t", b" Content-Length", b"Content Length", b"Content-Length\x00", b"\tContent-Length",
    b"Content-Length\x0b", b"Content\xadLength", b"XContent-Length", b"Content-Length\r", b"\x00Content-Length",
]  # fmt: skip
CODING_NAMES = [
    b"transfer-encoding", b"TRANSFER-ENCODING", b"Transfer_Encoding", b"Transfer-Encoding ", b"Transfer-Encoding\t",
    b" Transfer-Encoding", b"Transfer Encoding", b"Transfer-Encoding\x00", b"X\nTransfer-Encoding",
    b"X: y\rTransfer-Encoding", b"\x0bTransfer-Encoding", b"Transfer-Encoding\r\n ", b"Transfer.Encoding", b"TE",
    b"Transfer-\xc4\xb0ncoding", b"Transfer-Encoding:", b"X-Transfer-Encoding",
]  # fmt: skip
FIELDS = [
    b"Accept: */*", b"X-A: b", b"X-A:b", b"x-a:   b  ", b"X-A:", b"X-A: ", b"Cookie: a=b",
    b"Cookie: a=b\r\nCookie: c=d", b"Cookie: sidegate=forged", b"User-Agent: f", b"X-Auth-Roles: admin",
    b"X_Auth_Roles: admin", b"x-AUTH_username: root", b"Content-Type: text/plain", b"Connection: keep-alive",
    b"Connection: close", b"Connection: X-A, close", b"Connection: Host", b"Connection: Content-Length",
    b"Connection: Transfer-Encoding", b"Connection: x-forwarded-for", b"Keep-Alive: timeout=5", b"TE: trailers",
    b"TE: trailers\r\nConnection: TE", b"Trailer: X-A", b"Expect: 100-continue", b"Expect: x",
    b"Proxy-Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Host: other", b"X-HTTP-Method-Override: DELETE",
    b"X-Original-URL: /admin", b"X-A: \xc3\xa9\xff", b"X-A: a\tb", b"X-A: " + b"v" * 8000, b"!#$%&'*+-.^_`|~: x",
    b"Authorization: Basic YTpi", b"Authorization: Negotiate YTpi", b"Range: bytes=0-1",
    b"Origin: https://evil.example", b"Sec-Fetch-Site: cross-site", b"X-Request-ID: forged", b"traceparent: x",
    b"Content-Encoding: gzip", b"Max-Forwards: 0", b"Via: 1.0 x", b"Forwarded: for=x", b"1: 2",
    b"Content-Type: a\r\nContent-Type: b", b"Access-Control-Request-Method: POST", b"If-Match: *", b"Date: x",
    b"X-A: b\r\nX-A: c", b"Sec-WebSocket-Key1: 1", b"Status: 200", b"Content-Location: /",
]  # fmt: skip
ODD_FIELDS = [
    b"X-A : b", b"X-A\t: b", b" X-A: b", b"\tX-A: b", b": b", b"X-A", b"X-A: b\r\n c", b"X-A: b\r\n\tc",
    b"X-A: b\r\n \r\nY: c", b"X-A: b\nY: c", b"X-A: b\rY: c", b"X-A: b\r\rY: c", b"X-A: b\x00c", b"X\x00A: b",
    b"X-A: \x7f", b"X-A: \x1b", b"X A: b", b"X(A): b", b"X\xc3\xa9: b", b"X-A: b\r", b"X-A: b\n", b"\r", b"\n",
    b"\x00", b"X-A: b\x0bTransfer-Encoding: chunked", b"X-A: b\n\nGET /smuggled HTTP/1.1", b"X-A: b\r\n\r",
    b"X-A: b\x85Y: c", b"Y" * 17000 + b": z", b"X-A: " + b"v" * 17000,
    b"\r\n".join(b"X-%d: y" % n for n in range(140)), b"GET /smuggled HTTP/1.1", b"X-A;: b", b"X-A:: b", b"[X]: b",
    b"X@A: b", b"X-A: b\x08", b"X,A: b", b"\x00X-A: b",
]  # fmt: skip
BODIES = [
    b"", b"a", b"abc", b"hello world", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"\x00" * 5,
    b"GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n", b"x" * 3000, b"\xff\xfe",
    b"5\r\nhello\r\n0\r\n\r\n", b"y" * 70000,
]  # fmt: skip
CHUNK_SIZES = [
    b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"%x\t", b"0%x", b"00000000000000000%x", b"%xg", b"%x;", b"%x;a",
    b"%x;a=b", b'%x;a="b"', b'%x;a="b\r\n"', b"%x ;a", b"%x;\x00", b"%x;a\rb", b"%x;a\nb", b"",
    b"fffffffffffffffff%x", b"%x,", b"%x\x0b", b"%x\r", b"\n%x", b"%x;" + b"e" * 300, b"\r\n%x", b"%x.0", b"%x_",
    b"100000000%x", b"%x\x00", b"%x;\xff", b"%x;;;",
]  # fmt: skip
CHUNK_ENDS = [b"\n", b"\r", b"", b"\r\n\r\n", b"\n\r", b" \r\n", b"xx", b"x\r\n", b"\r\r\n", b"\x00\r\n"]
LAST_CHUNKS = [b"00\r\n", b"0;a=b\r\n", b"0\n", b"", b"-0\r\n", b"0 \r\n", b"0x0\r\n", b"0\r"]
TRAILERS = [
    b"X-T: t\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"X-Auth-Roles: admin\r\n",
    b" X-T: t\r\n", b"X-T\r\n", b"X-T : t\r\n", b"X-T: t\n", b"X-T: \x00\r\n", b"\n", b"X-T: a\r\n b\r\n", b"\r",
    b"GET /smuggled HTTP/1.1\r\n", b"Host: x\r\n", b"X-T: " + b"t" * 9000 + b"\r\n", b": x\r\n", b"X-T: a\rb\r\n",
    b"X-T:\r\n" * 50, b"X\xc3\xa9: t\r\n",
]  # fmt: skip
LINE_ENDS = [
    b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b" \r\n", b"\x00\r\n", b"\x0b\r\n", b"\r\n\n", b"\xe2\x80\xa8",
    b"\r\n ",
]  # fmt: skip
BETWEEN = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\x00", b"x", b"0\r\n\r\n", b"\xef\xbb\xbf"]
EVIL_BYTES = [
    b"\x00", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\x0b", b"\x7f", b"\xff", b",", b";", b"0", b"\xa0", b"/",
]  # fmt: skip

STATUS_LINES = [b"HTTP/1.1 200 OK"] * 8 + [
    b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 500 Oh",
    b"HTTP/1.0 200 OK", b"HTTP/1.1 201 ", b"HTTP/1.1 302 Found", b"HTTP/1.1 205 Reset Content", b"HTTP/1.1 599 x",
]  # fmt: skip
ODD_STATUS_LINES = [
    b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 x",
    b"HTTP/1.1 600 x", b"HTTP/1.1 999 x", b"HTTP/1.1 000 x", b"HTTP/2 200", b"HTTP/0.9 200 OK", b"ICY 200 OK", b"",
    b"HTTP/1.1 200 OK\rX: y", b"HTTP/1.1 200 OK\nX: y", b"HTTP/1.1 200 \x00", b"HTTP/1.1\t200 OK",
    b" HTTP/1.1 200 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 2 0 OK", b"HTTP/1.1 0x1 OK", b"<html>",
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket", b"HTTP/1.1 102 x", b"HTTP/1.1 199 x",
    b"http/1.1 200 OK", b"HTTP/1.1 200 \xe9\xff", b"HTTP/1.1 200 " + b"r" * 40000, b"HTTP/1.2 200 OK",
    b"HTTP/1.1 200OK", b"GET / HTTP/1.1", b"\r\nHTTP/1.1 200 OK",
]  # fmt: skip
INTERIM_LINES = [
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 102 Processing",
]  # fmt: skip
ANSWER_FIELDS = [
    b"Content-Type: text/html", b"X-Token: odd", b"Set-Cookie: a=b", b"Set-Cookie: sidegate=forged",
    b"Connection: close", b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Connection: X-A, close", b"X-A: b",
    b"X-A:", b"Server: x", b"Cache-Control: public, s-maxage=9", b"Vary: *", b"Date: x", b"Upgrade: h2c",
    b"Connection: Upgrade", b"Trailer: X-T", b"X-Request-ID: forged", b"Location: //evil", b"X-A: \xc3\xa9\xff",
    b"Content-Encoding: gzip", b"WWW-Authenticate: Negotiate", b"Connection: Content-Length",
    b"Connection: Transfer-Encoding", b"Content-Range: bytes 0-1/2", b"Proxy-Connection: close", b"Age: 1",
    b"Content-Type: multipart/byteranges; boundary=x", b"Alt-Svc: h2",
]  # fmt: skip
ODD_ANSWER_FIELDS = [
    b"X-A : b", b" X-A: b", b"\tX-A: b", b": b", b"X-A", b"X-A: b\r\n c", b"X-A: b\nY: c", b"X-A: b\rY: c",
    b"X-A: b\x00c", b"X\x00A: b", b"X-A: \x7f", b"X A: b", b"X\xc3\xa9: b", b"\r", b"\n",
    b"X-A: b\n\nHTTP/1.1 200 OK", b"X-A: b\r\n\r", b"Content-Length: 5", b"Content-Length: 0",
    b"Transfer-Encoding: chunked", b"Content-Length : 3", b"Transfer-Encoding : chunked", b"X-A: " + b"v" * 40000,
    b"\r\n".join(b"X-%d: y" % n for n in range(300)), b"Transfer-Encoding: identity", b"HTTP/1.1 200 OK",
    b"Content-Length: 3, 3", b"X-A: b\r", b"X-A: \x1b", b"Content_Length: 3", b"X,A: b",
]  # fmt: skip


def one_byte_off(random: Random, stream: bytes) -> bytes:
    """Put in, take out, replace or repeat somewhere."""
    at = random.randrange(len(stream) + 1)
    match random.randrange(4):
        case 0:
            return stream[:at] + random.choice(EVIL_BYTES) + stream[at:]
        case 1:
            return stream[:at] + stream[at + random.choice((1, 1, 2, 10)) :]
        case 2:
            return stream[:at] + bytes([random.randrange(256)]) + stream[at + 1 :]
        case _:
            return stream[:at] + stream[max(0, at - random.randrange(1, 40)) : at] + stream[at:]


def length_field(random: Random, size: int, *, strange: int) -> bytes:
    """Return a Content-Length, nearly always the right one."""
    wrong = _Turns(random, strange)
    value = b"%d" % max(0, size)
    if wrong():
        value = random.choice(LENGTHS).replace(b"%d", value).replace(b"%x", b"%x" % max(0, size))
    if wrong():
        value = b"%d" % max(0, size + random.choice((-3, -1, 1, 2, 40)))
    name = random.choice(LENGTH_NAMES) if wrong() else b"Content-Length"
    return name + random.choice((b": ", b": ", b":", b":  ")) + value


def chunked(random: Random, content: bytes, *, strange: int) -> bytes:
    """Return the content in chunks."""
    wrong = _Turns(random, strange)
    out = b""
    while content:
        size = min(len(content), random.choice((1, 3, 10, 1000, 100000)))
        piece, content = content[:size], content[size:]
        out += _chunk_size(random, size, wrong) + (random.choice(CHUNK_ENDS) if wrong() else b"\r\n")
        out += piece + (random.choice(CHUNK_ENDS) if wrong() else b"\r\n")
        if len(content) > 3000:
            size, content = len(content) - 3000, content[-3000:]
            out += b"%x\r\n" % size + b"z" * size + b"\r\n"
    last = random.choice(LAST_CHUNKS) if wrong() else b"0\r\n"
    trailer = b"".join(random.choice(TRAILERS) for _ in range(2)) if wrong() else b""
    return out + last + trailer + (random.choice((b"\n", b"", b"\r", b"\r\n\r\n", b"\n\r\n")) if wrong() else b"\r\n")


def _chunk_size(random: Random, size: int, wrong: _Turns) -> bytes:
    written = b"%x" % size
    if wrong():
        return random.choice(CHUNK_SIZES).replace(b"%x", written)
    if wrong():
        return b"%x" % max(0, size + random.choice((-1, 1, 2)))
    return written.upper() if random.random() < 0.2 else written


class _Turns:
    """Says now and then that this turn is a wrong one."""

    def __init__(self, random: Random, strange: int) -> None:
        self._random = random
        self._strange = strange

    def __call__(self) -> bool:
        return self._random.randrange(1000) < self._strange
