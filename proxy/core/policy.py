"""Who may pass: conditions of a route against a session, or against the bearer of a verified token.

Only :func:`decide` makes an :class:`Allow` (:func:`decide_preflight` asks it), and the data path takes nothing else
(law 1): an ``Allow`` demands a proof that stays in this file. ``Reason`` is the one vocabulary of policy, logs, metrics
and ``explain``. :func:`judged` says of each condition by itself whether it is met, by the predicates of the decision.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Never

from msgspec import Struct

from proxy.core.bearer import Bearer
from proxy.core.claims import claim_value
from proxy.core.lifetime import in_words
from proxy.core.routing import OPTIONAL, PUBLIC, Authenticated, Conditions, Optional, Preflight, Public

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.identity import Identity
    from proxy.core.routing import Access, ClaimCondition, Route
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
    ACR_INSUFFICIENT = "acr_insufficient"
    AUTHENTICATION_TOO_OLD = "authentication_too_old"
    CROSS_SITE = "cross_site"
    SERVICE_WORKER = "service_worker"
    NO_ROUTE = "no_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"


_PROOF = object()


@dataclass(frozen=True, slots=True)
class Allow:
    """The request may be forwarded.

    Attributes:
        session: None on public routes, for strangers on optional ones and beside a bearer.
        access: what was demanded, so that a stream can be judged again when its session changes.
        bearer: whose verified token came with the request; never beside a session.

    Raises:
        TypeError: made elsewhere than in :func:`decide`; copies and pickles are made elsewhere.
    """

    reason: Reason
    session: Session | None
    access: Access | Preflight
    proof: InitVar[object]
    bearer: Bearer | None = None

    @property
    def person(self) -> Session | Bearer | None:
        """Return who was let in, however they proved who they are."""
        return self.session if self.session is not None else self.bearer

    def __post_init__(self, proof: object) -> None:
        """Take nothing but this file's own proof."""
        if proof is not _PROOF:
            raise TypeError("only core.policy.decide makes an Allow")

    def __reduce_ex__(self, _protocol: object) -> Never:
        """Refuse to be copied: a copy has passed no decision."""
        raise TypeError("an Allow is neither copied nor pickled")


class Challenge(Struct, frozen=True):
    """Somebody must sign in first."""

    reason: Reason


class LackKind(StrEnum):
    """What kind of right somebody lacks; the pages have a sentence for each, in every language."""

    ROLE = "role"
    GROUP = "group"
    ATTRIBUTE = "attribute"


class Lack(Struct, frozen=True):
    """One right that somebody lacks, as values: a page says it in the visitor's language, ``str`` in English.

    Attributes:
        any_of: roles, groups or values of the attribute, any of which would do.
        attribute: name of the claim, empty for roles and groups.
    """

    kind: LackKind
    any_of: tuple[str, ...]
    attribute: str = ""

    def __str__(self) -> str:
        """Say it for the log and for programs."""
        if self.kind is LackKind.ATTRIBUTE:
            return f"the attribute {self.attribute}: {' or '.join(self.any_of)}"
        if len(self.any_of) == 1:
            return f"the {self.kind} {self.any_of[0]}"
        return f"one of the {self.kind}s {', '.join(self.any_of)}"


class Forbid(Struct, frozen=True):
    """Signed in, and still not allowed; what is missing is said to the person.

    Attributes:
        missing: everything that is.
        required_roles: every role that the route names, in the order of the file.
        user_roles: of the person, sorted.
    """

    reason: Reason
    missing: tuple[Lack, ...] = ()
    required_roles: tuple[str, ...] = ()
    user_roles: tuple[str, ...] = ()


class StepUp(Struct, frozen=True):
    """Signed in with every right that is asked for, but not proved as strongly or as lately as the route wants.

    Attributes:
        acr: any of these will do; () when the route names none.
        max_age_s: seconds since the person was asked for proof, at most; None when the route names none.
    """

    reason: Reason
    acr: tuple[str, ...] = ()
    max_age_s: float | None = None


Decision = Allow | Challenge | StepUp | Forbid


class Judged(Struct, frozen=True):
    """One condition of a route, held against a session.

    Attributes:
        condition: its key in the file (``all_roles``, ``claims.department``), or ``signed_in``.
        reason: of the decision when it is the first that is not met.
        is_met: None when there is nobody to ask.
        any_of: any of these will do: roles, groups, values, or the one duration of ``max_age``.
        lack: what is missing when it is not met; None where no right is asked for.
    """

    condition: str
    reason: Reason
    is_met: bool | None
    any_of: tuple[str, ...] = ()
    lack: Lack | None = None


_ALLOW_PUBLIC = Allow(Reason.PUBLIC, None, PUBLIC, _PROOF)
_ALLOW_STRANGER = Allow(Reason.OPTIONAL, None, OPTIONAL, _PROOF)
_ALLOW_PREFLIGHT = Allow(Reason.PREFLIGHT, None, Preflight.PASS, _PROOF)
_CHALLENGE = Challenge(Reason.NO_SESSION)


