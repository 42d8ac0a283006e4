"""Contexts with which a template is tried, made from what :mod:`proxy.pages.contexts` says each page takes.

Nothing is written by hand, so that a name that is added there is in every specimen at once.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from proxy.pages.contexts import CONTEXT_OF

TEXT: Final = "specimen"
INTEGER: Final = 3
SECONDS: Final = 90.0


class Fill(Enum):
    """How much of a page there is."""

    EVERYTHING = "everything"
    """What may be there is: texts, lists of two, switches on."""
    NOTHING = "nothing"
    """What may be absent is: None, no text, empty lists, switches off."""


def specimens(page: str, *, text: str = TEXT) -> Iterator[dict[str, Any]]:
    """Yield contexts of a page that lead through both branches of each condition.

    Args:
        text: stands wherever a context has text.
    """
    for fill in Fill:
        yield _filled(CONTEXT_OF[page], fill, text)


def _filled(kind: Any, fill: Fill, text: str) -> Any:
    """Return a value of a type: of a TypedDict, of None or another, of a sequence or tuple, or a plain one."""
    if is_typeddict(kind):
        return {name: _filled(hint, fill, text) for name, hint in get_type_hints(kind).items()}
    if get_origin(kind) in (Union, types.UnionType):
        return None if fill is Fill.NOTHING else _filled(get_args(kind)[0], fill, text)
    if get_origin(kind) is tuple:
        return tuple(_filled(part, fill, text) for part in get_args(kind))
    if get_origin(kind) is Sequence:
        return [] if fill is Fill.NOTHING else _items(get_args(kind)[0], text)
    return _plain(kind, fill, text)


def _items(kind: Any, text: str) -> list[Any]:
    """Return two items that differ; what cannot be absent in an item is a text in both."""
    return [_filled(kind, Fill.EVERYTHING, text), _filled(kind, Fill.NOTHING, text)]


def _plain(kind: Any, fill: Fill, text: str) -> object:
    is_there = fill is Fill.EVERYTHING
    values = {str: text if is_there else "", bool: is_there, int: INTEGER if is_there else 0, float: SECONDS}
    return values[kind]
