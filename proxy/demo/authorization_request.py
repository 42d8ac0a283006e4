"""The authorization request as a value, and what grows out of it: a tab (a login in progress) and a code. No HTTP.

Beside them stands the logout that waits for its confirmation.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.demo.clients import Client


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """What a client asked of the authorization endpoint, checked (OIDC Core §3.1.2.1, RFC 7636 §4.3).

    Attributes:
        query: the request as it came, to begin anew from.
        max_age_s: seconds; None when there is no bound.
        acr_values: levels of authentication that the client wishes for, any of them.
    """

    client: Client
    redirect_uri: str
    query: str
    scope: tuple[str, ...]
    response_mode: str = "query"
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str = "plain"
    prompt: frozenset[str] = frozenset()
    max_age_s: int | None = None
    acr_values: tuple[str, ...] = ()
    login_hint: str = ""
    action: str | None = None


class Step(enum.Enum):
    """What the person has to do next in a tab."""

    PASSWORD = "password"  # noqa: S105 - a step, no secret
    OTP = "otp"
    UPDATE_PASSWORD = "update-password"  # noqa: S105 - a step, no secret
    REGISTER = "register"
    DONE = "done"


class Tab(Struct, kw_only=True):
    """One login in progress. It belongs to the browser that holds ``root`` and is used once.

    Attributes:
        known_user: name of the user who must sign in anew; empty when anybody may.
        authenticated_at: Unix seconds of the right password; None while single sign-on alone carries the tab.
        action_status: outcome of an application-initiated action, for ``kc_action_status``.
        level: index of the level of authentication that the tab leads to.
    """

    tab_id: str
    root: str
    asked: AuthorizationRequest
    created_at: float
    step: Step = Step.PASSWORD
    subject: str | None = None
    known_user: str = ""
    action_status: str | None = None
    authenticated_at: int | None = None
    level: int = 0


class Code(Struct, frozen=True, kw_only=True):
    """What an authorization code stands for. It is taken out of the store at the first try, whatever comes of it."""

    asked: AuthorizationRequest
    sid: str
    issued_at: float


class PendingLogout(Struct, frozen=True, kw_only=True):
    """A logout that the person was asked about (OIDC RP-Initiated Logout 1.0 §2)."""

    session_code: str
    redirect_uri: str | None
    state: str | None