def decide(access: Access | Preflight, who: Session | Bearer | None, now: float) -> Decision:
    """Decide whether a request may pass.

    Args:
        access: what the route demands; ``Preflight.PASS`` demands nothing (contract §2, ``preflight``).
        who: the live session or the verified bearer, or None. On public routes it is ignored.
        now: Unix seconds; a session or bearer at or after its end is none, whatever store or cache said.

    Returns:
        Never raises.
    """
    if isinstance(access, Public):
        return _ALLOW_PUBLIC
    if isinstance(access, Preflight):
        return _ALLOW_PREFLIGHT if access is Preflight.PASS else _CHALLENGE
    if who is None or who.expires_at <= now:
        return _ALLOW_STRANGER if isinstance(access, Optional) else _CHALLENGE
    reason = Reason.OPTIONAL if isinstance(access, Optional) else Reason.AUTHENTICATED
    if isinstance(access, Conditions):
        unmet = _unmet(access, who.identity) or _unproved(access, who, now)
        if unmet is not None:
            return unmet
        reason = Reason.CONDITIONS_MET
    if isinstance(who, Bearer):
        return Allow(reason, None, access, _PROOF, who)
    return Allow(reason, who, access, _PROOF)


def decide_preflight(route: Route, who: Session | Bearer | None, now: float) -> Decision:
    """Decide about a CORS preflight for ``route``: it passes without a session where the route says so.

    The Allow holds nobody: a preflight carries no credentials (Fetch §3.3.5), so no identity is sent with it. Where
    the route does not say so, the preflight is a request like any other.
    """
    if route.preflight is Preflight.PASS and route.access is not PUBLIC:
        return decide(Preflight.PASS, None, now)
    return decide(route.access, who, now)


def _unmet(access: Conditions, identity: Identity) -> Forbid | None:
    """Return what is missing, all of it, or None when every condition holds."""
    roles = identity.roles
    if (
        roles.issuperset(access.all_roles)
        and (not access.any_role or not roles.isdisjoint(access.any_role))
        and (not access.any_group or not identity.groups.isdisjoint(access.any_group))
        and (not access.claims or all(_holds(condition, identity) for condition in access.claims))
    ):
        return None
    lacking = [right for right in _rights(access, identity) if not right.is_met]
    return Forbid(
        reason=lacking[0].reason,
        missing=tuple(right.lack for right in lacking if right.lack is not None),
        required_roles=tuple(dict.fromkeys(access.any_role + access.all_roles)),
        user_roles=tuple(sorted(roles)),
    )


def _unproved(access: Conditions, who: Session | Bearer, now: float) -> StepUp | None:
    """Return what the person must prove anew, or None. Asked last: who lacks a role gains nothing by proving more.

    No allowance for clocks that differ: the callback asks the same (``core.id_token.require_proof``), and whoever it
    let pass and this refused would go round in a circle.
    """
    if access.max_age_s is not None and not _is_recent(who, access.max_age_s, now):
        return StepUp(Reason.AUTHENTICATION_TOO_OLD, access.acr, access.max_age_s)
    if access.acr and who.acr not in access.acr:
        return StepUp(Reason.ACR_INSUFFICIENT, access.acr, access.max_age_s)
    return None


def _holds(condition: ClaimCondition, identity: Identity) -> bool:
    value = claim_value(identity.claims, condition.name)
    return value is not None and any(pattern.matches(value) for pattern in condition.any_of)


def _is_recent(who: Session | Bearer, max_age_s: float, now: float) -> bool:
    return now - who.authenticated_at <= max_age_s


# --- condition by condition ------------------------------------------------------------------------------------------


def judged(access: Access, who: Session | Bearer | None, now: float) -> tuple[Judged, ...]:
    """Say of each condition of a route whether it is met, in the order in which :func:`decide` names reasons.

    Returns:
        All met exactly when ``decide`` gives an ``Allow``, else its reason is that of the first that is not; empty
        where anybody may pass. Never raises.
    """
    if not isinstance(access, Authenticated | Conditions):
        return ()
    alive = None if who is None or who.expires_at <= now else who
    signed_in = Judged("signed_in", Reason.NO_SESSION, is_met=alive is not None)
    if isinstance(access, Authenticated):
        return (signed_in,)
    identity = None if alive is None else alive.identity
    return (signed_in, *_rights(access, identity), *_proofs(access, alive, now))


def _rights(access: Conditions, identity: Identity | None) -> Iterator[Judged]:
    for role in access.all_roles:
        is_met = None if identity is None else role in identity.roles
        yield _right("all_roles", Reason.ROLE_MISSING, Lack(LackKind.ROLE, (role,)), is_met=is_met)
    if access.any_role:
        is_met = None if identity is None else not identity.roles.isdisjoint(access.any_role)
        yield _right("any_role", Reason.ROLE_MISSING, Lack(LackKind.ROLE, access.any_role), is_met=is_met)
    if access.any_group:
        is_met = None if identity is None else not identity.groups.isdisjoint(access.any_group)
        yield _right("any_group", Reason.GROUP_MISSING, Lack(LackKind.GROUP, access.any_group), is_met=is_met)
    for claim in access.claims:
        is_met = None if identity is None else _holds(claim, identity)
        lack = Lack(LackKind.ATTRIBUTE, tuple(map(str, claim.any_of)), claim.name)
        yield _right(f"claims.{claim.name}", Reason.CLAIM_MISMATCH, lack, is_met=is_met)


def _right(condition: str, reason: Reason, lack: Lack, *, is_met: bool | None) -> Judged:
    return Judged(condition, reason, is_met, lack.any_of, lack)


def _proofs(access: Conditions, who: Session | Bearer | None, now: float) -> Iterator[Judged]:
    if access.max_age_s is not None:
        is_met = None if who is None else _is_recent(who, access.max_age_s, now)
        yield Judged("max_age", Reason.AUTHENTICATION_TOO_OLD, is_met, (in_words(access.max_age_s),))
    if access.acr:
        is_met = None if who is None else who.acr in access.acr
        yield Judged("acr", Reason.ACR_INSUFFICIENT, is_met, access.acr)
