"""A test login: whether somebody gets in, and whether the tokens have what the file needs; the session is ended again.

The password grant, the verification and the claim rules are those of a real login. What was made at Keycloak is ended
there whatever is found, and a logout that is refused is a finding.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.core.id_token import NO_NONCE
from proxy.core.identity import IdentityRules
from proxy.core.lifetime import REMEDY, in_words, observed_lifetime
from proxy.core.tokens import GrantRefusal
from proxy.doctor.finding import SETUP, fail, of_fault, ok, warn
from proxy.doctor.provider import CLOCK, SET_CLOCKS, clock_finding
from proxy.errors import ClientMisconfigured, ProviderUnavailable, SidegateError, TokenRejected
from proxy.oidc.fetched import Fetched, Surroundings
from proxy.oidc.grants import CLOCK_REASONS, GrantRules, GrantVerifier
from proxy.oidc.jwks import KEYS_EVERY_S, FetchBudgets, KeyStore, fetch_keys
from proxy.oidc.token_endpoint import TokenEndpoint
from proxy.oidc.userinfo import Userinfo
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from proxy.core.identity import Identity
    from proxy.core.secret import Secret
    from proxy.core.tokens import Grant, TokenSet
    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.oidc.token_endpoint import TokenAnswer
    from proxy.ports import ProviderMetadata
    from proxy.settings.model import Settings

LOGIN: Final = "login"
"""The check of the login as a whole; ``logout`` is that of its end."""

SHOWN: Final = 6
"""Roles or groups that are named; the rest is counted."""

_BASIC: Final = "Client scopes → Add client scope → basic (default)"

_REFUSED: Final = {
    GrantRefusal.INVALID_CREDENTIALS: (
        "Keycloak does not take the password (nor does it say whether a one-time code is missing)",
        "check name and password under Users in the console, and take a test account without one-time codes",
    ),
    GrantRefusal.ACCOUNT_DISABLED: ("the account is disabled", "switch it on: Users → the person → Enabled"),
    GrantRefusal.ACCOUNT_SETUP_REQUIRED: (
        "the account is not fully set up, so its login leads through Keycloak's own page",
        "sign in there once, or take away Users → the person → Required user actions",
    ),
}


@dataclass(frozen=True, slots=True)
class TriedAccount:
    """Whose login is tried."""

    username: str
    password: Secret = field(repr=False)


async def look_at_person(visit: Visit, metadata: ProviderMetadata, person: TriedAccount) -> tuple[Finding, ...]:
    """Sign in, look at the tokens, sign out."""
    endpoint = TokenEndpoint(visit.calls, scopes=visit.provider.scopes)
    try:
        answer = await endpoint.password(
            metadata.token_endpoint, username=person.username, password=person.password, otp=None
        )
    except (ClientMisconfigured, ProviderUnavailable, TokenRejected) as fault:
        return (of_fault(LOGIN, fault, remedy="mend the client first, as the lines above say"),)
    if isinstance(answer, GrantRefusal):
        return (fail(LOGIN, f"{person.username}: {_REFUSED[answer][0]}", _REFUSED[answer][1]),)
    try:
        findings = await _findings(visit, metadata, answer, person)
    finally:
        end = await _ended(endpoint, metadata, answer.tokens, person)
    return (*findings, end)


async def _ended(
    endpoint: TokenEndpoint, metadata: ProviderMetadata, tokens: TokenSet, person: TriedAccount
) -> Finding:
    """End the session as a logout of the form's sessions does: by a POST of the refresh token."""
    by_hand = f"end it in the console: Users → {person.username} → Sessions"
    url, token = metadata.end_session_endpoint_internal, tokens.refresh_token
    if url is None or token is None:
        what = "no refresh token" if token is None else "no end_session_endpoint"
        return warn("logout", f"there is {what}, so the session of the test login stays", by_hand)
    try:
        answer = await endpoint.end_session(url, refresh_token=token)
    except SidegateError as fault:
        return of_fault("logout", fault, remedy=by_hand)
    if answer.status >= 300:
        return fail("logout", f"Keycloak answers {answer.status} and the session of the test login stays", by_hand)
    return ok("logout", "the session of the test login is ended at Keycloak")


# --- the tokens ------------------------------------------------------------------------------------------------------


async def _findings(
    visit: Visit, metadata: ProviderMetadata, answer: TokenAnswer, person: TriedAccount
) -> tuple[Finding, ...]:
    tasks = TaskOwner(lambda _fault: None)
    try:
        keys = _key_store(visit, metadata, tasks)
        grant = await _verifier(visit, keys).of_login(answer, nonce=NO_NONCE, userinfo_url=metadata.userinfo_endpoint)
        claims = await _access_token(keys, answer.tokens.access_token)
    except (ProviderUnavailable, ClientMisconfigured, TokenRejected) as fault:
        return (_no_login(fault),)
    finally:
        await tasks.close()
    known = grant.identity.username or grant.identity.subject
    return (
        ok(LOGIN, f"{person.username} signs in as {known}; the ID token is verified"),
        clock_finding(grant.issued_at - grant.tokens.obtained_at),
        *_access_findings(visit, claims),
        *_rights(visit.settings, grant.identity),
        *_lifetimes(visit.settings, grant),
    )


