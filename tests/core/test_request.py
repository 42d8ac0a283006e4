"""A request head gives back the wire: names in any case, values in their order, nothing joined."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from proxy.core.request import RequestHead

HEAD = RequestHead(
    method=b"GET",
    target=b"/a?b",
    headers=((b"Host", b"a"), (b"COOKIE", b"one"), (b"cookie", b"two"), (b"X_Auth", b"x")),
    peer="192.0.2.1",
    scheme="http",
)


def test_a_field_is_found_in_any_case() -> None:
    assert HEAD.value(b"host") == b"a"


def test_repeated_fields_keep_their_order_and_are_not_joined() -> None:
    assert HEAD.values(b"cookie") == (b"one", b"two")
    assert HEAD.value(b"cookie") == b"one"


def test_a_missing_field_is_none_and_no_values() -> None:
    assert HEAD.value(b"accept") is None
    assert HEAD.values(b"accept") == ()


def test_a_dash_and_an_underscore_are_two_names_on_the_wire() -> None:
    assert HEAD.value(b"x-auth") is None
    assert HEAD.value(b"x_auth") == b"x"


def test_a_head_does_not_change_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        HEAD.target = b"/"  # type: ignore[misc]  # that is the law


def test_a_head_remembers_for_the_very_judge_that_asked_it_to() -> None:
    head = replace(HEAD)
    one, equal = [1], [1]

    head.remember(one, "outcome")

    assert head.recall(one, str) == "outcome"
    assert head.recall(equal, str) is None
    assert replace(head).recall(one, str) is None, "another head, though equal, has a memory of its own"
    head.remember(equal, "other")
    assert head.recall(one, str) is None
