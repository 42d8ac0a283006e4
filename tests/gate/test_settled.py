"""A head that comes again is settled; who asks, and what they may do, is asked anew (``gate.settled``)."""

from __future__ import annotations

import dataclasses
import gc
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key
from proxy.gate.settled import Outgoing, Settled
from proxy.ports import Forward, Reply

if TYPE_CHECKING:
    from tests.gate.conftest import GateInHand

IDS = {"request_id", "traceparent"}
HOST = (b"Host", b"app.example.com")
ROUTES = {
    "routes": [
        {"path": "/open/**", "access": "public"},
        {"path": "/admin/**", "access": {"any_role": ["admin"]}},
        {"path": "/**", "access": "authenticated"},
    ]
}


def head(target: bytes, *fields: tuple[bytes, bytes], **changes: Any) -> RequestHead:
    values = {"method": b"GET", "target": target, "headers": (HOST, *fields), "peer": "203.0.113.7", "scheme": "https"}
    return RequestHead(**{**values, **changes})


def asked(gate: GateInHand, of: RequestHead) -> Any:
    return gate.gate.admit(of)


def key_of(cookie: tuple[bytes, bytes]) -> Any:
    return session_key(Secret(cookie[1].partition(b"=")[2].decode()))


def without_ids(forward: Forward) -> list[tuple[bytes, bytes]]:
    return [field for field in forward.headers if field[0] not in {b"X-Request-ID", b"traceparent"}]


