"""Memory for reads."""

from __future__ import annotations

from proxy.forward.buffers import READ_SIZE, ReadBuffer


def test_what_was_read_is_a_copy_that_the_next_read_cannot_change() -> None:
    buffer = ReadBuffer()
    buffer.view[:5] = b"alice"

    taken = buffer.taken(5)
    buffer.view[:5] = b"bobby"

    assert taken == b"alice"


def test_one_read_is_never_larger_than_the_buffer() -> None:
    assert len(ReadBuffer().view) == READ_SIZE
