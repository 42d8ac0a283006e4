"""The provider's part of a logout: by the browser for sessions of the code flow, by ourselves for those of the form.

Source: OIDC RP-Initiated Logout 1.0 §2 (POST is allowed, and keeps the ID token out of URLs).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.session import LoginOrigin
from proxy.pages.security import with_form_target
from proxy.ports import AccountAnswer
from proxy.web.caller import caller_of
from proxy.web.form_tokens import LogoutStates
from proxy.web.options import OPTIONS
from proxy.web.page import fields, page

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

    from proxy.core.session import Session
    from proxy.core.tokens import TokenSet
    from proxy.pages.contexts import LogoutAtProviderPage

PATIENCE_S = 2.0
"""Seconds for which a person waits for the provider to end a form session; the call goes on without them."""

LONG_PATIENCE_S = 12.0
"""The same for all sessions of a person, who is to be told what became of them. Keycloak tells every application one
after the other before it answers, each with 5 s of patience.
"""


def leave_provider(request: web.Request, tokens: TokenSet, return_to: str) -> web.Response | None:
    """Return the page whose form ends the session at the provider; None when it has no place for that, or is away."""
    try:
        endpoint = request.app[keys.PROVIDER].metadata().end_session_endpoint
    except errors.ProviderUnavailable as error:
        request.app[keys.OBSERVER].warning(f"a logout ends here only: {error}", reason=error.reason)
        return None
    if endpoint is None:
        return None
    context: LogoutAtProviderPage = {"action": endpoint, "fields": _fields(request, tokens, return_to)}
    response = page(request, "logout_at_provider", context)
    response.headers.update(fields(with_form_target(request.app[keys.PAGES].headers("logout_at_provider"), endpoint)))
    return response


def _fields(request: web.Request, tokens: TokenSet, return_to: str) -> tuple[tuple[str, str], ...]:
    options = request.app[OPTIONS]
    hint = () if tokens.id_token is None else (("id_token_hint", tokens.id_token.reveal()),)
    return (
        *hint,
        ("client_id", options.client_id),
        ("post_logout_redirect_uri", options.url("logged-out", host=request.host)),
        ("state", LogoutStates(options.server_key).issue(return_to)),
    )


def ends_with_the_browsers(session: Session, scopes: Collection[str]) -> bool:
    """Say whether the browser's logout ends everything of this session, so that the server need not.

    A session of the form is unknown to the browser. Where offline access is asked (``scopes``), a refresh token without
    an end belongs to an offline session, which outlives the browser's: Keycloak ends it only when the token itself is
    posted. Where it is not, nobody said when the token ends, as most providers do not.
    """
    tokens = session.tokens
    if tokens.refresh_token is None:
        return True
    is_offline = tokens.refresh_expires_at is None and "offline_access" in scopes
    return session.origin is LoginOrigin.CODE and not is_offline


async def end_at_provider(request: web.Request, session: Session) -> None:
    """Tell the provider from the server that a session is over; its failure does not undo what has ended here."""
    work = request.app[keys.TASKS].finish(_end_session(request, session))
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await work


class Silence(Enum):
    """What stands where the provider gave no answer."""

    UNAVAILABLE = "unavailable"


AtProvider = AccountAnswer | Silence


async def end_everywhere_at_provider(request: web.Request, session: Session) -> AtProvider:
    """Have the provider end every session of the person; whatever it does, what has ended here stays ended."""
    work = request.app[keys.TASKS].finish(_end_everywhere(request, session))
    try:
        async with asyncio.timeout(LONG_PATIENCE_S):
            return await work
    except TimeoutError:
        return Silence.UNAVAILABLE


async def _end_everywhere(request: web.Request, session: Session) -> AtProvider:
    try:
        return await request.app[keys.PROVIDER].end_all_sessions(session)
    except errors.ProviderFault as error:
        _warn(request, f"a person's sessions ended here but not at the provider: {error}", error)
        return Silence.UNAVAILABLE


async def _end_session(request: web.Request, session: Session) -> None:
    try:
        await request.app[keys.PROVIDER].end_session(session)
    except errors.ProviderFault as error:
        _warn(request, f"the session ended here but not at the provider: {error}", error)


def _warn(request: web.Request, sentence: str, error: errors.ProviderFault) -> None:
    request.app[keys.OBSERVER].warning(sentence, reason=error.reason, request_id=caller_of(request).request_id)
