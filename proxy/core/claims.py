"""Looking into claims: by name or by path, and comparing one with what a rule expects.

Used by ``core.identity``, by the conditions of routes (``core.policy``) and by header templates (``core.headers``), so
that ``a.b`` means the same in all. Where claims come from, and that they are verified, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

ClaimValue = str | int | float | bool
"""What a condition may expect."""


def claim_value(claims: Mapping[str, object], name: str) -> object | None:
    """Return the claim of exactly this name, else the one found by its dots (``address.country``), else None.

    The exact name comes first, because names with dots are ordinary (``https://example.com/department``).
    """
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


class ClaimPattern(Struct, frozen=True):
    """One expected value: text in which ``*`` stands for any text, or a number or truth value of JSON.

    A number equals no text and ``true`` is not 1: what the provider sends otherwise than expected does not match.
    """

    expected: ClaimValue

    def matches(self, value: object) -> bool:
        """Say whether a claim is equal to the expected value, or holds it when it is a list."""
        if isinstance(value, list | tuple):
            return any(self._equals(entry) for entry in value)
        return self._equals(value)

    def _equals(self, value: object) -> bool:
        if isinstance(self.expected, str):
            return isinstance(value, str) and _wildcard(self.expected, value)
        if isinstance(self.expected, bool) or isinstance(value, bool):
            return value is self.expected
        return isinstance(value, int | float) and value == self.expected

    def __str__(self) -> str:
        """Say it as the file does."""
        return str(self.expected).lower() if isinstance(self.expected, bool) else str(self.expected)


def _wildcard(expected: str, value: str) -> bool:
    """Compare text in which ``*`` stands for any text, an empty one included (the rest is literal)."""
    if "*" not in expected:
        return expected == value
    return re.fullmatch(".*".join(map(re.escape, expected.split("*"))), value, re.DOTALL) is not None
