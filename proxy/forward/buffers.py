"""Memory for bytes on their way: one read buffer for all connections, and how much may wait.

One process-wide buffer is enough: the loop fills it and tells us in the same step, and the bytes are copied out before
anything else runs. So ten thousand idle connections hold no buffers, and no read is larger than it.
"""

from __future__ import annotations

READ_SIZE = 64 * 1024
"""Bytes of one read, and so of what a connection can be given at once."""

WRITE_HIGH = 64 * 1024
"""Bytes waiting to be written above which the other side is not read: with one read more, 128 KiB each way."""


class ReadBuffer:
    """Memory into which the loop reads, for all connections of one loop; whoever is told of bytes there copies them."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_SIZE))
