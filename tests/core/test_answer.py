"""An answer is a value: made in one place, written in another, changed in none."""

from __future__ import annotations

import pytest

from proxy.core.answer import Answer


def test_an_answer_without_a_body_has_an_empty_one() -> None:
    assert Answer(302, ((b"Location", b"/login"),)).body == b""


def test_an_answer_does_not_change_in_place() -> None:
    answer = Answer(200, (), b"x")

    with pytest.raises(AttributeError):
        answer.status = 500  # type: ignore[misc]  # that is the law


def test_equal_answers_are_equal_values() -> None:
    assert Answer(200, ((b"A", b"1"),), b"x") == Answer(200, ((b"A", b"1"),), b"x")
    assert Answer(200, ((b"A", b"1"),)) != Answer(200, ((b"a", b"1"),))
