"""A file of a picture is judged by its bytes, and each fault has its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.picture import LARGEST_PICTURE_BYTES, LOGO_KINDS
from proxy.settings.pictures import picture_findings
from tests.support.pictures import LOGO_SVG, png

if TYPE_CHECKING:
    from pathlib import Path

PATH = ("login", "logo_file")


def said(file: str) -> list[tuple[str, str]]:
    return [(finding.message, finding.remedy) for finding in picture_findings(PATH, file, LOGO_KINDS)]


@pytest.mark.parametrize("content", [LOGO_SVG, png(8, 8)])
def test_a_picture_is_fine_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    assert said(str(tmp_path / "x")) == []


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    ((message, remedy),) = said(str(tmp_path / "nowhere"))

    assert message.endswith("which cannot be read (no such file or directory)")
    assert remedy == "check the path"
    assert said("a\0b") == [("is no path", "name a file")]


def test_what_is_too_large_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(png(8, 8) + bytes(LARGEST_PICTURE_BYTES))

    ((message, _),) = said(str(tmp_path / "x"))
    assert message.endswith("which is larger than 512 KiB")


def test_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x00\x00\x01\x00\x01\x00\x20\x20" + bytes(14))

    ((message, remedy),) = said(str(tmp_path / "x"))
    assert message.endswith("which is ICO")
    assert remedy == "save it as SVG, PNG, JPEG or WEBP"
