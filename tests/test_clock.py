"""The system's clock is the machine's time in seconds."""

from __future__ import annotations

import time

from proxy.clock import SystemClock


def test_now_is_unix_time_in_seconds() -> None:
    before = time.time()

    assert before <= SystemClock().now() <= time.time()


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    seen = [clock.monotonic() for _ in range(100)]

    assert seen == sorted(seen)
