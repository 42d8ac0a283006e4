"""Identifiers: laws of ``gate.identifiers``."""

from __future__ import annotations

import os
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
