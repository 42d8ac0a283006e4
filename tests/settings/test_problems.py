"""The words in which problems are told."""

from __future__ import annotations

import pytest

from proxy.settings.problems import KeyPath, Level, Problem, ValueRefused, key_text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("server",), "server"),
        (("server", "timeouts", "head"), "server.timeouts.head"),
        (("routes", 0, "access"), "routes[0].access"),
        (("routes", 2, "access", "any_role", 1), "routes[2].access.any_role[1]"),
    ],
)
def test_a_key_path_is_written_as_people_write_it(path: KeyPath, text: str) -> None:
    assert key_text(path) == text


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem("f", 3, 5, "server.listen", "is wrong", "write x", Level.ERROR),
            "f:3:5  server.listen: is wrong; write x",
        ),
        (Problem("f", 3, 5, "a", "is odd", "write x", Level.WARNING), "f:3:5  a: warning: is odd; write x"),
        (Problem("f", 3, 5, "", "is no YAML", "mend it", Level.ERROR), "f:3:5  is no YAML; mend it"),
        (Problem("f", 0, 0, "", "is a directory", "name a file", Level.ERROR), "f: is a directory; name a file"),
    ],
)
def test_a_problem_is_one_line_with_its_place_its_key_and_its_remedy(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_a_refused_value_keeps_both_halves_of_its_sentence() -> None:
    refused = ValueRefused("is wrong", "write x")

    assert (refused.message, refused.remedy, str(refused)) == ("is wrong", "write x", "is wrong; write x")
