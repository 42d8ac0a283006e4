"""The clock of production; everybody else is handed a ``ports.Clock`` and so can be tested with time in the hand."""

from __future__ import annotations

import time


class SystemClock:
    """The time of the machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
