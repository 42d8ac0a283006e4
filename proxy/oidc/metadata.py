"""Discovery: what the provider says of itself, and which address is for whom; OIDC Discovery 1.0 §3, §4.

Two kinds of endpoints. A browser visits the public ones (authorization, end_session), as discovery names them. This
process calls the others (token, jwks, userinfo, revocation, introspection, and end_session again): what begins with the
issuer gets ``internal_url`` in its place. A client that shows a certificate calls those of ``mtls_endpoint_aliases``
where discovery has them (RFC 8705 §5), by the same rule. An endpoint given by hand wins over discovery and is taken as
it stands; when authorization, token and jwks are all by hand, the provider may have no discovery at all.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field
from yarl import URL

from proxy.errors import ProviderUnavailable
from proxy.oidc.http_client import shown
from proxy.ports import ProviderMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.oidc.http_client import HttpClient

METADATA_EVERY_S = 600.0
"""Seconds between two looks at discovery; Keycloak's own headers forbid caching, so the figure is ours."""

MAX_ENDPOINT_LENGTH = 2048
"""Characters of an endpoint's URL."""


class Endpoints(Struct, frozen=True, kw_only=True):
    """Endpoints by hand (``keycloak.endpoints``), each over discovery's; None: discovery's."""

    authorization: str | None = None
    token: str | None = None
    jwks: str | None = None
    userinfo: str | None = None
    end_session: str | None = None
    introspection: str | None = None

    @property
    def are_complete(self) -> bool:
        """Say whether a login needs nothing of discovery."""
        return None not in {self.authorization, self.token, self.jwks}


class Doors(Enum):
    """By which endpoints this process calls the provider."""

    ORDINARY = "ordinary"
    FOR_CERTIFICATES = "for_certificates"
    """Those that ask for a certificate, where the provider keeps them apart (RFC 8705 §5)."""


class Addresses(Struct, frozen=True, kw_only=True):
    """Where the provider is.

    Attributes:
        issuer: exact ``iss``, with or without a slash at its end.
        internal_url: where this process reaches what begins with the issuer; None: the same.
    """

    issuer: str
    internal_url: str | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    doors: Doors = Doors.ORDINARY

    @property
    def discovery_url(self) -> str:
        """Return the address of the document (OIDC Discovery 1.0 §4.1: a final slash of the issuer is dropped)."""
        return (self.internal_url or self.issuer).rstrip("/") + "/.well-known/openid-configuration"

    def internal(self, url: str) -> str:
        """Return where this process reaches a public URL of the provider."""
        issuer = self.issuer.rstrip("/")
        rest = url.removeprefix(issuer)
        if self.internal_url is None or rest == url or rest[:1] not in {"", "/", "?"}:
            return url
        return self.internal_url.rstrip("/") + rest

    @property
    def schemes(self) -> frozenset[str]:
        """Return the URL schemes that endpoints may have: plain http only where it was configured."""
        configured = {URL(self.issuer).scheme, URL(self.internal_url or self.issuer).scheme}
        return frozenset({"https"} | configured) & {"http", "https"}


async def fetch_metadata(http: HttpClient, addresses: Addresses) -> ProviderMetadata:
    """Get the discovery document and check it.

    Raises:
        ProviderUnavailable: it cannot be had, is of another issuer, or lacks a member; the sentence says which.
    """
    answer = await http.get("discovery", addresses.discovery_url, headers={"Accept": "application/json"})
    if answer.status != 200:
        raise ProviderUnavailable(f"{answer.url} answers {answer.status} instead of the discovery document")
    return parse_metadata(answer.json_object(), addresses)


