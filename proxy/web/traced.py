"""Own pages below the trace of their request: what they ask of store and provider is told as its."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from proxy.ports import Tracing

TRACEPARENT = "traceparent"


def followed_by(tracing: Tracing) -> Middleware:
    """Return what lets every handler run inside of its request's trace, which the gate names (no client can)."""

    @web.middleware
    async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
        with tracing.inside(request.headers.get(TRACEPARENT, "")):
            return await handler(request)

    return follow
