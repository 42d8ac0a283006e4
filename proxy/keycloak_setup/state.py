"""The client as it is: what the admin REST API says of it, read with care into values.

Pure. Whatever is missing or of another type counts as absent: Keycloak leaves out what is not set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from proxy.core.secret import Secret

POST_LOGOUT_URIS = "post.logout.redirect.uris"
"""The attribute; its values are joined with ``##``. Empty or ``+``: the redirect URIs. ``-``: none."""


class Mapper(Struct, frozen=True):
    """A protocol mapper: of the client itself, or of a client scope."""

    id: str
    name: str
    kind: str
    config: Mapping[str, str]


class Scope(Struct, frozen=True):
    """A client scope of the realm; ``mappers`` are read only where the scope is in force."""

    id: str
    name: str
    mappers: tuple[Mapper, ...] = ()


class ClientState(Struct, frozen=True, kw_only=True):
    """What is.

    Attributes:
        uuid: Keycloak's own id of the client; None when there is none yet.
        members: of the ``ClientRepresentation``.
        defaults: client scopes in force at every login; for a client that is not there yet those that it will get.
        optionals: those in force when a login asks for them.
        others: further scopes of the realm that were asked after.
        secret: None when there is none, or none was asked for.
    """

    uuid: str | None
    members: Mapping[str, object] = field(default_factory=dict)
    mappers: tuple[Mapper, ...] = ()
    defaults: tuple[Scope, ...] = ()
    optionals: tuple[Scope, ...] = ()
    others: tuple[Scope, ...] = ()
    secret: Secret | None = None

    def member(self, name: str) -> object:
        """Return a member, or with a dot in its name an attribute; None when absent. Addresses are made whole."""
        if "." not in name:
            value = self.members.get(name)
            return self._whole(value) if name == "adminUrl" and isinstance(value, str) else value
        attributes = self.members.get("attributes")
        return attributes.get(name) if isinstance(attributes, Mapping) else None

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """Return the redirect URIs as they stand there."""
        return texts(self.members.get("redirectUris"))

    @property
    def web_origins(self) -> tuple[str, ...]:
        """Return the web origins (CORS)."""
        return texts(self.members.get("webOrigins"))

    @property
    def post_logout_uris(self) -> tuple[str, ...]:
        """Return where a logout may lead, spelt out."""
        text = self.member(POST_LOGOUT_URIS)
        listed = [uri for uri in text.split("##") if uri] if isinstance(text, str) else []
        if listed in ([], ["+"]):
            return self.redirect_uris
        return () if listed == ["-"] else tuple(listed)

    def is_meant_by(self, listed: str, url: str) -> bool:
        """Say whether an entry, which may be a path below the root URL, is this address."""
        return self._whole(listed) == url

    def _whole(self, address: str) -> str:
        root = self.members.get("rootUrl")
        return root.rstrip("/") + address if address.startswith("/") and isinstance(root, str) else address


def parse_mappers(value: object) -> tuple[Mapper, ...]:
    """Return the mappers of a ``protocolMappers`` member."""
    return tuple(_mapper(one) for one in documents(value))


def parse_scope(document: Mapping[str, object]) -> Scope:
    """Return a client scope, with its mappers when the answer has them."""
    return Scope(str(document.get("id")), str(document.get("name")), parse_mappers(document.get("protocolMappers")))


def documents(value: object) -> Iterable[Mapping[str, object]]:
    """Give the objects of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """Return the strings of a list."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _mapper(document: Mapping[str, object]) -> Mapper:
    config = document.get("config")
    pairs = config.items() if isinstance(config, Mapping) else ()
    return Mapper(
        id=str(document.get("id")),
        name=str(document.get("name")),
        kind=str(document.get("protocolMapper")),
        config={str(name): str(value) for name, value in pairs if value is not None},
    )
