"""What the gate answers to somebody who must prove more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.ports import Forward
from tests.gate.conftest import HTML, header
from tests.support.clocks import START

if TYPE_CHECKING:
    from tests.gate.conftest import GateInHand

ROUTES = [
    {"path": "/gold/**", "access": {"acr": "gold", "any_role": ["clerk"]}},
    {"path": "/fresh/**", "access": {"max_age": "5m"}},
    {"path": "/api/**", "access": {"acr": "gold"}, "on_unauthenticated": 401},
]


@pytest.fixture
def gate(make_gate: type[GateInHand]) -> GateInHand:
    return make_gate(routes=ROUTES)


async def test_a_navigation_is_led_to_the_provider_and_back(gate: GateInHand) -> None:
    cookie = await gate.signed_in("clerk", acr="silver")

    reply = await gate.refused(b"/gold/bars?of=1", cookie, HTML)

    assert reply.answer.status == 302
    expected = b"/_sidegate/start?return_to=/gold/bars%3Fof%3D1&acr_values=gold"
    assert header(reply, b"location") == expected
    assert (reply.event.decision, reply.event.reason) == ("step_up", "acr_insufficient")


@pytest.mark.parametrize("headers", [(), ((b"Accept", b"application/json"),), ((b"Sec-Fetch-Mode", b"cors"), HTML)])
async def test_a_program_is_told(gate: GateInHand, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    cookie = await gate.signed_in("clerk", acr="silver")

    reply = await gate.refused(b"/gold/bars", cookie, *headers)

    assert reply.answer.status == 401
    assert b'acr_values="gold"' in (header(reply, b"www-authenticate") or b"")


async def test_where_the_route_says_401_nobody_is_led_anywhere(gate: GateInHand) -> None:
    reply = await gate.refused(b"/api/x", await gate.signed_in("clerk"), HTML)

    assert reply.answer.status == 401
    assert header(reply, b"location") is None


async def test_who_lacks_the_role_is_forbidden_whatever_they_prove(gate: GateInHand) -> None:
    for acr in ("silver", "gold"):
        reply = await gate.refused(b"/gold/bars", await gate.signed_in("viewer", acr=acr), HTML)
        assert reply.answer.status == 403


async def test_an_old_proof_turns_out_old_by_the_passing_of_time_alone(gate: GateInHand) -> None:
    cookie = await gate.signed_in(authenticated_at=START)
    assert isinstance(await gate.admit(b"/fresh/x", cookie, HTML), Forward)

    gate.clock.advance(301)
    reply = await gate.refused(b"/fresh/x", cookie, HTML)

    assert header(reply, b"location") == b"/_sidegate/start?return_to=/fresh/x&max_age=300"
    assert reply.event.reason == "authentication_too_old"


async def test_a_stranger_signs_in_first(gate: GateInHand) -> None:
    reply = await gate.refused(b"/gold/bars", HTML)

    assert header(reply, b"location") == b"/_sidegate/login?return_to=/gold/bars"
