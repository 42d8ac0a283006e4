"""What other parsers refuse although it is lawful, each with its reason: a refusal that stands here is no finding.

A refusal reads nothing differently; but one that is not listed may be a sign that what was sent is not lawful.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.readers import Transcript

AIOHTTP = ("aiohttp in C", "aiohttp in Python")

_KNOWN = (
    # A list of fields that it takes once; RFC 9110 §5.3 leaves others to the recipient.
    (AIOHTTP, re.compile(r"Duplicate '")),
    # The handshake before RFC 6455.
    (AIOHTTP, re.compile(r"Sec-WebSocket-Key1", re.IGNORECASE)),
    # Of these it takes one, since 1.22; and its methods are letters, dashes and underscores.
    (("nginx",), re.compile(r"duplicate header line|client sent invalid method")),
    # Bytes above ASCII in a target: RFC 9112 has none, old links do, and the law of the target judges them.
    (("h11",), re.compile(r"illegal request line: .*\\x[89a-f]")),
    (("aiohttp in C",), re.compile(r"Invalid char in url (?:path|query):[\s\S]*\\x[89a-f]")),
    # llhttp knows the registered methods only.
    (("aiohttp in C",), re.compile(r"Invalid method encountered|Expected space after method")),
)
_UPGRADE = re.compile(rb"\r\nUpgrade: websocket\r\n", re.IGNORECASE)


def refuses_lawfully(reader: str, transcript: Transcript) -> bool:
    """Say whether this refusal is known."""
    return any(reader in readers and pattern.search(transcript.refusal) for readers, pattern in _KNOWN)


def leaves_lawfully(reader: str, stream: bytes) -> bool:
    """Say whether this reader stops where an upgrade was asked for, and leaves the rest to another protocol."""
    return reader in AIOHTTP and _UPGRADE.search(stream) is not None
