"""From a cookie to a session with a usable token: laws of ``gate.authenticate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, Home, session_key, subject_hash
from proxy.errors import StoreUnavailable
from proxy.gate.authenticate import NOT_CACHED, Authenticator
from tests.gate.conftest import GateInHand
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from proxy.core.session import Session


@pytest.fixture
def gate() -> GateInHand:
    return GateInHand()


def authenticator(gate: GateInHand, **elsewhere: str) -> Authenticator:
    home = Home("", ISSUER, "legacy-app")._replace(**elsewhere)
    return Authenticator(gate.store, gate.refresher, home=home, clock=gate.clock, observer=gate.observer)


async def cookie_value(gate: GateInHand, **changes: Any) -> Secret:
    _, field = await gate.signed_in(**changes)
    return Secret(field.partition(b"=")[2].decode())


async def test_a_fresh_session_is_found_at_once(gate: GateInHand) -> None:
    value = await cookie_value(gate)

    session = authenticator(gate).at_once(value)

    assert session is not None
    assert session is not NOT_CACHED


async def test_an_unknown_cookie_is_nobody(gate: GateInHand) -> None:
    assert authenticator(gate).at_once(Secret("x" * 43)) is None
    assert await authenticator(gate).eventually(Secret("x" * 43)) is None


@pytest.mark.parametrize("elsewhere", ["portal", "issuer", "client_id"])
async def test_a_session_of_another_portal_client_or_provider_is_nobody_either_way(
    gate: GateInHand, elsewhere: str
) -> None:
    value = await cookie_value(gate)
    other = authenticator(gate, **{elsewhere: "other"})

    assert other.at_once(value) is None
    assert await other.eventually(value) is None


async def test_a_token_that_is_not_fresh_must_be_awaited(gate: GateInHand) -> None:
    value = await cookie_value(gate)
    gate.refresher.is_fresh = False

    assert authenticator(gate).at_once(value) is NOT_CACHED


async def test_what_the_refresh_brings_is_what_counts(gate: GateInHand) -> None:
    value = await cookie_value(gate)
    stored: Session | None = await gate.store.load(value)
    gate.refresher.is_fresh = False
    gate.refresher.outcome = stored

    assert await authenticator(gate).eventually(value) is stored
    assert gate.refresher.calls == ["fresh"]
    assert len(gate.observer.refresh_waits) == 1


async def test_a_store_that_is_away_is_an_error_never_nobody(gate: GateInHand) -> None:
    value = await cookie_value(gate)
    gate.store.go_away()

    assert authenticator(gate).at_once(value) is NOT_CACHED
    with pytest.raises(StoreUnavailable):
        await authenticator(gate).eventually(value)


async def test_the_owner_of_a_cookie_is_known_while_its_session_lives_and_after(gate: GateInHand) -> None:
    value = await cookie_value(gate)
    alice = subject_hash(ISSUER, "alice-id")

    assert await authenticator(gate).owner(value) == alice
    await gate.store.delete(session_key(value), EndCause.ADMIN)
    assert await authenticator(gate).owner(value) == alice
    assert await authenticator(gate).owner(Secret("x" * 43)) is None


async def test_a_session_of_another_client_is_no_owner(gate: GateInHand) -> None:
    value = await cookie_value(gate, client_id="another")

    assert await authenticator(gate).owner(value) is None
