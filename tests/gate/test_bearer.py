"""Bearer tokens: verified once with real signatures, then known by their hash; refused when their login has ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.identity import IdentityRules
from proxy.core.login import Login
from proxy.core.secret import Secret
from proxy.core.session import NEVER, BySid, BySubject, EndedMark, EverySessionOf
from proxy.errors import ClientMisconfigured, Draining, ProviderUnavailable, StoreUnavailable, TokenRejected
from proxy.gate import bearer as room
from proxy.gate.bearer import (
    INACTIVE_FOR_S,
    INTROSPECTED_FOR_S,
    MAX_INACTIVE,
    VERIFIED_FOR_S,
    BearerParts,
    BearerRules,
    VerifiedBearers,
)
from proxy.ports import NotCached, ProviderMetadata, VerifiedJws
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.tasks import TaskOwner
from tests.oidc.key_stores import key_store
from tests.oidc.signing import encoded, jwk, sign
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

NOT_CACHED = NotCached.NOT_CACHED
PEER = "203.0.113.7"
CLAIMS = {
    "iss": ISSUER,
    "aud": ["legacy-app", "account"],
    "sub": "alice-id",
    "typ": "Bearer",
    "azp": "mobile-app",
    "sid": "s-1",
    "jti": "onrtro:1",
    "preferred_username": "alice",
    "realm_access": {"roles": ["viewer"]},
    "groups": ["/staff"],
    "acr": "1",
}


@dataclass
class Issuer:
    """The part of ``ports.Provider`` that verifies and introspects; the keys and the signatures are real.

    Attributes:
        answers: of introspection, by token; what is not there is not active.
    """

    clock: FakeClock
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk("RSA-2048"), jwk("RSA-2048 enc", use="enc")])
    answers: dict[str, Mapping[str, object] | Exception] = field(default_factory=dict)
    introspection_endpoint: str | None = "https://sso.example.com/introspect"
    asked: list[str] = field(default_factory=list)
    verified: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self._store = key_store(self.clock, self.keys)

    async def verify(self, compact: str, *, purpose: str, peer: str = "") -> VerifiedJws:
        self.verified.append((purpose, peer))
        if self.away:
            raise ProviderUnavailable("no key can be had")
        return await self._store.verify(compact, purpose=purpose, peer=peer)

    async def introspect(self, token: Secret) -> Mapping[str, object] | None:
        self.asked.append(token.reveal())
        await asyncio.sleep(0)
        answer = self.answers.get(token.reveal())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def metadata(self) -> ProviderMetadata:
        return ProviderMetadata(
            issuer=ISSUER,
            authorization_endpoint="",
            token_endpoint="",
            jwks_uri="",
            introspection_endpoint=self.introspection_endpoint,
        )


class House:
    """Verified bearers among their parts."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.issuer = Issuer(self.clock)
        live = LiveStreamRegistry(self.observer)
        self.store = FailingSessionStore(
            MemorySessionStore(self.clock, live=live, observer=self.observer, limits=MemoryLimits())
        )
        rules = BearerRules(identity=IdentityRules(issuer=ISSUER, client_id="legacy-app"), audiences=frozenset({"api"}))
        parts = BearerParts(
            provider=self.issuer,  # type: ignore[arg-type]
            store=self.store,
            clock=self.clock,
            observer=self.observer,
        )
        self.bearers = VerifiedBearers(rules, parts)

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> Secret:
        """A token that was issued now for five minutes; a claim of the value None is left out."""
        now = self.clock.now()
        payload = {**CLAIMS, "iat": now, "exp": now + 300, **claims}
        return Secret(sign({name: value for name, value in payload.items() if value is not None}, **(header or {})))

    async def reason(self, token: Secret) -> str:
        with pytest.raises(TokenRejected) as refused:
            await self.bearers.verified(token, peer=PEER)
        assert self.bearers.at_once(token) is NOT_CACHED
        return refused.value.reason

    async def ends(self, what: Any, *, ended_at: float = START) -> None:
        await self.store.mark_ended(EndedMark(what, ended_at=ended_at, keep_until=START + 86_400))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.bearers.close()
    assert made.observer.errors == []


