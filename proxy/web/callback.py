"""``/callback``: the way back from the provider. A tab is taken out of the store before anything of the answer is read:
it is used once.

====================================  ===============================================================================
the tab of this ``state``             what becomes of the answer
====================================  ===============================================================================
open                                  it is used: somebody signs in, the flow begins again, or a page says why not
superseded: another tab signed in     on to where its person wanted to go; nobody is signed in anew
used: the answer comes twice          the same while they are signed in, else a page with a link to begin again
gone: it gave way to newer ones       the flow begins again by itself, once
another browser's, or nobody's        refused, and no tab of anybody is touched
====================================  ===============================================================================

Source: OIDC Core 1.0 §3.1.2.5 to §3.1.3.7; RFC 7636; RFC 9207.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.authentication import MAX_RESTARTS, TabStatus, answered, challenged, may_restart
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin, Persistence
from proxy.core.tokens import Grant, GrantRefusal
from proxy.ports import AuditEvent
from proxy.web.callback_failed import callback_failed
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.code_flow import begin_again, to_provider
from proxy.web.cookies import root_cookie, set_root_cookie, set_session_cookie
from proxy.web.destination import destination, only, single_values
from proxy.web.establish import LoginManner, establish
from proxy.web.flow_notes import Wish, along
from proxy.web.flow_quota import FLOW_QUOTA
from proxy.web.flow_states import FlowStates
from proxy.web.kept import lead_on_from_provider, way_on
from proxy.web.logout_at_provider import leave_provider
from proxy.web.options import OPTIONS, Feature
from proxy.web.page import found
from proxy.web.root_turns import ROOT_TURNS
from proxy.web.silent_return import back_to_form, is_silent, refuse_another_person
from proxy.web.step_up import TOO_OLD, refuse_less, stepped_up
from proxy.web.tabs import code_tab, sign_in_root
from proxy.web.throttle import remember_browser
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from proxy.core.authentication import Tab

_FAULTS = (errors.LoginFault, errors.TokenRejected, errors.ProviderFault, errors.StoreFault)
"""What can go wrong on the way back, and is said on a page with a way on."""

_ERROR_CODE = re.compile(r"[a-z0-9_]{1,64}")


async def callback(request: web.Request) -> web.StreamResponse:
    """Take the provider's answer: sign in, begin again, or say on a page that it did not work."""
    async with request.app[ROOT_TURNS].turn(root_cookie(request)):
        return await _callback(request)


async def _callback(request: web.Request) -> web.StreamResponse:
    tab = await _take_tab(request)
    if tab is None:
        return await _unknown_tab(request)
    if tab.status is not TabStatus.OPEN:
        return await _tab_is_over(request, tab)
    try:
        return await _finish(request, tab)
    except (errors.SessionEnded, *_FAULTS) as error:
        if is_silent(tab):
            return back_to_form(request, tab)
        if isinstance(error, errors.SessionEnded):
            return await _ended_meanwhile(request, tab, error)
        return _failed(request, error, tab.return_to)


async def _take_tab(request: web.Request) -> Tab | None:
    """Return the tab that this answer is for; an open one is taken, so that it is used once."""
    root_id, state = root_cookie(request), only(request, "state")
    if root_id is None or not state:
        return None
    store = request.app[keys.AUTHENTICATIONS]
    tab = await store.peek(root_id, state)
    if tab is None or not _is_ours(request, tab):
        # Nothing is taken, so the record that the quota counts is there still: who knows a state alone frees nothing.
        return None
    if tab.status is TabStatus.OPEN and (tab := await store.take(root_id, state)) is None:
        return None
    request.app[FLOW_QUOTA].release(caller_of(request).address, state)
    return tab


def _is_ours(request: web.Request, tab: Tab) -> bool:
    """Say whether it is a tab of this very client; a form's is none that a provider answers."""
    options = request.app[OPTIONS]
    is_of_client = (tab.issuer, tab.client_id) == (options.issuer, options.client_id)
    return is_of_client and tab.origin is LoginOrigin.CODE


async def _tab_is_over(request: web.Request, tab: Tab) -> web.StreamResponse:
    """An answer that comes late, or twice, is no error for somebody who is signed in: on to where they wanted to go.

    Where another tab signed in a moment ago, its cookie may be on its way to the browser still, so the login page looks
    once more. An answer that came before signs nobody in again.
    """
    if (session := (await visitor_of(request)).session) is not None:
        return lead_on_from_provider(request, await way_on(request, tab.notes, session, tab.return_to))
    if tab.status is TabStatus.SUPERSEDED:
        return found(request.app[OPTIONS].path("login", return_to=tab.return_to, **along(tab.notes)))
    return _failed(request, errors.CallbackRejected("this answer was used before", reason="used_state"), tab.return_to)


async def _unknown_tab(request: web.Request) -> web.StreamResponse:
    """The same where nothing is left of the tab; of one that gave way to newer ones the flow begins again, once."""
    if (await visitor_of(request)).session is not None:
        return found(request.app[OPTIONS].home)
    root_id, answer = root_cookie(request), single_values(request)
    states = FlowStates(request.app[OPTIONS].server_key)
    restarts = None if root_id is None else states.restarts_of(answer.get("state", ""), root_id)
    if root_id is not None and restarts is not None and restarts < MAX_RESTARTS and "code" in answer:
        wish = Wish(destination(request, None))
        return await to_provider(request, challenged(code_tab(request, root_id, wish, restarts=restarts + 1)))
    fault = errors.CallbackRejected("no tab of this browser has this state", reason="unknown_state")
    return _failed(request, fault, None)


async def _finish(request: web.Request, tab: Tab) -> web.StreamResponse:
    answer = single_values(request)
    _require_issuer(request, answer)
    if "error" in answer:
        return await _provider_said_no(request, tab, answer)
    grant = await _exchange(request, tab, answer)
    refuse_another_person(tab, grant)
    try:
        refuse_less(request, grant, tab.notes)
    except errors.ProofRefused as error:
        if error.reason == TOO_OLD and may_restart(tab):
            return await begin_again(request, tab, {**tab.notes, "prompt": "login"})
        raise
    try:
        manner = LoginManner(origin=LoginOrigin.CODE, persistence=_persistence(request), notes=tab.session_notes)
        established = await stepped_up(request, grant, manner, tab.notes) or await establish(request, grant, manner)
    except errors.SessionEnded as error:
        raise _EndedGrant(grant) from error
    way = await way_on(request, tab.notes, established.session, tab.return_to)
    response = lead_on_from_provider(request, way)
    set_session_cookie(request, response, established)
    set_root_cookie(request, response, await sign_in_root(request, answered(tab)))
    remember_browser(request, response, established.session.identity.username)
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
        redirect_uri=request.app[OPTIONS].url("callback", host=request.host),
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
    if is_too_old and may_restart(tab):
        return await begin_again(request, tab, tab.notes)
    reason = error if _ERROR_CODE.fullmatch(error) else "provider_error"
    raise errors.ProviderDeclined("the provider answered with an error", reason=reason)


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
