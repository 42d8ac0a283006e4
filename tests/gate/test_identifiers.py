"""Identifiers: laws of ``gate.identifiers``."""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING

from proxy.gate.identifiers import BYTES_READ, Identifiers

if TYPE_CHECKING:
    import pytest


def test_no_identifier_is_given_out_twice_over_many_reads() -> None:
    identifiers = Identifiers(secrets.token_bytes)

    taken = [identifiers.take(32) for _ in range(3 * BYTES_READ // 16)]

    assert len(set(taken)) == len(taken)
    assert {len(text) for text in taken} == {32}


def test_every_byte_is_given_out_once_and_what_is_too_short_is_left() -> None:
    reads: list[bytes] = []

    def random_bytes(count: int) -> bytes:
        reads.append(secrets.token_bytes(count))
        return reads[-1]

    identifiers = Identifiers(random_bytes)

    taken = "".join(identifiers.take(48) for _ in range(BYTES_READ // 24))

    assert reads[0].hex().startswith(taken)
    assert len(reads) == 1
    assert identifiers.take(48) == reads[1].hex()[:48]


def test_one_read_serves_many() -> None:
    counts: list[int] = []

    def random_bytes(count: int) -> bytes:
        counts.append(count)
        return bytes(count)

    identifiers = Identifiers(random_bytes)

    for _ in range(50):
        identifiers.take(32)

    assert counts == [BYTES_READ]


def test_a_forked_process_gives_out_others(monkeypatch: pytest.MonkeyPatch) -> None:
    identifiers = Identifiers(secrets.token_bytes)
    identifiers.take(32)
    begin = identifiers._used
    of_parent = identifiers._digits[begin : begin + 32]
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert identifiers.take(32) != of_parent


def test_pairs_are_a_request_id_and_a_trace_context_of_chance_that_is_used_once() -> None:
    identifiers = Identifiers(secrets.token_bytes)

    pairs = [identifiers.pair() for _ in range(3 * BYTES_READ // 40)]

    parts = [text for request_id, trace in pairs for text in (request_id, *trace.split("-")[1:3])]
    assert len(set(parts)) == len(parts)
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id, _ in pairs)
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", trace) for _, trace in pairs)


def test_pairs_are_made_of_whole_reads_and_many_at_once() -> None:
    reads: list[int] = []

    def random_bytes(count: int) -> bytes:
        reads.append(count)
        return secrets.token_bytes(count)

    identifiers = Identifiers(random_bytes)

    for _ in range(BYTES_READ // 40):
        identifiers.pair()
    assert reads == [BYTES_READ]
    identifiers.pair()
    assert reads == [BYTES_READ] * 2


def test_a_forked_process_gives_out_other_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    identifiers = Identifiers(secrets.token_bytes)
    identifiers.pair()
    of_parent = identifiers._pairs[-1]
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert identifiers.pair() != of_parent
    assert of_parent not in identifiers._pairs


def test_no_kind_of_identifier_is_the_parents_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    identifiers = Identifiers(secrets.token_bytes)
    identifiers.take(32)
    identifiers.pair()
    of_parent = identifiers._digits
    monkeypatch.setattr(os, "getpid", lambda: -1)

    identifiers.pair()

    assert identifiers.take(32) not in of_parent
