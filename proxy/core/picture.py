"""What a file of a picture is, by its own first bytes: kind, width and height. Nothing is decoded.

A name may lie and so may a Content-Type; browsers are told what the bytes say. The size is needed so that a page keeps
the place of a picture that is still on its way.
"""

from __future__ import annotations

import re
import struct
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class PictureKind(StrEnum):
    """The media type."""

    SVG = "image/svg+xml"
    PNG = "image/png"
    JPEG = "image/jpeg"
    WEBP = "image/webp"
    ICO = "image/x-icon"


LOGO_KINDS: Final = (PictureKind.SVG, PictureKind.PNG, PictureKind.JPEG, PictureKind.WEBP)
ICON_KINDS: Final = (PictureKind.SVG, PictureKind.PNG, PictureKind.ICO)

LARGEST_PICTURE_BYTES: Final = 512 * 1024
"""A logo has 5 KB, a photograph of a house 300; more would be the slowest part of the page."""

LARGEST_SIDE: Final = 1 << 16
"""A side of more units is a mistake, or an attack on whoever draws it."""


class Picture(Struct, frozen=True):
    """What is said of a picture without drawing it; sides in its own units, at least 1."""

    kind: PictureKind
    width: int
    height: int


def describe_picture(content: bytes) -> Picture:
    """Return what the bytes are.

    Raises:
        ValueError: none of :class:`PictureKind`, cut off, or without a size.
    """
    kind = _kind_of(content)
    try:
        width, height = _SIZES[kind](content)
    except (struct.error, IndexError, StopIteration) as error:
        raise ValueError("the picture is cut off") from error
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise ValueError("the picture has no size")
    return Picture(kind, width, height)


def _kind_of(content: bytes) -> PictureKind:
    for kind, is_start in _STARTS.items():
        if is_start(content):
            return kind
    raise ValueError("no picture")


_BEFORE_MARKUP: Final = b"\xef\xbb\xbf \t\r\n"

_STARTS: Final[dict[PictureKind, Callable[[bytes], bool]]] = {
    PictureKind.PNG: lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"),
    PictureKind.JPEG: lambda content: content.startswith(b"\xff\xd8\xff"),
    PictureKind.WEBP: lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP",
    PictureKind.ICO: lambda content: content.startswith(b"\x00\x00\x01\x00"),
    PictureKind.SVG: lambda content: content.lstrip(_BEFORE_MARKUP)[:1] == b"<" and _svg_root(content) is not None,
}


# --- sizes -----------------------------------------------------------------------------------------------------------


def _png_size(content: bytes) -> tuple[int, int]:
    """Source: PNG (Third Edition) §11.2.1, IHDR."""
    if content[12:16] != b"IHDR":
        raise ValueError("the picture is cut off")
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Source: ITU-T T.81 §B.2.2: the frame header gives lines, then samples of a line."""
    at = next(at for marker, at in _jpeg_segments(content) if marker in _FRAME_HEADERS)
    height, width = struct.unpack_from(">HH", content, at + 5)
    return width, height


_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15, without the tables and the reserved one among them."""


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and place of each segment; a place is that of the marker's second byte less one."""
    at = 2
    while at < len(content) and content[at] == 0xFF:
        if content[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        yield content[at + 1], at
        at += 2 + struct.unpack_from(">H", content, at + 2)[0]


def _webp_size(content: bytes) -> tuple[int, int]:
    """Source: RFC 9649 §2.5 to §2.7; RFC 6386 §9.1 (key frame of VP8)."""
    chunk = content[12:16]
    if chunk == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
        return 1 + (low_width | high_width << 16), 1 + (low_height | high_height << 16)
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _ico_size(content: bytes) -> tuple[int, int]:
    """Return the largest of its pictures; a byte of 0 stands for 256."""
    (count,) = struct.unpack_from("<H", content, 4)
    sizes = [struct.unpack_from("BB", content, 6 + 16 * index) for index in range(min(count, 64))]
    width, height = max((((side[0] or 256), (side[1] or 256)) for side in sizes), default=(0, 0))
    return width, height


_SVG_ROOT: Final = "http://www.w3.org/2000/svg svg"
"""Without its namespace no browser draws one as an image (SVG 2 §4.1)."""
_LENGTH: Final = re.compile(r"\s*([0-9]{0,6}\.?[0-9]{1,6})(?:px)?\s*")
_NUMBER: Final = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")


def _svg_root(content: bytes) -> dict[str, str] | None:
    """Return the attributes of the root element, or None when it is no SVG: browsers draw none that is not XML."""
    roots: list[tuple[str, dict[str, str]]] = []
    # It reads an operator's own file, opens no other, and bounds by itself what entities grow to.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: None if roots else roots.append((name, attributes))
    try:
        parser.Parse(content, True)  # noqa: FBT003 - the interface of expat: this was all
    except expat.ExpatError:
        return None
    name, attributes = roots[0]
    return attributes if name == _SVG_ROOT else None


def _svg_size(content: bytes) -> tuple[int, int]:
    """Return width and height, else those of the view box, else what browsers take (CSS 2.2 §10.3.2)."""
    attributes = _svg_root(content) or {}
    width, height = (_LENGTH.fullmatch(attributes.get(name, "")) for name in ("width", "height"))
    if width is not None and height is not None:
        return _whole(float(width[1])), _whole(float(height[1]))
    box = _NUMBER.findall(attributes.get("viewBox", ""))
    return (_whole(float(box[2])), _whole(float(box[3]))) if len(box) == 4 else (300, 150)


def _whole(length: float) -> int:
    """Return a length in whole units; one below 1 is 1, and what is no length of a side is 0."""
    return max(1, round(length)) if 0 < length < LARGEST_SIDE else 0


_SIZES: Final[dict[PictureKind, Callable[[bytes], tuple[int, int]]]] = {
    PictureKind.PNG: _png_size,
    PictureKind.JPEG: _jpeg_size,
    PictureKind.WEBP: _webp_size,
    PictureKind.ICO: _ico_size,
    PictureKind.SVG: _svg_size,
}
