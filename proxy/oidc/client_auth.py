"""How this client says who it is at the provider's endpoints: RFC 6749 §2.3.1, OIDC Core 1.0 §9, RFC 8705 §2.

A method is a :class:`ClientAuthentication`. Here are those that show something as it is; ``client_assertion`` has those
that sign, or pass on, an assertion. Each reads its secret, key or token anew at each call, so that a file that was
exchanged counts at once.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus

from msgspec import Struct

from proxy.errors import ClientMisconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is added to a request: form fields and header fields.

    Attributes:
        made_of: the secret or key that they were made of, by which a rotated one is told from the one before; None when
            there is none that could have changed since.
    """

    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    made_of: Secret | None = field(default=None, repr=False)


class ClientAuthentication(Protocol):
    """One method of client authentication."""

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:
        """Return what proves who we are, made anew for each request.

        Args:
            audience: the issuer, for methods that sign an assertion.
            made_of: that of earlier credentials, to be used once more; None: what stands in the file now.

        Raises:
            ClientMisconfigured: the secret or key cannot be read, or is none of this method.
        """


class ClientSecretBasic(Struct, frozen=True):
    """``client_secret_basic``; ``secret`` is called each time, so that a changed file counts at once."""

    client_id: str
    secret: Callable[[], Secret]

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Form-encode both parts first (RFC 6749 §2.3.1); Keycloak answers raw ``%`` or ``+`` with 400."""
        secret = made_of or read(self.secret, "secret")
        pair = f"{quote_plus(self.client_id)}:{quote_plus(secret.reveal())}"
        return Credentials(
            headers={"Authorization": "Basic " + b64encode(pair.encode()).decode()},
            made_of=secret,
        )


class ClientSecretPost(Struct, frozen=True):
    """``client_secret_post``; ``secret`` is called each time."""

    client_id: str
    secret: Callable[[], Secret]

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Put both into the form."""
        secret = made_of or read(self.secret, "secret")
        return Credentials(form={"client_id": self.client_id, "client_secret": secret.reveal()}, made_of=secret)


class NoClientSecret(Struct, frozen=True):
    """The client only names itself (RFC 6749 §3.2.1): with ``none``, where PKCE guards its codes (OIDC Core 1.0 §9),
    and with ``tls_client_auth``, where the connection proves the rest (RFC 8705 §2).
    """

    client_id: str

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Name the client."""
        return Credentials(form={"client_id": self.client_id})


def read(source: Callable[[], Secret], what: str) -> Secret:
    """Return what the source holds now; ``what`` names it in the sentence.

    Raises:
        ClientMisconfigured: it cannot be read, or is empty.
    """
    try:
        secret = source()
    except OSError as fault:
        raise ClientMisconfigured(f"the client's {what} cannot be read: {fault}") from fault
    if not secret.reveal():
        raise ClientMisconfigured(f"the client's {what} is empty")
    return secret
