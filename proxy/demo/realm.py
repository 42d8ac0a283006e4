"""The state of the embedded provider: what every endpoint may look at and change. No HTTP beyond the key of the app.

One realm, one object. Time comes from ``clock`` alone, so a test can bend it.
"""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from proxy.demo.clients import Client, Lifetimes
from proxy.demo.key_ring import Key, KeyRing
from proxy.demo.misbehaviour import Draft, Misbehaviour, OpaqueDraft, TokenKind
from proxy.demo.sessions import ClientSession, Persistence, Sessions, UserSession
from proxy.demo.shape import Shape
from proxy.demo.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.demo.authorization_request import Code, PendingLogout, Tab

#: Bounds of what strangers can make grow: unfinished logins, codes, opaque tokens, revoked tokens.
MEMORY_LIMIT: Final = 10_000

HEADER_TYPES: Final = {TokenKind.LOGOUT: "logout+jwt"}


class Rotation(enum.Enum):
    """What a refresh does to the refresh token; the value is Keycloak's ``refreshTokenMaxReuse``."""

    OFF = -1
    STRICT = 0
    ONE_REUSE = 1


class Registration(enum.Enum):
    """Whether strangers may make themselves an account (``prompt=create``)."""

    CLOSED = "closed"
    OPEN = "open"


class Bounded(OrderedDict[str, Any]):
    """A dictionary that forgets its oldest entry when it is full."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > MEMORY_LIMIT:
            self.popitem(last=False)


class Realm(Struct, kw_only=True):
    """Everything that the provider knows. ``origin`` is set once the port is known.

    Attributes:
        levels: of authentication, the lowest first, as ``acr`` says them. The first is the password, those above it
            want a one-time code (the password again of who has none), each time anew. Without levels it is Keycloak's
            "1" after a login, "0" by the browser's session.
    """

    shape: Shape = field(default_factory=Shape)
    clock: Callable[[], float] = time.time
    rotation: Rotation = Rotation.OFF
    registration: Registration = Registration.CLOSED
    levels: tuple[str, ...] = ()
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    origin: str = ""
    not_before: int = 0
    users: Users = field(default_factory=Users)
    clients: dict[str, Client] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    keys: KeyRing = field(default_factory=KeyRing)
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    codes: OrderedDict[str, Code] = field(default_factory=Bounded)
    tabs: OrderedDict[str, Tab] = field(default_factory=Bounded)
    browsers: OrderedDict[str, str] = field(default_factory=Bounded)
    pending_logouts: OrderedDict[str, PendingLogout] = field(default_factory=Bounded)
    opaque_tokens: OrderedDict[str, dict[str, Any]] = field(default_factory=Bounded)
    revoked_jti: OrderedDict[str, bool] = field(default_factory=Bounded)

    @property
    def issuer(self) -> str:
        return f"{self.origin}{self.shape.path}"

    @property
    def name(self) -> str:
        return self.shape.realm_name

    def now(self) -> int:
        """Whole Unix seconds: tokens have no finer time, and neither has Keycloak's bookkeeping of reuse."""
        return int(self.clock())

    def url(self, path: str) -> str:
        return f"{self.origin}{path}"

    def level_of(self, acr_values: tuple[str, ...]) -> int:
        """Index of the lowest level that will do; what is unknown is no wish."""
        return min((self.levels.index(value) for value in acr_values if value in self.levels), default=0)

    def lifetimes_of(self, client: Client) -> Lifetimes:
        return client.lifetimes or self.lifetimes

    def client_by_uuid(self, uuid: str) -> Client | None:
        return next((client for client in self.clients.values() if client.uuid == uuid), None)

    def live_session(self, sid: str, persistence: Persistence = Persistence.ONLINE) -> UserSession | None:
        """The session, when it is neither ended nor expired. Of expiry nobody is told."""
        session = self.sessions.get(sid, persistence)
        if session is None:
            return None
        if self.clock() >= session.idle_ends_at(self.lifetimes):
            self.sessions.remove(session)
            return None
        return session

    def live_part(self, session: UserSession, client: Client) -> ClientSession | None:
        """The client's part of a live session, when there is one and it is not over by the client's own lifetimes."""
        part = session.clients.get(client.client_id)
        if part is None or session.persistence is Persistence.OFFLINE:
            return part
        return part if self.clock() < part.ends_at(self.lifetimes_of(client)) else None

    def live_sessions(self) -> list[UserSession]:
        return [each for each in self.sessions if self.live_session(each.sid, each.persistence) is not None]

    def sign(self, kind: TokenKind, claims: dict[str, Any]) -> str:
        """Sign by the current key, or as a forgery says. Refresh tokens are HS512, which nobody else verifies."""
        head, key = self._signer(kind)
        draft = self.misbehaviour.apply_forgeries(kind, Draft(head, claims, key))
        token = draft.signed()
        if isinstance(draft, OpaqueDraft):
            self.opaque_tokens[token] = draft.claims
        return token

    def _signer(self, kind: TokenKind) -> tuple[dict[str, Any], Key]:
        if kind is TokenKind.REFRESH:
            return {"alg": "HS512", "typ": "JWT", "kid": self.keys.hmac_kid}, self.keys.hmac_key
        current = self.keys.current
        return {"alg": "RS256", "typ": HEADER_TYPES.get(kind, "JWT"), "kid": current.kid}, current.private

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of an access or ID token of ours, whether it has expired or not; None for anything else."""
        return self.opaque_tokens.get(token) or self.keys.verify(token)
