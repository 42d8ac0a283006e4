"""Our cookies on an aiohttp request and response; names, grammar and attributes are ``core.cookies``' business."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import keys
from proxy.core.cookies import known_cookie_value, login_cookie_value, session_cookie_value
from proxy.core.languages import languages_of
from proxy.core.request import RequestHead
from proxy.core.session import Persistence
from proxy.web.form_tokens import derived_key
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.cookies import OwnCookies
    from proxy.core.secret import Secret
    from proxy.core.session import Session

ROOT_BYTES = 32
"""Random bytes of a root's id."""

ROOT_OF_BROWSER = "root of a browser"
"""Purpose of a key."""


class Established(Struct, frozen=True):
    """A session that is stored, and the cookie value that names it."""

    cookie_value: Secret
    session: Session


def session_cookie(request: web.Request) -> Secret | None:
    """Return the session cookie; None when there is none, more than one, or one that is not ours."""
    return session_cookie_value(_head(request), _cookies(request))


def root_cookie(request: web.Request) -> str | None:
    """Return the id of the root authentication session, by the same rules."""
    return login_cookie_value(_head(request), _cookies(request))


def known_cookie(request: web.Request) -> str | None:
    """Return the marks of a browser in which somebody has signed in; they prove nothing yet."""
    return known_cookie_value(_head(request), _cookies(request))


def kept_languages(request: web.Request) -> tuple[str, ...]:
    """Return the languages that the visitor chose before, or that the browser asks for, best first."""
    return languages_of(_head(request), _cookies(request))


def root_id_or_new(request: web.Request) -> str:
    """Return the id of the browser's root, or one that the answer has to set.

    All tabs of a window that is restored ask at once, and none has a root yet: with a random one for each, the forms of
    all but one would be worth nothing. A session cookie, which they send though its session is over, makes it the same
    for all; nobody else knows that cookie, and a logout takes it away.
    """
    known, session = root_cookie(request), session_cookie(request)
    if known is not None or session is None:
        return known or new_root_id(request)
    key = derived_key(request.app[OPTIONS].server_key, ROOT_OF_BROWSER)
    return _text(hmac.digest(key, session.reveal().encode(), "sha256"))


def new_root_id(request: web.Request) -> str:
    """Return the id of a root that nobody knows."""
    return _text(request.app[keys.RANDOM_BYTES](ROOT_BYTES))


def set_session_cookie(request: web.Request, response: web.Response, established: Established) -> None:
    """Name the session in the browser, for as long as both are to last."""
    session = established.session
    is_lasting = session.persistence is Persistence.LASTING
    left_s = session.expires_at - request.app[keys.CLOCK].now()
    max_age_s = max(int(left_s), 0) if is_lasting else None
    _add(response, _cookies(request).session_cookie(established.cookie_value, max_age_s=max_age_s))


def set_root_cookie(request: web.Request, response: web.Response, root_id: str) -> None:
    """Bind the browser to its root; set anew each time, so that it outlives the form just shown."""
    _add(response, _cookies(request).login_cookie(root_id))


def set_known_cookie(request: web.Request, response: web.StreamResponse, marks: str) -> None:
    """Keep in the browser who has signed in there."""
    _add(response, _cookies(request).known_cookie(marks))


def set_language_cookie(request: web.Request, response: web.StreamResponse, tag: str) -> None:
    """Keep in which language our pages are read."""
    _add(response, _cookies(request).language_cookie(tag))


def set_kept_cookie(request: web.Request, response: web.StreamResponse, mark: str) -> None:
    """Say which kept form waits for the next request."""
    _add(response, _cookies(request).kept_cookie(mark))


def clear_cookies(request: web.Request, response: web.Response) -> None:
    """Take session and root away.

    The root goes too: a form of before the logout, found by the next person with the back button, must not be posted
    again.
    """
    _add(response, _cookies(request).clear_session_cookie())
    _add(response, _cookies(request).clear_login_cookie())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _head(request: web.Request) -> RequestHead:
    return RequestHead(request.method.encode(), b"", request.raw_headers, peer="", scheme="https")


def _cookies(request: web.Request) -> OwnCookies:
    return request.app[OPTIONS].cookies


def _add(response: web.StreamResponse, value: bytes) -> None:
    response.headers.add("Set-Cookie", value.decode())