def parse_metadata(document: Mapping[str, object], addresses: Addresses) -> ProviderMetadata:
    """Return what of a discovery document is used.

    Raises:
        ProviderUnavailable: as :func:`fetch_metadata`.

    Source: OIDC Discovery 1.0 §3, §4.3 (the issuer is compared exactly), RFC 9207 §3.
    """
    issuer = document.get("issuer")
    if issuer != addresses.issuer:
        said = "no issuer" if issuer is None else f"the issuer {shown(issuer)!r}"
        raise ProviderUnavailable(
            f"{addresses.discovery_url} is the document of {said}, but keycloak.issuer is {addresses.issuer!r}; "
            "both must be equal to the letter"
        )
    return _assembled(document, addresses)


def metadata_by_hand(addresses: Addresses) -> ProviderMetadata | None:
    """Return the metadata of a provider whose endpoints are all by hand; None when some are discovery's to say."""
    return _assembled({}, addresses) if addresses.endpoints.are_complete else None


def _assembled(document: Mapping[str, object], addresses: Addresses) -> ProviderMetadata:
    by_hand = addresses.endpoints
    called = _called(document, addresses)
    end_session = by_hand.end_session or _optional(document, "end_session_endpoint", addresses)
    revocation = _optional(called, "revocation_endpoint", addresses)
    introspection = _optional(called, "introspection_endpoint", addresses)
    userinfo = by_hand.userinfo or _internal(_optional(called, "userinfo_endpoint", addresses), addresses)
    return ProviderMetadata(
        issuer=addresses.issuer,
        authorization_endpoint=by_hand.authorization or _required(document, "authorization_endpoint", addresses),
        token_endpoint=by_hand.token or addresses.internal(_required(called, "token_endpoint", addresses)),
        jwks_uri=by_hand.jwks or addresses.internal(_required(document, "jwks_uri", addresses)),
        userinfo_endpoint=userinfo,
        end_session_endpoint=end_session,
        end_session_endpoint_internal=_internal(end_session, addresses),
        revocation_endpoint=_internal(revocation, addresses),
        introspection_endpoint=by_hand.introspection or _internal(introspection, addresses),
        iss_parameter_supported=document.get("authorization_response_iss_parameter_supported") is True,
        claims_parameter_supported=document.get("claims_parameter_supported") is True,
        acr_values_supported=_words(document.get("acr_values_supported")),
        grant_types_supported=_words(document.get("grant_types_supported")),
        prompt_values_supported=_words(document.get("prompt_values_supported")),
    )


def _called(document: Mapping[str, object], addresses: Addresses) -> Mapping[str, object]:
    """Return the document with the endpoints that this process calls; browsers never go to an alias."""
    aliases = document.get("mtls_endpoint_aliases")
    if addresses.doors is Doors.ORDINARY or not isinstance(aliases, dict):
        return document
    return {**document, **aliases}


def _internal(url: str | None, addresses: Addresses) -> str | None:
    return None if url is None else addresses.internal(url)


def _required(document: Mapping[str, object], member: str, addresses: Addresses) -> str:
    url = _optional(document, member, addresses)
    if url is None:
        raise ProviderUnavailable(
            f"{addresses.discovery_url} names no {member}; give it by hand under keycloak.endpoints"
        )
    return url


def _optional(document: Mapping[str, object], member: str, addresses: Addresses) -> str | None:
    """Return an endpoint; refuses what is no absolute URL, or plain http where everything configured is https."""
    url = document.get(member)
    if url is None:
        return None
    if not isinstance(url, str) or not _is_endpoint(url, addresses.schemes):
        raise ProviderUnavailable(
            f"{addresses.discovery_url} names {shown(url)!r} as {member}, which is no "
            f"{' or '.join(sorted(addresses.schemes))} address"
        )
    return url


def _is_endpoint(url: str, schemes: frozenset[str]) -> bool:
    if len(url) > MAX_ENDPOINT_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parsed = URL(url, encoded=True)
        host, scheme = parsed.host, parsed.scheme
    except ValueError:
        return False
    return bool(host) and scheme in schemes and not parsed.fragment and parsed.user is None


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()
