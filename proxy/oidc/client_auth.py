"""How this client says who it is at the provider's endpoints: RFC 6749 §2.3.1, OIDC Core 1.0 §9.

A method is a :class:`ClientAuthentication`; those with a signed assertion (``client_secret_jwt``, ``private_key_jwt``,
a Kubernetes token) fit the same Protocol: they need the audience, and read their key anew at each call as these read
the secret.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus

from proxy.errors import ClientMisconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is added to a request: form fields and header fields."""

    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class ClientAuthentication(Protocol):
    """One method of client authentication."""

    def credentials(self, *, audience: str) -> Credentials:
        """Return what proves who we are, made anew for each request.

        Args:
            audience: the issuer, for methods that sign an assertion.

        Raises:
            ClientMisconfigured: the secret or key cannot be read.
        """


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """``client_secret_basic``; ``secret`` is called each time, so that a changed file counts at once."""

    client_id: str
    secret: Callable[[], Secret]

    def credentials(self, *, audience: str) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Form-encode both parts first (RFC 6749 §2.3.1); Keycloak answers raw ``%`` or ``+`` with 400."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(_read(self.secret))}"
        return Credentials(headers={"Authorization": "Basic " + b64encode(pair.encode()).decode()})


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """``client_secret_post``; ``secret`` is called each time."""

    client_id: str
    secret: Callable[[], Secret]

    def credentials(self, *, audience: str) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Put both into the form."""
        return Credentials(form={"client_id": self.client_id, "client_secret": _read(self.secret)})


@dataclass(frozen=True, slots=True)
class NoClientSecret:
    """``none``: a public client, which only names itself (OIDC Core 1.0 §9); PKCE guards its codes."""

    client_id: str

    def credentials(self, *, audience: str) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Name the client (RFC 6749 §3.2.1)."""
        return Credentials(form={"client_id": self.client_id})


def _read(secret: Callable[[], Secret]) -> str:
    try:
        text = secret().reveal()
    except OSError as fault:
        raise ClientMisconfigured(f"the client's secret cannot be read: {fault}") from fault
    if not text:
        raise ClientMisconfigured("the client's secret is empty")
    return text
