"""The fields of a request in parts."""

from __future__ import annotations

from proxy.core.request_fields import Block, HeadBlock, RequestFields


def test_the_parts_are_read_in_the_order_in_which_they_are_sent() -> None:
    of_head = HeadBlock(b"GET", b"/a", ((b"Host", b"app"), (b"X", b"1")))
    fields = RequestFields(of_head, b"id-1", b"00-a-b-00", Block(((b"X-Auth-Subject", b"alice"),)))

    assert tuple(fields) == (
        (b"Host", b"app"),
        (b"X", b"1"),
        (b"X-Request-ID", b"id-1"),
        (b"traceparent", b"00-a-b-00"),
        (b"X-Auth-Subject", b"alice"),
    )


def test_a_block_begins_without_lines_since_nobody_judged_them() -> None:
    assert Block(()).lines is None
    assert HeadBlock(b"GET", b"/", ()).lines is None
