"""Bodies of forms: urlencoded, multipart or a flat JSON object become text fields by name.

Read strictly: a body that two readers could take for two forms (a field twice, broken UTF-8, a file) is no form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.errors import BodyTooLarge, FormRejected

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BODY_BYTES = 64 * 1024
"""Bytes of a body that our own pages read; the largest form has 2 KiB of ``return_to`` and a password."""

MAX_FIELDS = 32
"""Fields of a form; the largest of ours has seven."""

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Fields:
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


async def read_fields(request: web.Request) -> Fields:
    """Return the body of a form.

    Raises:
        FormRejected: another content type, or not readable as what it says it is.
        BodyTooLarge: above MAX_BODY_BYTES.
    """
    readers = {URLENCODED: _urlencoded, MULTIPART: _multipart, JSON: _json}
    reader = readers.get(request.content_type)
    if reader is None:
        raise FormRejected("the content type is none of a form's")
    try:
        return await reader(request)
    except web.HTTPRequestEntityTooLarge as error:
        msg = f"the form is larger than {MAX_BODY_BYTES} bytes"
        raise BodyTooLarge(msg) from error
    except (ValueError, LookupError, RecursionError) as error:
        # Its text may hold a piece of the body, and so of a password: only its kind is told.
        msg = f"the form cannot be read: {type(error).__name__}"
        raise FormRejected(msg) from None


async def _urlencoded(request: web.Request) -> Fields:
    body = (await request.read()).decode("utf-8")
    return Fields(tuple(parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)))


async def _multipart(request: web.Request) -> Fields:
    return Fields(tuple(_texts((await request.post()).items())))


async def _json(request: web.Request) -> Fields:
    document = json.loads(await request.read(), object_pairs_hook=tuple)
    if not isinstance(document, tuple):
        raise FormRejected("the JSON document is not an object")
    return Fields(tuple(_texts(document)))


def _texts(pairs: Iterable[tuple[str, object]]) -> Iterable[tuple[str, str]]:
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
