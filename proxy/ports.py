"""What the rooms need of one another, as Protocols; concrete classes meet only in ``app.py``.

Each Protocol says what its methods promise and which errors of ``proxy.errors`` they raise. Expected outcomes are
values, faults are exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from proxy.core.routing import Activity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
    from contextlib import AbstractContextManager

    from proxy.core.answer import Answer
    from proxy.core.answer_headers import AnswerPlan
    from proxy.core.authentication import OfClient, Tab, TabsFilter
    from proxy.core.bearer import Bearer
    from proxy.core.kept import Kept, KeptRequest, NotKept
    from proxy.core.login import Login
    from proxy.core.narrowing import Narrowing
    from proxy.core.policy import Allow
    from proxy.core.request import Headers, RequestHead
    from proxy.core.request_fields import RequestFields
    from proxy.core.routing import TokenExchange
    from proxy.core.secret import Secret
    from proxy.core.session import (
        EndCause,
        EndedMark,
        Session,
        SessionKey,
        SessionsFilter,
        SessionSummary,
        Tombstone,
    )
    from proxy.core.tokens import ExchangedToken, ExchangeRefusal, Grant, GrantRefusal
    from proxy.errors import SidegateError


# --- time and chance -------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Time; a fake in tests."""

    def now(self) -> float:
        """Return Unix seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


RandomBytes = "Callable[[int], bytes]"
"""``secrets.token_bytes`` or a fake."""


# --- gate and forward ------------------------------------------------------------------------------------------------


class RequestEvent(Struct):
    """What is said of one request at its end: filled by the gate, then by the data path, read by ``observe``.

    ``path`` is without query (codes and tokens travel in queries); ``route`` is the pattern or a fixed word
    (``own``, ``none``); ``traceparent`` is the W3C trace context that went to the upstream.
    """

    request_id: str
    started_at: float
    method: str = ""
    path: str = ""
    host: str = ""
    route: str = "none"
    decision: str = ""
    reason: str = ""
    subject: str | None = None
    username: str | None = None
    address: str = ""
    user_agent: str = ""
    traceparent: str = ""
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    duration_s: float = 0.0
    upstream_s: float | None = None
    fault: str | None = None


class Forward(Struct, frozen=True):
    """Send the request on.

    Attributes:
        allow: the proof; only ``core.policy.decide`` makes one.
        upstream: key of the upstream in the data path: its name, and the site's key before it where there are several.
        target: request-target for the upstream, byte for byte.
        headers: every end-to-end field, Host included; no framing field, no hop-by-hop field. In parts where they are
            sent as they are, so that their lines need not be made each time.
        answer: what is done to the head of the upstream's answer.
        upgrade: ``b"websocket"`` when the client asked for it and may; else None.
        cookie_value: by which the store knows the session of ``allow``; None when no cookie was asked.
        activity: whether a stream that is open counts as activity of its session.
    """

    allow: Allow
    upstream: str
    method: bytes
    target: bytes
    headers: Headers | RequestFields
    answer: AnswerPlan
    event: RequestEvent
    upgrade: bytes | None = None
    cookie_value: Secret | None = None
    activity: Activity = Activity.COUNTS


class OwnPage(Struct, frozen=True, kw_only=True):
    """Give the request to Sidegate's own pages: a fresh head, made from an allowlist, with the caller in
    :data:`OWN_HEADERS` (which no client can send through).

    ``site``: the key of the site whose pages they are; each has its own.
    """

    method: bytes
    target: bytes
    headers: Headers
    event: RequestEvent
    site: str = ""


class Reply(Struct, frozen=True, kw_only=True):
    """Answer without asking anybody: a challenge, a refusal, a redirect."""

    answer: Answer
    event: RequestEvent


class KeepBody(Struct, frozen=True, kw_only=True):
    """Read the body, which is not sent on now, and then ask what to answer; nothing goes to an upstream.

    Attributes:
        owner: whose it is, by a hash; what is read at once is bounded for each of them.
        max_bytes: above it nothing more is read than after any other refusal.
        keep: takes the whole body; never raises.
        refuse: why there is no whole body to keep.
        lead: the answer when it is kept already, under this id.
    """

    event: RequestEvent
    owner: str
    max_bytes: int
    keep: Callable[[bytes], Awaitable[Reply]]
    refuse: Callable[[NotKept], Reply]
    lead: Callable[[str], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendKept:
    """Send ``forward`` on with ``body``, which was kept, in the place of a request that has none.

    Attributes:
        give_back: keeps it again; for when nothing of it was sent.
    """

    forward: Forward
    body: bytes = field(repr=False)
    give_back: Callable[[], Coroutine[object, object, None]]


Admission = Forward | OwnPage | Reply | KeepBody | SendKept

OWN_REQUEST_ID = b"sidegate-request-id"
OWN_ADDRESS = b"sidegate-address"
OWN_SCHEME = b"sidegate-scheme"
OWN_HEADERS = (OWN_REQUEST_ID, OWN_ADDRESS, OWN_SCHEME)
"""Fields by which the gate tells the own pages who calls."""

OWN_ADDRESS_OF = b"sidegate-address-of"
"""Field that is there when the address is not the client's: whose it is, a word of :class:`AddressOf`."""


