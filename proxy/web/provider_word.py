"""Answers to the provider's own word: it speaks once, does not listen long, and must not find a dead connection.

Shared by every endpoint at which the provider, and nobody else, tells of an end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import keys
from proxy.ports import AuditEvent
from proxy.web.caller import caller_of, user_agent_of

if TYPE_CHECKING:
    from proxy.errors import SidegateError

RETRY_AFTER_S = 5
"""Seconds after which a provider that does try again may."""


def obeyed() -> web.Response:
    """Return the answer when it is done."""
    return _closing(web.Response(status=200))


def refused(error: SidegateError, what: str) -> web.Response:
    """Return the answer to a bad ``what`` (``logout token``): the rule that it breaks, nothing of what it holds."""
    document = {"error": "invalid_request", "error_description": f"{what} refused: {error.reason}"}
    return _closing(web.json_response(document, status=400))


def unavailable(what: str) -> web.Response:
    """Return the answer when we cannot do it now."""
    document = {"error": "temporarily_unavailable", "error_description": f"the {what} could not be carried out"}
    return _closing(web.json_response(document, status=503, headers={"Retry-After": str(RETRY_AFTER_S)}))


def tell_rejected(request: web.Request, error: SidegateError, what: str) -> None:
    """Say to the operator and the trail that ``what`` (``a back-channel logout``) was not obeyed, and why."""
    observer, caller = request.app[keys.OBSERVER], caller_of(request)
    observer.logout("rejected")
    observer.warning(f"{what} was not obeyed: {error}", reason=error.reason, request_id=caller.request_id)
    observer.audit(
        AuditEvent(
            event="logout.rejected",
            request_id=caller.request_id,
            address=caller.address,
            user_agent=user_agent_of(request),
            reason=error.reason,
        )
    )


def _closing(response: web.Response) -> web.Response:
    """End the connection: Keycloak pools them, and what is sent into one that died meanwhile is lost, not repeated."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Connection"] = "close"
    response.force_close()
    return response
