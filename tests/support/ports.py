"""Free ports of the loopback interface."""

from __future__ import annotations

import socket
from collections import deque

_GIVEN: deque[int] = deque(maxlen=20)
"""What was given last: the system may name a port again as soon as it is let go, and listeners need several at once."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, not that of a moment before; bind it soon, nothing keeps it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _GIVEN:
            _GIVEN.append(port)
            return port