class AddressOf(Enum):
    """Whose address a caller has."""

    CLIENT = "client"
    PROXY = "proxy"
    """A proxy's that is not in ``server.trusted_proxies``: everybody behind it has the same."""


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks for an own page, as the gate says in :data:`OWN_HEADERS`; ``scheme`` is what the browser used."""

    request_id: str
    address: str
    scheme: str
    address_of: AddressOf = AddressOf.CLIENT


class Gatekeeper(Protocol):
    """The gate as the data path sees it."""

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Decide about a request. A plain value when nothing must be awaited (the common case); never raises."""

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        """Turn a fault of the wire or of the upstream into an answer; ``head`` is None when none could be read."""

    def finished(self, event: RequestEvent) -> None:
        """Hear of the end of the exchange, exactly once for each admission or fault."""


class IdentityAssertion(Protocol):
    """A signed statement of who asks, for apps that want proof (``identity_headers.assertion``)."""

    def signed(self, person: Session | Bearer, narrowing: Narrowing, *, host: str, now: float) -> bytes:
        """Return a compact JWS about this person, as the app behind a route may know them; it holds for at least half
        of ``lifetime``, unless the person's own time is over sooner. At once, never raises.

        Args:
            narrowing: of the route.
            host: of the request, which is answered; it counts where the public URL is a wildcard.
            now: Unix seconds.
        """

    def key_set(self) -> Mapping[str, object]:
        """Return the public keys by which it is verified (RFC 7517 §5)."""


class ExchangedTokens(Protocol):
    """Access tokens for the apps of single routes, had for the person's own (RFC 8693; ``token_exchange``)."""

    def at_once(self, person: Session | Bearer, wanted: TokenExchange) -> Secret | None:
        """Return the token that is kept for this person and app, or None when :meth:`eventually` must be awaited."""

    async def eventually(self, person: Session | Bearer, wanted: TokenExchange) -> Secret:
        """Return a token for the app; one call at the provider however many wait, detached from their cancellation.

        Raises:
            ExchangeRefused: the provider gives none to this person.
            ExchangeFailed: none could be had.
            ProviderUnavailable: the person's own token is over, and the provider is away.
        """


class OpenStream(Protocol):
    """A WebSocket, or an answer still being sent, of somebody signed in."""

    @property
    def admitted(self) -> Forward:
        """What the gate admitted; its ``allow`` has a person."""

    @property
    def began_at(self) -> float:
        """The monotonic instant at which the head of the request was read."""

    def end(self, fault: SidegateError) -> None:
        """End, because of ``fault``; does nothing when the stream is over.

        SessionEnded: the session has; RightsLost: it lives on without the right to the route; a StoreFault or
        ProviderFault: nobody can say whether it has that right.
        """


