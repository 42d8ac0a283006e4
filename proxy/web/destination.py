"""Where to go: every path that a visitor names passes :mod:`proxy.core.return_to` here, or is the default (law 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.return_to import safe_return_to
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web


def destination(request: web.Request, wanted: str | None) -> str:
    """Return the path when it is a place of ours to go to after a login, else the landing page."""
    options = request.app[OPTIONS]
    return safe_return_to(wanted, options.login.landing, prefix=options.own_path.encode())


def only(request: web.Request, name: str) -> str | None:
    """Return a parameter of the query that is there exactly once; twice is as good as never."""
    values = request.query.getall(name, [])
    return values[0] if len(values) == 1 else None


def single_values(request: web.Request) -> dict[str, str]:
    """Return every parameter of the query that is there exactly once (RFC 6749 §3.1: never more than once)."""
    return {name: value for name in set(request.query) if (value := only(request, name)) is not None}
