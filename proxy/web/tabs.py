"""Tabs of authentication sessions, as handlers need them: made with fresh values, kept within the quota, and brought to
their end when somebody signs in. The steps themselves are ``core.authentication``'s.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.authentication import ROOT_LIFETIME_S, OneUse, Tab, TabStatus, moved, superseded
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin
from proxy.web.caller import caller_of
from proxy.web.cookies import new_root_id
from proxy.web.flow_notes import session_notes
from proxy.web.flow_quota import FLOW_QUOTA
from proxy.web.flow_states import RANDOM_BYTES, FlowStates
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.web.flow_notes import Wish
    from proxy.web.form_tokens import FormTab

TAB_BYTES = 12
"""Random bytes of a tab's id: enough to be unlike the other tabs of one root; MAC and state do the rest."""

VALUE_BYTES = 32
"""Random bytes of a nonce or a verifier: 43 characters, as RFC 7636 §4.1 recommends."""


def new_tab_id(request: web.Request) -> str:
    """Return the id of a tab."""
    return _random_text(request, TAB_BYTES)


def one_use(request: web.Request, root_id: str, *, restarts: int = 0) -> OneUse:
    """Return the values of one authorization request."""
    random = request.app[keys.RANDOM_BYTES](RANDOM_BYTES)
    return OneUse(
        state=FlowStates(request.app[OPTIONS].server_key).issue(root_id, restarts=restarts, random=random),
        nonce=_random_text(request, VALUE_BYTES),
        code_verifier=Secret(_random_text(request, VALUE_BYTES)),
    )


def code_tab(request: web.Request, root_id: str, wish: Wish, *, restarts: int = 0) -> Tab:
    """Return a tab of the code flow that begins now; ``restarts``: how often it did so by itself before."""
    options, now = request.app[OPTIONS], request.app[keys.CLOCK].now()
    values = one_use(request, root_id, restarts=restarts)
    return Tab(
        root_id=root_id,
        issuer=options.issuer,
        client_id=options.client_id,
        tab_id=new_tab_id(request),
        state=values.state,
        nonce=values.nonce,
        code_verifier=values.code_verifier,
        return_to=wish.return_to,
        created_at=now,
        expires_at=now + ROOT_LIFETIME_S,
        restarts=restarts,
        notes=wish.notes,
        session_notes=session_notes(wish.notes),
    )


async def form_tab(request: web.Request, form: FormTab) -> Tab:
    """Return the record of a form that was sent, or a new one that is not kept yet.

    Raises:
        CsrfRejected: this form was used, or refused so often that its flow was reset.
        StoreUnavailable
    """
    state = FlowStates(request.app[OPTIONS].server_key).of_form(form.root_id, form.tab_id)
    known = await request.app[keys.AUTHENTICATIONS].peek(form.root_id, state)
    if known is None:
        return _form_record(request, form, state)
    if known.status is not TabStatus.OPEN:
        raise errors.CsrfRejected("this form is over", reason=f"form_{known.status.value}")
    return known


def _form_record(request: web.Request, form: FormTab, state: str) -> Tab:
    options = request.app[OPTIONS]
    return Tab(
        root_id=form.root_id,
        issuer=options.issuer,
        client_id=options.client_id,
        tab_id=form.tab_id,
        state=state,
        nonce="",
        code_verifier=Secret(""),
        return_to=form.return_to,
        created_at=request.app[keys.CLOCK].now(),
        expires_at=form.expires_at,
        origin=LoginOrigin.FORM,
        notes=form.notes,
        session_notes=session_notes(form.notes),
    )


async def keep_refused(request: web.Request, tab: Tab) -> None:
    """Keep how often a form was refused; an address that has too many flows in progress is not counted for.

    Raises:
        StoreUnavailable
    """
    if tab.attempts == 1:
        try:
            request.app[FLOW_QUOTA].admit(caller_of(request).address, tab.state)
        except errors.TooManyLogins:
            return
    await request.app[keys.AUTHENTICATIONS].put(tab)


async def sign_in_root(request: web.Request, done: Tab) -> str:
    """Return the id of the browser's new root, after ``done`` has signed somebody in.

    Whatever else was open in the old root is superseded: in the old root, for a request that is on its way already, and
    in the new one, where the browser will ask. A store that fails now takes nothing back: the session is made, and the
    other tabs begin again.
    """
    root_id = new_root_id(request)
    try:
        await _supersede(request, done, root_id)
    except errors.StoreFault as fault:
        request.app[keys.OBSERVER].warning(f"other tabs of a login do not hear of it: {fault}", reason=fault.reason)
    return root_id


async def _supersede(request: web.Request, done: Tab, root_id: str) -> None:
    store, quota = request.app[keys.AUTHENTICATIONS], request.app[FLOW_QUOTA]
    others = [superseded(tab) for tab in await store.tabs(done.root_id) if tab.state != done.state]
    for tab in (*others, done):
        quota.release(caller_of(request).address, tab.state)
        await store.put(tab)
        if tab.origin is LoginOrigin.CODE:
            await store.put(moved(tab, root_id))


def _random_text(request: web.Request, size: int) -> str:
    """Return ``size`` random bytes in Base64url."""
    return urlsafe_b64encode(request.app[keys.RANDOM_BYTES](size)).rstrip(b"=").decode()
