"""The tree of errors: drawn as it is, each with a stable word of its own."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from proxy import errors
from proxy.errors import SidegateError, TokenRejected

if TYPE_CHECKING:
    from collections.abc import Iterator


def tree(kind: type[SidegateError], depth: int = 0) -> Iterator[tuple[str, int]]:
    """Yield each class below ``kind`` with its depth, in the order of their definition."""
    yield kind.__name__, depth
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


def drawn() -> Iterator[tuple[str, int]]:
    """Yield each class of the drawing in the docstring with its depth."""
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if found:
            yield found[2], len(found[1]) // 4


EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SidegateError)]


def test_the_tree_is_drawn_as_it_is() -> None:
    assert list(drawn()) == list(tree(SidegateError))


def test_every_error_has_a_reason_of_its_own() -> None:
    reasons = Counter(kind.reason for kind in EVERY)

    assert [reason for reason, count in reasons.items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in reasons)


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_says_when_it_is_raised(kind: type[SidegateError]) -> None:
    assert kind.__doc__


def test_an_error_keeps_its_sentence_and_its_class_word() -> None:
    error = TokenRejected("the token is of another issuer")

    assert (str(error), error.reason) == ("the token is of another issuer", "token_rejected")


def test_a_reason_of_its_own_belongs_to_one_error_alone() -> None:
    error = TokenRejected("the token is of another issuer", reason="wrong_issuer")

    assert error.reason == "wrong_issuer"
    assert TokenRejected.reason == "token_rejected"
