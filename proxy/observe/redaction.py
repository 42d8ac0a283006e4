"""What may be seen of a value: pure functions between whatever is said and the line that is written.

Secrets are recognised by type, tokens that arrived as text (in a path, in somebody's message) by their shape.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK = "***"

MAX_TEXT = 2048
"""Characters of one value that are kept; a request line may have 32 KiB, and a log is no place for it."""

# Base64url of an opening brace and what JSON allows after it: quote, space, line feed, carriage return, tab.
_JOSE = r"e(?:yJ|yA|wo|w0|wk)[\w-]{5,}\.[\w.-]*"
_COMPACT_JOSE = re.compile(_JOSE, re.ASCII)
_ESCAPE_OR_JOSE = re.compile(rf"(\\(?:u[0-9a-fA-F]{{4}}|.))|{_JOSE}", re.ASCII)


def mask_tokens(line: str) -> str:
    """Return ``line`` with whatever looks like a compact JWS or JWE, cut off ones too, replaced by ``***``.

    Source: RFC 7515 §3.1, RFC 7516 §3.1: base64url of a JSON object, a dot, and more.
    """
    # Two searches for two letters cost a tenth of the expression, and most lines have neither.
    return _COMPACT_JOSE.sub(MASK, line) if "ey" in line or "ew" in line else line


def mask_tokens_in_json(line: str) -> str:
    r"""Return a line of JSON with its tokens replaced as by :func:`mask_tokens`; it stays JSON.

    The last digit of an escape is no letter of a token: a visitor who calls itself ``\u00ee`` and ``yJ…`` would else
    cut the escape in two, and a line that nobody can read is an event that nobody sees.
    """
    if "ey" not in line and "ew" not in line:
        return line
    return _ESCAPE_OR_JOSE.sub(_unless_escape, line) if "\\u" in line else _COMPACT_JOSE.sub(MASK, line)


def _unless_escape(found: re.Match[str]) -> str:
    return found[1] or MASK


def shown(value: object) -> object:
    """Return what may be shown of a value: JSON's own types, ``***`` for a Secret, and nothing by a foreign repr.

    Mappings and sequences are gone through; a type that is not known is named, not printed.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    return _shown_inside(value)


def shown_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a line as they may be shown."""
    return {str(name): shown(value) for name, value in fields.items()}


def printable(value: object) -> object:
    """Return text with control characters escaped, so that no visitor writes to an operator's terminal."""
    if isinstance(value, str) and not value.isprintable():
        return value.encode("unicode_escape").decode()
    return value


def _shown_inside(value: object) -> object:
    if isinstance(value, bytes):
        return shown(value.decode(errors="backslashreplace"))
    if isinstance(value, dict):
        return shown_fields(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(item) for item in value]
    return f"<{type(value).__name__}>"
