"""Keys: which count, which are fetched again, and how often a stranger may cause that."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.errors import ProviderUnavailable, TokenRejected
from proxy.oidc.fetched import Fetched, Surroundings
from proxy.oidc.jwks import BURST, MAX_BUDGETS, MAX_KEYS, REFILL_S, FetchBudgets, KeySet, KeyStore, parse_keys
from proxy.tasks import TaskOwner
from tests.oidc.signing import jwk, sign
from tests.oidc.stepping import SteppedSleep, settle
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.clocks import FakeClock

URI = "https://sso.example.com/certs"
ALLOWED = frozenset({"RS256", "ES256"})
OLD, NEW = "RSA-2048", "RSA-2048 second"


class TestKeySets:
    """RFC 7517 §5."""

    def test_keys_that_are_not_for_us_are_passed_over(self) -> None:
        document = {
            "keys": [jwk(OLD, use="enc"), "junk", {"kty": "new"}, None, jwk("RSA-1024"), jwk("P-256"), jwk(NEW)]
        }

        found = parse_keys(document, URI, allowed=ALLOWED)

        assert [key.kid for key in found.keys] == ["P-256", NEW]

    @pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "none"}])
    def test_a_document_without_a_list_is_no_key_set(self, document: dict[str, Any]) -> None:
        with pytest.raises(ProviderUnavailable, match="holds no list of keys"):
            parse_keys(document, URI, allowed=ALLOWED)

    @pytest.mark.parametrize("keys", [[], [jwk(OLD, use="enc")], [jwk("Ed25519")]])
    def test_a_set_without_a_usable_key_says_for_which_algorithms(self, keys: list[Any]) -> None:
        with pytest.raises(ProviderUnavailable, match=r"ES256, RS256 \(keycloak\.signing_algorithms\)"):
            parse_keys({"keys": keys}, URI, allowed=ALLOWED)

    def test_only_so_many_keys_are_looked_at(self) -> None:
        document = {"keys": [jwk(OLD)] * (MAX_KEYS + 5)}

        assert len(parse_keys(document, URI, allowed=ALLOWED).keys) == MAX_KEYS


class TestBudgets:
    """A burst of five, then one in ten seconds, for each purpose and peer."""

    def test_a_burst_then_one_in_ten_seconds(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        assert [budgets.spend("p", "a") for _ in range(BURST + 1)] == [True] * BURST + [False]

        clock.advance(REFILL_S - 0.1)
        assert not budgets.spend("p", "a")
        clock.advance(0.2)
        assert [budgets.spend("p", "a"), budgets.spend("p", "a")] == [True, False]

    def test_a_long_rest_gives_no_more_than_a_burst(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        budgets.spend("p", "a")
        clock.advance(1_000_000)

        assert [budgets.spend("p", "a") for _ in range(BURST + 1)] == [True] * BURST + [False]

    def test_the_noise_of_one_is_not_the_others_loss(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        while budgets.spend("backchannel", "10.0.0.1"):
            pass

        assert budgets.spend("backchannel", "10.0.0.2")
        assert budgets.spend("id_token", "10.0.0.1")

    def test_addresses_of_one_ipv6_network_are_one_peer(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        for number in range(BURST):
            budgets.spend("p", f"2001:db8:1:2::{number:x}")

        assert not budgets.spend("p", "2001:db8:1:2:ffff::1")
        assert budgets.spend("p", "2001:db8:1:3::1")

    def test_a_crowd_is_bounded_and_shares_what_is_left(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        for number in range(MAX_BUDGETS):
            budgets.spend("p", f"peer {number}")
        assert len(budgets) == MAX_BUDGETS

        granted = sum(budgets.spend("p", f"late {number}") for number in range(100))

        assert granted == BURST
        assert len(budgets) == MAX_BUDGETS + 1

    def test_those_who_rested_make_room(self, clock: FakeClock) -> None:
        budgets = FetchBudgets(clock)
        for number in range(MAX_BUDGETS):
            budgets.spend("p", f"peer {number}")
        clock.advance(REFILL_S + 1)

        assert [budgets.spend("p", "late") for _ in range(BURST)] == [True] * BURST
        assert len(budgets) == 1


class Provider:
    """A provider that publishes the keys of these names; a text instead is what is wrong with it."""

    def __init__(self, *names: str) -> None:
        self.entries: list[dict[str, Any]] = [jwk(name) for name in names]
        self.trouble: str | None = None
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def publish(self, *entries: dict[str, Any]) -> None:
        self.entries = list(entries)

    async def fetch(self) -> KeySet:
        self.fetches += 1
        # The answer is what was published when the question arrived.
        answer, trouble = self.entries, self.trouble
        await self.gate.wait()
        if trouble is not None:
            raise ProviderUnavailable(trouble)
        return parse_keys({"keys": answer}, URI, allowed=ALLOWED)


class Bench:
    """A key store over a provider in the hand of the test."""

    def __init__(self, clock: FakeClock, tasks: TaskOwner) -> None:
        self.provider = Provider(OLD)
        around = Surroundings(clock=clock, observer=RecordingObserver(), tasks=tasks, sleep=SteppedSleep())
        self.tasks = tasks
        self.keys = Fetched("keys", self.provider.fetch, every_s=300.0, surroundings=around)
        self.store = KeyStore(self.keys, FetchBudgets(clock), allowed=ALLOWED)

    async def reason_of(self, compact: str, *, purpose: str = "backchannel", peer: str = "10.0.0.1") -> str:
        with pytest.raises(TokenRejected) as refused:
            await self.store.verify(compact, purpose=purpose, peer=peer)
        return refused.value.reason


@pytest_asyncio.fixture
async def bench(clock: FakeClock) -> AsyncIterator[Bench]:
    faults: list[BaseException] = []
    tasks = TaskOwner(faults.append)
    made = Bench(clock, tasks)
    await made.keys.fetch()
    made.provider.fetches = 0
    yield made
    await tasks.close()


async def test_a_known_key_needs_no_fetch(bench: Bench) -> None:
    found = await bench.store.verify(sign({"sub": "1"}), purpose="id_token")

    assert found.payload == {"sub": "1"}
    assert bench.provider.fetches == 0


async def test_what_verifies_is_waited_for_before_a_token_is_judged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        raise ImportError

    monkeypatch.setattr("proxy.oidc.jwks.import_algorithms", fails)

    with pytest.raises(ImportError):
        await bench.store.verify(sign({"sub": "1"}, key=OLD), purpose="login")


async def test_a_broken_key_that_was_mended_is_fetched_at_its_first_token(bench: Bench) -> None:
    mended = jwk("P-256")
    bench.provider.publish(jwk(OLD), {**mended, "y": mended["x"]})
    await bench.keys.fetch()
    bench.provider.publish(jwk(OLD), mended)

    found = await bench.store.verify(sign({"sub": "1"}, key="P-256", algorithm="ES256"), purpose="login")

    assert found.payload == {"sub": "1"}


async def test_a_set_of_broken_keys_does_not_take_the_place_of_good_ones(bench: Bench) -> None:
    bench.provider.publish(jwk(OLD, e="BA"), jwk("P-256", y="AA"))
    with pytest.raises(ProviderUnavailable, match="holds no key"):
        await bench.keys.fetch()

    assert (await bench.store.verify(sign({"sub": "1"}), purpose="login")).payload == {"sub": "1"}


async def test_a_rotated_key_is_fetched_at_its_first_token(bench: Bench) -> None:
    bench.provider.publish(jwk(NEW), jwk(OLD))

    found = await bench.store.verify(sign({"sub": "1"}, key=NEW), purpose="id_token")

    assert found.payload == {"sub": "1"}
    assert bench.provider.fetches == 1


async def test_a_flood_of_invented_kids_stops_at_the_budget(bench: Bench) -> None:
    reasons = [await bench.reason_of(sign({}, kid=f"invented {number}")) for number in range(50)]

    assert reasons == ["unknown_key"] * 50
    assert bench.provider.fetches == BURST


async def test_the_real_one_gets_through_in_the_middle_of_a_flood(bench: Bench) -> None:
    for number in range(50):
        await bench.reason_of(sign({}, kid=f"invented {number}"), peer="203.0.113.9")
    bench.provider.publish(jwk(NEW))

    found = await bench.store.verify(sign({"sid": "s"}, key=NEW), purpose="backchannel", peer="10.0.0.7")

    assert found.payload == {"sid": "s"}


async def test_the_budget_comes_back_with_time(bench: Bench, clock: FakeClock) -> None:
    for number in range(BURST + 1):
        await bench.reason_of(sign({}, kid=f"invented {number}"))
    clock.advance(REFILL_S + 0.1)
    bench.provider.publish(jwk(NEW))

    assert (await bench.store.verify(sign({"a": 1}, key=NEW), purpose="backchannel", peer="10.0.0.1")).payload == {
        "a": 1
    }


async def test_a_wrong_signature_under_a_known_kid_fetches_nothing(bench: Bench) -> None:
    assert await bench.reason_of(sign({}, key=NEW, kid=OLD)) == "wrong_signature"
    assert bench.provider.fetches == 0


async def test_what_is_no_jws_fetches_nothing(bench: Bench) -> None:
    assert await bench.reason_of("opaque") == "malformed"
    assert await bench.reason_of(sign({}, algorithm="RS512", kid="new")) == "algorithm_not_allowed"
    assert bench.provider.fetches == 0


async def test_without_a_kid_every_key_of_the_type_is_tried(bench: Bench) -> None:
    bench.provider.publish(jwk("P-256"), jwk(OLD), jwk(NEW))
    await bench.keys.fetch()

    found = await bench.store.verify(sign({"sub": "1"}, key=NEW, kid=None), purpose="id_token")

    assert found.payload == {"sub": "1"}


async def test_without_a_kid_a_rotated_key_is_fetched_too(bench: Bench) -> None:
    bench.provider.publish(jwk(NEW, kid=None))

    found = await bench.store.verify(sign({"sub": "1"}, key=NEW, kid=None), purpose="id_token")

    assert (found.payload, bench.provider.fetches) == ({"sub": "1"}, 1)


async def test_without_a_kid_a_forged_token_is_refused_within_the_budget(bench: Bench) -> None:
    for _ in range(20):
        assert await bench.reason_of(sign({}, key=NEW, kid=None)) in {"wrong_signature", "unknown_key"}

    assert bench.provider.fetches == BURST


async def test_an_unknown_kid_while_the_provider_is_away_is_no_refusal_of_the_token(bench: Bench) -> None:
    bench.provider.trouble = "it answers 503"

    with pytest.raises(ProviderUnavailable, match="it answers 503"):
        await bench.store.verify(sign({}, key=NEW), purpose="backchannel", peer="10.0.0.1")


async def test_many_tokens_of_a_new_key_cause_one_fetch(bench: Bench) -> None:
    bench.provider.publish(jwk(NEW))
    bench.provider.gate.clear()
    waiting = [
        bench.tasks.start(bench.store.verify(sign({"n": n}, key=NEW), purpose="backchannel", peer=f"10.0.0.{n}"))
        for n in range(20)
    ]
    await settle()
    bench.provider.gate.set()

    assert [(await task).payload["n"] for task in waiting] == list(range(20))
    assert bench.provider.fetches == 1


async def test_a_fetch_that_began_before_the_key_was_published_is_not_the_last_word(bench: Bench) -> None:
    bench.provider.gate.clear()
    early = bench.tasks.start(bench.keys.fetch())
    await settle()
    bench.provider.publish(jwk(NEW))
    waiting = bench.tasks.start(bench.store.verify(sign({"a": 1}, key=NEW), purpose="id_token"))
    await settle()
    bench.provider.gate.set()

    assert (await waiting).payload == {"a": 1}
    assert (await early).keys[0].kid == OLD
    assert bench.provider.fetches == 2


async def test_before_the_first_keys_nothing_is_refused_and_nothing_passes(clock: FakeClock) -> None:
    tasks = TaskOwner(lambda _fault: None)
    bench = Bench(clock, tasks)
    bench.provider.trouble = "it answers 503"

    for _ in range(BURST + 2):
        with pytest.raises(ProviderUnavailable):
            await bench.store.verify(sign({}), purpose="id_token")

    assert bench.provider.fetches == BURST
    await tasks.close()


def test_a_key_set_is_read_without_what_verifies() -> None:
    """Until somebody signs in, a gate has no use for it: 9 MiB, and a tenth of a second before it is ready."""
    script = (
        "import json, sys; from proxy.oidc.jwks import parse_keys;"
        "parse_keys(json.load(sys.stdin), 'https://idp/keys', allowed={'RS256'});"
        "print(sorted({'jwt', 'cryptography'} & set(sys.modules)))"
    )

    read = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps({"keys": [jwk("RSA-2048")]}), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert read.stdout == "[]\n"
