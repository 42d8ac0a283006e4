"""Whose work is installed with ours, and on which terms: the list is that of the lock, and nothing comes in unread."""

from __future__ import annotations

import re

import pytest

from tests.support.licences import DOCUMENT, document, licence_of, locked

UNDERSTOOD = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"})
"""Terms that somebody has read; another one is read before it is added here."""


def test_the_list_is_that_of_the_lock() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), "docs/licences.md is out of date; run: make licences"


def test_every_library_of_the_lock_is_in_it() -> None:
    names = {one.name for one in locked()}

    assert {"aiohttp", "cryptography", "redis", "pyjwt"} <= names
    assert len(names) > 30


@pytest.mark.parametrize("name", sorted({one.name for one in locked()}))
def test_nothing_comes_with_terms_that_nobody_has_read(name: str) -> None:
    terms = set(re.split(r" (?:AND|OR) |[()]", licence_of(name))) - {""}

    assert terms
    assert terms <= UNDERSTOOD, f"{name}: {terms - UNDERSTOOD}"


def test_a_library_that_is_nowhere_is_asked_after() -> None:
    with pytest.raises(LookupError, match="write its licence"):
        licence_of("no-such-library-of-ours")
