"""Bodies of forms: urlencoded, multipart or a flat JSON object become text fields by name.

Read strictly: a body that two readers could take for two forms (a field twice, broken UTF-8, a file) is no form. Read
whole and bounded before anything is parsed, whatever it says that it is: what parses a stream finds its own bounds.
"""

from __future__ import annotations

import json
import re
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web
from msgspec import Struct

from proxy.errors import BodyTooLarge, FormRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BODY_BYTES = 64 * 1024
"""Bytes of a body that our own pages read; the largest form has 2 KiB of ``return_to`` and a password."""

MAX_FIELDS = 32
"""Fields of a form; the largest of ours has seven."""

MAX_CONTENT_TYPE = 256
"""Characters of a Content-Type that says where the boundary is: 70 of boundary, the rest for what others add."""

MAX_PART_HEAD_BYTES = 512
"""Bytes before the text of one part; a browser sends 60, a library that names type and length 150."""

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"

_BOUNDARY = re.compile(r"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]", re.ASCII)
"""RFC 2046 §5.1.1."""

_PART_FIELD = re.compile(r"([\w-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", re.ASCII)

_CHARSETS = {"utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
"""What a part may be written in. Named one by one: some codecs of Python take minutes for 64 KiB."""

_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
"""Transfer encodings that encode nothing; the others are deprecated (RFC 7578 §4.7), and no browser sends them."""


class Fields(Struct, frozen=True):
    """Text fields in the order of the body."""

    pairs: tuple[tuple[str, str], ...]

    def text(self, name: str) -> str | None:
        """Return the field, or None when it is absent.

        Raises:
            FormRejected: it is there twice.
        """
        values = [value for key, value in self.pairs if key == name]
        if len(values) > 1:
            msg = f"the field {name} is there {len(values)} times"
            raise FormRejected(msg)
        return values[0] if values else None


def media_type(request: web.Request) -> str:
    """Return the type in small letters without its parameters, empty when none is named.

    Not aiohttp's ``content_type``: its grammar for mail takes a fifth of a second for four hostile kilobytes.
    """
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def read_fields(request: web.Request) -> Fields:
    """Return the body of a form.

    Raises:
        FormRejected: another content type, not readable as what it says it is, or not sent to its end.
        BodyTooLarge: above MAX_BODY_BYTES.
    """
    readers = {URLENCODED: _urlencoded, MULTIPART: _multipart, JSON: _json}
    reader = readers.get(media_type(request))
    if reader is None:
        raise FormRejected("the content type is none of a form's")
    try:
        return Fields(tuple(reader(await request.read(), request.headers["Content-Type"])))
    except web.HTTPRequestEntityTooLarge as error:
        msg = f"the form is larger than {MAX_BODY_BYTES} bytes"
        raise BodyTooLarge(msg) from error
    except (ConnectionError, web.RequestPayloadError):
        raise FormRejected("the connection ended within the form") from None
    except (ValueError, LookupError, RecursionError) as error:
        # Its text may hold a piece of the body, and so of a password: only its kind is told.
        msg = f"the form cannot be read: {type(error).__name__}"
        raise FormRejected(msg) from None


def _urlencoded(body: bytes, _content_type: str) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)


def _json(body: bytes, _content_type: str) -> Iterator[tuple[str, str]]:
    document = json.loads(body, object_pairs_hook=tuple)
    if not isinstance(document, tuple):
        raise FormRejected("the JSON document is not an object")
    return _texts(document)


def _texts(pairs: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(pairs, start=1):
        if number > MAX_FIELDS:
            raise FormRejected("too many fields")
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, str):
            yield name, value
        elif value is not None:
            msg = f"the field {name[:40]!r} is not text"
            raise FormRejected(msg)


def _multipart(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    """Return the fields of a body that is its parts and nothing else (RFC 7578).

    Neither preamble nor epilogue: no browser sends them, and readers differ about what they hide.
    """
    delimiter = b"\r\n--" + _boundary(content_type)
    before, *parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 1)
    if before or not parts or parts.pop() not in {b"--", b"--\r\n"}:
        raise FormRejected("the body is not a row of at most MAX_FIELDS parts from boundary to boundary")
    return map(_part, parts)


def _boundary(content_type: str) -> bytes:
    if len(content_type) > MAX_CONTENT_TYPE:
        raise FormRejected("the content type is longer than any real one")
    message = Message()
    message["Content-Type"] = content_type
    found = [value for name, value in message.get_params() or () if name == "boundary" and isinstance(value, str)]
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        raise FormRejected("the content type names no boundary, or no possible one")
    return found[0].encode("ascii")


def _part(part: bytes) -> tuple[str, str]:
    """Return name and text of what stands between two boundaries."""
    head, found, text = part.partition(b"\r\n\r\n")
    if not found or not head.startswith(b"\r\n") or len(head) > MAX_PART_HEAD_BYTES:
        raise FormRejected("a part has no head, or a long one")
    fields = _part_fields(head.decode("utf-8"))
    name = fields.get_param("name", header="Content-Disposition")
    if fields.get_content_disposition() != "form-data" or not isinstance(name, str) or name == "_charset_":
        raise FormRejected("a part is no field of a form")
    if fields.get_filename() is not None or fields.get_content_maintype() != "text":
        raise FormRejected("a part is not text")
    if fields.get("Content-Transfer-Encoding", "binary").lower() not in _PLAIN_ENCODINGS:
        raise FormRejected("a part is encoded")
    return name, text.decode(_CHARSETS[fields.get_content_charset("utf-8")])


def _part_fields(head: str) -> Message:
    """Return the fields of a part; each at most once, none over two lines."""
    message = Message()
    for line in head.split("\r\n")[1:]:
        found = _PART_FIELD.fullmatch(line)
        if found is None or found[1] in message:
            raise FormRejected("the head of a part cannot be read, or says something twice")
        message[found[1]] = found[2]
    return message
