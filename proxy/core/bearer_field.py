"""The ``Authorization`` field of a request: does it bring a bearer token, and which (RFC 6750 §2.1, RFC 9110 §11.4).

Schemes other than ``Bearer`` are nobody's business here. What begins like a bearer's field and is none is refused:
an app that reads it more kindly than we do would take for checked what nobody has looked at. A token in the query or
the body (RFC 6750 §2.2, §2.3) is never looked for: it would stand in logs and histories.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.core.secret import Secret
from proxy.errors import BearerMalformed

if TYPE_CHECKING:
    from proxy.core.request import RequestHead

_LETTER: Final = rb"!#$%&'*+.^_`|~0-9A-Za-z-"
"""What the name of a scheme is made of (RFC 9110 §5.6.2, ``tchar``)."""

_SCHEME: Final = re.compile(rb"[^%b]*bearer(?![%b])" % (_LETTER, _LETTER), re.IGNORECASE)
"""``Bearer`` as a whole, and whatever is no letter of a name before it: apps that part a field at white space take a
no-break space (0xA0) and a next line (0x85) for such."""

_CREDENTIALS: Final = re.compile(rb"[ \t]*bearer +([A-Za-z0-9._~+/-]+=*)[ \t]*", re.IGNORECASE)
"""RFC 6750 §2.1 (``b64token``) with as many spaces as RFC 9110 §11.4 allows."""


def bearer_token(head: RequestHead) -> Secret | None:
    """Return the bearer token of a request with at most one Authorization field; None when it brings none.

    Raises:
        BearerMalformed: the scheme is Bearer, and what follows is not one token.
    """
    value = head.value(b"authorization")
    if value is None or not _SCHEME.match(value):
        return None
    found = _CREDENTIALS.fullmatch(value)
    if found is None:
        raise BearerMalformed("Authorization says Bearer, and what follows is not one token")
    return Secret(found[1].decode("ascii"))
