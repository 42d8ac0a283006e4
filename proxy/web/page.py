"""A page as a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict

from proxy import keys
from proxy.web.language import here, language_url, languages_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.request import Headers
    from proxy.pages.render import PageName


def page(
    request: web.Request, name: PageName, context: Mapping[str, object], *, status: int = 200, again: str | None = None
) -> web.Response:
    """Render a page of the room ``pages``; :mod:`proxy.pages.contexts` says what it takes.

    Args:
        again: where a link finds this page, or its like, in another language; None for the address that was asked.
    """
    pages, languages = request.app[keys.PAGES], languages_of(request)
    address = here(request) if again is None else again
    body = pages.render(name, languages=languages, context=context, language_url=language_url(address))
    response = web.Response(status=status, body=body, headers=fields(pages.headers(name)))
    response.headers["Content-Language"] = pages.language(languages)
    return response


def fields(headers: Headers) -> CIMultiDict[str]:
    """Return header fields as aiohttp takes them."""
    return CIMultiDict((name.decode(), value.decode()) for name, value in headers)


def see_other(location: str) -> web.Response:
    """Return a 303 to a path of our own origin, which a browser follows with GET (RFC 9110 §15.4.4)."""
    return web.Response(status=303, headers={"Location": location})


def found(location: str) -> web.Response:
    """Return a 302."""
    return web.Response(status=302, headers={"Location": location})