async def test_the_same_head_again_is_sent_on_as_an_equal_one_would_be(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    cookie = await gate.signed_in("editor")
    fields = (
        (b"User-Agent", b"u"),
        (b"X-Auth-Roles", b"forged"),
        (b"Connection", b"X-Gone"),
        (b"X-Gone", b"1"),
        cookie,
    )
    again = head(b"/a?b", *fields)
    asked(gate, again)

    second, equal = asked(gate, again), asked(gate, head(b"/a?b", *fields))

    assert without_ids(second) == without_ids(equal)
    assert (second.target, second.upstream, second.cookie_value) == (equal.target, equal.upstream, equal.cookie_value)
    told = {name: getattr(second.event, name) for name in second.event.__slots__ if name not in IDS}
    assert told == {name: getattr(equal.event, name) for name in equal.event.__slots__ if name not in IDS}


async def test_each_request_of_one_head_has_ids_of_its_own(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    again = head(b"/a", await gate.signed_in())

    forwards = [asked(gate, again) for _ in range(300)]

    for name in (b"X-Request-ID", b"traceparent"):
        assert len({value for forward in forwards for key, value in forward.headers if key == name}) == 300
    for forward in forwards:
        fields = dict(forward.headers)
        assert fields[b"X-Request-ID"] == forward.event.request_id.encode()
        assert fields[b"traceparent"] == forward.event.traceparent.encode()


async def test_ids_that_a_head_may_bring_along_are_kept(make_gate: type[GateInHand]) -> None:
    gate = make_gate(server={"trusted_proxies": ["203.0.113.0/24"]}, **ROUTES)
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    fields = ((b"X-Request-ID", b"edge-1"), (b"traceparent", trace), (b"X-Forwarded-For", b"198.51.100.4"))
    again = head(b"/open/a", *fields)

    first, second, third = (asked(gate, again) for _ in range(3))

    for forward in (first, second, third):
        assert dict(forward.headers)[b"X-Request-ID"] == b"edge-1"
        assert dict(forward.headers)[b"traceparent"] == trace
        assert forward.event.address == "198.51.100.4"


async def test_a_session_that_ended_meanwhile_is_none_for_the_same_head(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    cookie = await gate.signed_in()
    again = head(b"/a", cookie)
    assert isinstance(asked(gate, again), Forward)

    await gate.store.delete(key_of(cookie), EndCause.LOGOUT)

    refused = asked(gate, again)
    assert isinstance(refused, Reply)
    assert refused.event.decision == "challenge"
    assert refused.event.subject is None


async def test_a_session_that_is_idle_too_long_is_none_for_the_same_head(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    again = head(b"/a", await gate.signed_in(idle_timeout_s=60.0))
    assert isinstance(asked(gate, again), Forward)

    gate.clock.advance(59)
    assert isinstance(asked(gate, again), Forward), "each request counts as activity"
    gate.clock.advance(59)
    assert isinstance(asked(gate, again), Forward)
    gate.clock.advance(61)

    assert isinstance(asked(gate, again), Reply)


async def test_a_role_that_was_taken_away_is_missed_for_the_same_head(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    cookie = await gate.signed_in("admin")
    value = Secret(cookie[1].partition(b"=")[2].decode())
    again = head(b"/admin/x", cookie)
    assert dict(asked(gate, again).headers)[b"X-Auth-Roles"] == b"admin"

    session = await gate.store.load(value)
    assert session is not None
    await gate.store.replace(
        value, dataclasses.replace(session, identity=replace(session.identity, roles=frozenset({"viewer"})))
    )

    refused = asked(gate, again)
    assert isinstance(refused, Reply)
    assert refused.answer.status == 403


async def test_what_another_gate_made_of_a_head_counts_for_nothing(make_gate: type[GateInHand]) -> None:
    open_gate, closed_gate = make_gate(routes=[{"path": "/**", "access": "public"}]), make_gate(**ROUTES)
    again = head(b"/a")
    assert isinstance(asked(open_gate, again), Forward)

    assert isinstance(asked(closed_gate, again), Reply)
    assert isinstance(asked(open_gate, again), Forward)


async def test_another_site_is_refused_each_time(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    again = head(b"/a", (b"Origin", b"https://evil.example"), await gate.signed_in(), method=b"POST")

    assert [asked(gate, again).answer.status for _ in range(3)] == [403, 403, 403]


async def test_a_target_that_is_refused_is_refused_each_time(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    again = head(b"/a/../b", await gate.signed_in())

    assert [asked(gate, again).answer.status for _ in range(3)] == [400, 400, 400]
    assert again.recall(gate.gate, Settled) is None


async def test_the_clients_authorization_goes_as_soon_as_a_session_brings_its_own(make_gate: type[GateInHand]) -> None:
    gate = make_gate(
        upstreams={"app": {"url": "http://127.0.0.1:8000", "access_token": True}},
        routes=[{"path": "/**", "access": "optional"}],
    )
    cookie = await gate.signed_in()
    again = head(b"/a", (b"Authorization", b"Basic Zm9v"), cookie)

    def sent() -> list[bytes]:
        return [value for name, value in asked(gate, again).headers if name == b"Authorization"]

    for _ in range(2):
        (only,) = sent()
        assert only.startswith(b"Bearer ")
    await gate.store.delete(key_of(cookie), EndCause.LOGOUT)
    for _ in range(2):
        assert sent() == [b"Basic Zm9v"]


async def test_what_hangs_on_a_head_dies_with_it_at_once(make_gate: type[GateInHand]) -> None:
    gate = make_gate(**ROUTES)
    again = head(b"/a", await gate.signed_in())
    asked(gate, again)
    settled = again.recall(gate.gate, Settled)
    assert isinstance(settled, Settled)

    seen: list[object] = [settled]
    for held in seen:
        seen += [one for one in gc.get_referents(held) if isinstance(one, (Outgoing, RequestHead, tuple, dict))][:50]

    assert any(isinstance(held, Outgoing) for held in seen)
    assert not any(held is again for held in seen), "a ring would wait for the collector"


def test_a_heads_memory_is_not_part_of_its_value() -> None:
    one, other = head(b"/a"), head(b"/a")

    one.remember(object(), object())

    assert one == other
    assert hash(one) == hash(other)
    assert "object" not in repr(one)
