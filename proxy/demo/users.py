"""The people of the embedded provider: who they are, what proves it, what they may do. No HTTP, no tokens.

Passwords stand here in clear: this provider is a fake for demonstrations and tests and keeps nothing but staged people.
"""

from __future__ import annotations

import enum
import hmac
import uuid
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from proxy.demo import totp

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What Keycloak's ``default-roles-<realm>`` is composed of.
DEFAULT_REALM_ROLES: Final = ("offline_access", "uma_authorization")
DEFAULT_ACCOUNT_ROLES: Final = ("manage-account", "manage-account-links", "view-profile")


class UserState(enum.Enum):
    ENABLED = "enabled"
    DISABLED = "disabled"
    #: Temporarily locked by too many failures; looks like a wrong password.
    LOCKED = "locked"


class User(Struct, kw_only=True):
    """One person. Everything may be changed while the provider runs; the next token shows it."""

    username: str
    password: str
    subject: str = field(default_factory=lambda: str(uuid.uuid4()))
    email: str | None = None
    email_verified: bool = True
    first_name: str | None = None
    last_name: str | None = None
    realm_roles: tuple[str, ...] = ()
    client_roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)
    state: UserState = UserState.ENABLED
    required_actions: tuple[str, ...] = ()
    otp_secret: bytes | None = None
    not_before: int = 0
    spent_otp_steps: set[int] = field(default_factory=set)

    @property
    def name(self) -> str | None:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None

    def has_password(self, candidate: str) -> bool:
        return hmac.compare_digest(self.password.encode(), candidate.encode())

    def spends_otp(self, code: str, at: float) -> bool:
        """Whether the code is right at ``at`` (Unix seconds) and was not used before; it is used now."""
        step = totp.matching_step(self.otp_secret or b"", code, at)
        if step is None or step in self.spent_otp_steps:
            return False
        self.spent_otp_steps.add(step)
        return True


class EffectiveRoles(Struct, frozen=True):
    """The roles of a user after composites were unfolded."""

    realm: tuple[str, ...]
    clients: dict[str, tuple[str, ...]]


def effective_roles(user: User) -> EffectiveRoles:
    """Unfold ``default-roles-…``, the only composite that there is here; without it a user has no account roles."""
    clients = {client: roles for client, roles in user.client_roles.items() if roles}
    if not any(role.startswith("default-roles-") for role in user.realm_roles):
        return EffectiveRoles(user.realm_roles, clients)
    realm = tuple(dict.fromkeys((*user.realm_roles, *DEFAULT_REALM_ROLES)))
    account = tuple(dict.fromkeys((*clients.get("account", ()), *DEFAULT_ACCOUNT_ROLES)))
    return EffectiveRoles(realm, {**clients, "account": account})


class Users:
    """All people, found by name, e-mail or subject. Names and e-mails are compared without regard to case."""

    def __init__(self) -> None:
        self._by_subject: dict[str, User] = {}

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._by_subject.values()))

    def __getitem__(self, username: str) -> User:
        user = self.find(username)
        if user is None:
            raise KeyError(username)
        return user

    def add(self, user: User) -> User:
        """Take the user in.

        Raises:
            ValueError: when the name is taken.
        """
        if self.find(user.username) is not None:
            raise ValueError(f"there is a user {user.username} already")
        self._by_subject[user.subject] = user
        return user

    def remove(self, username: str) -> None:
        del self._by_subject[self[username].subject]

    def find(self, login: str) -> User | None:
        """The user of that name or e-mail."""
        wanted = login.casefold()
        for user in self._by_subject.values():
            if wanted in {user.username.casefold(), (user.email or user.username).casefold()}:
                return user
        return None

    def by_subject(self, subject: str) -> User | None:
        return self._by_subject.get(subject)
