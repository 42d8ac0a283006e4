"""Write lines where they may be slow to go: a bounded buffer, and a thread that alone touches the sink.

Who writes a line waits for nothing but a lock held for a few instructions. A full pipe or a full disk costs lines,
which are counted, never a request. The thread is woken once for a batch, not for each line, because a woken thread
competes with the loop for the interpreter.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HELD_BYTES = 4 * 1024 * 1024
"""Bytes of lines that wait; at 500 bytes a line and 2,000 requests a second this is four seconds of a stuck sink."""

GATHER_S = 0.05
"""Seconds that the thread gathers lines after the first of a batch; a line is at most so old when it is written."""

CLOSE_GRACE_S = 2.0
"""Seconds that ``close`` waits for a sink that does not take the last lines."""


class LineWriter:
    """The buffer and its thread, which begins with the first line."""

    def __init__(
        self, sink: Callable[[bytes], object], *, max_held_bytes: int = MAX_HELD_BYTES, gather_s: float = GATHER_S
    ) -> None:
        """Begin with nothing; ``sink`` takes whole lines, is called from one thread only and may block or raise."""
        self._sink = sink
        self._max_held_bytes = max_held_bytes
        self._gather_s = gather_s
        self._lines: list[bytes] = []
        self._held_bytes = 0
        self._dropped = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Lines that were lost so far: no room, or a sink that raised."""
        return self._dropped

    def write(self, line: bytes) -> None:
        """Take a line (with its line feed); it is dropped and counted when there is no room."""
        with self._lock:
            held_bytes = self._held_bytes + len(line)
            if held_bytes > self._max_held_bytes or self._is_closing:
                self._dropped += 1
                return
            self._held_bytes = held_bytes
            is_first = not self._lines
            self._lines.append(line)
        if is_first:
            self._awaken()

    def close(self) -> None:
        """Write what is held, for a while; lines that come later are dropped."""
        self._is_closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_GRACE_S)

    def _awaken(self) -> None:
        if self._thread is None:
            # A daemon, so that a sink that blocks for ever does not keep the process from ending.
            self._thread = threading.Thread(target=self._write_for_ever, name="log", daemon=True)
            self._thread.start()
        self._wake.set()

    def _write_for_ever(self) -> None:
        while not self._is_closing:
            self._wake.wait()
            if not self._is_closing:
                time.sleep(self._gather_s)
            self._wake.clear()
            self._write_batch()
        self._write_batch()

    def _write_batch(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self._sink(b"".join(lines))
        except Exception:  # noqa: BLE001 - a broken sink costs these lines, and is tried again with the next
            self._dropped += len(lines)
        # Released only now: what a blocked sink holds counts as held.
        with self._lock:
            self._held_bytes -= sum(map(len, lines))
