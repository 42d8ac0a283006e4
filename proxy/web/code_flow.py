"""``/start``: the way to the provider, by the authorization code flow with PKCE, state and nonce, many tabs at once.

A tab is made here, and found again by the browser's root cookie together with ``state`` when the provider answers
(:mod:`proxy.web.callback`). Which steps a tab can take is ``core.authentication``'s business.

Source: OIDC Core 1.0 §3.1; RFC 7636.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy import keys
from proxy.core.authentication import challenged, restarted
from proxy.web.authorization import authorization_url
from proxy.web.caller import caller_of
from proxy.web.cookies import root_id_or_new, set_root_cookie
from proxy.web.flow_notes import wish_of
from proxy.web.flow_quota import FLOW_QUOTA
from proxy.web.language import locales_note
from proxy.web.options import OPTIONS
from proxy.web.page import found
from proxy.web.step_up import asked_by_routes, proof_parameters
from proxy.web.tabs import code_tab, one_use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from proxy.core.authentication import Tab
    from proxy.web.flow_notes import Wish


async def start(request: web.Request) -> web.StreamResponse:
    """Make a tab and send the browser to the provider.

    Raises:
        TooManyLogins: the address has too many flows in progress.
        ProviderUnavailable: nobody knows where to send it.
    """
    wish = wish_of(request)
    return await begin_flow(request, replace(wish, notes={**wish.notes, **locales_note(request)}))


async def begin_flow(request: web.Request, wish: Wish) -> web.StreamResponse:
    """Do as :func:`start` does, for a wish that is no link's."""
    tab = code_tab(request, root_id_or_new(request), asked_by_routes(request, wish))
    return await to_provider(request, challenged(tab))


async def begin_again(request: web.Request, tab: Tab, notes: Mapping[str, str]) -> web.StreamResponse:
    """Send the browser to the provider once more, in the same tab with other values and these notes.

    Raises:
        TooManyLogins, ProviderUnavailable, StoreUnavailable
    """
    fresh, now = one_use(request, tab.root_id, restarts=tab.restarts + 1), request.app[keys.CLOCK].now()
    return await to_provider(request, restarted(replace(tab, notes=notes), fresh, now))


async def to_provider(request: web.Request, tab: Tab) -> web.StreamResponse:
    """Keep the tab and send the browser to the provider.

    Raises:
        TooManyLogins, ProviderUnavailable, StoreUnavailable
    """
    metadata = request.app[keys.PROVIDER].metadata()
    request.app[FLOW_QUOTA].admit(caller_of(request).address, tab.state)
    await request.app[keys.AUTHENTICATIONS].put(tab)
    further = proof_parameters(tab.notes, metadata)
    response = found(
        authorization_url(
            metadata.authorization_endpoint,
            tab,
            options=request.app[OPTIONS],
            host=request.host,
            further=further,
        )
    )
    set_root_cookie(request, response, tab.root_id)
    return response
