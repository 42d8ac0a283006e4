"""The token endpoint: three grants, and every way in which it can say no; RFC 6749 §4.1.3, §4.3.2, §5, §6.

Errors are told apart here, once, by ``error`` first (Keycloak's descriptions second), and become types:

=============================================================  =========================================
answer                                                         becomes
=============================================================  =========================================
400 or 403 ``invalid_grant``, password                         INVALID_CREDENTIALS, ACCOUNT_DISABLED or
                                                               ACCOUNT_SETUP_REQUIRED
400 or 403 ``invalid_grant``, code or refresh                  INVALID_GRANT
the same, "Invalid token issuer"                               ClientMisconfigured: our address is wrong,
                                                               the user's session is not over
any other 400, 401, 403 with an ``error``                      ClientMisconfigured: never the user's fault
everything else: 404, 429, 5xx, HTML, no answer                ProviderUnavailable: never ends a session
200 without a usable token                                     TokenRejected
=============================================================  =========================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.secret import Secret
from proxy.core.tokens import GrantRefusal, TokenSet
from proxy.errors import ClientMisconfigured, ProviderUnavailable, TokenRejected
from proxy.oidc.http_client import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.oidc.client_call import ClientCalls
    from proxy.oidc.http_client import ProviderAnswer

MAX_LIFETIME_S = 10 * 365 * 86_400.0
"""Seconds that any ``expires_in`` is taken for at most: ten years, so that instants stay numbers of seconds."""

_PASSWORD_REFUSALS = {
    "Account disabled": GrantRefusal.ACCOUNT_DISABLED,
    "Account is not fully set up": GrantRefusal.ACCOUNT_SETUP_REQUIRED,
}
"""Keycloak's descriptions; both come only after a right password, so they tell strangers nothing."""

_OUR_ADDRESS_IS_WRONG = "Invalid token issuer"
"""Keycloak's description when a refresh came by another address than the login and the host name is not fixed."""

_DIGITS = 12
"""Digits of a lifetime that are read; ten years of seconds have nine."""

_REFUSING = frozenset({400, 401, 403})


class TokenAnswer(Struct, frozen=True):
    """Tokens as they came, nothing verified yet.

    Attributes:
        clock_difference_s: seconds by which the provider's clock is ahead of ours.
    """

    tokens: TokenSet
    clock_difference_s: float


class TokenEndpoint:
    """Asks for tokens as one client."""

    def __init__(self, calls: ClientCalls, *, scopes: tuple[str, ...]) -> None:
        """Keep what each request needs; ``scopes`` are asked for with a password."""
        self._calls = calls
        self._scope = " ".join(scopes)

    async def password(
        self, url: str, *, username: str, password: Secret, otp: Secret | None, address: str | None = None
    ) -> TokenAnswer | GrantRefusal:
        """RFC 6749 §4.3.2; ``otp`` is Keycloak's parameter.

        ``address`` goes along as the one hop of X-Forwarded-For, which a provider behind us may believe (Keycloak with
        ``--proxy-headers=xforwarded``); nothing else of the browser's request does.

        Raises:
            ProviderUnavailable, ClientMisconfigured, TokenRejected: see the table above.
        """
        form = {"grant_type": "password", "username": username, "password": password.reveal(), "scope": self._scope}
        if otp is not None:
            form["otp"] = otp.reveal()
        if not all(_can_be_sent(value) for value in form.values()):
            return GrantRefusal.INVALID_CREDENTIALS
        forwarded = {} if address is None else {"X-Forwarded-For": address}
        return _parsed(await self._calls.post("password", url, form, headers=forwarded), _password_refusal)

    async def code(
        self, url: str, *, code: Secret, code_verifier: Secret, redirect_uri: str
    ) -> TokenAnswer | GrantRefusal:
        """RFC 6749 §4.1.3 with RFC 7636 §4.5; raises as :meth:`password`."""
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "code_verifier": code_verifier.reveal(),
            "redirect_uri": redirect_uri,
        }
        return _parsed(await self._calls.post("code", url, form), _grant_refusal)

    async def refresh(self, url: str, *, refresh_token: Secret) -> TokenAnswer | GrantRefusal:
        """RFC 6749 §6; raises as :meth:`password`."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return _parsed(await self._calls.post("refresh", url, form), _grant_refusal)

    async def end_session(self, url: str, *, refresh_token: Secret) -> ProviderAnswer:
        """POST a refresh token to Keycloak's end-session endpoint: 204 and idempotent there."""
        return await self._calls.post("end_session", url, {"refresh_token": refresh_token.reveal()})

    async def revoke(self, url: str, *, refresh_token: Secret) -> ProviderAnswer:
        """RFC 7009 §2.1: 200 also for a token that is over."""
        form = {"token": refresh_token.reveal(), "token_type_hint": "refresh_token"}
        return await self._calls.post("revoke", url, form)


