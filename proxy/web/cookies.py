"""Our cookies on an aiohttp request and response; names, grammar and attributes are ``core.cookies``' business."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy import keys
from proxy.core.cookies import login_cookie_value, session_cookie_value
from proxy.core.request import RequestHead
from proxy.core.session import Persistence
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.cookies import OwnCookies
    from proxy.core.secret import Secret
    from proxy.core.session import Session

ROOT_BYTES = 32
"""Random bytes of a root's id."""


@dataclass(frozen=True, slots=True)
class Established:
    """A session that is stored, and the cookie value that names it."""

    cookie_value: Secret
    session: Session


def session_cookie(request: web.Request) -> Secret | None:
    """Return the session cookie; None when there is none, more than one, or one that is not ours."""
    return session_cookie_value(_head(request), _cookies(request))


def root_cookie(request: web.Request) -> str | None:
    """Return the id of the root authentication session, by the same rules."""
    return login_cookie_value(_head(request), _cookies(request))


def root_id_or_new(request: web.Request) -> str:
    """Return the id of the browser's root, or a fresh one that the answer has to set."""
    known = root_cookie(request)
    return known or urlsafe_b64encode(request.app[keys.RANDOM_BYTES](ROOT_BYTES)).rstrip(b"=").decode()


def set_session_cookie(request: web.Request, response: web.Response, established: Established) -> None:
    """Name the session in the browser, for as long as both are to last."""
    session = established.session
    is_lasting = session.persistence is Persistence.LASTING
    max_age_s = int(session.expires_at - session.created_at) if is_lasting else None
    _add(response, _cookies(request).session_cookie(established.cookie_value, max_age_s=max_age_s))


def set_root_cookie(request: web.Request, response: web.Response, root_id: str) -> None:
    """Bind the browser to its root; set anew each time, so that it outlives the form just shown."""
    _add(response, _cookies(request).login_cookie(root_id))


def clear_cookies(request: web.Request, response: web.Response) -> None:
    """Take session and root away.

    The root goes too: a form of before the logout, found by the next person with the back button, must not be posted
    again.
    """
    _add(response, _cookies(request).clear_session_cookie())
    _add(response, _cookies(request).clear_login_cookie())


def _head(request: web.Request) -> RequestHead:
    return RequestHead(request.method.encode(), b"", request.raw_headers, peer="", scheme="https")


def _cookies(request: web.Request) -> OwnCookies:
    return request.app[OPTIONS].cookies


def _add(response: web.Response, value: bytes) -> None:
    response.headers.add("Set-Cookie", value.decode())
