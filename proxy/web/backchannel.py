"""``/backchannel-logout``: the provider says that somebody's session is over.

The order is law 7: verify, judge, remember what ended, look whether the token was seen, delete, and only then remember
the ``jti``: whatever fails before leaves a token that may be sent again. What ended is remembered first, because the
provider never sends twice: a store that is away keeps that for later, and for a token seen before it changes nothing.

Source: OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.logout_token import LogoutClaims, validate_logout_token
from proxy.core.session import BySid, BySubject, EndCause
from proxy.web.caller import caller_of
from proxy.web.ending import end_without_sid, remember_ended, tell_ended
from proxy.web.forms import URLENCODED, media_type, read_fields
from proxy.web.options import OPTIONS
from proxy.web.provider_word import obeyed, refused, tell_rejected, unavailable

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.web.ending import Ended

MAX_TOKEN_LENGTH = 16 * 1024
"""Characters of a logout token that are verified; Keycloak's has 900."""


async def backchannel_logout(request: web.Request) -> web.StreamResponse:
    """Obey a logout token; 200 for unknown sessions too, 400 for a bad token, 503 when it could not be obeyed."""
    try:
        claims = await _verified_claims(request)
        ended = await _obey(request, claims)
    except (errors.TokenRejected, errors.FormRejected, errors.BodyTooLarge) as error:
        tell_rejected(request, error, "a back-channel logout")
        return refused(error, "logout token")
    except (errors.StoreFault, errors.ProviderUnavailable) as error:
        tell_rejected(request, error, "a back-channel logout")
        return unavailable("logout")
    reason = "sub" if claims.sid is None else "sid"
    tell_ended(request, "backchannel", ended, reason=reason, subject=claims.subject)
    return obeyed()


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


async def _obey(request: web.Request, claims: LogoutClaims) -> Ended:
    sessions, which = request.app[keys.SESSIONS], _named(request, claims)
    await remember_ended(request, which, ended_at=claims.issued_at)
    options = request.app[OPTIONS]
    # Portals may be of other realms, and no realm is to spend what another one has issued.
    spent_id = f"{options.issuer} {options.client_id} {claims.jti}"
    if await sessions.jti_is_spent(spent_id):
        raise errors.TokenRejected("this logout token was obeyed before", reason="replayed")
    ended = await sessions.delete_matching(which, EndCause.BACKCHANNEL)
    if claims.sid is not None and claims.subject is not None:
        # A session whose login brought no sid cannot be told from the one that is meant, so it ends with it.
        person = BySubject(which.issuer, claims.subject)
        ended = (*ended, *await end_without_sid(request, person, EndCause.BACKCHANNEL))
    await sessions.spend_jti(spent_id, claims.expires_at)
    return ended


def _named(request: web.Request, claims: LogoutClaims) -> BySid | BySubject:
    """Return what ends: one provider session when it is named, else everything of that person."""
    issuer = request.app[OPTIONS].issuer
    if claims.sid is not None:
        return BySid(issuer, claims.sid)
    if claims.subject is None:
        raise errors.TokenRejected("neither sid nor sub says whose session ends", reason="nobody_named")
    return BySubject(issuer, claims.subject)