class LiveStreams(Protocol):
    """Open streams of sessions. A store tells what becomes of the sessions; streams close in the loop, at once or, when
    they are many, in the next turns.
    """

    def opened(self, stream: OpenStream, key: SessionKey) -> None:
        """Register a stream of the session ``key``. It is closed soon after this call when the session ended, or lost
        its right, a moment ago.

        Raises:
            StreamsFull: at the cap: a stream that nobody could close is not opened.
        """

    def over(self, stream: OpenStream, key: SessionKey) -> None:
        """Hear that a stream ended by itself; a second call does nothing."""

    def session_ended(self, key: SessionKey, cause: EndCause) -> int:
        """Close every stream of the session; returns how many."""

    def session_changed(self, session: Session, now: float) -> int:
        """Hear what a session is since ``replace``: close its streams that would not be allowed any more; returns how
        many. ``now``: Unix seconds.
        """

    def moved(self, key: SessionKey, heir: Session, *, cookie_value: Secret, now: float) -> int:
        """Hear that the session ``key`` goes on as ``heir``, which ``cookie_value`` names: its streams are the heir's
        from now on, those that open a moment too late too, and close where the heir would not be allowed. Returns how
        many moved. ``now``: Unix seconds.
        """

    def in_doubt(self, key: SessionKey) -> None:
        """Hear that what is known of a session may be old (its record changed elsewhere): when it has streams, the
        store is asked at once, and they are judged by what it says.
        """

    def opened_by_bearer(self, stream: OpenStream, bearer: Bearer) -> None:
        """Register a stream of a bearer, as :meth:`opened` does for a session; its key is ``bearer.key``.

        Raises:
            StreamsFull
        """

    def bearers_in_doubt(self) -> None:
        """Hear that some login has ended: the streams of bearers, who have no session here, are looked at."""

    def all_in_doubt(self) -> None:
        """The same of every session: the store cannot say any more, or did not for a while, what changes."""

    def session_keys(self) -> Collection[SessionKey]:
        """Return the sessions that have streams, as they are now."""


# --- sessions --------------------------------------------------------------------------------------------------------


class NotCached(Enum):
    """The store must be asked."""

    NOT_CACHED = "not_cached"


class LoginStanding(Protocol):
    """A login that had not ended when the store was asked; hold it for as long as that is to be known."""

    def holds(self) -> bool:
        """Say at once whether it has not ended since, as far as was heard, and whether it would have been heard.

        Otherwise the store must be asked anew.
        """


