"""Forms that only the person at this browser may send, for logout and devices: the one CSRF token of the session, or a
page of our own origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.web.form_tokens import SessionFormTokens
from proxy.web.forms import Fields, read_fields
from proxy.web.options import OPTIONS
from proxy.web.origin import Provenance, provenance

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.secret import Secret

NO_FIELDS = Fields(())


async def fields_if_any(request: web.Request) -> Fields:
    """Return the fields of the body, none when there is no body.

    Raises:
        FormRejected, BodyTooLarge: as ``read_fields``.
    """
    return await read_fields(request) if request.can_read_body else NO_FIELDS


def csrf_token(request: web.Request, cookie_value: Secret) -> str:
    """Return the one CSRF token of the session that this cookie names."""
    return SessionFormTokens(request.app[OPTIONS].server_key).token(cookie_value)


def is_wanted(request: web.Request, token: str | None, cookie_value: Secret) -> bool:
    """Say whether a page of ours, or of our origin, sent this; a token that is there must fit, wherever it is from."""
    if token is None:
        return provenance(request) is Provenance.SAME_ORIGIN
    options = request.app[OPTIONS]
    return SessionFormTokens(options.server_key, *options.older_keys).fits(token, cookie_value)
