"""How forms are read and JSON is written."""

from __future__ import annotations

from multidict import MultiDict

from proxy.demo.app_keys import first_values, json_answer


def test_of_a_repeated_parameter_the_first_counts() -> None:
    assert first_values(MultiDict([("a", "1"), ("a", "2"), ("b", "3")])) == {"a": "1", "b": "3"}


def test_json_is_sent_without_a_charset() -> None:
    answer = json_answer({"a": "ü"}, 400, {"X-Y": "z"})

    assert (answer.status, answer.headers["Content-Type"], answer.headers["X-Y"]) == (400, "application/json", "z")
    assert answer.body == b'{"a":"\\u00fc"}'
