"""The login behind a session or a bearer token: what a logout names, and what marks of ended logins are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.core.bearer import Bearer
    from proxy.core.session import Session


class Login(Struct, frozen=True):
    """A login at the provider, as far as a logout can name it.

    Attributes:
        client_id: our client, whose watermark counts.
        sid: the provider's session id, any string, or None.
        issued_at: ``iat``, Unix seconds: a logout by ``sub`` at or after this instant covers it.
    """

    issuer: str
    client_id: str
    sid: str | None
    subject: str
    issued_at: float

    @classmethod
    def of(cls, who: Session | Bearer) -> Login:
        """Return the login that made ``who``."""
        identity = who.identity
        return cls(identity.issuer, who.client_id, who.sid, identity.subject, who.issued_at)
