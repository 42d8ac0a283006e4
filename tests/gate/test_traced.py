"""A gate that traces decides as every other; a request has one context from its head to its event."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from proxy.core.policy import Allow
from proxy.errors import UpstreamUnreachable
from proxy.gate.authenticate import NOT_CACHED
from proxy.gate.traced import MAX_TRACESTATE, TracedGate
from proxy.ports import CallerTrace, Forward, OwnPage, Reply, UpstreamPlace
from tests.gate.conftest import GateInHand

if TYPE_CHECKING:
    from collections.abc import Iterator

GIVEN = (b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01")
PLACE = UpstreamPlace("app", "127.0.0.1", 8000)
TRUSTED = "10.0.0.7"


class Tracing:
    """``ports.Tracing`` (fake): numbers requests, and remembers what it was told."""

    def __init__(self) -> None:
        self.callers: list[CallerTrace] = []
        self.schemes: dict[str, str] = {}
        self.sent: dict[str, UpstreamPlace] = {}
        self.now_inside: list[str] = []

    def begin(self, caller: CallerTrace) -> str:
        self.callers.append(caller)
        return f"trace-{len(self.callers)}"

    def asked_by(self, traceparent: str, scheme: str) -> None:
        self.schemes[traceparent] = scheme

    def sent_on(self, traceparent: str, place: UpstreamPlace) -> None:
        self.sent[traceparent] = place

    @contextmanager
    def inside(self, traceparent: str) -> Iterator[None]:
        self.now_inside.append(traceparent)
        yield
        self.now_inside.pop()


class Traced(GateInHand):
    """A gate that traces."""

    def __init__(self) -> None:
        super().__init__(
            server={"trusted_proxies": ["10.0.0.0/8"]},
            routes=[
                {"path": "/open/**", "access": "public"},
                {"path": "/out", "logout": True},
                {"path": "/**", "access": "authenticated"},
            ],
            forward_auth={},
        )
        self.tracing = Tracing()
        self.gate = TracedGate(self.gate._rules, self.gate._parts, tracing=self.tracing, places={"app": PLACE})


@pytest.fixture
def traced() -> Traced:
    return Traced()


def field(forward: Forward, name: bytes) -> list[bytes]:
    return [value for key, value in tuple(forward.headers) if key.lower() == name]


async def test_the_upstream_is_sent_the_context_that_the_event_has(traced: Traced) -> None:
    forward = await traced.forwarded(b"/open/x", GIVEN)

    assert isinstance(forward.allow, Allow)
    assert field(forward, b"traceparent") == [b"trace-1"]
    assert forward.event.traceparent == "trace-1"
    assert traced.tracing.sent == {"trace-1": PLACE}


async def test_a_head_that_comes_again_has_a_context_of_its_own(traced: Traced) -> None:
    head = traced.head(b"/open/x", GIVEN)
    forwards = [traced.gate.admit(head) for _ in range(3)]

    assert all(isinstance(one, Forward) for one in forwards)
    assert [one.event.traceparent for one in forwards if isinstance(one, Forward)] == ["trace-1", "trace-2", "trace-3"]
    assert set(traced.tracing.sent) == {"trace-1", "trace-2", "trace-3"}
    assert [caller.scheme for caller in traced.tracing.callers] == ["https"] * 3


async def test_what_a_caller_brings_along_says_whether_it_is_trusted(traced: Traced) -> None:
    state = (b"tracestate", b"vendor=1")
    await traced.forwarded(b"/open/x", GIVEN, state)
    await traced.forwarded(b"/open/x", GIVEN, state, (b"X-Forwarded-Proto", b"https"), peer=TRUSTED)
    await traced.forwarded(b"/open/x", (b"traceparent", b"nonsense"), state, peer=TRUSTED)

    given = GIVEN[1].decode()
    assert traced.tracing.callers == [
        CallerTrace(traceparent=given, tracestate=None, is_trusted=False, scheme="https"),
        CallerTrace(traceparent=given, tracestate="vendor=1", is_trusted=True, scheme="https"),
        CallerTrace(scheme="https"),
    ]


async def test_what_a_stranger_says_of_a_trace_ends_with_it(traced: Traced) -> None:
    state = (b"tracestate", b"vendor=1")
    of_stranger = await traced.forwarded(b"/open/x", GIVEN, state)
    of_proxy = await traced.forwarded(b"/open/x", GIVEN, state, peer=TRUSTED)

    assert field(of_stranger, b"tracestate") == []
    assert field(of_proxy, b"tracestate") == [b"vendor=1"]


async def test_the_scheme_is_the_one_that_a_trusted_proxy_says(traced: Traced) -> None:
    await traced.forwarded(b"/open/x", (b"X-Forwarded-Proto", b"http"), peer=TRUSTED)

    assert traced.tracing.schemes == {"trace-1": "http"}


async def test_a_state_that_is_too_long_is_left_out(traced: Traced) -> None:
    await traced.forwarded(b"/open/x", GIVEN, (b"tracestate", b"x" * (MAX_TRACESTATE + 1)), peer=TRUSTED)
    await traced.forwarded(b"/open/x", GIVEN, (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), peer=TRUSTED)

    assert [caller.tracestate for caller in traced.tracing.callers] == [None, "a=1,b=2"]


async def test_the_store_is_asked_inside_of_the_request(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = await traced.signed_in()
    asked: list[tuple[str, ...]] = []
    authenticator = traced.gate._parts.authenticator
    eventually = authenticator.eventually

    async def watched(value: object) -> object:
        asked.append(tuple(traced.tracing.now_inside))
        return await eventually(value)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(authenticator, "at_once", lambda _value: NOT_CACHED)
    monkeypatch.setattr(authenticator, "eventually", watched)
    forward = await traced.forwarded(b"/x", cookie)

    assert asked == [("trace-1",)]
    assert traced.tracing.now_inside == []
    assert traced.tracing.sent == {"trace-1": PLACE}
    assert field(forward, b"traceparent") == [b"trace-1"]


async def test_own_pages_are_told_the_context_and_no_client_tells_them_another(traced: Traced) -> None:
    for target in (b"/_sidegate/login", b"/out"):
        admission = await traced.admit(
            target, GIVEN, (b"Origin", b"https://app.example.com"), method=b"POST" if target == b"/out" else b"GET"
        )
        assert isinstance(admission, OwnPage)
        named = [value for name, value in admission.headers if name.lower() == b"traceparent"]
        assert named == [admission.event.traceparent.encode()]
    assert traced.tracing.sent == {}


async def test_what_is_refused_before_any_rule_has_a_context_too(traced: Traced) -> None:
    refused = await traced.refused(b"/a/../b", GIVEN, peer=TRUSTED)

    assert refused.answer.status == 400
    assert refused.event.traceparent == "trace-1"
    assert traced.tracing.callers[0].traceparent == GIVEN[1].decode()


def test_what_could_not_be_read_has_one_of_its_own(traced: Traced) -> None:
    reply = traced.gate.fault(UpstreamUnreachable("x"), None, None)

    assert reply.event.traceparent == "trace-1"
    assert traced.tracing.callers == [CallerTrace()]


async def test_a_question_of_another_proxy_ends_the_trace_that_it_began(traced: Traced) -> None:
    asked = (
        (b"X-Forwarded-Method", b"GET"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"app.example.com"),
        (b"X-Forwarded-Uri", b"/open/x"),
    )
    admission = await traced.admit(b"/_sidegate/verify", *asked, peer=TRUSTED)

    assert isinstance(admission, Reply)
    assert admission.answer.status == 200
    assert admission.event.traceparent == "trace-1"