# --- who it is -------------------------------------------------------------------------------------------------------


async def test_a_token_says_who_shows_it_with_roles_and_groups(house: House) -> None:
    token = house.token(auth_time=START - 60)

    bearer = await house.bearers.verified(token, peer=PEER)

    assert (bearer.client_id, bearer.sid, bearer.acr) == ("legacy-app", "s-1", "1")
    assert (bearer.identity.issuer, bearer.identity.subject, bearer.identity.username) == (ISSUER, "alice-id", "alice")
    assert (bearer.identity.roles, bearer.identity.groups) == ({"viewer"}, {"/staff"})
    assert (bearer.issued_at, bearer.authenticated_at, bearer.expires_at) == (START, START - 60, START + 300)
    assert (bearer.access_token, bearer.token_hash) == (token, token.sha256())
    assert house.issuer.verified == [("bearer", PEER)]


async def test_nobody_knows_when_somebody_was_asked_for_proof_if_the_token_does_not_say(house: House) -> None:
    assert (await house.bearers.verified(house.token(), peer=PEER)).authenticated_at == NEVER


async def test_a_service_has_no_login_and_passes_all_the_same(house: House) -> None:
    bearer = await house.bearers.verified(house.token(sid=None, sub="service-id"), peer=PEER)

    assert (bearer.sid, bearer.identity.subject) == (None, "service-id")


async def test_a_further_audience_of_the_file_will_do(house: House) -> None:
    bearer = await house.bearers.verified(house.token(aud="api"), peer=PEER)

    assert (bearer.client_id, bearer.audience) == ("legacy-app", ("api",))
    assert house.bearers.would_take(bearer)
    assert not house.bearers.would_take(replace(bearer, audience=("billing",)))


# --- once, then by its hash ------------------------------------------------------------------------------------------


async def test_a_token_is_verified_once_and_then_known_until_exp(house: House) -> None:
    token = house.token(exp=START + VERIFIED_FOR_S - 100)  # else it would be verified anew at exp for its age
    assert house.bearers.at_once(token) is NOT_CACHED
    bearer = await house.bearers.verified(token, peer=PEER)

    house.clock.advance(VERIFIED_FOR_S - 101)
    assert house.bearers.at_once(Secret(token.reveal())) is bearer
    house.clock.advance(1)
    assert house.bearers.at_once(token) is NOT_CACHED
    assert await house.reason(token) == "expired"


async def test_a_token_of_many_hours_has_its_signature_looked_at_again_and_again(house: House) -> None:
    token = house.token(exp=START + 36_000)
    await house.bearers.verified(token, peer=PEER)

    house.clock.advance(VERIFIED_FOR_S)

    assert house.bearers.at_once(token) is NOT_CACHED
    await house.bearers.verified(token, peer=PEER)
    assert house.bearers.at_once(token) is not NOT_CACHED


async def test_many_who_show_a_new_token_at_once_cause_one_verification(house: House) -> None:
    token = house.token(sub=None)
    house.issuer.answers[token.reveal()] = {"sub": "alice-id"}

    found = await asyncio.gather(*(house.bearers.verified(token, peer=PEER) for _ in range(20)))

    assert len({id(bearer) for bearer in found}) == 1
    assert len(house.issuer.asked) == len(house.issuer.verified) == 1


async def test_one_who_hangs_up_takes_nobody_along(house: House) -> None:
    token = house.token(sub=None)
    house.issuer.answers[token.reveal()] = {"sub": "alice-id"}
    tasks = TaskOwner(lambda fault: pytest.fail(repr(fault)))
    first = tasks.start(house.bearers.verified(token, peer=PEER))
    second = tasks.start(house.bearers.verified(token, peer=PEER))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).identity.subject == "alice-id"


