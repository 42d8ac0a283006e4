"""What a browser calls itself, in words that people know: "Firefox 127" and "Linux".

ua-parser reads it by a list of expressions that its authors keep up to date. Its first use compiles hundreds of them
(0.2 to 0.5 s), and a text that fits none costs them all (1 to 20 ms for 256 characters, whatever they are), so it is
imported late, works in a thread, and what it said is remembered. Systems are named without their version: browsers
freeze it (every Windows is 10.0, every macOS 10.15.7), so it would be wrong more often than right.
"""

from __future__ import annotations

import asyncio
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LENGTH: Final = 256
"""Characters that are read; a session keeps no more (``caller.user_agent_of``)."""

REMEMBERED: Final = 512
"""Texts whose words are remembered; there are some dozens at a time in one company."""

_SYSTEMS: Final = {"Mac OS X": "macOS"}
"""Names that changed."""


class Words(Struct, frozen=True):
    """Browser with its major version, and system; None where the text says nothing that is known."""

    browser: str | None
    system: str | None


async def words_of(texts: Iterable[str]) -> dict[str, Words]:
    """Return the words for each text."""
    wanted = {*texts}
    return await asyncio.to_thread(lambda: {text: _words(text[:MAX_LENGTH]) for text in wanted})


@lru_cache(REMEMBERED)
def _words(text: str) -> Words:
    if not text:
        return Words(None, None)
    parser = _parser()
    browser, system = parser.parse_user_agent(text), parser.parse_os(text)
    return Words(
        None if browser is None else " ".join(part for part in (browser.family, browser.major) if part),
        None if system is None else _SYSTEMS.get(system.family, system.family),
    )


@cache
def _parser() -> Any:
    from ua_parser import BasicResolver, Parser, load_lazy_builtins  # noqa: PLC0415 - few ever open the page

    return Parser(BasicResolver(load_lazy_builtins()))
