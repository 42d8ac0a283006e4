"""An HTTP answer of our own as a value: made by ``respond.py``, written by whoever holds the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.core.request import Headers


class Answer(Struct, frozen=True):
    """A whole answer: status, end-to-end header fields (no framing, no Connection), body.

    The writer adds Content-Length, and leaves the body out for HEAD.
    """

    status: int
    headers: Headers
    body: bytes = b""
