"""``/frontchannel-logout``: the provider shows this page in a hidden frame when somebody signs out there.

No cookie comes along into a frame of another site, so the session is found by ``sid`` alone: whoever knows it may end
it, and nothing else. Anybody can ask, hence: a budget for each address, one look into the store, and a ``sid`` that
names no session here leaves no trace (marks are bounded, and strangers must not push real ones out).

Source: OpenID Connect Front-Channel Logout 1.0 §2, §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.session import BySid, EndCause
from proxy.core.token_claims import require_issuer, required_text
from proxy.web.address_budget import AddressBudget
from proxy.web.caller import caller_of
from proxy.web.destination import only
from proxy.web.ending import end_for_good, tell_ended
from proxy.web.options import OPTIONS
from proxy.web.page import page
from proxy.web.provider_word import tell_rejected

if TYPE_CHECKING:
    from proxy.pages.contexts import FrontchannelPage
    from proxy.ports import Clock

BURST = 100
"""Requests of one address at once: an office that goes home."""

REFILL_S = 0.1
"""Seconds for one more."""

FRONTCHANNEL_BUDGET: web.AppKey[AddressBudget] = web.AppKey("frontchannel_budget", AddressBudget)


def frontchannel_budget(clock: Clock) -> AddressBudget:
    """Return the budget of this endpoint."""
    return AddressBudget(clock, burst=BURST, refill_s=REFILL_S)


async def frontchannel_logout(request: web.Request) -> web.StreamResponse:
    """End the sessions of a provider session; the same page whether there was one or not.

    Raises:
        TooManyLogouts: this address has asked too often.
        RequestRefused: ``iss`` or ``sid`` is missing, there twice, or not our issuer's.
        StoreUnavailable: nothing has ended.
    """
    if not request.app[FRONTCHANNEL_BUDGET].spend(caller_of(request).address):
        raise errors.TooManyLogouts("one address asks for more front-channel logouts than a provider causes")
    which = _named(request)
    if await request.app[keys.SESSIONS].find(which):
        now = request.app[keys.CLOCK].now()
        ended = await end_for_good(request, which, EndCause.FRONTCHANNEL, ended_at=now)
        tell_ended(request, "frontchannel", ended, reason="sid")
    context: FrontchannelPage = {}
    # The address names a session, and the page is to say nothing of it: its links lead elsewhere.
    return page(request, "frontchannel", context, again=request.app[OPTIONS].path("logged-out"))


def _named(request: web.Request) -> BySid:
    try:
        claims = {"iss": only(request, "iss"), "sid": only(request, "sid")}
        require_issuer(claims, request.app[OPTIONS].issuer)
        return BySid(request.app[OPTIONS].issuer, required_text(claims, "sid"))
    except errors.TokenRejected as error:
        tell_rejected(request, error, "a front-channel logout")
        raise errors.RequestRefused("a front-channel logout names no session of our issuer") from error
