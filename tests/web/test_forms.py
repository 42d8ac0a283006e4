"""Bodies of forms: one reading, or none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from proxy.errors import BodyTooLarge, FormRejected
from proxy.web.forms import MAX_BODY_BYTES, MAX_FIELDS, Fields, media_type, read_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
JSON = "application/json"


def part(text: bytes = b"1", *, name: bytes = b"a", more: bytes = b"") -> bytes:
    """One part of a multipart body, with the boundary before it."""
    return b'--x\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n' % (name, more, text)


async def outcome(aiohttp_client: Any, data: Any, content_type: str) -> Any:
    """What a handler gets of this body."""
    got: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            got.append(await read_fields(request))
        except (FormRejected, BodyTooLarge) as error:
            got.append(error)
        return web.Response()

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/", handler)
    client = await aiohttp_client(app)
    await client.post("/", data=data, headers={"Content-Type": content_type})
    return got[0]


@pytest.mark.parametrize(
    ("data", "content_type", "pairs"),
    [
        (b"a=1&b=+x%20%C3%A9+", URLENCODED, (("a", "1"), ("b", " x é "))),
        (b"a=&b", URLENCODED, (("a", ""), ("b", ""))),
        (b"", URLENCODED, ()),
        (b"a=1", f"{URLENCODED}; charset=UTF-8", (("a", "1"),)),
        (b'{"a": "1", "b": true, "c": null, "d": false}', JSON, (("a", "1"), ("b", "true"), ("d", "false"))),
        (b"{}", JSON, ()),
        (part("é ".encode()) + b"--x--\r\n", MULTIPART, (("a", "é "),)),
        (part(b"\r\n--y\r\n") + b"--x--", 'Multipart/Form-Data; charset=utf-8; BOUNDARY="x"', (("a", "\r\n--y\r\n"),)),
        (part(b"") + part(b"2", name=b"b") + b"--x--\r\n", MULTIPART, (("a", ""), ("b", "2"))),
        (b"--x--\r\n", MULTIPART, ()),
        (part(more=b"Content-Type: text/plain; charset=UTF-8\r\n") + b"--x--\r\n", MULTIPART, (("a", "1"),)),
        (part(b"\xe9", more=b"content-type: text/plain; charset=ISO-8859-1\r\n") + b"--x--", MULTIPART, (("a", "é"),)),
        (part(more=b"Content-Transfer-Encoding: 8bit\r\nContent-Length: 1\r\n") + b"--x--", MULTIPART, (("a", "1"),)),
    ],
)
async def test_fields_come_as_they_were_sent(
    aiohttp_client: Any, data: bytes, content_type: str, pairs: tuple[tuple[str, str], ...]
) -> None:
    assert await outcome(aiohttp_client, data, content_type) == Fields(pairs)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"a=%ff", URLENCODED),
        (b"\xff=1", URLENCODED),
        (b"&".join(b"a%d=1" % number for number in range(MAX_FIELDS + 1)), URLENCODED),
        (b"[]", JSON),
        (b"1", JSON),
        (b"", JSON),
        (b"{", JSON),
        (b'{"a": 1}', JSON),
        (b'{"a": {"b": "c"}}', JSON),
        (b'{"a": []}', JSON),
        (b"[" * 20_000, JSON),
        (b"\xff\xfe", JSON),
        (b"a=1", "text/plain"),
        (b"a=1", "application/xml"),
        (b"nonsense", MULTIPART),
        (b"", MULTIPART),
        (part(), MULTIPART),
        (part() + b"--x-", MULTIPART),
        (part() + b"--x--\r\nepilogue", MULTIPART),
        (b"preamble\r\n" + part() + b"--x--\r\n", MULTIPART),
        (part() + b"--xy\r\n\r\n\r\n--x--\r\n", MULTIPART),
        (part().replace(b"\r\n", b"\n") + b"--x--\n", MULTIPART),
        (b"".join(part(name=b"a%d" % number) for number in range(MAX_FIELDS + 1)) + b"--x--\r\n", MULTIPART),
        (b"--x\r\n\r\n1\r\n--x--\r\n", MULTIPART),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", MULTIPART),
        (b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--x--\r\n', MULTIPART),
        (b"--x\r\nContent-Disposition: form-data; name*=utf-8''a\r\n\r\n1\r\n--x--\r\n", MULTIPART),
        (part(b"utf-16", name=b"_charset_") + part() + b"--x--\r\n", MULTIPART),
        (part(b"x" * 40, name=b"_charset_") + b"--x--\r\n", MULTIPART),
        (part(name=b'a"; filename="f') + b"--x--\r\n", MULTIPART),
        (part(b"\xff") + b"--x--\r\n", MULTIPART),
        (part(name=b"\xff") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Transfer-Encoding: base64\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Transfer-Encoding: nonsense\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Type: text/plain; charset=x\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Type: text/plain; charset=punycode\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Type: application/json\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Type: multipart/mixed; boundary=y\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"Content-Disposition: form-data; name=b\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"no field\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b" folded: x\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"X: a\nY: b\r\n") + b"--x--\r\n", MULTIPART),
        (part(more=b"X: " + b"y" * 9000 + b"\r\n") + b"--x--\r\n", MULTIPART),
        (b"--x--\r\n", "multipart/form-data"),
        (b"----\r\n", "multipart/form-data; boundary="),
        (b"--x--\r\n", "multipart/form-data; boundary=x; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary*=utf-8''x"),
        (b"--" + b"x" * 71 + b"--\r\n", "multipart/form-data; boundary=" + "x" * 71),
        (b"--x--\r\n", "multipart/form-data; boundary=x; y=" + "y" * 300),
    ],
)
async def test_what_is_no_form_is_refused(aiohttp_client: Any, data: bytes, content_type: str) -> None:
    assert isinstance(await outcome(aiohttp_client, data, content_type), FormRejected)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART, "multipart/form-data", JSON])
async def test_a_body_above_the_cap_is_too_large(aiohttp_client: Any, content_type: str) -> None:
    assert isinstance(await outcome(aiohttp_client, b"a" * (MAX_BODY_BYTES + 1), content_type), BodyTooLarge)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART, JSON])
async def test_a_body_that_never_ends_is_too_large_as_soon_as_it_is(aiohttp_client: Any, content_type: str) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"\r\n" * MAX_BODY_BYTES
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        assert isinstance(await outcome(aiohttp_client, lines(), content_type), BodyTooLarge)


@pytest.mark.parametrize("fault", [ConnectionResetError("Connection lost"), web.RequestPayloadError("broken")])
@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART, JSON])
async def test_who_hangs_up_within_a_form_has_sent_none(content_type: str, fault: Exception) -> None:
    body = StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
    body.feed_data(b"username=al")
    request = make_mocked_request("POST", "/", headers={"Content-Type": content_type}, payload=body)
    reading = asyncio.get_running_loop().create_task(read_fields(request))
    await asyncio.sleep(0)

    body.set_exception(fault)

    with pytest.raises(FormRejected, match="the connection ended"):
        await reading


@pytest.mark.parametrize("piece", [b"\n", b"\r\n", b"--x\r\n", b"--x\r\nA: b\r\n\r\n\r\n", b"--x\r\nA: b\r\n"])
async def test_no_body_costs_more_than_its_length(aiohttp_client: Any, piece: bytes) -> None:
    body = piece * (MAX_BODY_BYTES // len(piece))
    begun = time.thread_time()

    assert isinstance(await outcome(aiohttp_client, body, MULTIPART), FormRejected)

    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize("parameters", ["a;x*1=b;" * 500, '"' + ";" * 4000, "a=b;" * 1000, "((" * 2000])
def test_no_content_type_costs_more_than_its_length(parameters: str) -> None:
    request = make_mocked_request("POST", "/", headers={"Content-Type": f"Multipart/Form-Data ; x*0={parameters}"})
    begun = time.thread_time()

    assert media_type(request) == "multipart/form-data"

    assert time.thread_time() - begun < 0.01


async def test_the_refusal_holds_nothing_of_the_body(aiohttp_client: Any) -> None:
    error = await outcome(aiohttp_client, b"password=hunter2%ff", URLENCODED)

    assert (
        "hunter2" not in f"{error!r} {error.__cause__!r} {error.__context__ if not error.__suppress_context__ else ''}"
    )


def test_a_field_that_is_there_twice_counts_for_neither() -> None:
    fields = Fields((("a", "1"), ("a", "1"), ("b", "2")))

    assert fields.text("b") == "2"
    assert fields.text("c") is None
    with pytest.raises(FormRejected):
        fields.text("a")
