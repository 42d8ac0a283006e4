"""What is remembered of names is bounded."""

from __future__ import annotations

from proxy.core.remembered import MAX_NAME_LENGTH, MAX_REMEMBERED, Remembered


def test_a_name_is_computed_once() -> None:
    asked: list[bytes] = []
    remembered = Remembered(lambda name: asked.append(name) or name.upper())

    assert [remembered[b"a"], remembered[b"a"]] == [b"A", b"A"]
    assert asked == [b"a"]


def test_names_beyond_the_cap_are_computed_each_time() -> None:
    remembered = Remembered(bytes.upper)

    values = [remembered[b"n%d" % index] for index in range(MAX_REMEMBERED + 10)]

    assert values[-1] == b"N%d" % (MAX_REMEMBERED + 9)
    assert len(remembered) == MAX_REMEMBERED


def test_a_long_name_is_not_kept() -> None:
    remembered = Remembered(bytes.upper)

    assert remembered[b"x" * (MAX_NAME_LENGTH + 1)] == b"X" * (MAX_NAME_LENGTH + 1)
    assert not remembered
