"""From a token answer to a :class:`~proxy.core.tokens.Grant`: signature, then claim rules, then identity.

Sources of claims, in the order of ``keycloak.claims_from``: the ID token; the access token, when it is a JWT that the
provider's keys verify and is about the same person (an opaque one says nothing); userinfo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.core.id_token import (
    NO_NONCE,
    IdTokenClaims,
    IdTokenExpectation,
    Nonce,
    RefreshedFrom,
    validate_id_token,
    validate_refreshed_id_token,
)
from proxy.core.identity import IdentityRules, assemble_identity, older_claims
from proxy.core.tokens import Grant, TokenSet
from proxy.errors import TokenRejected
from proxy.oidc.jws import own_payload
from proxy.oidc.options import ClaimsSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.identity import Identity
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.oidc.jwks import KeyStore
    from proxy.oidc.token_endpoint import TokenAnswer
    from proxy.oidc.userinfo import Userinfo
    from proxy.ports import VerifiedJws

CLOCK_REASONS = frozenset({"expired", "issued_in_future", "issued_too_long_ago", "not_yet_valid"})
"""Refusals of a token just issued that a clock that is off explains."""

NOTABLE_DIFFERENCE_S = 5.0
"""Seconds of difference between two clocks that are worth a word; ``Date`` has whole seconds, and travels."""


class GrantRules(Struct, frozen=True, kw_only=True):
    """What grants are judged and read by.

    Attributes:
        claims_from: the most important source first.
        trusted_audiences: others who may stand in ``aud`` of an ID token beside us.
    """

    identity: IdentityRules
    claims_from: tuple[ClaimsSource, ...]
    trusted_audiences: frozenset[str]


Sources = dict[ClaimsSource, "Mapping[str, object]"]


class GrantVerifier:
    """Makes grants; nobody else does."""

    def __init__(self, keys: KeyStore, userinfo: Userinfo, *, rules: GrantRules) -> None:
        """Keep what each grant needs."""
        self._keys = keys
        self._userinfo = userinfo
        self._rules = rules

    async def of_login(self, answer: TokenAnswer, *, nonce: Nonce, userinfo_url: str | None) -> Grant:
        """Return the grant of a password or code exchange.

        Args:
            nonce: of the authorization request, or NO_NONCE.
            userinfo_url: None when the provider has none: then that source gives nothing.

        Raises:
            TokenRejected: a rule is broken; when clocks may be the cause, the message says how far they differ.
            ProviderUnavailable: keys or userinfo could not be had.
            ClientMisconfigured: userinfo refuses us.
        """
        if answer.tokens.id_token is None:
            raise TokenRejected("the answer has no ID token; is openid among the scopes?", reason="missing_id_token")
        token = await self._keys.verify(answer.tokens.id_token.reveal(), purpose="id_token")
        expected = self._expected(token, answer.tokens, nonce)
        try:
            claims = validate_id_token(token.header, token.payload, expected=expected)
        except TokenRejected as fault:
            raise _with_clock_difference(fault, answer) from fault
        sources = await self._sources(answer.tokens, claims.subject, userinfo_url)
        sources[ClaimsSource.ID_TOKEN] = claims.every
        return self._grant(answer.tokens, claims, self._identity(claims.subject, sources))

    async def of_refresh(self, answer: TokenAnswer, session: Session, *, userinfo_url: str | None) -> Grant:
        """Return the grant of a refresh (OIDC Core 1.0 §12.2); what the answer leaves out is the session's.

        Without a new ID token the claims of the old one go on to count, but for names that a newer source has: a role
        that was taken away does not come back. With no newer source at all the identity stays as it is.

        Raises:
            TokenRejected, ProviderUnavailable, ClientMisconfigured: as :meth:`of_login`.
        """
        before = own_payload(session.tokens.id_token.reveal()) if session.tokens.id_token is not None else {}
        claims = await self._refreshed_claims(answer, session, before)
        sources = await self._sources(answer.tokens, session.identity.subject, userinfo_url)
        tokens = _completed(answer.tokens, session.tokens)
        if claims is not None:
            sources[ClaimsSource.ID_TOKEN] = claims.every
            grant = self._grant(tokens, claims, self._identity(claims.subject, sources))
            return _remembering(grant, session)
        identity = self._with_older(before, sources, session.identity)
        return Grant(
            tokens=tokens,
            identity=identity,
            sid=session.sid,
            issued_at=session.issued_at,
            auth_time=session.authenticated_at,
            acr=session.acr,
        )

    async def _refreshed_claims(
        self, answer: TokenAnswer, session: Session, before: Mapping[str, object]
    ) -> IdTokenClaims | None:
        if answer.tokens.id_token is None:
            return None
        token = await self._keys.verify(answer.tokens.id_token.reveal(), purpose="id_token")
        try:
            return validate_refreshed_id_token(
                token.header,
                token.payload,
                expected=self._expected(token, answer.tokens, NO_NONCE),
                before=_refreshed_from(session, before),
            )
        except TokenRejected as fault:
            raise _with_clock_difference(fault, answer) from fault

    def _expected(self, token: VerifiedJws, tokens: TokenSet, nonce: Nonce) -> IdTokenExpectation:
        return IdTokenExpectation(
            issuer=self._rules.identity.issuer,
            client_id=self._rules.identity.client_id,
            nonce=nonce,
            access_token=tokens.access_token,
            algorithm=str(token.header.get("alg")),
            # The instant of the answer, not of this check, which may have had to wait for keys.
            now=tokens.obtained_at,
            trusted_audiences=self._rules.trusted_audiences,
        )

    async def _sources(self, tokens: TokenSet, subject: str, userinfo_url: str | None) -> Sources:
        sources: Sources = {}
        if ClaimsSource.ACCESS_TOKEN in self._rules.claims_from:
            claims = await self._access_token_claims(tokens.access_token, subject)
            if claims is not None:
                sources[ClaimsSource.ACCESS_TOKEN] = claims
        if ClaimsSource.USERINFO in self._rules.claims_from and userinfo_url is not None:
            sources[ClaimsSource.USERINFO] = await self._userinfo.fetch(
                userinfo_url, access_token=tokens.access_token, subject=subject
            )
        return sources

    async def _access_token_claims(self, access_token: Secret, subject: str) -> Mapping[str, object] | None:
        """Return the claims of an access token that is ours to read, or None: to a client it is opaque (RFC 6749 §1.4),
        so what does not verify is no fault, it only says nothing.
        """
        try:
            payload = (await self._keys.verify(access_token.reveal(), purpose="access_token")).payload
        except TokenRejected:
            return None
        is_ours = payload.get("iss") == self._rules.identity.issuer and payload.get("sub") == subject
        return payload if is_ours else None

    def _identity(self, subject: str, sources: Sources) -> Identity:
        ordered = [sources[name] for name in self._rules.claims_from if name in sources]
        return assemble_identity(subject, ordered, rules=self._rules.identity)

    def _with_older(self, before: Mapping[str, object], newer: Sources, identity: Identity) -> Identity:
        if not newer:
            return identity
        ordered = [newer[name] for name in self._rules.claims_from if name in newer]
        if ClaimsSource.ID_TOKEN in self._rules.claims_from:
            ordered.append(older_claims(before, ordered))
        return assemble_identity(identity.subject, ordered, rules=self._rules.identity)

    @staticmethod
    def _grant(tokens: TokenSet, claims: IdTokenClaims, identity: Identity) -> Grant:
        return Grant(
            tokens=tokens,
            identity=identity,
            sid=claims.sid,
            issued_at=claims.issued_at,
            auth_time=claims.auth_time,
            acr=claims.acr,
        )


def _refreshed_from(session: Session, before: Mapping[str, object]) -> RefreshedFrom:
    """Return what a refreshed ID token is held against; ``before`` was verified when it came."""
    nonce, auth_time = before.get("nonce"), before.get("auth_time")
    return RefreshedFrom(
        subject=session.identity.subject,
        nonce=nonce if isinstance(nonce, str) else NO_NONCE,
        auth_time=float(auth_time) if isinstance(auth_time, int | float) else None,
    )


def _remembering(grant: Grant, session: Session) -> Grant:
    """Return the grant with what a refreshed ID token need not repeat."""
    return replace(
        grant,
        sid=session.sid if grant.sid is None else grant.sid,
        auth_time=session.authenticated_at if grant.auth_time is None else grant.auth_time,
        acr=session.acr if grant.acr is None else grant.acr,
    )


def _completed(new: TokenSet, old: TokenSet) -> TokenSet:
    """Return the new tokens with the old ones where there are none (RFC 6749 §6: the refresh token may stay)."""
    id_token = new.id_token or old.id_token
    if new.refresh_token is not None:
        return replace(new, id_token=id_token)
    end = old.refresh_expires_at if new.refresh_expires_at is None else new.refresh_expires_at
    return replace(new, id_token=id_token, refresh_token=old.refresh_token, refresh_expires_at=end)


def _with_clock_difference(fault: TokenRejected, answer: TokenAnswer) -> TokenRejected:
    """Return the refusal with the likely cause: a token just issued that is old or early means that a clock is off."""
    difference_s = answer.clock_difference_s
    if fault.reason not in CLOCK_REASONS or abs(difference_s) < NOTABLE_DIFFERENCE_S:
        return fault
    side = "ahead of" if difference_s > 0 else "behind"
    sentence = f"{fault}; the provider's clock is {abs(difference_s):.0f} s {side} ours: set the clocks by NTP"
    return TokenRejected(sentence, reason=fault.reason)
