"""Sessions of the embedded provider: one per browser or direct grant, in it one per client. Time is given.

A session of Keycloak has two floors: the *user session* (``sid``, the single sign-on) and in it one *client session*
for each client that took part. Detected misuse of a refresh token or a code takes away the client session alone.
"""

from __future__ import annotations

import base64
import enum
import secrets
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.clients import Lifetimes


class Persistence(enum.Enum):
    ONLINE = "online"
    #: Made by ``offline_access``: has no place in the browser and no end of its own.
    OFFLINE = "offline"


class Family(Struct):
    """Descendants of one login under rotation: the refresh token used last, how often, and when (whole seconds)."""

    used_jti: str
    used_at: int
    uses: int = 0


class ClientSession(Struct, kw_only=True):
    """One client's part of a session.

    Attributes:
        acr: ``"1"`` after a fresh login, ``"0"`` when single sign-on was used.
        auth_time: None after a direct grant, which has none in its tokens.
    """

    client_id: str
    scope: tuple[str, ...]
    started_at: float
    refreshed_at: float
    acr: str = "1"
    auth_time: int | None = None
    families: dict[str, Family] = field(default_factory=dict)

    def ends_at(self, lifetimes: Lifetimes) -> float:
        """When it is over by age or idleness, by the client's own lifetimes; they may be shorter than the session's."""
        return min(self.started_at + lifetimes.session_max_s, self.refreshed_at + lifetimes.session_idle_s)


class UserSession(Struct, kw_only=True):
    """One single sign-on session; instants in Unix seconds, ``auth_time`` None after a direct grant."""

    sid: str
    subject: str
    started_at: float
    refreshed_at: float
    auth_time: int | None = None
    persistence: Persistence = Persistence.ONLINE
    address: str = "127.0.0.1"
    user_agent: str = ""
    clients: dict[str, ClientSession] = field(default_factory=dict)

    def ends_at(self, lifetimes: Lifetimes) -> float:
        """When the absolute lifetime is over; idleness not counted."""
        if self.persistence is Persistence.OFFLINE:
            return float("inf")
        return self.started_at + lifetimes.session_max_s

    def idle_ends_at(self, lifetimes: Lifetimes) -> float:
        if self.persistence is Persistence.OFFLINE:
            return float("inf")
        return min(self.ends_at(lifetimes), self.refreshed_at + lifetimes.session_idle_s)


def new_sid() -> str:
    """24 characters of base64url, as Keycloak 26 makes them; may begin with ``-`` or ``_``."""
    return base64.urlsafe_b64encode(secrets.token_bytes(18)).decode()


class Sessions:
    """All sessions. An online and an offline session may have the same ``sid``: the one was made out of the other."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, Persistence], UserSession] = {}

    def __iter__(self) -> Iterator[UserSession]:
        return iter(list(self._stored.values()))

    def add(self, session: UserSession) -> UserSession:
        self._stored[session.sid, session.persistence] = session
        return session

    def get(self, sid: str, persistence: Persistence = Persistence.ONLINE) -> UserSession | None:
        """The session, expired or not."""
        return self._stored.get((sid, persistence))

    def remove(self, session: UserSession) -> None:
        self._stored.pop((session.sid, session.persistence), None)

    def of_subject(self, subject: str, persistence: Persistence = Persistence.ONLINE) -> list[UserSession]:
        return [each for each in self if each.subject == subject and each.persistence is persistence]
