"""Who somebody is, from verified claims.

``sub`` is the identity; everything else is optional (a login without an e-mail or a name is a login). The functions
that assemble an :class:`Identity` from several sources of claims live here too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Identity:
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
