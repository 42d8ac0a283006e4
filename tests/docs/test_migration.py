"""Whoever comes from another gate finds names that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.settings import schema

PAGES = sorted((Path(__file__).parents[2] / "docs" / "migration").glob("*.md"))
KEY = re.compile(r"`([a-z_]+(?:(?:\[\])?\.[A-Za-z_]+)+)(?=[:`])")


def path_of(key: str) -> tuple[str | int, ...]:
    """Return where a key of the pages stands: ``routes[].access`` is in the first route."""
    return tuple(part for name in key.split(".") for part in ((name[:-2], 0) if name.endswith("[]") else (name,)))


def exists(key: str) -> bool:
    *above, last = path_of(key)
    return last in schema.keys_at(tuple(above)) or last in {"file", "env", "value"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_key_that_is_named_as_a_counterpart_is_a_key_of_the_file(page: Path) -> None:
    keys = [key for key in KEY.findall(page.read_text()) if path_of(key)[0] in schema.keys_at(())]

    assert len(keys) > 40
    assert [key for key in keys if not exists(key)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_option_is_named_twice(page: Path) -> None:
    rows = [line.split("|")[1] for line in page.read_text().splitlines() if line.startswith("| `")]
    options = [option for row in rows for option in re.findall(r"`([^`]+)`", row)]

    assert len(options) == len(set(options))
