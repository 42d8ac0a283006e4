"""Streams end with their session: each once, all of them, and only its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.core.session import EndCause, SessionKey
from proxy.errors import StoreFull
from proxy.sessions import live as live_module
from proxy.sessions.live import LiveStreamRegistry
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = SessionKey("a"), SessionKey("b")


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def registry(observer: RecordingObserver) -> LiveStreamRegistry:
    return LiveStreamRegistry(observer, max_streams=4)


def test_every_stream_of_the_session_is_closed_with_the_cause(registry: LiveStreamRegistry) -> None:
    closed: list[EndCause] = []
    registry.opened(A, closed.append)
    registry.opened(A, closed.append)

    assert registry.session_ended(A, EndCause.BACKCHANNEL) == 2
    assert closed == [EndCause.BACKCHANNEL, EndCause.BACKCHANNEL]
    assert len(registry) == 0


def test_the_streams_of_others_do_not_notice(registry: LiveStreamRegistry) -> None:
    closed: list[EndCause] = []
    registry.opened(B, closed.append)

    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert closed == []
    assert len(registry) == 1


def test_a_stream_is_closed_once(registry: LiveStreamRegistry) -> None:
    closed: list[EndCause] = []
    registry.opened(A, closed.append)
    registry.session_ended(A, EndCause.LOGOUT)

    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert len(closed) == 1


def test_a_stream_that_ended_by_itself_is_not_closed(registry: LiveStreamRegistry) -> None:
    closed: list[EndCause] = []
    ended = registry.opened(A, closed.append)
    ended()
    ended()

    assert len(registry) == 0
    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert closed == []
    assert registry._streams == {}


def test_hearing_of_its_end_after_it_was_closed_changes_nothing(registry: LiveStreamRegistry) -> None:
    ended = registry.opened(A, lambda _: ended())
    registry.session_ended(A, EndCause.LOGOUT)
    ended()

    assert len(registry) == 0


def test_a_stream_whose_closing_raises_does_not_keep_the_others_open(
    registry: LiveStreamRegistry, observer: RecordingObserver
) -> None:
    closed: list[EndCause] = []

    def broken(_: EndCause) -> None:
        raise RuntimeError("the transport is gone")

    for close in (broken, closed.append, broken, closed.append):
        registry.opened(A, close)

    assert registry.session_ended(A, EndCause.LOGOUT) == 4
    assert len(closed) == 2
    assert len(observer.errors) == 2
    assert len(registry) == 0


def test_a_stream_that_ends_because_another_is_closed_is_not_closed_too(registry: LiveStreamRegistry) -> None:
    closed: list[str] = []
    endings: dict[str, Callable[[], None]] = {}

    def close(name: str, other: str) -> None:
        closed.append(name)
        endings[other]()

    endings["x"] = registry.opened(A, lambda _: close("x", "y"))
    endings["y"] = registry.opened(A, lambda _: close("y", "x"))
    registry.session_ended(A, EndCause.LOGOUT)

    assert len(closed) == 1
    assert len(registry) == 0


def test_at_the_cap_a_stream_that_could_not_be_closed_is_refused(registry: LiveStreamRegistry) -> None:
    endings = [registry.opened(A, lambda _: None) for _ in range(4)]

    with pytest.raises(StoreFull):
        registry.opened(B, lambda _: None)

    endings[0]()
    registry.opened(B, lambda _: None)
    assert len(registry) == 4


async def test_a_stream_that_opens_a_moment_after_its_session_ended_is_closed(registry: LiveStreamRegistry) -> None:
    closed: list[EndCause] = []
    registry.session_ended(A, EndCause.BACKCHANNEL)

    registry.opened(A, closed.append)
    assert closed == []
    await asyncio.sleep(0)

    assert closed == [EndCause.BACKCHANNEL]
    assert len(registry) == 0


def test_what_is_remembered_of_ended_sessions_is_bounded(
    registry: LiveStreamRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "MAX_RECENTLY_ENDED", 10)
    for n in range(100):
        registry.session_ended(SessionKey(str(n)), EndCause.LOGOUT)

    assert list(registry._recently_ended) == [str(n) for n in range(90, 100)]


def test_a_thousand_streams_close_at_once(observer: RecordingObserver) -> None:
    registry = LiveStreamRegistry(observer)
    closed: list[EndCause] = []
    for _ in range(1000):
        registry.opened(A, closed.append)

    assert registry.session_ended(A, EndCause.BACKCHANNEL) == 1000
    assert len(closed) == 1000
