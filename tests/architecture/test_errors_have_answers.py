"""No error reaches a visitor without a row that says how it is answered."""

from __future__ import annotations

import inspect

import pytest

from proxy import errors
from proxy.respond import ROWS, Row


def _classes() -> list[type[errors.SidegateError]]:
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    return [one for one in found if issubclass(one, errors.SidegateError)]


@pytest.mark.parametrize("error", _classes(), ids=lambda error: error.__name__)
def test_every_error_has_its_row(error: type[errors.SidegateError]) -> None:
    assert isinstance(ROWS.get(error), Row), f"{error.__name__} has no row in proxy.respond.ROWS"


def test_every_error_is_drawn_in_the_tree() -> None:
    missing = [one.__name__ for one in _classes() if one.__name__ not in (errors.__doc__ or "")]

    assert missing == []
