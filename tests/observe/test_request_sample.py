"""Of requests that went well so many lines are written and no more; nothing that somebody may look for is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.observe.log import LogFormat, LogLevel
from proxy.observe.observer import ProductionObserver
from proxy.observe.request_sample import LEFT_OUT, LineRate, SampledLog, went_well
from tests.support.clocks import FakeClock
from tests.support.events import make_event


class Sampled:
    """A log of two lines in ten seconds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.written: list[bytes] = []
        self.log = SampledLog(
            self.written.append,
            clock=self.clock,
            level=LogLevel.INFO,
            line_format=LogFormat.JSON,
            rate=LineRate(2, 10.0),
        )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written]

    def paths(self) -> list[str]:
        return [line["path"] for line in self.lines() if line["kind"] == "request"]


@pytest.fixture
def sampled() -> Sampled:
    return Sampled()


def test_of_one_window_the_first_lines_are_written(sampled: Sampled) -> None:
    for n in range(5):
        sampled.log.request(make_event(path=f"/{n}"))

    assert sampled.paths() == ["/0", "/1"]
    assert sampled.log.left_out == 3


def test_the_next_window_begins_anew_and_says_how_many_the_last_left_out(sampled: Sampled) -> None:
    for n in range(5):
        sampled.log.request(make_event(path=f"/{n}"))
    sampled.clock.advance(10.0)
    for n in range(5, 7):
        sampled.log.request(make_event(path=f"/{n}"))

    assert sampled.paths() == ["/0", "/1", "/5", "/6"]
    (told,) = [line for line in sampled.lines() if line["kind"] == "message"]
    assert (told["event"], told["count"], told["written_at_most"]) == (LEFT_OUT, 3, 2)
    assert sampled.log.left_out == 3


def test_a_window_that_left_nothing_out_says_nothing(sampled: Sampled) -> None:
    sampled.log.request(make_event())
    sampled.clock.advance(10.0)
    sampled.log.request(make_event())
    sampled.log.close()

    assert [line["kind"] for line in sampled.lines()] == ["request", "request"]


@pytest.mark.parametrize(
    "kept",
    [
        {"status": 302},
        {"status": 304},
        {"status": 101},
        {"status": 403, "decision": "forbid"},
        {"status": 404},
        {"status": 502, "fault": "upstream_unreachable"},
        {"status": 200, "fault": "client_gone"},
        {"status": 200, "decision": "challenge"},
        {"status": 499},
    ],
    ids=str,
)
def test_what_somebody_may_look_for_is_always_written(sampled: Sampled, kept: dict[str, Any]) -> None:
    event = make_event(**kept)
    for _ in range(5):
        sampled.log.request(event)

    assert not went_well(event)
    assert len(sampled.paths()) == 5
    assert sampled.log.left_out == 0


def test_audit_events_and_messages_are_always_written(sampled: Sampled) -> None:
    for _ in range(5):
        sampled.log.audit("access.denied", {})
        sampled.log.say(LogLevel.INFO, "something", {})

    assert len(sampled.lines()) == 10


def test_what_was_left_out_last_is_said_at_the_end() -> None:
    batches: list[bytes] = []
    observer = ProductionObserver(batches.append, clock=FakeClock(), sample=LineRate(0, 1.0))
    for _ in range(4):
        observer.request(make_event())
    observer.close()

    (line,) = [json.loads(line) for line in b"".join(batches).splitlines()]
    assert (line["event"], line["count"]) == (LEFT_OUT, 4)
    assert b"sidegate_log_lines_left_out_total 4.0" in observer.exposition()[0]
    assert b'status="200"} 4.0' in observer.exposition()[0]
