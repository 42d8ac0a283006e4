"""``/assets/…``: style, script and icon of our own pages; a name never changes its content.

But for one: the script that pages of the app include has a name that they can write down, so browsers ask again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import ETag, web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.pages.assets import Asset

IMMUTABLE = "public, max-age=31536000, immutable"
"""A year, and no question in between (RFC 8246)."""

SESSION_SCRIPT: Final = "session.js"
"""The script for pages of the app."""

FOR_A_WHILE: Final = "public, max-age=300"
"""Five minutes, then a question that costs no content (RFC 9111 §4.3): a new version is soon everywhere."""

ASSETS: web.AppKey[Mapping[str, Asset]] = web.AppKey("assets")


async def show_asset(request: web.Request) -> web.StreamResponse:
    """Return one file by its hashed name; nothing is looked up in the file system."""
    asset = request.app[ASSETS].get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    return web.Response(body=asset.content, headers={**asset.headers, "Cache-Control": IMMUTABLE})


async def show_session_script(request: web.Request) -> web.StreamResponse:
    """Return the script for pages of the app, or 304 when the browser has this version (RFC 9110 §13.1.2)."""
    asset = next(asset for asset in request.app[ASSETS].values() if asset.name == SESSION_SCRIPT)
    known = {etag.value for etag in request.if_none_match or ()}
    response = web.Response(status=304) if {asset.hashed_name, "*"} & known else web.Response(body=asset.content)
    response.etag = ETag(asset.hashed_name)
    response.headers["Cache-Control"] = FOR_A_WHILE
    if response.status == web.HTTPOk.status_code:
        response.headers["Content-Type"] = asset.content_type
    return response
