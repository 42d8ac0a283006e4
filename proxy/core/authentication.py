"""Authentication sessions: what is kept between the start of a login and its end, and how a step changes it. Pure.

A *root* (cookie ``…-login``, 30 minutes) holds one *tab* for each flow in progress. Tabs never disturb one another; a
root holds at most :data:`MAX_TABS`, the oldest goes. A tab's id is ``root.client.tab``.

A flow is a list of *executions*, each with its status. There are two flows: the form (password, and a one-time code
beside it) and the code flow (the provider's own pages). The life of a tab::

    OPEN ── signed in ──> USED          its code, or its form, is worth nothing any more
    OPEN ── another tab signed in ──> SUPERSEDED   the same; it only knows where its person wanted to go
    OPEN ── refused too often ──> EXHAUSTED        its flow was reset: a fresh tab begins at the first step
    OPEN ── the provider says "start again" ──> OPEN, with another state, nonce and verifier, at most MAX_RESTARTS times

What is not open never opens again. Whoever signs in gets a new root, and everything open in the old one is superseded:
an id that was planted in a browser before the login is worth nothing after it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TABS = 16
"""Tabs that a root holds; Keycloak's own default is 300, a person has seldom more than ten logins open."""

ROOT_LIFETIME_S = 1800.0
"""Seconds that a root lives (contract §6); Keycloak's login timeout is 30 minutes too."""

MAX_ATTEMPTS = 10
"""Refusals of one form, its drawn-again pages included; then its flow is reset. No lock: the throttle counts persons
and addresses, this bounds what one token is good for. Keycloak's brute-force detection counts to 30 by default.
"""

MAX_RESTARTS = 1
"""How often a flow begins again by itself when the provider says that it was too old; then a person decides."""


class Execution(StrEnum):
    """A step of a flow."""

    PASSWORD = "password"  # noqa: S105 - the name of a step
    """User name and password, at the token endpoint."""
    OTP = "otp"
    """The one-time code, sent along with them."""
    PROVIDER = "provider"
    """The provider's own pages, by code flow: brokers, required actions, whatever the form cannot ask."""


class ExecutionStatus(StrEnum):
    """How a step of the flow stands (Keycloak's words)."""

    SUCCESS = "success"
    FAILED = "failed"
    CHALLENGED = "challenged"
    ATTEMPTED = "attempted"
    SKIPPED = "skipped"
    SETUP_REQUIRED = "setup_required"
    FLOW_RESET = "flow_reset"


class TabStatus(StrEnum):
    """What a tab is still good for; the module draws the ways between them."""

    OPEN = "open"
    USED = "used"
    SUPERSEDED = "superseded"
    EXHAUSTED = "exhausted"


class Outcome(StrEnum):
    """What came of a form that was sent."""

    SIGNED_IN = "signed_in"
    REFUSED = "refused"
    SETUP_REQUIRED = "setup_required"


class OneTimeCode(StrEnum):
    """Whether a form was sent with a one-time code."""

    SENT = "sent"
    ABSENT = "absent"


class OneUse(Struct, frozen=True):
    """The random values of one authorization request; a restart takes others.

    Attributes:
        state: RFC 6749 §10.12; finds the tab again, only together with the root.
        nonce: of the ID token that must come (OIDC Core 1.0 §3.1.2.1).
        code_verifier: RFC 7636 §4.1.
    """

    state: str
    nonce: str
    code_verifier: Secret


class Tab(Struct, frozen=True):
    """One flow in progress; a value: a step makes a new one.

    Attributes:
        root_id: what the cookie ``…-login`` holds.
        issuer, client_id: which provider and client it is a login at; of no use to any other.
        state, nonce, code_verifier: see :class:`OneUse`; the last two are empty in a form's tab and when it is over.
        return_to: a path of our own origin, already judged by ``core.return_to``.
        origin: which of the two flows.
        restarts: how often the provider said "start again"; bounds the loop.
        attempts: refusals so far.
        notes: of the flow (login_hint, ui_locales, provider); session_notes are copied into the session.
        required_actions: what the provider is to ask before it signs somebody in.
    """

    root_id: str
    issuer: str
    client_id: str
    tab_id: str
    state: str
    nonce: str
    code_verifier: Secret
    return_to: str
    created_at: float
    expires_at: float
    origin: LoginOrigin = LoginOrigin.CODE
    status: TabStatus = TabStatus.OPEN
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


class OfClient(Struct, frozen=True):
    """Every tab of one client."""

    issuer: str
    client_id: str


class OfRealm(Struct, frozen=True):
    """Every tab of every client of one issuer."""

    issuer: str


TabsFilter = OfClient | OfRealm
"""What ``drop_matching`` takes; there is no empty filter, so nobody drops everything by mistake."""


def matches(which: TabsFilter, tab: Tab) -> bool:
    """Say whether the tab is one of those."""
    return tab.issuer == which.issuer and (isinstance(which, OfRealm) or tab.client_id == which.client_id)


