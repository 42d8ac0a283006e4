"""``/backchannel-logout``: the provider says that somebody's session is over.

The order is law 7: verify, judge, look whether it was seen, remember what ended, delete, and only then remember the
``jti``: whatever fails before leaves a token that may be sent again.

Source: OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.logout_token import LogoutClaims, validate_logout_token
from proxy.core.session import BySid, BySubject, EndCause, EndedMark
from proxy.ports import AuditEvent
from proxy.web.caller import caller_of, user_agent_of
from proxy.web.forms import URLENCODED, media_type, read_fields
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from proxy.core.session import SessionSummary

MAX_TOKEN_LENGTH = 16 * 1024
"""Characters of a logout token that are verified; Keycloak's has 900."""

RETRY_AFTER_S = 5
"""Seconds after which a provider that does try again may."""


async def backchannel_logout(request: web.Request) -> web.StreamResponse:
    """Obey a logout token; 200 for unknown sessions too, 400 for a bad token, 503 when it could not be obeyed."""
    try:
        claims = await _verified_claims(request)
        ended = await _obey(request, claims)
    except (errors.TokenRejected, errors.FormRejected, errors.BodyTooLarge) as error:
        _tell_rejected(request, error)
        return _refused(error)
    except (errors.StoreFault, errors.ProviderUnavailable) as error:
        _tell_rejected(request, error)
        return _unavailable()
    _tell_obeyed(request, claims, ended)
    return _closing(web.Response(status=200))


async def _verified_claims(request: web.Request) -> LogoutClaims:
    options = request.app[OPTIONS]
    verified = await request.app[keys.PROVIDER].verify(
        await _logout_token(request), purpose="backchannel", peer=caller_of(request).address
    )
    return validate_logout_token(
        verified.header,
        verified.payload,
        issuer=options.issuer,
        client_id=options.client_id,
        now=request.app[keys.CLOCK].now(),
    )


async def _logout_token(request: web.Request) -> str:
    if media_type(request) != URLENCODED:
        raise errors.FormRejected("a logout token comes in an urlencoded form")
    token = (await read_fields(request)).text("logout_token")
    if not token or len(token) > MAX_TOKEN_LENGTH:
        raise errors.FormRejected("there is no logout_token of a size that a token has")
    return token


async def _obey(request: web.Request, claims: LogoutClaims) -> tuple[SessionSummary, ...]:
    sessions = request.app[keys.SESSIONS]
    spent_id = f"{request.app[OPTIONS].client_id} {claims.jti}"
    if await sessions.jti_is_spent(spent_id):
        raise errors.TokenRejected("this logout token was obeyed before", reason="replayed")
    which = _which(request, claims)
    await sessions.mark_ended(_mark(request, claims, which))
    ended = await sessions.delete_matching(which, EndCause.BACKCHANNEL)
    await sessions.spend_jti(spent_id, claims.expires_at)
    return ended


def _which(request: web.Request, claims: LogoutClaims) -> BySid | BySubject:
    """Return what ends: one provider session when it is named, else everything of that person."""
    issuer = request.app[OPTIONS].issuer
    if claims.sid is not None:
        return BySid(issuer, claims.sid)
    if claims.subject is None:
        raise errors.TokenRejected("neither sid nor sub says whose session ends", reason="nobody_named")
    return BySubject(issuer, claims.subject)


def _mark(request: web.Request, claims: LogoutClaims, which: BySid | BySubject) -> EndedMark:
    keep_until = request.app[keys.CLOCK].now() + request.app[OPTIONS].sessions.remember_ended_s
    return EndedMark(which, ended_at=claims.issued_at, keep_until=keep_until)


def _refused(error: errors.SidegateError) -> web.Response:
    document = {"error": "invalid_request", "error_description": f"logout token refused: {error.reason}"}
    return _closing(web.json_response(document, status=400))


def _unavailable() -> web.Response:
    document = {"error": "temporarily_unavailable", "error_description": "the logout could not be carried out"}
    return _closing(web.json_response(document, status=503, headers={"Retry-After": str(RETRY_AFTER_S)}))


def _closing(response: web.Response) -> web.Response:
    """End the connection: Keycloak pools them, and a logout sent into one that died meanwhile is lost, not repeated."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Connection"] = "close"
    response.force_close()
    return response


def _tell_obeyed(request: web.Request, claims: LogoutClaims, ended: tuple[SessionSummary, ...]) -> None:
    request.app[keys.OBSERVER].logout("backchannel")
    usernames = {session.username for session in ended}
    request.app[keys.OBSERVER].audit(
        AuditEvent(
            event="logout.backchannel",
            request_id=caller_of(request).request_id,
            subject=claims.subject or next((session.subject for session in ended), None),
            username=usernames.pop() if len(usernames) == 1 else None,
            address=caller_of(request).address,
            user_agent=user_agent_of(request),
            sessions_affected=len(ended),
            reason="sid" if claims.sid is not None else "sub",
        )
    )


def _tell_rejected(request: web.Request, error: errors.SidegateError) -> None:
    observer, caller = request.app[keys.OBSERVER], caller_of(request)
    observer.logout("rejected")
    observer.warning(
        f"a back-channel logout was not obeyed: {error}", reason=error.reason, request_id=caller.request_id
    )
    observer.audit(
        AuditEvent(
            event="logout.rejected",
            request_id=caller.request_id,
            address=caller.address,
            user_agent=user_agent_of(request),
            reason=error.reason,
        )
    )
