"""An access token for another one: RFC 8693, as Keycloak's standard token exchange does it.

What the answers mean (measured against Keycloak 26.7)::

======================================================================  ==================================
200 with an access token                                                ExchangedToken
400 invalid_request "Invalid token": over, revoked, its session ended,  ExchangeRefusal.INVALID_TOKEN
its user disabled; 400 invalid_grant, invalid_token of others
403 access_denied: this client is not in the token's audience           ExchangeRefusal.ACCESS_DENIED
400 invalid_request "Requested audience not available": this person     ExchangeRefusal.INVALID_TARGET
has no role there; 400 invalid_target (RFC 8693 §2.2.2)
400 invalid_scope "Missing consents"                                    ExchangeRefusal.INVALID_SCOPE
400 invalid_scope "Invalid scopes", invalid_client "Audience not        ClientMisconfigured: nobody would
found" and "Client disabled", invalid_request "not enabled for the      get such a token
requested client"; 401
everything else: 404, 429, 5xx, HTML, no answer                         ProviderUnavailable
======================================================================  ==================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.tokens import ExchangedToken, ExchangeRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, TokenRejected
from proxy.oidc.http_client import shown
from proxy.oidc.token_endpoint import parse_error, parse_tokens

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.oidc.client_call import ClientCalls
    from proxy.oidc.http_client import ProviderAnswer

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
"""RFC 8693 §2.1, §3."""

_REFUSALS: Final = {
    "access_denied": ExchangeRefusal.ACCESS_DENIED,
    "invalid_target": ExchangeRefusal.INVALID_TARGET,
    "invalid_grant": ExchangeRefusal.INVALID_TOKEN,
    "invalid_token": ExchangeRefusal.INVALID_TOKEN,
}

_REFUSALS_OF_KEYCLOAK: Final = (
    ("invalid_request", "Invalid token", ExchangeRefusal.INVALID_TOKEN),
    ("invalid_request", "Requested audience not available", ExchangeRefusal.INVALID_TARGET),
    ("invalid_scope", "Missing consents", ExchangeRefusal.INVALID_SCOPE),
)
"""Error and beginning of the description, where the error alone says too little."""


class TokenExchange:
    """Exchanges as one client."""

    def __init__(self, calls: ClientCalls) -> None:
        """Keep what each request needs."""
        self._calls = calls

    async def fetch(
        self, url: str, *, subject_token: Secret, audience: str, scope: str | None
    ) -> ExchangedToken | ExchangeRefusal:
        """Return a token for ``audience``, or why there is none.

        Raises:
            ProviderUnavailable, ClientMisconfigured: see the table above.
        """
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": subject_token.reveal(),
            "subject_token_type": ACCESS_TOKEN_TYPE,
            "requested_token_type": ACCESS_TOKEN_TYPE,
            "audience": audience,
        }
        if scope is not None:
            form["scope"] = scope
        return _parsed(await self._calls.post("token_exchange", url, form))


def _parsed(answer: ProviderAnswer) -> ExchangedToken | ExchangeRefusal:
    if answer.status == 200:
        return _token(answer)
    error, description = parse_error(answer)
    refusal = None if answer.status == 401 else _refusal(error, description)
    if refusal is None:
        raise ClientMisconfigured(f"{answer.url} refuses the exchange: {shown(error)}: {shown(description)}")
    return refusal


def _refusal(error: str, description: str) -> ExchangeRefusal | None:
    known = _REFUSALS.get(error)
    if known is not None:
        return known
    found = (
        refusal for code, words, refusal in _REFUSALS_OF_KEYCLOAK if error == code and description.startswith(words)
    )
    return next(found, None)


def _token(answer: ProviderAnswer) -> ExchangedToken:
    """RFC 8693 §2.2.1: what was issued is named, and it is a bearer token of the kind that was asked for."""
    kind = answer.json_object().get("issued_token_type")
    if kind != ACCESS_TOKEN_TYPE:
        raise ProviderUnavailable(f"{answer.url} gives {shown(kind)!r} instead of an access token")
    try:
        tokens = parse_tokens(answer).tokens
    except TokenRejected as fault:
        raise ProviderUnavailable(f"{answer.url} gives no token that can be used: {fault}") from fault
    expires_at = tokens.access_expires_at
    return ExchangedToken(
        access_token=tokens.access_token,
        expires_at=answer.received_at if expires_at is None else expires_at,
    )
