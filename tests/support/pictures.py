"""Pictures made here, so that no test needs a file or a library for them."""

from __future__ import annotations

import struct
import zlib

LOGO_SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="180" height="44" viewBox="0 0 180 44">\
<circle cx="22" cy="22" r="20" fill="#0f766e"/><path d="M12 30 22 10l10 20z" fill="#fff"/>\
<text x="52" y="30" font-family="sans-serif" font-size="24" font-weight="700" fill="#134e4a">Acme Corp</text></svg>"""


def png(width: int, height: int) -> bytes:
    """A whole PNG, all of one grey; large sides are only said, not drawn."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = (b"\x00" + b"\x80" * width) * height if width * height < 1 << 20 else b""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
