"""The stage of ``explain``: nobody is on it before they are put there, and no time passes."""

from __future__ import annotations

from proxy.core.request import RequestHead
from proxy.explain.stage import Stage
from proxy.ports import Reply
from tests.explain.conftest import ROUTES, settings_with


def head(path: bytes) -> RequestHead:
    return RequestHead(
        method=b"GET", target=path, headers=((b"Host", b"app.example.com"),), peer="192.0.2.1", scheme="https"
    )


def test_whoever_comes_is_a_stranger() -> None:
    stage = Stage(settings_with(routes=ROUTES))

    answered = stage.gate.admit(head(b"/x"))
    assert isinstance(answered, Reply)
    assert answered.event.decision == "challenge"


def test_the_clock_stands_still() -> None:
    clock = Stage(settings_with(routes=ROUTES)).clock

    assert (clock.now(), clock.monotonic()) == (clock.now(), clock.monotonic())