async def test_where_nobody_tells_of_logouts_the_store_alone_is_asked_again(house: House) -> None:
    class Doubtful:
        def holds(self) -> bool:
            return False

    asked: list[Login] = []

    async def standing(login: Login) -> Doubtful | None:
        asked.append(login)
        return Doubtful() if len(asked) < 3 else None

    house.store.standing = standing  # type: ignore[method-assign]
    token = house.token(sub=None)
    house.issuer.answers[token.reveal()] = {"sub": "alice-id"}
    for _ in range(2):
        assert house.bearers.at_once(token) is NOT_CACHED
        assert (await house.bearers.verified(token, peer=PEER)).identity.subject == "alice-id"

    assert await house.reason(token) == "ended"
    assert asked == [Login(ISSUER, "legacy-app", "s-1", "alice-id", START)] * 3
    assert len(house.issuer.asked) == len(house.issuer.verified) == 1


async def test_what_is_under_way_when_the_site_closes_is_tried_again_elsewhere(house: House) -> None:
    token = house.token(sub=None)
    tasks = TaskOwner(lambda fault: None)
    waiting = tasks.start(house.bearers.verified(token, peer=PEER))
    await asyncio.sleep(0)

    await house.bearers.close()

    with pytest.raises(Draining):
        await waiting


async def test_the_number_and_the_bytes_of_known_tokens_are_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_KNOWN", 3)
    tokens = [house.token(jti=str(number)) for number in range(4)]
    for token in tokens[:3]:
        await house.bearers.verified(token, peer=PEER)
    house.bearers.at_once(tokens[0])

    await house.bearers.verified(tokens[3], peer=PEER)
    known = [house.bearers.at_once(token) is not NOT_CACHED for token in tokens]
    assert known == [True, False, True, True]  # the least recently used went

    monkeypatch.setattr(room, "MAX_KNOWN_BYTES", 5 * len(tokens[0].reveal()))
    await house.bearers.verified(tokens[1], peer=PEER)
    assert len(house.bearers) == 1


async def test_what_does_not_count_is_kept_nowhere(house: House) -> None:
    for number in range(50):
        assert await house.reason(Secret(house.token(jti=str(number)).reveal()[:-8] + "AAAAAAAA")) == "wrong_signature"

    assert len(house.bearers) == 0
    assert house.bearers._flights == {}  # a memory that nothing else shows


# --- what is no such token -------------------------------------------------------------------------------------------


def _swapped(token: Secret, **header: Any) -> Secret:
    first, rest = token.reveal().split(".", 1)
    assert first
    return Secret(f"{encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'RSA-2048', **header})}.{rest}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("opaque-token-0123456789", "malformed"),
        ("a.b.c", "malformed"),
        ("a.b.c.d.e", "malformed"),
        ("..", "malformed"),
        ("A" * 70_000, "too_large"),
        (".".join(["e30"] * 3), "algorithm_not_allowed"),
    ],
)
async def test_what_is_no_signed_token_is_refused(house: House, text: str, reason: str) -> None:
    assert await house.reason(Secret(text)) == reason
    assert house.issuer.asked == []


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "algorithm_not_allowed"),
        ({"alg": "HS256"}, "algorithm_not_allowed"),
        ({"alg": "RS512"}, "algorithm_not_allowed"),
        ({"crit": ["exp"]}, "critical_header"),
        ({"b64": False}, "malformed"),
        ({"kid": ["a"]}, "malformed"),
        ({"kid": "unknown"}, "unknown_key"),
        ({"kid": "RSA-2048 enc"}, "unknown_key"),
        ({"jwk": jwk("RSA-2048 thief"), "kid": "RSA-2048 thief"}, "unknown_key"),
        ({"jku": "https://evil.example/keys", "kid": "evil"}, "unknown_key"),
        ({"zip": "DEF"}, "wrong_signature"),
    ],
)
async def test_a_header_that_was_changed_is_refused(house: House, header: dict[str, Any], reason: str) -> None:
    assert await house.reason(_swapped(house.token(), **header)) == reason


