"""Memory for reads."""

from __future__ import annotations

from proxy.forward.buffers import READ_SIZE, ReadBuffer


def test_one_read_is_never_larger_than_the_buffer() -> None:
    assert len(ReadBuffer().view) == READ_SIZE
