"""A state says that this browser began the flow, and nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.web.flow_states import RANDOM_BYTES, STATE_LENGTH, FlowStates

STATES = FlowStates(b"k" * 32)
RANDOM = b"r" * RANDOM_BYTES


@pytest.mark.parametrize("restarts", [0, 1, 255])
def test_a_state_is_known_again_with_its_count(restarts: int) -> None:
    state = STATES.issue("root", restarts=restarts, random=RANDOM)

    assert len(state) == STATE_LENGTH
    assert STATES.restarts_of(state, "root") == restarts


def test_no_other_root_and_no_other_key_knows_it() -> None:
    state = STATES.issue("root", restarts=0, random=RANDOM)

    assert STATES.restarts_of(state, "other") is None
    assert FlowStates(b"x" * 32).restarts_of(state, "root") is None


@given(st.integers(0, STATE_LENGTH - 2), st.sampled_from("AZaz09-_"))
def test_no_character_may_change(place: int, character: str) -> None:
    # The last one carries bits that Base64 does not use.
    state = STATES.issue("root", restarts=0, random=RANDOM)
    altered = state[:place] + character + state[place + 1 :]

    assert STATES.restarts_of(altered, "root") == (0 if altered == state else None)


@given(st.text(max_size=60) | st.text("abc=!", min_size=43, max_size=43))
def test_no_text_is_too_broken_to_be_asked(text: str) -> None:
    assert STATES.restarts_of(text, "root") is None


def test_the_record_of_a_form_has_a_name_that_no_state_can_be() -> None:
    name = STATES.of_form("root", "tab")

    assert STATES.restarts_of(name, "root") is None
    assert name != STATES.of_form("root", "other")
    assert name != STATES.of_form("other", "tab")
    assert "tab" not in name


def test_a_form_and_a_flow_that_say_the_same_are_told_apart() -> None:
    told = bytes([0]) + RANDOM
    of_flow = urlsafe_b64decode(STATES.issue("root", restarts=0, random=RANDOM) + "=").removeprefix(told)

    assert urlsafe_b64decode(STATES.of_form("root", told.decode()).removeprefix("form.")) != of_flow