# --- the flow of the form --------------------------------------------------------------------------------------------

_AFTER_THE_FORM: Final[Mapping[tuple[Outcome, OneTimeCode], Mapping[str, ExecutionStatus]]] = {
    (Outcome.SIGNED_IN, OneTimeCode.SENT): {
        Execution.PASSWORD: ExecutionStatus.SUCCESS,
        Execution.OTP: ExecutionStatus.SUCCESS,
    },
    (Outcome.SIGNED_IN, OneTimeCode.ABSENT): {
        Execution.PASSWORD: ExecutionStatus.SUCCESS,
        Execution.OTP: ExecutionStatus.SKIPPED,
    },
    # The provider does not say which of the two was wrong.
    (Outcome.REFUSED, OneTimeCode.SENT): {
        Execution.PASSWORD: ExecutionStatus.FAILED,
        Execution.OTP: ExecutionStatus.ATTEMPTED,
    },
    (Outcome.REFUSED, OneTimeCode.ABSENT): {
        Execution.PASSWORD: ExecutionStatus.FAILED,
        Execution.OTP: ExecutionStatus.SKIPPED,
    },
    # Keycloak looks at required actions after the password, and before it would give tokens.
    (Outcome.SETUP_REQUIRED, OneTimeCode.SENT): {
        Execution.PASSWORD: ExecutionStatus.SUCCESS,
        Execution.OTP: ExecutionStatus.ATTEMPTED,
        Execution.PROVIDER: ExecutionStatus.SETUP_REQUIRED,
    },
    (Outcome.SETUP_REQUIRED, OneTimeCode.ABSENT): {
        Execution.PASSWORD: ExecutionStatus.SUCCESS,
        Execution.OTP: ExecutionStatus.SKIPPED,
        Execution.PROVIDER: ExecutionStatus.SETUP_REQUIRED,
    },
}


def attempted(tab: Tab, outcome: Outcome, code: OneTimeCode) -> Tab:
    """Return an open tab of the form after it was sent: used, refused once more or exhausted, or still open."""
    stepped = replace(tab, executions=_AFTER_THE_FORM[outcome, code])
    if outcome is Outcome.SIGNED_IN:
        return used(stepped)
    if outcome is Outcome.SETUP_REQUIRED:
        return stepped
    stepped = replace(stepped, attempts=tab.attempts + 1)
    return stepped if stepped.attempts < MAX_ATTEMPTS else reset(stepped)


def reset(tab: Tab) -> Tab:
    """Return the tab whose flow goes back to its first step: this tab is over, a fresh one begins."""
    executions = dict.fromkeys(tab.executions, ExecutionStatus.FLOW_RESET)
    return _closed(replace(tab, executions=executions), TabStatus.EXHAUSTED)


# --- the code flow ---------------------------------------------------------------------------------------------------


def challenged(tab: Tab) -> Tab:
    """Return the tab whose person is sent to the provider; an action that was asked for is required there."""
    action = tab.notes.get("kc_action")
    return replace(
        tab,
        executions={Execution.PROVIDER: ExecutionStatus.CHALLENGED},
        required_actions=() if action is None else (action,),
    )


def may_restart(tab: Tab) -> bool:
    """Say whether the flow may begin again by itself."""
    return tab.restarts < MAX_RESTARTS


def restarted(tab: Tab, fresh: OneUse, now: float) -> Tab:
    """Return the same tab at the beginning of its flow, with values that nobody has seen; ``now``: Unix seconds."""
    return challenged(
        replace(
            tab,
            state=fresh.state,
            nonce=fresh.nonce,
            code_verifier=fresh.code_verifier,
            created_at=now,
            expires_at=now + ROOT_LIFETIME_S,
            restarts=tab.restarts + 1,
        )
    )


def answered(tab: Tab) -> Tab:
    """Return the tab whose provider has signed the person in, actions and all."""
    done = {**tab.executions, Execution.PROVIDER: ExecutionStatus.SUCCESS}
    return used(replace(tab, executions=done, required_actions=()))


# --- both ------------------------------------------------------------------------------------------------------------


def used(tab: Tab) -> Tab:
    """Return the tab that has done what it was for."""
    return _closed(tab, TabStatus.USED)


def superseded(tab: Tab) -> Tab:
    """Return the tab after another tab of its root signed in; one that is not open stays what it is."""
    return _closed(tab, TabStatus.SUPERSEDED) if tab.status is TabStatus.OPEN else tab


def moved(tab: Tab, root_id: str) -> Tab:
    """Return a tab that is over, as the new root of its browser knows it: where its person wanted to go.

    Raises:
        ValueError: it is open; whoever knew the old root could use it in the new one.
    """
    if tab.status is TabStatus.OPEN:
        raise ValueError("an open tab stays in the root that it was begun in")
    return replace(tab, root_id=root_id)


def _closed(tab: Tab, status: TabStatus) -> Tab:
    """Return the tab without what could be used again."""
    return replace(tab, status=status, nonce="", code_verifier=Secret(""))
