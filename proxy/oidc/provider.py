"""One client at one identity provider: ``ports.Provider``, put together from the other files of this room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from proxy.core.tokens import GrantRefusal
from proxy.errors import GrantUnverified, ProviderUnavailable, TokenRejected
from proxy.oidc.fetched import Fetched, Surroundings
from proxy.oidc.http_client import HttpClient
from proxy.oidc.jwks import KEYS_EVERY_S, FetchBudgets, KeySet, KeyStore, fetch_keys
from proxy.oidc.metadata import METADATA_EVERY_S, Addresses, Doors, fetch_metadata, metadata_by_hand
from proxy.ports import AccountAnswer, ProviderMetadata, Readiness
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from proxy.core.id_token import Nonce
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.core.tokens import ExchangedToken, ExchangeRefusal, Grant, TokenSet
    from proxy.oidc.options import ProviderOptions
    from proxy.oidc.person_calls import PersonCalls
    from proxy.oidc.token_endpoint import TokenAnswer
    from proxy.ports import Clock, Observer, VerifiedJws

MAX_WAITING = 1000
"""Answers of refreshes that wait for keys or userinfo, at most; the oldest goes."""

LAST_SECONDS_S = 5.0
"""Seconds before its end from which an access token is not sent any more: it would be over on its way."""


class OpenIdProvider:
    """See ``ports.Provider`` for what each method promises."""

    def __init__(
        self,
        options: ProviderOptions,
        *,
        clock: Clock,
        observer: Observer,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Put the parts together; nothing is asked before :meth:`start`.

        Raises:
            SettingsError: the CA file or the certificate cannot be used.
        """
        self._options = options
        self._addresses = addresses_of(options)
        self._by_hand = metadata_by_hand(self._addresses)
        self._clock = clock
        self._observer = observer
        self._http = HttpClient(
            clock=clock,
            observer=observer,
            timeout_s=options.timeout_s,
            ca_file=options.ca_file,
            certificate=options.certificate,
        )
        self._tasks = TaskOwner(lambda fault: observer.error(f"provider: {fault!r}"))
        around = Surroundings(clock=clock, observer=observer, tasks=self._tasks, sleep=sleep)
        self._metadata = Fetched("metadata", self._fetch_metadata, every_s=METADATA_EVERY_S, surroundings=around)
        self._keys = Fetched("keys", self._fetch_keys, every_s=KEYS_EVERY_S, surroundings=around)
        self._key_store = KeyStore(self._keys, FetchBudgets(clock), allowed=options.signing_algorithms)
        self._waiting: OrderedDict[Secret, TokenAnswer] = OrderedDict()

    async def start(self) -> None:
        """Begin to fetch metadata and keys in the background; returns at once, whether the provider is there or not."""
        _ = self._tasks.start(self._metadata.keep_fresh())
        _ = self._tasks.start(self._keep_keys_fresh())

    async def close(self) -> None:
        """End the background work and let go of the connections."""
        await self._tasks.close()
        await self._http.close()

    def readiness(self) -> Readiness:
        """Ready once metadata and keys were had; from then on ready, naming what is away."""
        is_ready = self._current_metadata() is not None and self._keys.value is not None
        # With every endpoint by hand, discovery is a courtesy: its absence is nothing to report.
        watched: tuple[Fetched[ProviderMetadata] | Fetched[KeySet], ...] = (self._metadata, self._keys)
        if self._by_hand is not None:
            watched = (self._keys,)
        troubled = next((part for part in watched if part.trouble is not None), None)
        if troubled is not None:
            return Readiness(is_ready=is_ready, detail=troubled.trouble or "", since=troubled.since)
        detail = "ok" if is_ready else "waiting for the provider's first metadata and keys"
        return Readiness(is_ready=is_ready, detail=detail, since=self._keys.since)

    def metadata(self) -> ProviderMetadata:
        """Return the metadata: discovery's, or those by hand when they are complete."""
        found = self._current_metadata()
        if found is None:
            raise ProviderUnavailable(self._metadata.trouble or "the provider's metadata were not had yet")
        return found

    async def password_grant(
        self, username: str, password: Secret, otp: Secret | None = None, *, address: str | None = None
    ) -> Grant | GrantRefusal:
        """RFC 6749 §4.3."""
        from proxy.core.id_token import NO_NONCE  # noqa: PLC0415 - comes with what is asked for people

        url, endpoint = self.metadata().token_endpoint, self._for_people.endpoint
        with self._noticing_an_outage():
            answer = await endpoint.password(url, username=username, password=password, otp=otp, address=address)
        return await self._of_login(answer, NO_NONCE)

    async def exchange_code(
        self, code: Secret, *, code_verifier: Secret, redirect_uri: str, nonce: str
    ) -> Grant | GrantRefusal:
        """RFC 6749 §4.1.3, RFC 7636 §4.5, OIDC Core 1.0 §3.1.3."""
        url, endpoint = self.metadata().token_endpoint, self._for_people.endpoint
        with self._noticing_an_outage():
            answer = await endpoint.code(url, code=code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        return await self._of_login(answer, nonce)

    async def refresh(self, session: Session) -> Grant | GrantRefusal:
        """RFC 6749 §6, OIDC Core 1.0 §12.2.

        With rotation the old refresh token is spent once the provider answered. When keys or userinfo cannot be had at
        that moment, the answer waits here, and the next try goes on with it instead of asking again.
        """
        spent = session.tokens.refresh_token
        if spent is None:
            return GrantRefusal.INVALID_GRANT
        metadata = self.metadata()
        url, people = metadata.token_endpoint, self._for_people
        with self._noticing_an_outage():
            answer = self._waiting.get(spent) or await people.endpoint.refresh(url, refresh_token=spent)
        if isinstance(answer, GrantRefusal):
            return answer
        self._let_wait(spent, answer)
        try:
            grant = await people.grants.of_refresh(answer, session, userinfo_url=metadata.userinfo_endpoint)
        except TokenRejected:
            self._waiting.pop(spent, None)
            raise
        except ProviderUnavailable as fault:
            raise GrantUnverified(f"a refresh gave tokens that cannot be verified yet: {fault}") from fault
        self._waiting.pop(spent, None)
        return grant

    async def end_session(self, tokens_of: Session) -> None:
        """POST the refresh token to the end-session endpoint as Keycloak has it; a provider that does not understand
        that, or has no such endpoint, gets it at its revocation endpoint (RFC 7009). Nothing to do without a token.
        """
        token = tokens_of.tokens.refresh_token
        if token is None:
            return
        await self._for_people.end_session(self.metadata(), refresh_token=token)

    async def end_all_sessions(self, session: Session) -> AccountAnswer:
        """End all by the account API; an offline session is none of those, and ends by its refresh token."""
        tokens = await self._usable_tokens(session)
        account = self._for_people.account
        answer = AccountAnswer.REFUSED if tokens is None else await account.end_all(tokens.access_token)
        usable = session if tokens is None else replace(session, tokens=tokens)
        # The refresh token of an offline session has no end of its own.
        if answer is not AccountAnswer.ENDED or usable.tokens.refresh_expires_at is None:
            await self.end_session(usable)
        return answer

    async def end_other_session(self, session: Session, sid: str) -> AccountAnswer:
        """End one by the account API."""
        return await self._for_people.account.end_one(session.tokens.access_token, sid)

    async def introspect(self, token: Secret) -> Mapping[str, object] | None:
        """RFC 7662 §2."""
        url = self.metadata().introspection_endpoint
        if url is None:
            raise ProviderUnavailable(
                "the provider names no introspection_endpoint; give it by hand under keycloak.endpoints"
            )
        with self._noticing_an_outage():
            return await self._for_people.introspection.fetch(url, token=token)

    async def exchange(
        self, subject_token: Secret, *, audience: str, scope: str | None
    ) -> ExchangedToken | ExchangeRefusal:
        """RFC 8693 §2."""
        url = self.metadata().token_endpoint
        with self._noticing_an_outage():
            return await self._for_people.exchange.fetch(
                url, subject_token=subject_token, audience=audience, scope=scope
            )

    async def _usable_tokens(self, session: Session) -> TokenSet | None:
        """Return tokens whose access token lives; None when the provider gives none any more.

        They only go back to whom they came from, so nothing in them is verified.
        """
        tokens, spent = session.tokens, session.tokens.refresh_token
        if tokens.access_expires_at is None or self._clock.now() < tokens.access_expires_at - LAST_SECONDS_S:
            return tokens
        if spent is None:
            return None
        url, endpoint = self.metadata().token_endpoint, self._for_people.endpoint
        try:
            answer = self._waiting.pop(spent, None) or await endpoint.refresh(url, refresh_token=spent)
        except TokenRejected as fault:
            raise ProviderUnavailable(f"{url} answers a refresh without a token: {fault}") from fault
        return None if isinstance(answer, GrantRefusal) else answer.tokens

    async def verify(self, compact: str, *, purpose: str, peer: str = "") -> VerifiedJws:
        """RFC 7515 §5.2; claims are the caller's."""
        return await self._key_store.verify(compact, purpose=purpose, peer=peer)

    async def _of_login(self, answer: TokenAnswer | GrantRefusal, nonce: Nonce) -> Grant | GrantRefusal:
        if isinstance(answer, GrantRefusal):
            return answer
        url = self.metadata().userinfo_endpoint
        return await self._for_people.grants.of_login(answer, nonce=nonce, userinfo_url=url)

    @contextmanager
    def _noticing_an_outage(self) -> Iterator[None]:
        """Look after the keys when a call failed, so that an outage shows in the readiness before they are due."""
        try:
            yield
        except ProviderUnavailable:
            _ = self._tasks.start(self._look_after_keys())
            raise

    async def _look_after_keys(self) -> None:
        with suppress(ProviderUnavailable):
            await self._keys.fetch()

    def _let_wait(self, spent: Secret, answer: TokenAnswer) -> None:
        self._waiting[spent] = answer
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def _current_metadata(self) -> ProviderMetadata | None:
        return self._metadata.value or self._by_hand

    def _fetch_metadata(self) -> Awaitable[ProviderMetadata]:
        return fetch_metadata(self._http, self._addresses)

    async def _fetch_keys(self) -> KeySet:
        return await fetch_keys(self._http, self.metadata().jwks_uri, allowed=self._options.signing_algorithms)

    async def _keep_keys_fresh(self) -> None:
        if self._by_hand is None:
            await self._metadata.had()
        await self._keys.keep_fresh()

    @cached_property
    def _for_people(self) -> PersonCalls:
        """Made for the first person. No start waits for it, and it takes too few milliseconds for a thread."""
        from proxy.oidc.person_calls import PersonCalls  # noqa: PLC0415

        return PersonCalls(
            self._options, self._http, keys=self._key_store, addresses=self._addresses, observer=self._observer
        )


def addresses_of(options: ProviderOptions) -> Addresses:
    """Return the provider's addresses as this process calls them."""
    return Addresses(
        issuer=options.issuer,
        internal_url=options.internal_url,
        endpoints=options.endpoints,
        doors=Doors.ORDINARY if options.certificate is None else Doors.FOR_CERTIFICATES,
    )
