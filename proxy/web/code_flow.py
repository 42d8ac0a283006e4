"""``/start`` and ``/callback``: the authorization code flow with PKCE, state and nonce, many tabs at once.

A tab is made at ``/start``, found again by the browser's root cookie together with ``state``, and taken out of the
store before anything of the answer is looked at: it is used once.

Source: OIDC Core 1.0 §3.1; RFC 7636; RFC 9207.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.authentication import ROOT_LIFETIME_S, Tab
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin, Persistence
from proxy.core.tokens import Grant, GrantRefusal
from proxy.ports import AuditEvent
from proxy.web.authorization import authorization_url
from proxy.web.callback_failed import callback_failed
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.cookies import root_cookie, root_id_or_new, set_root_cookie, set_session_cookie
from proxy.web.destination import only, single_values
from proxy.web.establish import LoginManner, establish
from proxy.web.flow_notes import Wish, session_notes, wish_of
from proxy.web.flow_quota import FLOW_QUOTA
from proxy.web.logout_at_provider import leave_provider
from proxy.web.options import OPTIONS, Feature
from proxy.web.page import found
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

MAX_RESTARTS = 1
"""How often a flow begins again by itself when the provider says that it was too old; then a person decides."""

_STATE_BYTES = 32
_ERROR_CODE = re.compile(r"[a-z0-9_]{1,64}")


async def start(request: web.Request) -> web.StreamResponse:
    """Make a tab and send the browser to the provider.

    Raises:
        TooManyLogins: the address has too many flows in progress.
        ProviderUnavailable: nobody knows where to send it.
    """
    return await _to_provider(request, _new_tab(request, root_id_or_new(request), wish_of(request)))


async def callback(request: web.Request) -> web.StreamResponse:
    """Take the provider's answer: sign in, begin again, or say on a page that it did not work."""
    tab = await _take_tab(request)
    if tab is None:
        return await _unknown_tab(request)
    try:
        return await _finish(request, tab)
    except errors.SessionEnded as error:
        return await _ended_meanwhile(request, tab, error)
    except (errors.LoginFault, errors.TokenRejected, errors.ProviderFault, errors.StoreFault) as error:
        return _failed(request, error, tab.return_to)


async def _take_tab(request: web.Request) -> Tab | None:
    root_id, state = root_cookie(request), only(request, "state")
    if root_id is None or not state:
        return None
    tab = await request.app[keys.AUTHENTICATIONS].take(root_id, state)
    if tab is None:
        # Nothing was taken, so the record that the quota counts is there still: who knows a state alone frees nothing.
        return None
    request.app[FLOW_QUOTA].release(caller_of(request).address, state)
    return tab if tab.client_id == request.app[OPTIONS].client_id else None


async def _unknown_tab(request: web.Request) -> web.StreamResponse:
    """A callback that comes late, or twice, is no error for somebody who is signed in already."""
    if (await visitor_of(request)).session is not None:
        return found(request.app[OPTIONS].home)
    return _failed(
        request, errors.CallbackRejected("no tab of this browser has this state", reason="unknown_state"), None
    )


async def _finish(request: web.Request, tab: Tab) -> web.StreamResponse:
    answer = single_values(request)
    _require_issuer(request, answer)
    if "error" in answer:
        return await _provider_said_no(request, tab, answer)
    grant = await _exchange(request, tab, answer)
    try:
        manner = LoginManner(origin=LoginOrigin.CODE, persistence=_persistence(request), notes=tab.session_notes)
        established = await establish(request, grant, manner)
    except errors.SessionEnded as error:
        raise _EndedGrant(grant) from error
    response = found(tab.return_to)
    set_session_cookie(request, response, established)
    return response


def _persistence(request: web.Request) -> Persistence:
    """Return how long it lasts: nobody left a box unticked at the provider, but a site may offer lasting to nobody."""
    offers = request.app[OPTIONS].login.remember_me is Feature.ON
    return Persistence.LASTING if offers else Persistence.BROWSER


async def _exchange(request: web.Request, tab: Tab, answer: Mapping[str, str]) -> Grant:
    code = answer.get("code")
    if not code:
        raise errors.CallbackRejected("the answer has neither a code nor an error", reason="no_code")
    grant = await request.app[keys.PROVIDER].exchange_code(
        Secret(code),
        code_verifier=tab.code_verifier,
        redirect_uri=request.app[OPTIONS].url("callback"),
        nonce=tab.nonce,
    )
    if isinstance(grant, GrantRefusal):
        raise errors.CallbackRejected("the provider did not take the code", reason=f"code_{grant.value}")
    return grant


