"""A secret is seen by nobody who does not ask for it by name."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import pickle
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.secret import Secret

SECRET = Secret("tell-nobody")


@dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>20}",
        f"{SECRET:>20}",
        "%s" % SECRET,  # noqa: UP031 - one more way in which it must not show
        "{0}".format(SECRET),  # noqa: UP030, UP032 - one more way in which it must not show
        str([SECRET]),
        str({"a": SECRET}),
        str(Holder(SECRET)),
        str(ValueError(SECRET)),
        json.dumps({"a": SECRET}, default=str),
    ],
)
def test_it_does_not_show_however_it_is_printed(shown: str) -> None:
    assert "tell-nobody" not in shown
    assert "***" in shown


def test_it_does_not_show_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("password %s %r", SECRET, SECRET)

    assert caplog.messages == ["password *** ***"]


def test_it_is_revealed_to_who_asks() -> None:
    assert SECRET.reveal() == "tell-nobody"


def test_json_refuses_it() -> None:
    with pytest.raises(TypeError):
        json.dumps(SECRET)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_copied_where_nobody_redacts(duplicate: object) -> None:
    with pytest.raises(TypeError):
        duplicate(SECRET)  # type: ignore[operator]  # one of three functions


def test_it_has_no_dict_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(SECRET)


@given(st.text(), st.text())
def test_two_are_equal_when_their_texts_are(first: str, second: str) -> None:
    assert (Secret(first) == Secret(second)) is (first == second)
    assert Secret(first) == Secret(first)
    assert hash(Secret(first)) == hash(Secret(first))


def test_it_equals_no_plain_text() -> None:
    assert SECRET != "tell-nobody"
    assert {SECRET} != {"tell-nobody"}


def test_half_characters_can_be_compared() -> None:
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("?")


def test_an_empty_one_is_false() -> None:
    assert not Secret("")
    assert SECRET


def test_its_hash_is_that_of_its_text_each_time() -> None:
    secret = Secret("ä-value")

    assert [secret.sha256(), secret.sha256()] == [hashlib.sha256("ä-value".encode()).hexdigest()] * 2
