"""A session: one browser signed in, as a value.

The cookie holds 256 random bits and nothing else; the store's key is its SHA-256, so that the store holds no cookie.
A session never changes in place: a refresh makes a new value with the next version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, NewType

from msgspec import Struct

from proxy.core.weighed import decoded_weight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.identity import Identity
    from proxy.core.secret import Secret
    from proxy.core.tokens import TokenSet

NEVER: Final = 0.0
"""When somebody was asked for proof of whom nobody knows that: at no time that a route with ``max_age`` would take."""

REMEMBER_ENDED_S: Final = 24 * 3600.0
"""Seconds for which it is remembered which logins have ended: at least as long as a token that was issued before counts
(``core.access_token``)."""

SessionKey = NewType("SessionKey", str)
"""SHA-256 of the cookie value, hex: what stores, indexes and logs may hold."""


def session_key(cookie_value: Secret) -> SessionKey:
    """Return the store key of a cookie value."""
    return SessionKey(cookie_value.sha256())


def subject_hash(issuer: str, subject: str) -> str:
    """Return what a tombstone keeps of a person: SHA-256 of issuer and subject, hex; enough to know them again."""
    return sha256(f"{issuer}\0{subject}".encode(errors="surrogatepass")).hexdigest()


class LoginOrigin(StrEnum):
    """How the session was made, which decides how it ends at the provider."""

    FORM = "form"
    CODE = "code"


class Persistence(StrEnum):
    """How long the browser keeps the cookie."""

    LASTING = "lasting"
    BROWSER = "browser"


class EndCause(StrEnum):
    """Why a session ended; the label of ``sessions_ended_total`` and what the login page may say."""

    LOGOUT = "logout"
    LOGOUT_ALL = "logout_all"
    BACKCHANNEL = "backchannel"
    FRONTCHANNEL = "frontchannel"
    ADMIN = "admin"
    DEVICE = "device"
    REPLACED = "replaced"
    REFRESH_REFUSED = "refresh_refused"
    EXPIRED = "expired"
    IDLE = "idle"
    OVER_LIMIT = "over_limit"


class Home(NamedTuple):
    """Where a session belongs: a portal, and the client and provider at which its person signed in.

    A session of one is no session of another, whoever has its cookie. ``portal`` is empty for the site at the top.
    """

    portal: str
    issuer: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Session:
    """One live login of one browser.

    Instants are Unix seconds.

    Attributes:
        client_id: the client it was made at.
        sid: the provider's session id, any string, or None.
        issued_at: ``iat`` of the ID token at login: a logout by ``sub`` at or after this instant covers the session.
        authenticated_at: ``auth_time``; without one the login's own time where our form asked, else :data:`NEVER`.
        expires_at: absolute end; never moves.
        idle_timeout_s: seconds without activity after which it is over.
        notes: user session notes, copied from the authentication session.
        version: counts the replaces; the store refuses a replace of another version.
        portal: name of the portal it was made at; empty for the site at the top.
        home: what of this says where it belongs, made once, for it is compared with each request.
    """

    key: SessionKey
    client_id: str
    identity: Identity
    tokens: TokenSet
    sid: str | None
    origin: LoginOrigin
    issued_at: float
    authenticated_at: float
    acr: str | None
    created_at: float
    expires_at: float
    idle_timeout_s: float
    persistence: Persistence = Persistence.LASTING
    user_agent: str = ""
    address: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    portal: str = ""
    home: Home = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Say where it belongs."""
        object.__setattr__(self, "home", Home(self.portal, self.identity.issuer, self.client_id))

    @property
    def weight(self) -> int:
        """Return the bytes that what its tokens say takes in memory, about."""
        return decoded_weight(self.tokens.access_token, self.tokens.id_token)


class SessionSummary(Struct, frozen=True):
    """What lists need: who, when, where from; no token."""

    key: SessionKey
    client_id: str
    subject: str
    username: str | None
    sid: str | None
    created_at: float
    last_seen_at: float
    expires_at: float
    user_agent: str
    address: str
    portal: str = ""


class BySid(Struct, frozen=True):
    """Sessions of one provider session."""

    issuer: str
    sid: str


class BySubject(Struct, frozen=True):
    """All sessions of one person."""

    issuer: str
    subject: str


class ByUsername(Struct, frozen=True):
    """All sessions of whoever signed in under this user name."""

    issuer: str
    username: str


SessionsFilter = BySid | BySubject | ByUsername
"""What ``delete_matching`` takes; there is no empty filter, so nobody ends everything by mistake."""


class EverySessionOf(Struct, frozen=True):
    """All sessions of one client: what a realm-wide logout ends. A watermark: no index leads to them."""

    issuer: str
    client_id: str


class EndedMark(Struct, frozen=True):
    """Something that has ended and stays ended.

    Attributes:
        what: a provider session, a person, or all of a client.
        ended_at: for a person or a client: whatever was issued at or before this instant (same second included) is
            over, sessions that live now included.
        keep_until: when the mark may be forgotten: after the longest life of a token issued before.
    """

    what: BySid | BySubject | EverySessionOf
    ended_at: float
    keep_until: float


class Tombstone(Struct, frozen=True):
    """What is left of an ended session for 24 h: hash of the subject, and why (the key is the hash of the cookie).

    Attributes:
        origin: how it was made: only by the code flow does the browser have a session at the provider too.
    """

    subject_hash: str
    cause: EndCause
    ended_at: float
    origin: LoginOrigin = LoginOrigin.FORM
