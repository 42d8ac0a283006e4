"""Choosing a language: ``/language``, for pages at addresses of the app, and the cookie that keeps every choice.

It is no login and no secret: a link of another site may set it, and all that it can do is to change words.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy import keys
from proxy.web.cookies import set_language_cookie
from proxy.web.destination import destination, only
from proxy.web.language import asked_languages
from proxy.web.page import see_other

if TYPE_CHECKING:
    from aiohttp import web


async def choose_language(request: web.Request) -> web.StreamResponse:
    """Lead back to where the person was; :func:`keep_language` writes down what they chose."""
    return see_other(destination(request, only(request, "return_to")))


async def keep_language(request: web.Request, response: web.StreamResponse) -> None:
    """Keep what the address asks for, when it is a language of ours and a page or a way to one is answered."""
    if request.method != "GET" or not _is_for_people(response):
        return
    pages = request.app[keys.PAGES]
    tag = next((tag for tag in asked_languages(request) if pages.speaks(tag)), None)
    if tag is not None:
        set_language_cookie(request, response, tag)


def _is_for_people(response: web.StreamResponse) -> bool:
    leads_on = HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST
    return leads_on or response.content_type == "text/html"
