"""A bearer: the access token of an API client, verified, as a value (RFC 6750).

The names that it shares with a ``Session`` mean the same. Unlike a session it is nobody's record: it is what a token
said, nothing refreshes it, and it ends with its token. How it came to be verified is ``access_token.py`` (claims) and
``gate.bearer`` (the rest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.session import SessionKey
from proxy.core.weighed import decoded_weight

if TYPE_CHECKING:
    from proxy.core.identity import Identity
    from proxy.core.secret import Secret


class Bearer(Struct, frozen=True):
    """Somebody who shows an access token with each request.

    Instants are Unix seconds.

    Attributes:
        client_id: ours, the client (portal) that took the token; never the ``azp`` of another.
        audience: ``aud``, for whom the token is; another file may take none of them.
        access_token: as it came.
        sid: the provider's session id; None when no login of a person stands behind the token.
        issued_at: ``iat``: a logout by ``sub`` at or after this instant covers the token.
        authenticated_at: ``auth_time``, or ``core.session.NEVER`` when the token does not say.
        expires_at: ``exp``, without any allowance.
        token_hash: SHA-256 of the token, hex: what caches and logs may hold.
    """

    client_id: str
    audience: tuple[str, ...]
    identity: Identity
    access_token: Secret
    sid: str | None
    issued_at: float
    authenticated_at: float
    acr: str | None
    expires_at: float
    token_hash: str

    @property
    def key(self) -> SessionKey:
        """Return by what its open streams and its identity headers are known; no session's key is equal to it.

        One token may be shown to several clients (portals) of ours, and be over for one of them alone.
        """
        return SessionKey(f"{self.token_hash} {self.client_id}")

    @property
    def weight(self) -> int:
        """Return the bytes that what the token says takes in memory, about."""
        return decoded_weight(self.access_token)
