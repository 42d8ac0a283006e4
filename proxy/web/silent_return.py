"""Silent return: whose session has ended by itself comes back without a question, when the provider still knows them.

With the login form, and for sessions that the code flow made: those of the form have no session at the provider that a
browser could return by. In the mode ``redirect`` the ordinary flow does the same by itself.

=====================================  ==============================================================================
the session ended                      what the login page does
=====================================  ==============================================================================
by time, replaced, or because a        asks the provider once with ``prompt=none`` (OIDC Core 1.0 §3.1.2.1); any answer
refresh was refused                    but a login of the same person leads back to the form
by a logout, an administrator, on      shows the form: whoever wanted an end is not signed in again unasked
another device, over the limit
=====================================  ==============================================================================

A refused refresh is the case that this is for: where refresh tokens are used once, a lost answer ends our client's part
of the provider's session and nothing else of it.

No circle can come of it: that a session was tried is remembered in the store, beside the token ids, for
:data:`TRIED_FOR_S`; a browser's own memory could be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from proxy import errors, keys
from proxy.core.session import EndCause, LoginOrigin, session_key, subject_hash
from proxy.respond import Manner
from proxy.web.caller import asker_of
from proxy.web.flow_notes import along
from proxy.web.options import OPTIONS
from proxy.web.page import found

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.authentication import Tab
    from proxy.core.secret import Secret
    from proxy.core.session import Tombstone
    from proxy.core.tokens import Grant
    from proxy.web.flow_notes import Wish
    from proxy.web.visitor import Visitor

TRIED_FOR_S = 1800.0
"""Seconds for which one session that ended is not tried again; a login takes no longer."""

RETURNING: Final = frozenset({EndCause.EXPIRED, EndCause.IDLE, EndCause.REPLACED, EndCause.REFRESH_REFUSED})
"""Ends that nobody wanted. Not those over the limit: two browsers would put each other out for ever."""

NOTE: Final = "silent"
"""The note of a tab whose flow asks nothing: who it was, as the tombstone has them. No link can write it."""


async def silent_wish(request: web.Request, visitor: Visitor, wish: Wish) -> Wish | None:
    """Return what to ask of the provider without a question, and remember that it was asked; None: show the form.

    Raises:
        StoreUnavailable
    """
    if visitor.cookie_value is None or _is_settled(request, wish) or not _is_navigation(request):
        return None
    tombstone = await request.app[keys.SESSIONS].tombstone(visitor.cookie_value)
    if tombstone is None or not _may_return(tombstone) or not _is_provider_there(request):
        return None
    if not await _is_first_try(request, visitor.cookie_value):
        return None
    return replace(wish, notes={**wish.notes, "prompt": "none", NOTE: tombstone.subject_hash})


def is_silent(tab: Tab) -> bool:
    """Say whether this flow asks nothing: then whatever goes wrong in it is no error for anybody."""
    return NOTE in tab.notes


def refuse_another_person(tab: Tab, grant: Grant) -> None:
    """Refuse a silent login of anybody but who was here: nobody was asked whether they are somebody else now.

    Raises:
        CallbackRejected: ``another_person``.
    """
    identity = grant.identity
    if is_silent(tab) and tab.notes[NOTE] != subject_hash(identity.issuer, identity.subject):
        raise errors.CallbackRejected("the provider knows another person in this browser", reason="another_person")


def back_to_form(request: web.Request, tab: Tab) -> web.Response:
    """Lead to the login page, which will not try again."""
    return found(request.app[OPTIONS].path("login", return_to=tab.return_to, **along(tab.notes)))


def _is_settled(request: web.Request, wish: Wish) -> bool:
    """Say whether it is settled otherwise what is to be asked: by the link, or by the operator for every login."""
    return "prompt" in wish.notes or "prompt" in request.app[OPTIONS].auth_params


def _is_navigation(request: web.Request) -> bool:
    """Say whether a person looks at the whole window: a prefetch, a frame or a program gets the form."""
    is_seen = "Sec-Purpose" not in request.headers and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    return request.method == "GET" and is_seen and asker_of(request).manner is Manner.PAGE


def _may_return(tombstone: Tombstone) -> bool:
    return tombstone.origin is LoginOrigin.CODE and tombstone.cause in RETURNING


def _is_provider_there(request: web.Request) -> bool:
    try:
        request.app[keys.PROVIDER].metadata()
    except errors.ProviderUnavailable:
        return False
    return True


async def _is_first_try(request: web.Request, cookie_value: Secret) -> bool:
    sessions, mark = request.app[keys.SESSIONS], f"silent return of {session_key(cookie_value)}"
    if await sessions.jti_is_spent(mark):
        return False
    try:
        await sessions.spend_jti(mark, request.app[keys.CLOCK].now() + TRIED_FOR_S)
    except errors.StoreFull:
        return False
    return True