def _no_login(fault: SidegateError) -> Finding:
    if fault.reason in CLOCK_REASONS:
        return of_fault(CLOCK, fault, remedy=SET_CLOCKS)
    return of_fault(LOGIN, fault, remedy="look which token Keycloak gives: Client scopes → Evaluate")


def _key_store(visit: Visit, metadata: ProviderMetadata, tasks: TaskOwner) -> KeyStore:
    allowed = visit.provider.signing_algorithms
    around = Surroundings(clock=visit.clock, observer=visit.observer, tasks=tasks, sleep=asyncio.sleep)
    keys = Fetched(
        "keys",
        lambda: fetch_keys(visit.http, metadata.jwks_uri, allowed=allowed),
        every_s=KEYS_EVERY_S,
        surroundings=around,
    )
    return KeyStore(keys, FetchBudgets(visit.clock), allowed=allowed)


def _verifier(visit: Visit, keys: KeyStore) -> GrantVerifier:
    options = visit.provider
    identity = IdentityRules(issuer=options.issuer, client_id=options.client_id, username_claim=options.username_claim)
    rules = GrantRules(identity=identity, claims_from=options.claims_from, trusted_audiences=options.trusted_audiences)
    userinfo = Userinfo(visit.http, keys, issuer=options.issuer, client_id=options.client_id)
    return GrantVerifier(keys, userinfo, rules=rules)


async def _access_token(keys: KeyStore, token: Secret) -> Mapping[str, object] | None:
    """Return its claims; None when it is none that we can read, which is no fault (RFC 6749 §1.4)."""
    try:
        return (await keys.verify(token.reveal(), purpose="doctor")).payload
    except TokenRejected:
        return None


def _access_findings(visit: Visit, claims: Mapping[str, object] | None) -> Iterator[Finding]:
    if claims is None:
        yield ok("access token", "opaque to us; claims come from the other sources of keycloak.claims_from")
    elif "sub" not in claims:
        yield warn(
            "access token",
            "it has no sub, so it is lightweight or lacks the scope basic: nothing is read from it, userinfo and "
            "many apps refuse it",
            f"switch off {visit.console('Advanced → Lightweight access token')}, and see {visit.console(_BASIC)}; "
            f"or run: {SETUP}",
        )
    else:
        yield ok("access token", "it has sub, and keys of Keycloak verify it")


# --- roles and groups ------------------------------------------------------------------------------------------------


def _rights(settings: Settings, identity: Identity) -> Iterator[Finding]:
    rules = [route.access for route in settings.routes if not isinstance(route.access, str)]
    roles = {role for rule in rules for role in (*(rule.any_role or ()), *(rule.all_roles or ()))}
    groups = {group for rule in rules for group in rule.any_group or ()}
    yield _right("roles", identity.roles, roles)
    if groups or identity.groups:
        yield _right("groups", identity.groups, groups)


def _right(what: str, has: frozenset[str], named: set[str]) -> Finding:
    if has or not named:
        return ok(what, _listed(has, first=named) or "none, and no route asks for one")
    return fail(
        what,
        f"the tokens have none, and routes ask for {_listed(named, first=named)}",
        f"give the person some, or have Keycloak write them: Client scopes → dedicated → Add mapper ({what}); "
        f"{SETUP} adds it",
    )


def _listed(names: Collection[str], *, first: Collection[str]) -> str:
    """Return some names: those of the routes first, those that Keycloak gives everybody last."""
    shown = sorted(names, key=lambda name: (name not in first, name.startswith(("account:", "default-roles-")), name))
    shown = shown[:SHOWN]
    more = len(names) - len(shown)
    return ", ".join((*shown, *([f"and {more} more"] if more else ())))


# --- lifetimes -------------------------------------------------------------------------------------------------------


def _lifetimes(settings: Settings, grant: Grant) -> Iterator[Finding]:
    tokens, plan = grant.tokens, settings.session_plan
    sentence, _, remedy = observed_lifetime(plan, tokens).partition("; ")
    ends_early = _ends_early(tokens, min(plan.idle_timeout_s, plan.lifetime_s))
    yield warn("sessions", sentence, remedy or REMEDY) if ends_early else ok("sessions", sentence)
    if tokens.access_expires_at is not None:
        yield _access_lifetime(settings, tokens.access_expires_at - tokens.obtained_at)


def _ends_early(tokens: TokenSet, wanted_s: float) -> bool:
    end = tokens.access_expires_at if tokens.refresh_token is None else tokens.refresh_expires_at
    return end is not None and end - tokens.obtained_at < wanted_s


def _access_lifetime(settings: Settings, life_s: float) -> Finding:
    lead_s = settings.sessions.refresh_before_expiry
    words = f"access tokens live {in_words(life_s)}"
    if life_s >= 2 * lead_s:
        return ok("access lifetime", f"{words}, and are refreshed {in_words(lead_s)} before their end")
    return warn(
        "access lifetime",
        f"{words}, less than twice sessions.refresh_before_expiry ({in_words(lead_s)}), so half their life is used",
        "raise Realm settings → Tokens → Access Token Lifespan, or lower sessions.refresh_before_expiry",
    )