@pytest.mark.parametrize(
    "member",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
        {"jwk": jwk("RSA-2048 thief")},
        {"x5c": ["MIIB"]},
    ],
)
async def test_keys_that_a_header_names_are_never_looked_at(house: House, member: dict[str, Any]) -> None:
    thief = {**member, "kid": "RSA-2048"}
    assert await house.reason(house.token(header={"key": "RSA-2048 thief", **thief})) == "wrong_signature"
    assert (await house.bearers.verified(house.token(header=member), peer=PEER)).sid == "s-1"


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'"nested"',
        sign({"sub": "inner"}).encode(),
        b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15",
        b'{"sub":"alice-id","sub":"admin-id"}',
        b'{"aud":"legacy-app","exp":NaN}',
        b'{"sub":"a\x00b"}',
        b"[" * 5000 + b"]" * 5000,
    ],
    ids=["list", "string", "nested", "compressed", "twice", "nan", "nul", "deep"],
)
async def test_a_payload_that_can_be_read_in_two_ways_or_none_is_refused(house: House, payload: bytes) -> None:
    assert await house.reason(Secret(sign(payload))) == "malformed"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"typ": "ID", "aud": "legacy-app", "at_hash": "x"}, "wrong_type"),
        ({"typ": "Refresh", "aud": ISSUER}, "wrong_type"),
        ({"typ": "Offline", "exp": None}, "wrong_type"),
        ({"typ": "Logout", "events": {}}, "wrong_type"),
        ({"nonce": "n"}, "unexpected_nonce"),
        ({"at_hash": "h"}, "unexpected_at_hash"),
        ({"aud": "other-app", "azp": "legacy-app"}, "wrong_audience"),
        ({"iss": "https://sso.example.com/realms/other"}, "wrong_issuer"),
        ({"exp": START}, "expired"),
        ({"cnf": {"jkt": "x"}}, "bound_to_key"),
    ],
)
async def test_a_signed_token_of_another_kind_or_for_others_is_refused(
    house: House, claims: dict[str, Any], reason: str
) -> None:
    assert await house.reason(house.token(**claims)) == reason


async def test_invented_key_ids_of_one_peer_do_not_use_up_what_others_may_ask(house: House) -> None:
    for number in range(50):
        assert await house.reason(_swapped(house.token(), kid=f"invented-{number}")) == "unknown_key"

    assert (await house.bearers.verified(house.token(), peer="198.51.100.1")).sid == "s-1"


# --- what has ended stays ended --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what", [BySid(ISSUER, "s-1"), BySubject(ISSUER, "alice-id"), EverySessionOf(ISSUER, "legacy-app")]
)
async def test_a_token_whose_login_ended_is_refused_at_once_known_or_not(house: House, what: Any) -> None:
    known, new = house.token(), house.token(jti="new")
    await house.bearers.verified(known, peer=PEER)

    await house.ends(what)

    assert house.bearers.at_once(known) is NOT_CACHED
    assert await house.reason(known) == "ended"
    assert await house.reason(new) == "ended"


async def test_a_token_issued_after_the_logout_of_its_person_counts(house: House) -> None:
    await house.ends(BySubject(ISSUER, "alice-id"))
    await house.ends(EverySessionOf(ISSUER, "legacy-app"))
    house.clock.advance(1)

    assert (await house.bearers.verified(house.token(sid="s-2"), peer=PEER)).sid == "s-2"


async def test_the_logout_of_somebody_else_costs_a_known_token_nothing(house: House) -> None:
    token = house.token()
    bearer = await house.bearers.verified(token, peer=PEER)

    await house.ends(BySid(ISSUER, "another"))

    assert house.bearers.at_once(token) is bearer


async def test_a_store_that_is_away_is_a_fault_and_never_a_pass(house: House) -> None:
    house.store.go_away()

    with pytest.raises(StoreUnavailable):
        await house.bearers.verified(house.token(), peer=PEER)


async def test_a_provider_that_is_away_is_a_fault(house: House) -> None:
    house.issuer.away = True

    with pytest.raises(ProviderUnavailable):
        await house.bearers.verified(house.token(), peer=PEER)


