"""Who somebody is, from verified claims.

``sub`` is the identity; everything else is optional (a login without an e-mail or a name is a login). The functions
that assemble an :class:`Identity` from several sources of claims live here too.

Names of roles are canonical, and no two different roles share one: ``admin`` is a realm role, ``realm:a:b`` the realm
role ``a:b``, ``client:role`` a client role. For that, three kinds of roles are left out, because their name would be
another's: of a client called ``realm`` those with a colon; of foreign clients whose id has a colon all; and, when our
own client's id has a colon, whatever of another client begins with that id and a colon.

Beside Keycloak's ``realm_access`` and ``resource_access``, top-level lists ``roles`` (read like realm roles) and
``groups`` are understood, whoever the provider is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct, field

from proxy.core.claims import claim_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_NAMES = 2000
"""Roles, and as many groups, of one person; a token of 64 KiB seldom holds more. Those beyond are left out."""

MAX_NAME_LENGTH = 512
"""Characters of a role or group; Keycloak's database allows 255 for a name, and a group's path has several."""

_OF_ONE_TOKEN = frozenset({"exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "typ", "aud"})
"""Claims that speak of their token, not of the person: not kept."""

_RIGHTS = frozenset({"realm_access", "resource_access", "roles"})


class Identity(Struct, frozen=True):
    """A person as the provider describes them.

    Attributes:
        issuer: exact ``iss``.
        subject: ``sub``.
        username: the claim named by ``identity_headers.username_claim``, or None.
        roles: canonical names: ``admin`` (realm), ``client:role``, ``realm:a:b`` for a realm role with a colon.
        groups: full paths, each beginning with ``/``.
        claims: every claim that routes and header templates may use, united over ``keycloak.claims_from``.
    """

    issuer: str
    subject: str
    username: str | None = None
    name: str | None = None
    email: str | None = None
    email_is_verified: bool = False
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict)


class IdentityRules(Struct, frozen=True, kw_only=True):
    """How claims become an identity.

    Attributes:
        username_claim: name of a claim; when there is none of that name, a dotted path into nested objects.
    """

    issuer: str
    client_id: str
    username_claim: str = "preferred_username"


def assemble_identity(subject: str, sources: Sequence[Mapping[str, object]], *, rules: IdentityRules) -> Identity:
    """Return the identity that verified sources describe together; never raises: what has no sense is left out.

    Args:
        subject: ``sub`` of the ID token; the caller has seen that every source is about the same.
        sources: claims, the most important source first: the first that has a claim gives it, roles and groups are
            united over all.
    """
    claims = unite_claims(sources)
    email, email_is_verified = _email(sources)
    return Identity(
        issuer=rules.issuer,
        subject=subject,
        username=_text(claim_value(claims, rules.username_claim)),
        name=_text(claims.get("name")),
        email=email,
        email_is_verified=email_is_verified,
        roles=_capped(role for source in sources for role in _roles(source, rules.client_id)),
        groups=_capped(group for source in sources for group in _groups(source)),
        claims={**claims, "iss": rules.issuer, "sub": subject},
    )


def unite_claims(sources: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return every claim about the person once, from the first source that has it; null counts as absent."""
    united: dict[str, object] = {}
    for source in sources:
        for name, value in source.items():
            if value is not None and name not in _OF_ONE_TOKEN:
                united.setdefault(name, value)
    return united


def older_claims(older: Mapping[str, object], newer: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what of an older source still counts when newer ones came: only names that none of them has.

    So that a role taken away does not live on in an ID token from before the refresh: when a newer source speaks of
    roles by any of their names, the older one is not asked about roles at all.
    """
    spoken_for = {name for source in newer for name in source}
    if spoken_for & _RIGHTS:
        spoken_for |= _RIGHTS
    return {name: value for name, value in older.items() if name not in spoken_for}


def realm_role(name: str) -> str:
    """Return the canonical name of a realm role."""
    return f"realm:{name}" if ":" in name else name


def _email(sources: Sequence[Mapping[str, object]]) -> tuple[str | None, bool]:
    """Return the first e-mail address, and whether the first source that judges *this* address says it is verified.

    ``email_verified`` counts only beside the address that it speaks of, and only as JSON true.
    """
    email = next((found for source in sources if (found := _text(source.get("email")))), None)
    judges = (source for source in sources if source.get("email") == email and "email_verified" in source)
    return email, email is not None and next(judges, {}).get("email_verified") is True


def _roles(source: Mapping[str, object], client_id: str) -> Iterator[str]:
    for name in (*_names(_member(source, "realm_access", "roles")), *_names(source.get("roles"))):
        yield realm_role(name)
    clients = source.get("resource_access")
    for client in clients if isinstance(clients, Mapping) else ():
        for name in _names(_member(source, "resource_access", client, "roles")):
            if _is_unambiguous(client, name, client_id):
                yield f"{client}:{name}"


def _is_unambiguous(client: str, role: str, own_client: str) -> bool:
    """Say whether ``client:role`` can be the name of this role alone (see the head of this file)."""
    if client == "realm" and ":" in role:
        return False
    if client == own_client:
        return True
    is_own_name = ":" in own_client and f"{client}:{role}".startswith(f"{own_client}:")
    return bool(client) and ":" not in client and not is_own_name


def _groups(source: Mapping[str, object]) -> Iterator[str]:
    for name in _names(source.get("groups")):
        if name.strip("/"):
            yield name if name.startswith("/") else f"/{name}"


def _names(value: object) -> Iterator[str]:
    """Give the strings of a list that can be names; anything else is passed over."""
    for name in value if isinstance(value, list) else ():
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable():
            yield name


def _member(value: Mapping[str, object], *path: str) -> object:
    found: object = value
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _capped(names: Iterator[str]) -> frozenset[str]:
    return frozenset(islice(dict.fromkeys(names), MAX_NAMES))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
