"""Lines are written by another thread, in order, bounded, and whatever the sink does nobody waits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from proxy.observe import line_writer as module
from proxy.observe.line_writer import LineWriter

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sink:
    """Take batches; can be blocked, and can break."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.threads: set[str] = set()
        self.is_broken = False
        self.entered = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def __call__(self, batch: bytes) -> None:
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.go.wait(5)
        if self.is_broken:
            raise OSError("no space left")
        self.batches.append(batch)

    @property
    def text(self) -> bytes:
        return b"".join(self.batches)


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.go.set()


def test_lines_are_written_in_their_order_by_another_thread(sink: Sink) -> None:
    writer = LineWriter(sink, gather_s=0)
    for n in range(1000):
        writer.write(b"%d\n" % n)
    writer.close()

    assert sink.text == b"".join(b"%d\n" % n for n in range(1000))
    assert sink.threads == {"log"}
    assert writer.dropped == 0


def test_lines_are_gathered_into_batches(sink: Sink) -> None:
    writer = LineWriter(sink, gather_s=0.2)
    for _ in range(1000):
        writer.write(b"x\n")
    writer.close()

    assert len(sink.batches) <= 2


def test_a_stuck_sink_costs_lines_and_not_memory_or_time(sink: Sink) -> None:
    sink.go.clear()
    writer = LineWriter(sink, max_held_bytes=1000, gather_s=0)
    writer.write(b"first\n")
    assert sink.entered.wait(5)
    began = time.monotonic()
    for _ in range(10_000):
        writer.write(b"0123456789")

    assert time.monotonic() - began < 2
    assert sum(map(len, writer._lines)) + len(b"first\n") <= 1000
    assert writer.dropped == 10_000 - 99
    sink.go.set()
    writer.close()
    assert sink.text == b"first\n" + b"0123456789" * 99


def test_there_is_room_again_when_the_sink_goes_on(sink: Sink) -> None:
    writer = LineWriter(sink, max_held_bytes=10, gather_s=0)
    for _ in range(5):
        writer.write(b"12345678\n")
        deadline = time.monotonic() + 5
        while writer._held_bytes and time.monotonic() < deadline:
            time.sleep(0.001)
    writer.close()

    assert writer.dropped == 0
    assert sink.text == b"12345678\n" * 5


def test_a_broken_sink_costs_its_lines_alone(sink: Sink) -> None:
    writer = LineWriter(sink, gather_s=0)
    sink.is_broken = True
    writer.write(b"lost\n")
    deadline = time.monotonic() + 5
    while writer.dropped == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    sink.is_broken = False
    writer.write(b"kept\n")
    writer.close()

    assert (writer.dropped, sink.text) == (1, b"kept\n")


def test_after_closing_lines_are_dropped_and_counted(sink: Sink) -> None:
    writer = LineWriter(sink)
    writer.close()
    writer.write(b"late\n")

    assert (writer.dropped, sink.text) == (1, b"")


def test_closing_does_not_wait_for_ever_for_a_stuck_sink(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_GRACE_S", 0.05)
    sink.go.clear()
    writer = LineWriter(sink, gather_s=0)
    writer.write(b"x\n")
    began = time.monotonic()
    writer.close()

    assert time.monotonic() - began < 2
