"""``/keycloak/k_logout``, ``k_push_not_before``, ``k_test_available``: Keycloak's admin URL protocol.

It is the only way in which Keycloak tells of a realm-wide logout. The order is that of logout tokens (law 7): verify,
judge, remember what ended, look whether the action was seen, delete, and only then remember its ``id``.
"""

from __future__ import annotations

from aiohttp import web

from proxy import errors, keys
from proxy.core.admin_action import AdminAction, AdminActionKind, validate_admin_action
from proxy.core.session import BySid, EndCause
from proxy.web.caller import caller_of
from proxy.web.ending import end_everything_before, remember_ended, tell_ended
from proxy.web.forms import media_type
from proxy.web.options import OPTIONS
from proxy.web.provider_word import obeyed, refused, tell_rejected, unavailable

MAX_TOKEN_LENGTH = 48 * 1024
"""Characters of an action that are verified: a thousand session ids; Keycloak's has 700."""

TEXT = "text/plain"


async def keycloak_logout(request: web.Request) -> web.StreamResponse:
    """End the sessions that are named, or all that were issued up to an instant."""
    return await _answered(request, AdminActionKind.LOGOUT)


async def keycloak_push_not_before(request: web.Request) -> web.StreamResponse:
    """End, and refuse, whatever was issued up to an instant."""
    return await _answered(request, AdminActionKind.PUSH_NOT_BEFORE)


async def keycloak_test_available(request: web.Request) -> web.StreamResponse:
    """Say that we are there; nothing happens, so nothing is remembered."""
    return await _answered(request, AdminActionKind.TEST_AVAILABILITY)


async def _answered(request: web.Request, kind: AdminActionKind) -> web.Response:
    try:
        action = await _verified_action(request, kind)
        await _obey(request, action)
    except (errors.TokenRejected, errors.FormRejected, errors.BodyTooLarge) as error:
        tell_rejected(request, error, "an action of the realm's administrator")
        return refused(error, "admin action")
    except (errors.StoreFault, errors.ProviderUnavailable) as error:
        tell_rejected(request, error, "an action of the realm's administrator")
        return unavailable("admin action")
    return obeyed()


async def _verified_action(request: web.Request, kind: AdminActionKind) -> AdminAction:
    verified = await request.app[keys.PROVIDER].verify(
        await _token(request), purpose="admin", peer=caller_of(request).address
    )
    return validate_admin_action(
        verified.header,
        verified.payload,
        kind=kind,
        client_id=request.app[OPTIONS].client_id,
        now=request.app[keys.CLOCK].now(),
    )


async def _token(request: web.Request) -> str:
    if media_type(request) != TEXT:
        raise errors.FormRejected("an admin action comes as text/plain")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise errors.BodyTooLarge("an admin action is larger than own pages read") from error
    except (ConnectionError, web.RequestPayloadError):
        raise errors.FormRejected("the connection ended within the admin action") from None
    if not 0 < len(body) <= MAX_TOKEN_LENGTH or not body.isascii():
        raise errors.FormRejected("the body is not of the size and letters that a token has")
    return body.decode("ascii")


async def _obey(request: web.Request, action: AdminAction) -> None:
    if action.sids is None and action.not_before is None:
        return
    sessions = request.app[keys.SESSIONS]
    await _remember(request, action)
    # Nobody else spends ids with a line break in them: a jti has none.
    options = request.app[OPTIONS]
    spent_id = f"{options.issuer} {options.client_id}\nadmin\n{action.action_id}"
    if await sessions.jti_is_spent(spent_id):
        raise errors.TokenRejected("this admin action was obeyed before", reason="replayed")
    # What ended by an instant is not known at once: those records go when they are next looked at.
    issuer = request.app[OPTIONS].issuer
    ended = [await sessions.delete_matching(BySid(issuer, sid), EndCause.ADMIN) for sid in action.sids or ()]
    await sessions.spend_jti(spent_id, action.expires_at)
    reason = "not_before" if action.sids is None else "sid"
    tell_ended(request, "admin", [session for each in ended for session in each], reason=reason)


async def _remember(request: web.Request, action: AdminAction) -> None:
    """Refuse what has ended from now on; for an instant that is all there is to do."""
    if action.sids is None:
        await end_everything_before(request, action.not_before or 0.0)
        return
    issuer, now = request.app[OPTIONS].issuer, request.app[keys.CLOCK].now()
    for sid in action.sids:
        await remember_ended(request, BySid(issuer, sid), ended_at=now)