class SessionStore(Protocol):
    """Sessions of one process or of many; every method may raise StoreUnavailable, never a deletion, never a pass."""

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        """Return at once: the live session, None when there is none, or NOT_CACHED when :meth:`load` must be asked.

        Idle and absolute end are judged here too.
        """

    async def load(self, cookie_value: Secret) -> Session | None:
        """Return the live session of this cookie, or None."""

    def touch(self, session: Session) -> None:
        """Count activity now; coalesced, never raises, never waits."""

    async def last_seen(self, session: Session) -> float:
        """Return the Unix time of the last activity."""

    async def create(self, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Store a new session; returns the keys of those that ``max_per_user`` ended (the oldest).

        Raises:
            StoreFull: at the cap; nothing was stored.
            SessionEnded: its sid, or its subject at or after ``issued_at``, has ended already.
        """

    async def replace(self, cookie_value: Secret, session: Session) -> Session | None:
        """Put ``session`` in the place of the record with the same key *and version*, atomically.

        Returns:
            What is stored now (version + 1), or None when the record is gone, has another version or has ended:
            then nothing was written. Never creates (law 5).
        """

    async def supersede(self, old: Secret, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Let the session of ``old`` go on as ``session``, under another cookie: the old record is gone before the new
        one is there (law 8), and open streams move instead of closing. Returns what :meth:`create` does.

        Raises:
            SessionEnded: the old session is over, or the new one was ended already; nothing was stored.
            StoreFull, StoreUnavailable: as :meth:`create`; the old session has ended, or nobody can say.
        """

    async def heir(self, cookie_value: Secret) -> Secret | None:
        """Return the cookie of the session as which this one went on a moment ago; None when there is none.

        For who holds streams of a session that is gone, and for nobody else: a request with an old cookie is nobody's.
        """

    async def delete(self, key: SessionKey, cause: EndCause) -> bool:
        """End one session; True when it was there. Leaves a tombstone; closes its streams."""

    async def delete_matching(self, which: SessionsFilter, cause: EndCause) -> tuple[SessionSummary, ...]:
        """End every session that matches, returning what ended. Leaves tombstones; closes their streams."""

    async def find(self, which: SessionsFilter | None = None) -> tuple[SessionSummary, ...]:
        """List live sessions; all of them when ``which`` is None."""

    async def count(self) -> int:
        """Return the number of live sessions."""

    async def tombstone(self, cookie_value: Secret) -> Tombstone | None:
        """Return what is left of a session that ended in the last 24 h."""

    async def mark_ended(self, mark: EndedMark) -> None:
        """Remember that something has ended, so that create, replace and tokens refuse it from now on.

        For ``EverySessionOf``, to which no index leads, live sessions that it covers are not served from now on either,
        on any replica, and their streams close (cause ``admin``); their records may go later.

        This is the first call of every logout, and the provider sends none twice. A store that is away raises
        StoreUnavailable and keeps the mark (bounded): it is applied, and the sessions that it covers end, before what
        this store says is believed again.
        """

    async def has_ended(self, *, issuer: str, client_id: str, sid: str | None, subject: str, issued_at: float) -> bool:
        """Say whether a login with these marks is over."""

    async def standing(self, login: Login) -> LoginStanding | None:
        """Look a login up, for who shows its token again and again; None when it is over (:meth:`has_ended`)."""

    def readiness(self) -> Readiness:
        """Say whether the store is there, for ``/readyz``; memory always is."""

    async def jti_is_spent(self, jti: str) -> bool:
        """Say whether this token id was remembered."""

    async def spend_jti(self, jti: str, until: float) -> None:
        """Remember a token id until the Unix time ``until``."""


class AuthenticationStore(Protocol):
    """Authentication sessions (``core.authentication``); may raise StoreUnavailable."""

    async def put(self, tab: Tab) -> None:
        """Keep a tab in its root (made when new); the oldest tab goes above MAX_TABS; roots are bounded too."""

    async def peek(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab with this state in this root, or None."""

    async def take(self, root_id: str, state: str) -> Tab | None:
        """Return the tab and remove it in one step: a tab is used once."""

    async def tabs(self, root_id: str) -> tuple[Tab, ...]:
        """Return the unexpired tabs of a root, the oldest first."""

    async def drop_root(self, root_id: str) -> None:
        """Forget a root with all its tabs."""

    async def drop_matching(self, which: TabsFilter) -> int:
        """Forget every tab of a client or an issuer that is not served any more; returns how many.

        One that is put meanwhile may stay: it expires, and no other client takes it.
        """

    async def keep_only(self, served: Collection[OfClient]) -> int:
        """Forget every tab of a client that is none of these; returns how many. For a start: nobody knows any more
        which clients the file had before. What others keep in the same place, under other keys, is left alone.
        """


class KeptRequests(Protocol):
    """Forms that wait for a login (``core.kept``): bounded in number, bytes and time; may raise StoreUnavailable."""

    async def keep(self, request: KeptRequest) -> str:
        """Keep it for ``KEPT_LIFETIME_S``; returns its id, 128 random bits in Base64url.

        The oldest of the same person goes above a number of each.

        Raises:
            StoreFull: there are too many of all people; nothing was kept.
        """

    async def peek(self, kept_id: str) -> Kept | None:
        """Return what is known of it, or None when it is not there (any more)."""

    async def take(self, kept_id: str) -> KeptRequest | None:
        """Return it and forget it in one step: of all who ask, one gets it."""

    async def give_back(self, kept_id: str, request: KeptRequest) -> None:
        """Keep again under its id, for the rest of its time, what was taken and could not be sent.

        Raises:
            StoreFull: its place was given to others.
        """


class Refresher(Protocol):
    """Keep the tokens of a session fresh."""

    def ready(self, session: Session) -> bool:
        """Say at once whether the request may go on with this session as it is.

        False means: await :meth:`fresh`. That is so when the access token is over, and also when it is soon over and
        nobody refreshes it yet: then :meth:`fresh` starts the refresh in the background and returns at once.
        """

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        """Return the session with a usable access token; None when the provider ended it (the session is deleted).

        While the provider is away it may be a session whose access token is over (``sessions.outage_grace``): who sends
        the token on looks at it. Detached from the caller's cancellation; one call at the provider however many wait.

        Raises:
            ProviderUnavailable: the token is over and the provider is away: the session is kept.
            StoreUnavailable
            Draining: the process ends before the refresh did.
        """


class Lease(Protocol):
    """The right to refresh one session, renewed in the background until it is released or lost."""

    def is_held(self) -> bool:
        """Say at once whether nobody else can have it; False for ever once that was in doubt."""

    async def release(self) -> None:
        """Give it back; a lost one is left to whoever has it now. Never raises: what cannot be given back lapses."""


class RefreshLeases(Protocol):
    """Who of all replicas may refresh a session."""

    async def acquire(self, key: SessionKey) -> Lease | None:
        """Take the lease of this session; None while somebody else holds it.

        Raises:
            StoreUnavailable
        """


# --- the throttle ----------------------------------------------------------------------------------------------------


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at a password, as it is counted.

    Attributes:
        username: folded (``core.throttle.folded_username``).
        address: counted (``core.throttle.counted_address``); None where the limit per address does not hold.
        known_browser: what tells the browser from every other in which this person has signed in; None for a stranger.
    """

    username: str
    address: str | None
    known_browser: str | None = None


class Throttle(Protocol):
    """How many sign-ins may fail (``login.throttle``); what fails counts before it is known, so that of many tries at
    once no more pass than one after the other would.
    """

    async def check(self, attempt: Attempt) -> None:
        """Return when a try may go on; nothing is counted.

        Raises:
            Throttled, StoreUnavailable
        """

    async def reserve(self, attempt: Attempt) -> None:
        """Count a try as failed, or refuse it.

        Raises:
            Throttled: nothing was counted.
            StoreUnavailable: whether it was counted is unknown.
        """

    async def give_back(self, attempt: Attempt) -> None:
        """Take back what :meth:`reserve` counted: the try did not fail, or nobody judged it. Never raises: what cannot
        be given back counts until it runs out.
        """


# --- the provider ----------------------------------------------------------------------------------------------------


class ProviderMetadata(Struct, frozen=True, kw_only=True):
    """What of discovery is used (OIDC Discovery 1.0 §3), after the rule of public and internal addresses.

    Endpoints that browsers visit are public (authorization, end_session); the others are where this process reaches
    them. None: the provider has no such endpoint.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    end_session_endpoint_internal: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    iss_parameter_supported: bool = False
    claims_parameter_supported: bool = False
    acr_values_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    prompt_values_supported: tuple[str, ...] = ()


class VerifiedJws(Struct, frozen=True):
    """A compact JWS whose signature was verified with a key of the provider (RFC 7515)."""

    header: Mapping[str, object]
    payload: Mapping[str, object]


class Readiness(Struct, frozen=True):
    """Whether a part is there; ``detail`` is a sentence for ``/readyz`` and the log when it is not."""

    is_ready: bool
    detail: str = "ok"
    since: float = 0.0


class AccountAnswer(Enum):
    """What the provider made of a person's wish to end their own sessions there."""

    ENDED = "ended"
    REFUSED = "refused"
    """It does not let this person, or this token, do so: the account roles are missing, or the login is over."""
    NO_ENDPOINT = "no_endpoint"
    """It has no such place, or none that can be found: only Keycloak's is known."""


class Provider(Protocol):
    """One client at one identity provider. Every grant that comes out is verified: signature, then claim rules."""

    def readiness(self) -> Readiness:
        """Say whether metadata and keys have been had; after the first time it stays ready and names what is away."""

    def metadata(self) -> ProviderMetadata:
        """Return the metadata.

        Raises:
            ProviderUnavailable: none could be had so far.
        """

    async def password_grant(
        self, username: str, password: Secret, otp: Secret | None = None, *, address: str | None = None
    ) -> Grant | GrantRefusal:
        """RFC 6749 §4.3. Raises ProviderUnavailable, ClientMisconfigured, TokenRejected.

        Args:
            address: of the person's browser, for the provider's own records; None when nobody knows it.
        """

    async def exchange_code(
        self, code: Secret, *, code_verifier: Secret, redirect_uri: str, nonce: str
    ) -> Grant | GrantRefusal:
        """RFC 6749 §4.1.3, RFC 7636 §4.5, OIDC Core 1.0 §3.1.3. Raises as :meth:`password_grant`."""

    async def refresh(self, session: Session) -> Grant | GrantRefusal:
        """RFC 6749 §6, OIDC Core 1.0 §12.2: same ``iss`` and ``sub``. What the answer leaves out (refresh token, ID
        token, sid, auth_time) is taken from the session. Raises as :meth:`password_grant`.
        """

    async def end_session(self, tokens_of: Session) -> None:
        """POST the refresh token to the end-session endpoint (Keycloak's back door logout).

        Raises:
            ProviderUnavailable, ClientMisconfigured
        """

    async def end_all_sessions(self, session: Session) -> AccountAnswer:
        """End every session that this person has at the provider, in all applications (Keycloak's account API).

        For a session that has ended here: an access token that is over is refreshed first, and the new one is not kept.
        What the account API refuses still ends the provider session of this one, by its refresh token.

        Raises:
            ProviderUnavailable, ClientMisconfigured
        """

    async def end_other_session(self, session: Session, sid: str) -> AccountAnswer:
        """End one provider session of the same person by its ``sid``; ENDED also when there was none.

        With the access token as it is: the caller sees to it that it is fresh (``Refresher.fresh``). A ``sid`` of
        another person ends nothing (the provider looks).

        Raises:
            ProviderUnavailable
        """

    async def introspect(self, token: Secret) -> Mapping[str, object] | None:
        """Ask the provider what an access token says (RFC 7662 §2); None when it is not active, for whatever reason.

        Keycloak says "not active" also to a client that is not in the token's audience. Claims with which the answer
        contradicts itself (another ``iss``, an ``exp`` that is over) make it not active too; what else the caller asks
        of a token (``aud``, ``typ``) is the caller's to check.

        Raises:
            ProviderUnavailable: no answer, nonsense, or the provider has no such endpoint.
            ClientMisconfigured: it refuses this client.
        """

    async def exchange(
        self, subject_token: Secret, *, audience: str, scope: str | None
    ) -> ExchangedToken | ExchangeRefusal:
        """Exchange an access token for one that is for ``audience`` (RFC 8693 §2, as Keycloak's standard token exchange
        does it). What comes back is for somebody else to verify, and opaque here.

        Args:
            audience: the client at the provider for which the token is.
            scope: words with single spaces between; None: what the provider gives by itself.

        Returns:
            A refusal when the provider does not give this token to this person.

        Raises:
            ProviderUnavailable: no answer, or nonsense.
            ClientMisconfigured: exchange is off for this client, the audience is unknown, or the provider refuses us.
        """

    async def verify(self, compact: str, *, purpose: str, peer: str = "") -> VerifiedJws:
        """Verify a signature with the provider's keys and ``signing_algorithms`` only; claims are the caller's.

        Unknown ``kid``: the keys are fetched again, within a budget kept for each ``purpose`` and ``peer``.

        Raises:
            TokenRejected: not a JWS, algorithm not allowed, no key fits, signature wrong.
            ProviderUnavailable: keys could not be had.
        """


class BearerTokens(Protocol):
    """The access tokens of API clients (RFC 6750)."""

    def at_once(self, token: Secret) -> Bearer | NotCached:
        """Return the bearer of a token that was verified before and has not ended; NOT_CACHED when :meth:`verified`
        must be asked. ``exp`` is judged here too.
        """

    async def verified(self, token: Secret, *, peer: str) -> Bearer:
        """Verify a token: signature, claims, and that neither its login nor what its client was issued has ended.

        Args:
            peer: who shows it; what strangers may cause at the provider is bounded for each.

        Raises:
            TokenRejected: it is none that counts here; ``reason`` says why.
            ProviderUnavailable: its key or an introspection cannot be had.
            ClientMisconfigured: the provider refuses us, not the token.
            StoreUnavailable: nobody can say whether it has ended: never a pass.
        """


# --- observe ---------------------------------------------------------------------------------------------------------


class AuditEvent(Struct, frozen=True, kw_only=True):
    """One line of the audit trail (contract §7); ``at`` is added by the trail. Never a token, password or cookie."""

    event: str
    request_id: str | None = None
    route: str | None = None
    subject: str | None = None
    username: str | None = None
    address: str | None = None
    user_agent: str | None = None
    sessions_affected: int = 0
    reason: str | None = None
    details: Mapping[str, str] = msgspec.field(default_factory=dict)


class AuditRecord(Struct, frozen=True):
    """An event of the trail, and when it happened (Unix seconds)."""

    at: float
    event: AuditEvent


class AuditTrail(Protocol):
    """The audit events of the last ``audit.keep``, of every replica where they share a store."""

    def add(self, event: AuditEvent, at: float) -> None:
        """Keep an event. Returns at once and never raises: what there is no room for is counted as dropped."""

    async def read(self, *, username: str | None, since: float, limit: int) -> tuple[AuditRecord, ...]:
        """Return the last ``limit`` events at or after the Unix time ``since``, the newest last.

        Args:
            username: only this person's, letters compared without case; None for everybody's.

        Raises:
            StoreUnavailable
        """

    def follow(self, *, username: str | None, since: float, limit: int) -> AsyncIterator[AuditRecord]:
        """Yield what :meth:`read` gives, and then each further event soon after it happened; ends never by itself.

        The first step may raise StoreUnavailable; a later outage is waited out.
        """


class Observer(Protocol):
    """Where everything that happened is said: log, metrics, audit. Never raises, never waits."""

    def request(self, event: RequestEvent) -> None:
        """One request is over."""

    def audit(self, event: AuditEvent) -> None:
        """Something happened to a person's session."""

    def login(self, method: str, outcome: str) -> None:
        """``logins_total{method,outcome}``: method ``form`` or ``code``."""

    def identity_truncated(self, header: str) -> None:
        """``identity_truncated_total{header}``: somebody has more roles or groups than the app can be told."""

    def throttled(self, limit: str) -> None:
        """``throttled_total{limit}``: a sign-in was refused because too many failed before."""

    def refresh(self, outcome: str) -> None:
        """``refreshes_total{outcome}``."""

    def refresh_waited(self, seconds: float) -> None:
        """``refresh_wait_seconds``: how long a request waited for a refresh."""

    def outage_served(self) -> None:
        """``outage_served_total``: a request was served although its access token is over (``outage_grace``)."""

    def logout(self, kind: str) -> None:
        """``logouts_total{kind}``."""

    def session_ended(self, cause: EndCause, count: int = 1) -> None:
        """``sessions_ended_total{cause}``."""

    def logout_propagated(self, seconds: float) -> None:
        """``logout_propagation_seconds``: how long after a session was ended this replica had let go of it.

        From ``Tombstone.ended_at``, written by the replica that ended the session, to the instant at which our cached
        copy is dropped; streams close one read of the store later. Said by a replica that held a copy and did not end
        the session itself. Clocks of two machines differ: below 0 counts as 0.
        """

    def call_context(self) -> Mapping[str, str]:
        """Return the fields by which the next call of the provider in this task names its trace; none without one."""

    def provider_call(self, operation: str, outcome: str, seconds: float) -> None:
        """``keycloak_duration_seconds{op,outcome}``."""

    def store_call(self, operation: str, seconds: float) -> None:
        """``store_duration_seconds{op}``."""

    def store_error(self) -> None:
        """``store_errors_total``."""

    def streams(self, change: int) -> None:
        """``open_streams``: +1 or -1."""

    def notice(self, message: str, **fields: str | float) -> None:
        """Say something that the operator may want to know."""

    def warning(self, message: str, **fields: str | float) -> None:
        """Say something that the operator should know; values of type Secret print ``***``."""

    def error(self, message: str, **fields: str | float) -> None:
        """Say something that the operator must mend."""


class CallerTrace(Struct, frozen=True, kw_only=True):
    """What a request brings along of a trace (W3C Trace Context §3).

    Attributes:
        traceparent, tracestate: as they were sent; None without a valid ``traceparent``.
        is_trusted: whether the trace goes on here. A stranger's is named beside a new one, and does not decide whether
            that is recorded.
        scheme: by which it came, as far as is known yet.
    """

    traceparent: str | None = None
    tracestate: str | None = None
    is_trusted: bool = False
    scheme: str = "http"


class UpstreamPlace(Struct, frozen=True):
    """Where requests are sent on to, for the trace; ``port`` is None for a unix socket."""

    name: str
    address: str
    port: int | None


class Tracing(Protocol):
    """A trace of each request, told to a collector. Never raises, never waits; ends with ``Observer.request``."""

    def begin(self, caller: CallerTrace) -> str:
        """Begin the span of a request; returns the trace context that its upstream is sent: its parent is the span of
        the call to the upstream. By it the other methods know the request.
        """

    def asked_by(self, traceparent: str, scheme: str) -> None:
        """Hear by which scheme the browser asked, as a trusted proxy says."""

    def sent_on(self, traceparent: str, place: UpstreamPlace) -> None:
        """Hear that the request goes to an upstream now; that span ends with the request."""

    def inside(self, traceparent: str) -> AbstractContextManager[None]:
        """Return a context in which calls of store and provider are this request's; tasks begun in it inherit it."""


# --- pages -----------------------------------------------------------------------------------------------------------


class Pages(Protocol):
    """Renders Sidegate's own pages; every page has the same CSP and no inline script or style."""

    def render(
        self, name: str, *, languages: Sequence[str], context: Mapping[str, object], language_url: str = ""
    ) -> bytes:
        """Return the page ``name`` (``login``, ``error``, ``forbidden``, …) as UTF-8 HTML.

        Args:
            languages: tags that the visitor reads, best first.
            language_url: the address of this very page, to which the tag of another language is appended; empty when
                the page cannot be had again, so that nobody is offered another language.
        """

    def language(self, languages: Sequence[str]) -> str:
        """Return the tag of the language in which pages are written for this visitor."""

    def speaks(self, tag: str) -> bool:
        """Say whether there are pages in exactly this language, ``tag`` in small letters."""

    def headers(self, name: str) -> Headers:
        """Return Content-Type, Content-Security-Policy and the like for the page ``name`` (contract §3)."""
