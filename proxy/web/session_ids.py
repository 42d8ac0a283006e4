"""Ids of sessions that say nothing, for lists that people and operators see.

An id is an HMAC of the store key under a key of its own, so nothing has to be remembered, and whoever sees an id (an
address, a log) learns no key of the store.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from proxy.web.form_tokens import derived_key

if TYPE_CHECKING:
    from proxy.core.session import SessionKey

SESSION_IDS: Final = "ids of sessions"
"""Purpose of the key."""

ID_BYTES: Final = 16
"""128 bits of the HMAC (RFC 2104 §5 allows half of it)."""

ID_PATTERN: Final = "[A-Za-z0-9_-]{22}"
"""What an id looks like: 16 bytes in base64url."""


class SessionIds:
    """Ids of sessions as the outside sees them, on this page and in the management API."""

    def __init__(self, server_key: bytes) -> None:
        """Derive the key."""
        self._key = derived_key(server_key, SESSION_IDS)

    def id_of(self, key: SessionKey) -> str:
        """Return the id of the session with this store key."""
        digest = hmac.digest(self._key, key.encode(), "sha256")[:ID_BYTES]
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