def _require_issuer(request: web.Request, answer: Mapping[str, str]) -> None:
    """Refuse the answer of another issuer, and one without ``iss`` where the metadata promises it (RFC 9207 §2.4)."""
    issuer = answer.get("iss")
    if issuer is None and request.app[keys.PROVIDER].metadata().iss_parameter_supported:
        raise errors.CallbackRejected(
            "the answer has no iss although the provider promises it", reason="missing_issuer"
        )
    if issuer is not None and issuer != request.app[OPTIONS].issuer:
        raise errors.CallbackRejected("the answer is another issuer's", reason="wrong_issuer")


async def _provider_said_no(request: web.Request, tab: Tab, answer: Mapping[str, str]) -> web.StreamResponse:
    """Begin again when that is what the answer means (Keycloak: the form was too old), else refuse."""
    error, description = answer["error"], answer.get("error_description", "")
    is_too_old = error == "temporarily_unavailable" and description == "authentication_expired"
    if is_too_old and tab.restarts < MAX_RESTARTS:
        again = _new_tab(request, tab.root_id, Wish(tab.return_to, tab.notes))
        return await _to_provider(request, replace(again, restarts=tab.restarts + 1, session_notes=tab.session_notes))
    reason = error if _ERROR_CODE.fullmatch(error) else "provider_error"
    raise errors.ProviderDeclined("the provider answered with an error", reason=reason)


async def _to_provider(request: web.Request, tab: Tab) -> web.StreamResponse:
    endpoint = request.app[keys.PROVIDER].metadata().authorization_endpoint
    request.app[FLOW_QUOTA].admit(caller_of(request).address, tab.state)
    await request.app[keys.AUTHENTICATIONS].put(tab)
    response = found(authorization_url(endpoint, tab, request.app[OPTIONS]))
    set_root_cookie(request, response, tab.root_id)
    return response


def _new_tab(request: web.Request, root_id: str, wish: Wish) -> Tab:
    now = request.app[keys.CLOCK].now()
    return Tab(
        root_id=root_id,
        client_id=request.app[OPTIONS].client_id,
        tab_id=_random_text(request, 12),
        state=_random_text(request, _STATE_BYTES),
        nonce=_random_text(request, _STATE_BYTES),
        code_verifier=Secret(_random_text(request, _STATE_BYTES)),
        return_to=wish.return_to,
        created_at=now,
        expires_at=now + ROOT_LIFETIME_S,
        notes=wish.notes,
        session_notes=session_notes(wish.notes),
    )


def _random_text(request: web.Request, size: int) -> str:
    """Return ``size`` random bytes in Base64url: 43 characters for 32, as RFC 7636 §4.1 recommends."""
    return urlsafe_b64encode(request.app[keys.RANDOM_BYTES](size)).rstrip(b"=").decode()


class _EndedGrant(errors.SessionEnded):
    """A login whose provider session has ended here before; keeps the grant, so that it can be ended there too."""

    def __init__(self, grant: Grant) -> None:
        super().__init__("the provider signed somebody in to a session that has ended here")
        self.grant = grant


async def _ended_meanwhile(request: web.Request, tab: Tab, error: errors.SessionEnded) -> web.StreamResponse:
    """Finish a logout that was left half-way at the provider.

    Somebody signed out here but never arrived at the provider's logout: its session lives and gives every new login the
    same ``sid``, which stays ended. Without this they could not sign in again before that session is over.
    """
    response = _failed(request, error, tab.return_to)
    if isinstance(error, _EndedGrant):
        return leave_provider(request, error.grant.tokens, tab.return_to) or response
    return response


def _failed(request: web.Request, error: errors.SidegateError, return_to: str | None) -> web.Response:
    caller, observer = caller_of(request), request.app[keys.OBSERVER]
    observer.login("code", error.reason)
    observer.warning(f"a callback failed: {error}", reason=error.reason, request_id=caller.request_id)
    observer.audit(
        AuditEvent(
            event="login.failed",
            request_id=caller.request_id,
            address=caller.address,
            user_agent=user_agent_of(request),
            reason=error.reason,
        )
    )
    return callback_failed(request, error, return_to)
