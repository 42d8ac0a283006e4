"""The provider as something to hold: start it, register clients and users, do what an administrator does, stop it.

::

    async with running_issuer(clock=clock) as issuer:
        issuer.register_client(Client(client_id="app", secret="s", redirect_uris=("https://app.test/*",)))
        issuer.add_user("alice", "alice", realm_roles=("viewer",))
        ...  # issuer.url is the issuer; issuer.misbehaviour makes it lie
        await issuer.end_session(sid)
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy.demo.app_keys import BACKCHANNEL
from proxy.demo.application import provider_application
from proxy.demo.misbehaviour import TokenKind
from proxy.demo.realm import Realm
from proxy.demo.sessions import Persistence, Sessions, UserSession
from proxy.demo.tokens import logout_claims
from proxy.demo.users import User, Users, UserState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.demo.backchannel import BackchannelSender
    from proxy.demo.clients import Client
    from proxy.demo.key_ring import KeyRing, RsaKey
    from proxy.demo.misbehaviour import Misbehaviour

LOOPBACK: Final = "127.0.0.1"


class Issuer:
    """One running provider, with what an administrator of Keycloak could do to it as methods."""

    def __init__(self, realm: Realm, backchannel: BackchannelSender) -> None:
        self.realm = realm
        self._backchannel = backchannel

    @property
    def url(self) -> str:
        """The issuer, exactly as tokens say it."""
        return self.realm.issuer

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash. The page of sessions is at ``/``."""
        return self.realm.origin

    @property
    def users(self) -> Users:
        return self.realm.users

    @property
    def clients(self) -> dict[str, Client]:
        return self.realm.clients

    @property
    def sessions(self) -> Sessions:
        return self.realm.sessions

    @property
    def keys(self) -> KeyRing:
        return self.realm.keys

    @property
    def misbehaviour(self) -> Misbehaviour:
        return self.realm.misbehaviour

    def endpoint(self, name: str) -> str:
        """URL of an endpoint: ``token``, ``auth``, ``certs``, ``userinfo``, ``logout``, ``revoke``."""
        return self.realm.url(self.realm.shape.endpoint(name))

    def register_client(self, client: Client) -> Client:
        """Take the client in; one of the same id is replaced."""
        self.realm.clients[client.client_id] = client
        return client

    def add_user(self, username: str, password: str, **attributes: Any) -> User:
        """Add a user, who gets the default roles too (account access, ``offline_access``); the rest as in ``User``."""
        roles = (f"default-roles-{self.realm.name}", *attributes.pop("realm_roles", ()))
        return self.realm.users.add(User(username=username, password=password, realm_roles=roles, **attributes))

    async def end_session(self, sid: str, persistence: Persistence = Persistence.ONLINE) -> None:
        """As ``DELETE /admin/realms/{realm}/sessions/{sid}``: its clients are told.

        Raises:
            KeyError: when there is no such session.
        """
        session = self.realm.sessions.get(sid, persistence)
        if session is None:
            raise KeyError(sid)
        await self._backchannel.end(session)

    async def logout_user(self, username: str) -> None:
        """As ``POST /users/{id}/logout``: one message per session and client; offline sessions survive."""
        user = self.users[username]
        user.not_before = self.realm.now()
        for session in self.realm.sessions.of_subject(user.subject):
            await self._backchannel.end(session)

    def logout_all(self) -> None:
        """As ``POST /logout-all``: every session ends, earlier tokens are stale, no back-channel logout is sent."""
        self.realm.not_before = self.realm.now()
        for session in self.realm.sessions:
            if session.persistence is Persistence.ONLINE:
                self.realm.sessions.remove(session)

    def disable_user(self, username: str) -> None:
        """Nobody is told; the sessions stay and come to life again with the user."""
        self.users[username].state = UserState.DISABLED

    def enable_user(self, username: str) -> None:
        self.users[username].state = UserState.ENABLED

    def delete_user(self, username: str) -> None:
        """The user and the sessions are gone; nobody is told."""
        subject = self.users[username].subject
        for session in self.realm.sessions:
            if session.subject == subject:
                self.realm.sessions.remove(session)
        self.users.remove(username)

    def set_roles(self, username: str, *realm_roles: str) -> None:
        """Replace the realm roles but for the default ones; the next refresh shows it."""
        user = self.users[username]
        kept = tuple(role for role in user.realm_roles if role.startswith("default-roles-"))
        user.realm_roles = (*kept, *realm_roles)

    def rotate_keys(self) -> RsaKey:
        """A new signing key at once; the old one stays published."""
        return self.realm.keys.rotate()

    def remove_key(self, kid: str) -> None:
        """Take a signing key away: nothing that it signed verifies any more."""
        self.realm.keys.remove(kid)

    def sign(self, kind: TokenKind, claims: dict[str, Any]) -> str:
        """Any claims, signed by the current key as a token of that kind, with what forgeries are planned."""
        return self.realm.sign(kind, claims)

    def logout_token(self, client_id: str, subject: str, sid: str) -> str:
        """A logout token as it would be sent, for whom it may concern; planned forgeries change it. Nothing is ended.

        Raises:
            KeyError: when there is no such client.
        """
        session = UserSession(sid=sid, subject=subject, started_at=self.realm.clock(), refreshed_at=self.realm.clock())
        return self.realm.sign(TokenKind.LOGOUT, logout_claims(self.realm, self.clients[client_id], session))

    def live_sessions(self, username: str | None = None) -> list[UserSession]:
        """Sessions that are neither ended nor expired, of one user or of all."""
        subject = None if username is None else self.users[username].subject
        return [each for each in self.realm.live_sessions() if subject in {None, each.subject}]


@asynccontextmanager
async def running_issuer(realm: Realm | None = None, *, port: int = 0, **options: Any) -> AsyncIterator[Issuer]:
    """A provider on loopback, on a free port unless one is named; stopped at the end.

    Args:
        realm: the state to serve; when absent it is made of ``options``.
        port: TCP port; 0 for a free one.
        **options: fields of ``Realm``: shape, clock, rotation, lifetimes, registration ...
    """
    served = realm if realm is not None else Realm(**options)
    app = provider_application(served)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        await site.start()
        served.origin = f"http://{LOOPBACK}:{_bound_port(runner)}"
        yield Issuer(served, app[BACKCHANNEL])
    finally:
        await runner.cleanup()


def _bound_port(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])
