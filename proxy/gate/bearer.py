"""Bearer tokens of API clients: verified once, then known by their hash (``ports.BearerTokens``; contract §5).

==========================  =========================================================================================
what                        what is asked
==========================  =========================================================================================
a token nobody knows        signature (``Provider.verify``), claims (``core.access_token``), and whether its login has
                            ended; a lightweight one is introspected in between
the same token again        a lookup; whether it is over, and whether its standing holds (``ports.LoginStanding``)
a standing that is lost     whether its login has ended: some logout, or nobody could say for a while
a token known for long      all of it again each :data:`VERIFIED_FOR_S`: what a withdrawn key signed does not count on
==========================  =========================================================================================

Of tokens that do not count nothing is kept, so that strangers fill no memory; but of those that the provider itself
signed, and of which it says that they are not active, for a few seconds, so that one token does not make it answer for
each request. What strangers may make us fetch is bounded in ``Provider.verify``, for each peer.

===========  =======================  ===============================
structure    cap                      at the cap
===========  =======================  ===============================
known        ``MAX_KNOWN``, _BYTES    the least recently used goes
inactive     ``MAX_INACTIVE``         the oldest goes
flights      open requests            each waits for one
===========  =======================  ===============================
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.access_token import (
    AccessTokenClaims,
    AccessTokenExpectation,
    completed_claims,
    is_lightweight,
    require_access_token,
    validate_access_token,
)
from proxy.core.bearer import Bearer
from proxy.core.identity import IdentityRules, assemble_identity
from proxy.core.login import Login
from proxy.core.session import NEVER
from proxy.errors import Draining, SidegateError, TokenRejected
from proxy.ports import NotCached
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret
    from proxy.ports import Clock, LoginStanding, Observer, Provider, SessionStore, VerifiedJws

VERIFIED_FOR_S: Final = 300.0
"""Seconds after which the signature of a token in use is verified anew: as often as the provider's keys are fetched."""

INTROSPECTED_FOR_S: Final = 10.0
"""Seconds for which the provider's word about a lightweight token is believed. Logouts reach us all the same; what else
takes a token's worth away (a role, a revocation) is seen within them."""

INACTIVE_FOR_S: Final = 5.0
"""Seconds for which its word is believed that a token is not active."""

MAX_KNOWN: Final = 10_000
MAX_KNOWN_BYTES: Final = 64 * 1024 * 1024
"""Tokens that are known, and bytes of them together, about."""

MAX_INACTIVE: Final = 1000

NOT_CACHED: Final = NotCached.NOT_CACHED


class BearerRules(Struct, frozen=True, kw_only=True):
    """Whose tokens count, and for whom.

    Attributes:
        identity: how claims become an identity; its ``client_id`` is ours.
        audiences: further names that may stand in ``aud`` instead of our client_id (``keycloak.audience``).
    """

    identity: IdentityRules
    audiences: frozenset[str] = frozenset()


class BearerParts(Struct, frozen=True, kw_only=True):
    """Whom is asked."""

    provider: Provider
    store: SessionStore
    clock: Clock
    observer: Observer


class _Known(Struct, frozen=True):
    """A token that was verified.

    Attributes:
        until: Unix time from which on it must be verified anew; at ``exp`` at the latest.
        size: bytes of it all, about.
    """

    bearer: Bearer
    standing: LoginStanding
    until: float
    size: int


