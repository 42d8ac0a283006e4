"""JSON objects that can be read in one way only.

Two parsers disagree about ``{"sub": "a", "sub": "b"}``, about NaN and about half a surrogate pair; what signs and what
checks must not. So all of these are refused (RFC 7515 §4, RFC 7519 §4, RFC 8259 §4, §8.2).
"""

from __future__ import annotations

import json
from typing import NoReturn


class NotAnObject(ValueError):
    """The bytes are no JSON object, or one that two parsers could read differently."""


def parse_json_object(document: bytes) -> dict[str, object]:
    """Return the members of a JSON object in UTF-8.

    Raises:
        NotAnObject: no JSON, no object, a member twice, NaN, too deep, a lone surrogate.
    """
    try:
        value = json.loads(document.decode(), object_pairs_hook=_members, parse_constant=_refuse)
        # A lone surrogate survives parsing and would fail later, where a string meets bytes.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as fault:
        raise NotAnObject(f"not a JSON object: {type(fault).__name__}") from fault
    if not isinstance(value, dict):
        raise NotAnObject("JSON, but no object")
    return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotAnObject("a member stands twice in one object")
    return members


def _refuse(constant: str) -> NoReturn:
    raise NotAnObject(f"{constant} is no JSON")
