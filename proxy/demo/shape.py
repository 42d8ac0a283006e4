"""Where the embedded provider's URLs lie. Nothing else is decided here.

Sidegate is made for Keycloak, but assumes no shape of an issuer; so the shape is a value that a test can change.
"""

from __future__ import annotations

from msgspec import Struct


class Shape(Struct, frozen=True):
    """The paths of one issuer.

    Attributes:
        path: what follows the origin in the issuer, exactly as tokens say it: ``/realms/acme`` (Keycloak),
            ``/realms/acme/`` or ``/`` (trailing slash), ``""`` (none at all).
        protocol: what precedes the names of the endpoints; any path will do.
    """

    path: str = "/realms/acme"
    protocol: str = "/protocol/openid-connect"

    @property
    def base(self) -> str:
        """The path without its trailing slash; OpenID Connect Discovery §4.1 appends the well-known path to this."""
        return self.path.rstrip("/")

    @property
    def realm_name(self) -> str:
        return self.base.rsplit("/", 1)[-1] or "demo"

    def endpoint(self, name: str) -> str:
        return f"{self.base}{self.protocol}/{name}"

    def page(self, name: str) -> str:
        return f"{self.base}/{name}"