class VerifiedBearers:
    """See the module and ``ports.BearerTokens``. Call :meth:`close` at the end."""

    def __init__(self, rules: BearerRules, parts: BearerParts) -> None:
        """Know no token yet."""
        self._rules = rules
        self._parts = parts
        self._clock = parts.clock
        self._audiences = rules.audiences | {rules.identity.client_id}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._known_bytes = 0
        self._inactive: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, asyncio.Task[Bearer]] = {}
        self._tasks = TaskOwner(self._failed)

    async def close(self) -> None:
        """Let go of what is under way."""
        await self._tasks.close()

    def __len__(self) -> int:
        """Return how many tokens are known."""
        return len(self._known)

    def would_take(self, bearer: Bearer) -> bool:
        """Say whether a token that was taken by other rules is, by these, the same client's and for us."""
        rules = self._rules.identity
        is_same = (bearer.identity.issuer, bearer.client_id) == (rules.issuer, rules.client_id)
        return is_same and not self._audiences.isdisjoint(bearer.audience)

    def at_once(self, token: Secret) -> Bearer | NotCached:
        """Return the bearer of a known token that has not ended; see ``ports.BearerTokens``."""
        token_hash = token.sha256()
        known = self._known.get(token_hash)
        if known is None:
            return NOT_CACHED
        if self._clock.now() >= known.until or not known.standing.holds():
            return NOT_CACHED
        self._known.move_to_end(token_hash)
        return known.bearer

    async def verified(self, token: Secret, *, peer: str) -> Bearer:
        """Verify a token, once for all who show it at the same time; see ``ports.BearerTokens``.

        Raises:
            TokenRejected, ProviderUnavailable, ClientMisconfigured, StoreUnavailable
            Draining: this is closed.
        """
        token_hash = token.sha256()
        flight = self._flights.get(token_hash)
        if flight is None:
            flight = self._flights[token_hash] = self._tasks.start(self._verify(token, peer))
            flight.add_done_callback(lambda _: self._flights.pop(token_hash, None))
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.cancelled() and task is not None and not task.cancelling():
                raise Draining("the token was still being verified when the site was closed") from None
            raise

    # --- a token nobody knows ----------------------------------------------------------------------------------------

    async def _verify(self, token: Secret, peer: str) -> Bearer:
        known = self._known.get(token.sha256())
        if known is not None and self._clock.now() < known.until:
            bearer, until = known.bearer, known.until
        else:
            bearer, until = await self._said(token, peer)
        # What it says may be known still; that it counts is not, until the store was asked.
        self._forget(bearer.token_hash)
        standing = await self._parts.store.standing(Login.of(bearer))
        if standing is None:
            raise TokenRejected("the login behind the token has ended", reason="ended")
        self._keep(_Known(bearer, standing, until, bearer.weight))
        return bearer

    async def _said(self, token: Secret, peer: str) -> tuple[Bearer, float]:
        """Return who shows a token, and until which Unix time that is believed.

        Raises:
            TokenRejected, ProviderUnavailable, ClientMisconfigured
        """
        jws = await self._parts.provider.verify(token.reveal(), purpose="bearer", peer=peer)
        claims, believed_for_s = await self._judged(jws, token)
        bearer = self._bearer(claims, token)
        return bearer, min(bearer.expires_at, self._clock.now() + believed_for_s)

    async def _judged(self, jws: VerifiedJws, token: Secret) -> tuple[AccessTokenClaims, float]:
        """Return the claims of a token, and for how many seconds they are believed.

        Raises:
            TokenRejected, ProviderUnavailable, ClientMisconfigured
        """
        if not is_lightweight(jws.payload):
            return validate_access_token(jws.header, jws.payload, expected=self._expected()), VERIFIED_FOR_S
        # Before anybody is asked: what is no access token, or over, is not worth a question.
        require_access_token(jws.header, jws.payload, expected=self._expected())
        claims = completed_claims(jws.payload, await self._introspected(token))
        return validate_access_token(jws.header, claims, expected=self._expected()), INTROSPECTED_FOR_S

    def _expected(self) -> AccessTokenExpectation:
        issuer = self._rules.identity.issuer
        return AccessTokenExpectation(issuer=issuer, audiences=self._audiences, now=self._clock.now())

    async def _introspected(self, token: Secret) -> Mapping[str, object]:
        token_hash, now = token.sha256(), self._clock.monotonic()
        if self._inactive.get(token_hash, now) > now:
            raise _not_active()
        if self._parts.provider.metadata().introspection_endpoint is None:
            raise TokenRejected("the token is lightweight, and the provider cannot be asked about it", reason="unclear")
        answer = await self._parts.provider.introspect(token)
        if answer is not None:
            return answer
        self._inactive.pop(token_hash, None)
        while len(self._inactive) >= MAX_INACTIVE:
            self._inactive.popitem(last=False)
        self._inactive[token_hash] = self._clock.monotonic() + INACTIVE_FOR_S
        raise _not_active()

    def _bearer(self, claims: AccessTokenClaims, token: Secret) -> Bearer:
        rules = self._rules.identity
        return Bearer(
            client_id=rules.client_id,
            audience=claims.audience,
            identity=assemble_identity(claims.subject, [claims.every], rules=rules),
            access_token=token,
            sid=claims.sid,
            issued_at=claims.issued_at,
            authenticated_at=NEVER if claims.auth_time is None else claims.auth_time,
            acr=claims.acr,
            expires_at=claims.expires_at,
            token_hash=token.sha256(),
        )

    # --- what is known -----------------------------------------------------------------------------------------------

    def _keep(self, known: _Known) -> None:
        token_hash = known.bearer.token_hash
        self._forget(token_hash)
        if known.size > MAX_KNOWN_BYTES:
            return
        self._known[token_hash] = known
        self._known_bytes += known.size
        while len(self._known) > MAX_KNOWN or self._known_bytes > MAX_KNOWN_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, token_hash: str) -> None:
        known = self._known.pop(token_hash, None)
        if known is not None:
            self._known_bytes -= known.size

    def _failed(self, fault: BaseException) -> None:
        """Hear of a verification that failed; whoever asked for it was told, a defect of ours is said besides."""
        if not isinstance(fault, SidegateError):
            self._parts.observer.error("a defect while verifying a bearer token", fault=repr(fault))


def _not_active() -> TokenRejected:
    sentence = (
        "the token does not say whom it is about or for, and the provider says that it is not active; Keycloak says so "
        "too of a token that does not have our client in its audience"
    )
    return TokenRejected(sentence, reason="not_active")