def parse_error(answer: ProviderAnswer) -> tuple[str, str]:
    """Return ``error`` and ``error_description`` of a refusal (RFC 6749 §5.2).

    Raises:
        ProviderUnavailable: the answer is no refusal: another status, or no such JSON.
    """
    if answer.status not in _REFUSING:
        raise ProviderUnavailable(f"{answer.url} answers {answer.status}")
    document = answer.json_object()
    error, description = document.get("error"), document.get("error_description", "")
    if not isinstance(error, str) or not isinstance(description, str):
        raise ProviderUnavailable(f"{answer.url} answers {answer.status} without an error code")
    return error, description


def _can_be_sent(text: str) -> bool:
    """Say whether a provider can make sense of it: NUL and half a surrogate pair are no password, but a fault there."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _password_refusal(description: str) -> GrantRefusal:
    return _PASSWORD_REFUSALS.get(description, GrantRefusal.INVALID_CREDENTIALS)


def _grant_refusal(_description: str) -> GrantRefusal:
    return GrantRefusal.INVALID_GRANT


def _parsed(answer: ProviderAnswer, refusal: Callable[[str], GrantRefusal]) -> TokenAnswer | GrantRefusal:
    if answer.status == 200:
        return parse_tokens(answer)
    error, description = parse_error(answer)
    if error == "invalid_grant" and answer.status != 401 and not description.startswith(_OUR_ADDRESS_IS_WRONG):
        return refusal(description)
    raise ClientMisconfigured(f"{answer.url} refuses this client: {shown(error)}: {shown(description)}")


def parse_tokens(answer: ProviderAnswer) -> TokenAnswer:
    """Return the tokens of a 200.

    Raises:
        ProviderUnavailable: it is no JSON.
        TokenRejected: it lacks an access token, or that is no bearer token.
    """
    document = answer.json_object()
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenRejected(f"token_type is {shown(token_type)!r}, not Bearer", reason="wrong_token_type")
    access_token = _token(document, "access_token")
    if access_token is None:
        raise TokenRejected("the answer has no access_token", reason="missing_access_token")
    tokens = TokenSet(
        access_token=access_token,
        refresh_token=_token(document, "refresh_token"),
        id_token=_token(document, "id_token"),
        obtained_at=answer.received_at,
        access_expires_at=_end(answer, _lifetime(document.get("expires_in"))),
        # Keycloak's 0 means "does not expire by itself": an offline token.
        refresh_expires_at=_end(answer, _lifetime(document.get("refresh_expires_in")) or None),
    )
    return TokenAnswer(tokens=tokens, clock_difference_s=answer.clock_difference_s)


def _token(document: Mapping[str, object], member: str) -> Secret | None:
    token = document.get(member)
    return Secret(token) if isinstance(token, str) and token else None


def _lifetime(value: object) -> float | None:
    """Return seconds; some providers write the number as a string. What is no number is taken for absent."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:_DIGITS])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(max(value, 0), MAX_LIFETIME_S))


def _end(answer: ProviderAnswer, lifetime_s: float | None) -> float | None:
    return None if lifetime_s is None else answer.received_at + lifetime_s
