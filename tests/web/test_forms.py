"""Bodies of forms: one reading, or none."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from proxy.errors import BodyTooLarge, FormRejected
from proxy.web.forms import MAX_BODY_BYTES, MAX_FIELDS, Fields, read_fields

URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"


async def outcome(aiohttp_client: Any, data: bytes, content_type: str) -> Any:
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
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xa9 \r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            (("a", "é "),),
        ),
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
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/a; charset=x\r\n\r\n1\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
async def test_what_is_no_form_is_refused(aiohttp_client: Any, data: bytes, content_type: str) -> None:
    assert isinstance(await outcome(aiohttp_client, data, content_type), FormRejected)


@pytest.mark.parametrize("content_type", [URLENCODED, JSON])
async def test_a_body_above_the_cap_is_too_large(aiohttp_client: Any, content_type: str) -> None:
    assert isinstance(await outcome(aiohttp_client, b"a" * (MAX_BODY_BYTES + 1), content_type), BodyTooLarge)


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
