"""In which language a visitor reads our pages, and where the same page is in another.

``ui_locales`` in the address of a page says it for that page (the name is that of OIDC Core 1.0 §3.1.2.1), and a cookie
keeps it. A page offers itself in other languages by links to its own address, so that ``return_to`` and the notes of a
login go along. What was posted cannot be had again by a link, so such a page names the address of its like, or offers
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.languages import is_tag
from proxy.web.cookies import kept_languages
from proxy.web.destination import only
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

LANGUAGE: Final = "ui_locales"
"""Member of the query; tags separated by spaces, best first."""

MAX_ASKED: Final = 8
"""Tags of the query that are looked at."""


def asked_languages(request: web.Request) -> tuple[str, ...]:
    """Return what the address itself asks for, in small letters, best first."""
    asked = (only(request, LANGUAGE) or "").lower().split(" ")[:MAX_ASKED]
    return tuple(tag for tag in asked if is_tag(tag))


def languages_of(request: web.Request) -> tuple[str, ...]:
    """Return the visitor's languages, best first: of the address, of their own choice before, of their browser."""
    return (*asked_languages(request), *kept_languages(request))


def locales_note(request: web.Request) -> dict[str, str]:
    """Return the note by which the provider hears of these languages; none when nobody knows one.

    All of them, not the one of our pages: the provider may have words where we have none.

    Source: OIDC Core 1.0 §3.1.2.1 (``ui_locales``).
    """
    tags = dict.fromkeys(languages_of(request))
    return {LANGUAGE: " ".join([*tags][:MAX_ASKED])} if tags else {}


def here(request: web.Request) -> str:
    """Return the address of this page, path and query, as a link can ask for it again; empty when none can."""
    target = request.raw_path
    is_ours = request.method == "GET" and target.startswith(request.app[OPTIONS].own_path + "/")
    return target if is_ours else ""


def language_url(address: str) -> str:
    """Return the address with an end to which a language tag is appended; empty for an empty one."""
    if not address:
        return ""
    path, _, query = address.partition("?")
    members = [member for member in query.split("&") if member and member.partition("=")[0] != LANGUAGE]
    return f"{path}?{'&'.join([*members, LANGUAGE])}="
