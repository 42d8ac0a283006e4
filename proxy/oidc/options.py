"""The slice of the settings that this room uses."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from proxy.oidc.metadata import Endpoints

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.oidc.client_auth import ClientAuthentication
    from proxy.oidc.provider_tls import ClientCertificate


class ClaimsSource(StrEnum):
    """Where claims come from; the words of ``keycloak.claims_from``."""

    ID_TOKEN = "id_token"  # noqa: S105 - the name of a token
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a token
    USERINFO = "userinfo"


class ProviderOptions(Struct, frozen=True, kw_only=True):
    """One client at one provider (contract §2, ``keycloak``).

    Attributes:
        issuer: exact ``iss`` of tokens.
        internal_url: where this process reaches the issuer; None: the same.
        authentication: how the client proves itself.
        certificate: what is shown on each connection to the provider (``tls_client_auth``).
        claims_from: the most important source first.
        trusted_audiences: others who may stand in ``aud`` of an ID token beside us.
        signing_algorithms: of ID and logout tokens; what is not asymmetric stays refused.
        ca_file: PEM certificates to trust instead of the system's.
        timeout_s: seconds for each call.
    """

    issuer: str
    client_id: str
    authentication: ClientAuthentication
    certificate: ClientCertificate | None = None
    internal_url: str | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    claims_from: tuple[ClaimsSource, ...] = (ClaimsSource.ID_TOKEN, ClaimsSource.ACCESS_TOKEN)
    trusted_audiences: frozenset[str] = frozenset()
    signing_algorithms: frozenset[str] = frozenset({"RS256"})
    username_claim: str = "preferred_username"
    ca_file: Path | None = None
    timeout_s: float = 10.0