# --- lightweight tokens ----------------------------------------------------------------------------------------------

LIGHT = dict.fromkeys(("sub", "aud", "preferred_username", "realm_access", "groups", "acr"))


async def test_a_lightweight_token_is_what_the_provider_says_it_is(house: House) -> None:
    token = house.token(**LIGHT)
    house.issuer.answers[token.reveal()] = {**CLAIMS, "client_id": "mobile-app", "token_type": "Bearer"}

    bearer = await house.bearers.verified(token, peer=PEER)

    assert (bearer.identity.subject, bearer.identity.roles, bearer.sid) == ("alice-id", {"viewer"}, "s-1")
    assert house.bearers.at_once(token) is bearer


async def test_the_providers_word_about_it_is_believed_for_some_seconds(house: House) -> None:
    token = house.token(**LIGHT)
    house.issuer.answers[token.reveal()] = CLAIMS
    await house.bearers.verified(token, peer=PEER)
    house.clock.advance(INTROSPECTED_FOR_S)
    del house.issuer.answers[token.reveal()]

    assert house.bearers.at_once(token) is NOT_CACHED
    assert await house.reason(token) == "not_active"


async def test_a_lightweight_token_that_is_not_active_is_asked_about_once_in_some_seconds(house: House) -> None:
    token = house.token(**LIGHT)
    for _ in range(5):
        assert await house.reason(token) == "not_active"
    assert len(house.issuer.asked) == 1

    house.clock.advance(INACTIVE_FOR_S)
    house.issuer.answers[token.reveal()] = CLAIMS

    assert (await house.bearers.verified(token, peer=PEER)).identity.subject == "alice-id"


async def test_what_is_remembered_of_inactive_tokens_is_bounded(house: House) -> None:
    for number in range(MAX_INACTIVE + 10):
        house.bearers._inactive[str(number)] = house.clock.monotonic() + 5

    assert await house.reason(house.token(**LIGHT)) == "not_active"

    assert len(house.bearers._inactive) == MAX_INACTIVE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({**CLAIMS, "aud": "other-app"}, "wrong_audience"),
        ({**CLAIMS, "sid": "another"}, "contradicted"),
        ({**CLAIMS, "jti": "another"}, "contradicted"),
        ({"active": True}, "missing_sub"),
        ({**CLAIMS, "cnf": {"jkt": "x"}}, "bound_to_key"),
    ],
)
async def test_an_answer_is_judged_like_a_token(house: House, answer: dict[str, Any], reason: str) -> None:
    token = house.token(**LIGHT)
    house.issuer.answers[token.reveal()] = answer

    assert await house.reason(token) == reason


@pytest.mark.parametrize("claims", [{"typ": "Refresh"}, {"typ": "ID"}, {"exp": START}, {"iss": "https://other"}])
async def test_what_is_no_live_access_token_is_not_asked_about(house: House, claims: dict[str, Any]) -> None:
    await house.reason(house.token(**{**LIGHT, **claims}))

    assert house.issuer.asked == []


async def test_where_nobody_can_be_asked_a_lightweight_token_is_refused(house: House) -> None:
    house.issuer.introspection_endpoint = None

    assert await house.reason(house.token(**LIGHT)) == "unclear"


@pytest.mark.parametrize("fault", [ProviderUnavailable("away"), ClientMisconfigured("not this client")])
async def test_a_question_that_nobody_answers_is_a_fault(house: House, fault: Exception) -> None:
    token = house.token(**LIGHT)
    house.issuer.answers[token.reveal()] = fault

    with pytest.raises(type(fault)):
        await house.bearers.verified(token, peer=PEER)


async def test_a_lightweight_token_of_an_ended_login_is_refused_although_it_is_believed(house: House) -> None:
    token = house.token(**LIGHT)
    house.issuer.answers[token.reveal()] = CLAIMS
    await house.bearers.verified(token, peer=PEER)

    await house.ends(BySid(ISSUER, "s-1"))

    assert house.bearers.at_once(token) is NOT_CACHED
    assert await house.reason(token) == "ended"
