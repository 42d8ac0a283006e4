"""The tokens of one login, and what a verified grant says.

A :class:`Grant` exists only after signature and claim rules have passed: whoever holds one need not check again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.core.identity import Identity
    from proxy.core.secret import Secret


class TokenSet(Struct, frozen=True):
    """Tokens as the token endpoint gave them; instants in Unix seconds of our own clock (RFC 6749 §5.1).

    Attributes:
        access_expires_at: None when the answer named no ``expires_in`` (RFC 6749 §5.1 only recommends it).
        refresh_expires_at: None when it does not expire by itself, or nobody said (Keycloak's ``refresh_expires_in``).
        is_final: the provider's session ends with these tokens: a refresh gives no longer life (``core.refresh``).
    """

    access_token: Secret
    refresh_token: Secret | None
    id_token: Secret | None
    obtained_at: float
    access_expires_at: float | None
    refresh_expires_at: float | None
    is_final: bool = False


class Grant(Struct, frozen=True):
    """A verified answer of the token endpoint.

    Attributes:
        sid: the provider's session id, any string, or None.
        issued_at: ``iat`` of the ID token (Unix seconds): what a logout by ``sub`` is compared with.
        auth_time: ``auth_time`` of the ID token, or None (Keycloak's password grant has none).
    """

    tokens: TokenSet
    identity: Identity
    sid: str | None
    issued_at: float
    auth_time: float | None
    acr: str | None


class GrantRefusal(StrEnum):
    """Why the token endpoint did not give tokens although it understood us: the user's side, an expected outcome."""

    INVALID_CREDENTIALS = "invalid_credentials"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_SETUP_REQUIRED = "account_setup_required"
    INVALID_GRANT = "invalid_grant"
    """A code or refresh token that is over, used or revoked."""


class ExchangedToken(Struct, frozen=True, kw_only=True):
    """An access token that was given for another one (RFC 8693 §2.2.1); opaque here, for its audience to verify.

    Attributes:
        expires_at: Unix seconds of our own clock; the instant of the answer when it named no lifetime, so that such a
            token serves those who waited for it and is kept for seconds at most (``gate.exchange.AT_LEAST_S``).
    """

    access_token: Secret
    expires_at: float


class ExchangeRefusal(StrEnum):
    """Why the token endpoint gave no token for another one although it understood us: an expected outcome."""

    ACCESS_DENIED = "access_denied"
    """The token may not be exchanged by this client, or not for this person."""
    INVALID_TARGET = "invalid_target"
    """This person has no access to the audience."""
    INVALID_SCOPE = "invalid_scope"
    """The scope asked for is not to be had."""
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a reason
    """The token to be exchanged is over: its session at the provider has ended, or its time."""
