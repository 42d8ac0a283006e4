"""Authentication sessions: what is kept between the start of a login and its end.

A *root* (cookie ``…-login``, 30 minutes) holds one *tab* for each flow in progress. Tabs never disturb one another; a
tab is used once; a root holds at most :data:`MAX_TABS`, the oldest goes. A tab's id is ``root.client.tab``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret

MAX_TABS = 16
"""Tabs that a root holds; Keycloak's own default is 300, a person has seldom more than ten logins open."""

ROOT_LIFETIME_S = 1800.0
"""Seconds that a root lives (contract §6); Keycloak's login timeout is 30 minutes too."""


class ExecutionStatus(StrEnum):
    """How a step of the flow stands (Keycloak's words)."""

    SUCCESS = "success"
    FAILED = "failed"
    CHALLENGED = "challenged"
    ATTEMPTED = "attempted"
    SKIPPED = "skipped"
    SETUP_REQUIRED = "setup_required"
    FLOW_RESET = "flow_reset"


@dataclass(frozen=True, slots=True)
class Tab:
    """One flow in progress; a value: a step makes a new one.

    Attributes:
        root_id: what the cookie ``…-login`` holds.
        state: of the authorization request (RFC 6749 §10.12); finds the tab again, only together with the root.
        nonce: of the ID token that must come (OIDC Core 1.0 §3.1.2.1).
        code_verifier: RFC 7636 §4.1.
        return_to: a path of our own origin, already judged by ``core.return_to``.
        restarts: how often the provider said "start again"; bounds the loop.
        notes: of the flow (login_hint, locale, provider); session_notes are copied into the session.
    """

    root_id: str
    client_id: str
    tab_id: str
    state: str
    nonce: str
    code_verifier: Secret
    return_to: str
    created_at: float
    expires_at: float
    restarts: int = 0
    attempts: int = 0
    executions: Mapping[str, ExecutionStatus] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    session_notes: Mapping[str, str] = field(default_factory=dict)
    required_actions: tuple[str, ...] = ()

    @property
    def full_id(self) -> str:
        """Return ``root.client.tab``."""
        return f"{self.root_id}.{self.client_id}.{self.tab_id}"
