"""Who may pass: conditions of a route against a session.

Only :func:`decide` makes an :class:`Allow`, and the data path takes nothing else (law 1). ``Reason`` is the one
vocabulary of policy, logs, metrics and ``explain``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.session import Session


class Reason(StrEnum):
    """Why a decision fell as it did; stable words."""

    PUBLIC = "public"
    OPTIONAL = "optional"
    AUTHENTICATED = "authenticated"
    CONDITIONS_MET = "conditions_met"
    PREFLIGHT = "preflight"
    NO_SESSION = "auth_required"
    ROLE_MISSING = "role_missing"
    GROUP_MISSING = "group_missing"
    CLAIM_MISMATCH = "claim_mismatch"
    CROSS_SITE = "cross_site"
    SERVICE_WORKER = "service_worker"
    NO_ROUTE = "no_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"


@dataclass(frozen=True, slots=True)
class Allow:
    """The request may be forwarded; ``session`` is None on public routes and for strangers on optional ones."""

    reason: Reason
    session: Session | None


@dataclass(frozen=True, slots=True)
class Challenge:
    """Somebody must sign in first."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Forbid:
    """Signed in, and still not allowed; what is missing is said to the person."""

    reason: Reason
    missing: tuple[str, ...] = ()
    required_roles: tuple[str, ...] = ()
    user_roles: tuple[str, ...] = ()


Decision = Allow | Challenge | Forbid
