"""A link from one page of ours to another leads somewhere, to its heading too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def headings(page: Path) -> set[str]:
    """The anchors that a forge makes of the headings of a page."""
    lines = re.findall(r"^#+ +(.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [
        f"{path}#{anchor}" if anchor else path
        for path, anchor in LINK.findall(page.read_text("utf-8"))
        if not _leads(page, path, anchor)
    ]

    assert dead == []


def _leads(page: Path, path: str, anchor: str) -> bool:
    target = (page.parent / path) if path else page
    return target.exists() and (not anchor or anchor in headings(target))
