"""Pictures are known by their bytes, and their size before they are drawn."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.picture import Picture, PictureKind, describe_picture
from tests.support.pictures import png

SVG_NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
VP8X = b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + (119).to_bytes(3, "little") + (39).to_bytes(3, "little")
VP8L = b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 119 | 39 << 14)
VP8 = b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 120, 40)
APP0 = b"\xff\xe0\x00\x06JFIF"
JPEG = b"\xff\xd8" + APP0 + b"\xff\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 40, 120) + bytes(6)
ICO = b"\x00\x00\x01\x00\x02\x00" + b"\x10\x10" + bytes(14) + b"\x00\x00" + bytes(14)


def svg(attributes: str, before: str = "") -> bytes:
    return f"{before}<svg {SVG_NAMESPACE} {attributes}><path d='M0 0'/></svg>".encode()


@pytest.mark.parametrize(
    ("content", "kind", "size"),
    [
        (png(120, 40), PictureKind.PNG, (120, 40)),
        (JPEG, PictureKind.JPEG, (120, 40)),
        (VP8X, PictureKind.WEBP, (120, 40)),
        (VP8L, PictureKind.WEBP, (120, 40)),
        (VP8, PictureKind.WEBP, (120, 40)),
        (ICO, PictureKind.ICO, (256, 256)),
        (svg('width="120" height="40"'), PictureKind.SVG, (120, 40)),
        (svg('width="119.6px" height=" 40 "'), PictureKind.SVG, (120, 40)),
        (svg('viewBox="0 0 120 40"'), PictureKind.SVG, (120, 40)),
        (svg('width="100%" height="100%" viewBox="-5,-5,120,40"'), PictureKind.SVG, (120, 40)),
        (svg('viewBox="0 0 0.2 0.1"'), PictureKind.SVG, (1, 1)),
        (svg(""), PictureKind.SVG, (300, 150)),
        (svg('width="8" height="9"', "\ufeff<?xml version='1.0'?>\n<!-- a --><!-- b -->\n"), PictureKind.SVG, (8, 9)),
        (svg('width="8" height="9"', "<!DOCTYPE svg [<!ENTITY a 'b'>]>"), PictureKind.SVG, (8, 9)),
    ],
)
def test_kind_and_size_are_found(content: bytes, kind: PictureKind, size: tuple[int, int]) -> None:
    assert describe_picture(content) == Picture(kind, *size)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<html><body>login</body></html>",
        b"<svg><path/></svg>",
        b"\xef\xbb\xbf",
        b"<svg xmlns='http://www.w3.org/2000/svg'>cut off",
        b"GIF89a" + bytes(20),
        b"%PDF-1.7",
        png(120, 40)[:18],
        png(0, 40),
        png(1 << 20, 40),
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        JPEG[:12],
        b"\xff\xd8\xff\xda\x00",
        b"\xff\xd8\xff",
        VP8X[:20],
        VP8L[:22],
        b"\x00\x00\x01\x00",
        b"\x00\x00\x01\x00\x00\x00",
        svg('viewBox="0 0 1e9 4"'),
        svg('viewBox="0 0 -4 4"'),
    ],
)
def test_what_browsers_do_not_draw_is_no_picture(content: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        describe_picture(content)


BILLION = (
    b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a0 'lol'>%b]><svg xmlns='http://www.w3.org/2000/svg'>&a20;</svg>"
)


def test_entities_that_grow_without_end_are_refused() -> None:
    entities = b"".join(b"<!ENTITY a%d '%b'>" % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 21))

    with pytest.raises(ValueError, match="no picture"):
        describe_picture(BILLION % entities)


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", VP8X[:16], b"\x00\x00\x01\x00", b"<svg "]), st.binary()
)
def test_no_bytes_are_a_fault_of_ours(start: bytes, rest: bytes) -> None:
    try:
        picture = describe_picture(start + rest)
    except ValueError:
        return
    assert picture.width >= 1
    assert picture.height >= 1
