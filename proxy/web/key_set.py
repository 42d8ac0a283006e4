"""``/jwks``: the public keys by which apps verify the identity assertion (RFC 7517)."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from proxy.ports import IdentityAssertion

ASSERTION: web.AppKey[IdentityAssertion] = web.AppKey("assertion", IdentityAssertion)

FOR_A_WHILE: Final = "public, max-age=300"
"""Five minutes: how long an app may go on without a key that was added, and with one that was taken away."""


async def show_key_set(request: web.Request) -> web.StreamResponse:
    """Return the keys: the one that signs, and those before and after it."""
    document = json.dumps(request.app[ASSERTION].key_set()).encode()
    headers = {"Content-Type": "application/jwk-set+json", "Cache-Control": FOR_A_WHILE}
    return web.Response(body=document, headers=headers)
