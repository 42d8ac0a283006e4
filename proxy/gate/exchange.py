"""Tokens for the apps of single routes, exchanged at the provider for the person's own (``token_exchange``).

Implements ``ports.ExchangedTokens``. A token is kept for one state of one session (or one bearer) and one audience,
until shortly before its end; a refresh of the session, after which roles may be others, asks anew. One call at the
provider serves all who wait for the same, and goes on when they hang up. Nothing else is ever sent in a token's place:
whoever gets none here is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.refresh import access_is_live
from proxy.core.secret import Secret
from proxy.core.session import Session
from proxy.core.tokens import ExchangeRefusal
from proxy.core.weighed import Weighed
from proxy.errors import ClientMisconfigured, Draining, ExchangeFailed, ExchangeRefused, ProviderUnavailable
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from proxy.core.bearer import Bearer
    from proxy.core.routing import TokenExchange
    from proxy.core.session import SessionKey
    from proxy.core.tokens import ExchangedToken
    from proxy.ports import Clock, Observer, Provider

MARGIN_S: Final = 10.0
"""Seconds before its end from which on a token is not sent any more: the app may call others with it."""

MARGIN_SHARE: Final = 0.2
"""Share of a token's life that :data:`MARGIN_S` may take at most."""

AT_LEAST_S: Final = 5.0
"""Seconds for which a token serves those who waited for it, however short its life: who waited is decided about anew,
and must find it."""

REFUSED_FOR_S: Final = 5.0
"""Seconds for which a refusal is remembered, so that a page with fifty pictures asks the provider once."""

MAX_KEPT: Final = 10_000
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Sessions and bearers of whom tokens are kept, and bytes of these together; above, the oldest are asked for again."""

MAX_FOR_ONE: Final = 32
"""Tokens of one session: as many routes with audiences of their own."""

_Wanted = tuple[int, "TokenExchange"]
"""Version of the session (0 for a bearer), and what for."""

_Outcome = Secret | ExchangeRefusal


class _Kept(Struct, frozen=True):
    outcome: _Outcome
    until: float

    @property
    def weight(self) -> int:
        """Bytes, about: the token, and the objects around it."""
        return 512 + (len(self.outcome.reveal()) if isinstance(self.outcome, Secret) else 0)


class TokenExchanges:
    """See the module."""

    def __init__(self, provider: Provider, *, clock: Clock, observer: Observer) -> None:
        """Begin with nothing kept."""
        self._provider = provider
        self._clock = clock
        self._observer = observer
        self._kept: Weighed[SessionKey, dict[_Wanted, _Kept]] = Weighed(entries=MAX_KEPT, in_all=MAX_KEPT_BYTES)
        self._flights: dict[tuple[SessionKey, _Wanted], asyncio.Task[_Outcome]] = {}
        self._tasks = TaskOwner(lambda _fault: None)  # whoever waits hears of a fault; nobody else needs to

    def at_once(self, person: Session | Bearer, wanted: TokenExchange) -> Secret | None:
        """Return the token that is kept; see ``ports.ExchangedTokens.at_once``."""
        kept = self._outcome(person.key, _of(person, wanted))
        return None if isinstance(kept, ExchangeRefusal) else kept

    async def eventually(self, person: Session | Bearer, wanted: TokenExchange) -> Secret:
        """Return a token; see ``ports.ExchangedTokens.eventually``."""
        key, which = person.key, _of(person, wanted)
        outcome = self._outcome(key, which)
        if outcome is None:
            flight = self._flights.get((key, which))
            if flight is None:
                flight = self._tasks.start(self._exchanged(person, wanted))
                self._flights[key, which] = flight
            outcome = await _landed(flight)
        if isinstance(outcome, ExchangeRefusal):
            raise ExchangeRefused(f"the provider gives no token for {wanted.audience}: {outcome}")
        return outcome

    def forget(self, key: SessionKey) -> None:
        """Let go of the tokens of a session that ended or changed, and keep none that is still on its way."""
        self._kept.forget(key)
        for flight in [flight for flight in self._flights if flight[0] == key]:
            del self._flights[flight]

    async def close(self) -> None:
        """Cancel what still runs."""
        await self._tasks.close()

    # --- one exchange -------------------------------------------------------------------------------------------------

    async def _exchanged(self, person: Session | Bearer, wanted: TokenExchange) -> _Outcome:
        key, which = person.key, _of(person, wanted)
        try:
            kept = await self._asked(self._subject_token(person), wanted)
            if self._flights.get((key, which)) is asyncio.current_task():
                self._keep(key, which, kept)
            return kept.outcome
        finally:
            if self._flights.get((key, which)) is asyncio.current_task():
                del self._flights[key, which]

    async def _asked(self, subject_token: Secret, wanted: TokenExchange) -> _Kept:
        try:
            got = await self._provider.exchange(subject_token, audience=wanted.audience, scope=wanted.scope)
        except (ProviderUnavailable, ClientMisconfigured) as error:
            self._observer.warning(f"no token for {wanted.audience}: {error}", reason=error.reason)
            raise ExchangeFailed(f"no token for {wanted.audience} could be had: {error}") from error
        now = self._clock.now()
        if isinstance(got, ExchangeRefusal):
            return _Kept(got, now + REFUSED_FOR_S)
        return _Kept(got.access_token, _good_until(got, now))

    def _subject_token(self, person: Session | Bearer) -> Secret:
        """Return the person's own token.

        Raises:
            ProviderUnavailable: it is over; an outage of the provider is bridged for this session.
        """
        if not isinstance(person, Session):
            return person.access_token
        if not access_is_live(person.tokens, self._clock.now()):
            raise ProviderUnavailable("the access token that is to be exchanged is over, and the provider is away")
        return person.tokens.access_token

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _outcome(self, key: SessionKey, which: _Wanted) -> _Outcome | None:
        of_one = self._kept.get(key)
        kept = None if of_one is None else of_one.get(which)
        return None if kept is None or kept.until <= self._clock.now() else kept.outcome

    def _keep(self, key: SessionKey, which: _Wanted, kept: _Kept) -> None:
        """Keep what was had; what was had for an older version of the session is of no use any more."""
        before = self._kept.get(key, {})
        same = {other: one for other, one in before.items() if other[0] >= which[0] and other != which}
        while len(same) >= MAX_FOR_ONE:
            del same[next(iter(same))]
        while self._oldest_is_over():
            self._kept.forget(next(iter(self._kept)))
        of_one = {**same, which: kept}
        self._kept.put(key, of_one, sum(one.weight for one in of_one.values()))

    def _oldest_is_over(self) -> bool:
        oldest = next(iter(self._kept.values()), None)
        return oldest is not None and max(kept.until for kept in oldest.values()) <= self._clock.now()


async def _landed(flight: asyncio.Task[_Outcome]) -> _Outcome:
    """Return what the flight brings; it goes on when whoever waits hangs up.

    Raises:
        Draining: the process, or this state of its file, ends before it landed.
    """
    try:
        return await asyncio.shield(flight)
    except asyncio.CancelledError:
        if flight.cancelled():
            raise Draining("no token was had before the end") from None
        raise


def _of(person: Session | Bearer, wanted: TokenExchange) -> _Wanted:
    return (person.version if isinstance(person, Session) else 0, wanted)


def _good_until(token: ExchangedToken, now: float) -> float:
    life = token.expires_at - now
    return max(token.expires_at - min(MARGIN_S, life * MARGIN_SHARE), now + AT_LEAST_S)
