"""``/assets/…``: style, script and icon of our own pages; a name never changes its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.pages.assets import Asset

IMMUTABLE = "public, max-age=31536000, immutable"
"""A year, and no question in between (RFC 8246)."""

ASSETS: web.AppKey[Mapping[str, Asset]] = web.AppKey("assets")


async def show_asset(request: web.Request) -> web.StreamResponse:
    """Return one file by its hashed name; nothing is looked up in the file system."""
    asset = request.app[ASSETS].get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    headers = {"Content-Type": asset.content_type, "Cache-Control": IMMUTABLE}
    return web.Response(body=asset.content, headers=headers)
