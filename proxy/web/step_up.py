"""Step-up: somebody who is signed in proves more, or anew, at the provider, and goes on as the same session.

What lives here: what was asked of the provider beyond a login, whether its answer gives that, and the session that
comes of it. What does not: the flow itself (``code_flow``), and what a route asks (``core.policy``): the gate decides
anew whatever came of a step-up, so an address of ``/start`` that somebody wrote by hand changes nothing.

=====================================  ==============================================================================
what comes back                        what becomes of it
=====================================  ==============================================================================
the same person, and what was asked    a new session id; ``created_at``, the absolute end, notes and open streams stay
another person                         a new login: the old session ends, with its streams
nobody is signed in any more           a new login
less than was asked                    nothing changes; a page says so. Never sent on by itself: that would be a circle
too old, the first time                asked once more with ``prompt=login``: two clocks differ by a second
=====================================  ==============================================================================

Source: OIDC Core 1.0 §3.1.2.1, §3.1.3.7, §5.5.1.1; RFC 9470.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy import errors, keys
from proxy.core.id_token import AskedProof, require_proof
from proxy.core.session import NEVER
from proxy.web.cookies import Established
from proxy.web.establish import new_cookie_value, session_of, tell_login
from proxy.web.logout_at_provider import end_at_provider
from proxy.web.options import OPTIONS
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from proxy.core.session import Session
    from proxy.core.tokens import Grant
    from proxy.ports import ProviderMetadata
    from proxy.web.establish import LoginManner
    from proxy.web.flow_notes import Wish

TOO_OLD = "authentication_too_old"
"""The reason of a refusal that asking once more may mend."""


def asked_proof(notes: Mapping[str, str]) -> AskedProof:
    """Return what these notes of a flow ask of the authentication; the rules of the notes were kept before."""
    max_age = notes.get("max_age")
    return AskedProof(tuple(notes.get("acr_values", "").split()), None if max_age is None else float(max_age))


def asked_by_routes(request: web.Request, wish: Wish) -> Wish:
    """Return the wish without an ``acr`` that no route asks for.

    A link can be anybody's, and not every value is harmless at the provider: ``acr_values=0`` lowers the browser's
    session at Keycloak, which then gives no other value for as long as it lives.
    """
    asked = set(wish.notes.get("acr_values", "").split())
    if asked <= request.app[OPTIONS].acr_values:
        return wish
    return replace(wish, notes={name: value for name, value in wish.notes.items() if name != "acr_values"})


def proof_parameters(notes: Mapping[str, str], metadata: ProviderMetadata) -> dict[str, str]:
    """Return the parameter ``claims`` where asking for an *essential* ``acr`` helps: the provider then never answers
    with less.

    Only with values that its metadata promise: at Keycloak an essential value that it does not know is a page of its
    own, from which nobody comes back. ``acr_values`` alone is a wish, and what comes of it is judged here.
    """
    values = notes.get("acr_values", "").split()
    is_known = bool(values) and set(values) <= set(metadata.acr_values_supported)
    if not (metadata.claims_parameter_supported and is_known):
        return {}
    acr = {"essential": True, "values": values}
    return {"claims": json.dumps({"id_token": {"acr": acr}}, separators=(",", ":"))}


def refuse_less(request: web.Request, grant: Grant, notes: Mapping[str, str]) -> None:
    """Refuse a grant that gives less than was asked.

    Raises:
        ProofRefused: ``reason`` is that of the rule.
    """
    now = request.app[keys.CLOCK].now()
    try:
        require_proof(asked_proof(notes), acr=grant.acr, auth_time=grant.auth_time, now=now)
    except errors.TokenRejected as fault:
        raise errors.ProofRefused(f"a step-up was not granted: {fault}", reason=fault.reason) from fault


async def stepped_up(
    request: web.Request, grant: Grant, manner: LoginManner, notes: Mapping[str, str]
) -> Established | None:
    """Let the visitor's session go on with what ``grant`` proves, under a new id; None when this is a login.

    The old session at the provider is ended when it is another one (the form's): by its refresh token, from the server,
    and nobody waits for it. The logout token that follows names a ``sid`` that is nobody's any more.

    Raises:
        StoreUnavailable, StoreFull: as ``SessionStore.supersede``.
    """
    visitor = await visitor_of(request)
    old, old_cookie_value = visitor.session, visitor.cookie_value
    if old is None or old_cookie_value is None or not _is_step_up(old, grant, notes):
        return None
    cookie_value = new_cookie_value(request)
    session = _heir(session_of(request, grant, manner, cookie_value), old)
    try:
        await request.app[keys.SESSIONS].supersede(old_cookie_value, cookie_value, session)
    except errors.SessionEnded:
        # It ended while the person was at the provider: a login like any other, which may find that it is over too.
        return None
    if old.sid != session.sid:
        _ = request.app[keys.TASKS].start(end_at_provider(request, old))
    tell_login(request, session, "step_up")
    return Established(cookie_value, session)


def _is_step_up(old: Session, grant: Grant, notes: Mapping[str, str]) -> bool:
    is_asked = asked_proof(notes) != AskedProof()
    person, same = old.identity, grant.identity
    return is_asked and (person.issuer, person.subject) == (same.issuer, same.subject)


def _heir(session: Session, old: Session) -> Session:
    """Return the new session with what the old one had: its age, its end, how long its cookie lasts, its notes.

    And the time of its sign-in where the provider does not say when it asked last: it is the same person.
    """
    return dataclasses.replace(
        session,
        authenticated_at=old.authenticated_at if session.authenticated_at == NEVER else session.authenticated_at,
        created_at=old.created_at,
        expires_at=old.expires_at,
        persistence=old.persistence,
        notes={**old.notes, **session.notes},
    )
