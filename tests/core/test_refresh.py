"""When tokens are refreshed: the whole rule as a table, and laws that hold for any tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.refresh import (
    RefreshPolicy,
    RefreshVerdict,
    access_is_live,
    bridges_outage,
    is_final,
    refresh_verdict,
)
from proxy.core.secret import Secret
from tests.support.clocks import START
from tests.support.sessions import make_tokens

if TYPE_CHECKING:
    from proxy.core.tokens import TokenSet

FRESH, SOON, DUE, OVER = RefreshVerdict.FRESH, RefreshVerdict.SOON, RefreshVerdict.DUE, RefreshVerdict.OVER
POLICY = RefreshPolicy(lead_s=60, skew_s=2)


def verdict_after(seconds: float, tokens: TokenSet) -> RefreshVerdict:
    return refresh_verdict(tokens, START + seconds, POLICY)


@pytest.mark.parametrize(
    ("after_s", "expected"),
    [(0, FRESH), (239.9, FRESH), (240, SOON), (297.9, SOON), (298, DUE), (300, DUE), (900, DUE)],
)
def test_tokens_of_five_minutes_are_refreshed_a_minute_before_their_end(
    after_s: float, expected: RefreshVerdict
) -> None:
    assert verdict_after(after_s, make_tokens()) is expected


@pytest.mark.parametrize(
    ("after_s", "expected"), [(0, FRESH), (29.9, FRESH), (30, SOON), (57.9, SOON), (58, DUE), (60, DUE)]
)
def test_a_token_shorter_than_twice_the_lead_is_refreshed_at_half_its_life(
    after_s: float, expected: RefreshVerdict
) -> None:
    assert verdict_after(after_s, make_tokens(access_expires_at=START + 60)) is expected


def test_at_twice_the_lead_both_rules_say_the_same() -> None:
    tokens = make_tokens(access_expires_at=START + 120)

    assert [verdict_after(59.9, tokens), verdict_after(60, tokens)] == [FRESH, SOON]


def test_a_token_of_a_second_is_of_use_for_most_of_it() -> None:
    tokens = make_tokens(access_expires_at=START + 1)

    assert [verdict_after(s, tokens) for s in (0, 0.4, 0.5, 0.8, 0.95)] == [FRESH, FRESH, SOON, SOON, DUE]


@pytest.mark.parametrize(
    ("tokens", "after_s", "expected"),
    [
        (make_tokens(refresh_token=None), 299.9, FRESH),
        (make_tokens(refresh_token=None), 300, OVER),
        (make_tokens(refresh_expires_at=START + 200), 250, FRESH),
        (make_tokens(refresh_expires_at=START + 200), 300, OVER),
        (make_tokens(refresh_expires_at=None), 10_000, DUE),
    ],
    ids=["no refresh token", "none, over", "ended refresh token", "ended, over", "refresh token without end"],
)
def test_without_a_refresh_token_to_try_there_is_nothing_early_and_an_end(
    tokens: TokenSet, after_s: float, expected: RefreshVerdict
) -> None:
    assert verdict_after(after_s, tokens) is expected


def test_tokens_whose_end_nobody_named_are_always_fresh_without_a_refresh_token() -> None:
    tokens = make_tokens(refresh_token=None, access_expires_at=None, refresh_expires_at=None)

    assert verdict_after(10**8, tokens) is FRESH


@pytest.mark.parametrize(
    ("after_s", "expected"), [(239.9, FRESH), (240, SOON), (297.9, SOON), (298, DUE), (10**8, DUE)]
)
def test_with_a_refresh_token_a_provider_that_names_no_end_is_asked_every_five_minutes(
    after_s: float, expected: RefreshVerdict
) -> None:
    assert verdict_after(after_s, make_tokens(access_expires_at=None, refresh_expires_at=None)) is expected


@pytest.mark.parametrize(("after_s", "expected"), [(1739, FRESH), (1740, SOON), (1798, DUE), (1800, OVER)])
def test_without_expires_in_the_end_of_the_refresh_token_counts(after_s: float, expected: RefreshVerdict) -> None:
    assert verdict_after(after_s, make_tokens(access_expires_at=None)) is expected


def test_final_tokens_are_not_refreshed_early_again() -> None:
    end = START + 60
    tokens = make_tokens(access_expires_at=end, refresh_expires_at=end, is_final=True)

    assert [verdict_after(s, tokens) for s in (0, 30, 57, 58, 60)] == [FRESH, FRESH, FRESH, DUE, OVER]


@pytest.mark.parametrize("access_s", [-5.0, 0.0])
def test_tokens_that_were_over_on_arrival_are_due(access_s: float) -> None:
    assert verdict_after(0, make_tokens(access_expires_at=START + access_s)) is DUE


RANK = {FRESH: 0, SOON: 1, DUE: 2, OVER: 3}
instants = st.one_of(st.none(), st.floats(START - 10, START + 4000))
token_sets = st.builds(
    make_tokens,
    refresh_token=st.sampled_from([None, Secret("refresh")]),
    access_expires_at=instants,
    refresh_expires_at=instants,
    is_final=st.booleans(),
)


@given(token_sets, st.floats(START, START + 5000), st.floats(0, 5000))
def test_as_time_goes_on_the_verdict_only_gets_graver(tokens: TokenSet, now: float, later_s: float) -> None:
    earlier, later = (refresh_verdict(tokens, at, POLICY) for at in (now, now + later_s))

    # The one exception: what was soon or due needs nothing more when its refresh token has ended meanwhile.
    gave_up = RANK[later] < RANK[earlier] and later is FRESH and tokens.refresh_expires_at is not None
    assert RANK[later] >= RANK[earlier] or (gave_up and now + later_s >= (tokens.refresh_expires_at or 0))


@given(token_sets, st.floats(START, START + 5000))
def test_nothing_earlier_than_the_lead_needs_a_refresh(tokens: TokenSet, now: float) -> None:
    if tokens.access_expires_at is not None and now < tokens.access_expires_at - POLICY.lead_s:
        assert refresh_verdict(tokens, now, POLICY) is FRESH


@given(token_sets, st.floats(START, START + 5000))
def test_a_verdict_that_lets_the_request_pass_has_a_live_access_token(tokens: TokenSet, now: float) -> None:
    if refresh_verdict(tokens, now, POLICY) in {FRESH, SOON}:
        assert access_is_live(tokens, now)


@pytest.mark.parametrize(
    ("access_s", "refresh_s", "expected"),
    [
        (200, 200, True),
        (200, 201, True),
        (199, 200, True),
        (100, 200, False),
        (300, 300, False),
        (60, 1800, False),
        (None, 200, False),
        (200, None, False),
    ],
)
def test_tokens_are_final_when_both_end_where_the_last_refresh_token_would_have(
    access_s: float | None, refresh_s: float | None, *, expected: bool
) -> None:
    old = make_tokens(refresh_expires_at=START + 200)
    new = make_tokens(
        2,
        access_expires_at=None if access_s is None else START + access_s,
        refresh_expires_at=None if refresh_s is None else START + refresh_s,
    )

    assert is_final(old, new) is expected


def test_a_realm_whose_access_token_and_idle_time_are_equal_is_refreshed_on_and_on() -> None:
    old = make_tokens(access_expires_at=START + 60, refresh_expires_at=START + 60)
    new = make_tokens(2, obtained_at=START + 30, access_expires_at=START + 90, refresh_expires_at=START + 90)

    assert not is_final(old, new)


def test_near_the_end_of_keycloaks_session_few_refreshes_are_made() -> None:
    """Keycloak, session of 12 s: at 0 s 12/12, at 8 s 4/4, at 10.6 s 2/2, at 11.6 s 1/1 (whole seconds, up)."""
    end = START + 12
    tokens = make_tokens(access_expires_at=end, refresh_expires_at=end)
    refreshes, now = 0, START
    while now < end:
        if verdict_after(now - START, tokens) in {SOON, DUE}:
            refreshes += 1
            ends_at = now + -(-(end - now) // 1)
            new = make_tokens(2, obtained_at=now, access_expires_at=ends_at, refresh_expires_at=ends_at)
            tokens = make_tokens(
                2,
                obtained_at=now,
                access_expires_at=ends_at,
                refresh_expires_at=ends_at,
                is_final=is_final(tokens, new),
            )
        now += 0.1

    assert refreshes <= 4


def test_an_access_token_is_live_before_its_end() -> None:
    assert access_is_live(make_tokens(), START + 299.9)
    assert not access_is_live(make_tokens(), START + 300)
    assert access_is_live(make_tokens(access_expires_at=None), START + 10**9)


# --- jitter ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lateness", "after_s", "expected"),
    [(0, 240, SOON), (0.5, 247.4, FRESH), (0.5, 247.5, SOON), (1, 254.9, FRESH), (1, 255, SOON), (1, 298, DUE)],
)
def test_the_early_refresh_begins_up_to_a_quarter_of_the_lead_later(
    lateness: float, after_s: float, expected: RefreshVerdict
) -> None:
    assert refresh_verdict(make_tokens(), START + after_s, POLICY, lateness=lateness) is expected


@given(life_s=st.floats(1, 86_400), lead_s=st.floats(0, 600), lateness=st.floats(0, 1), share=st.floats(0, 1.2))
def test_lateness_never_changes_when_a_refresh_is_due(
    life_s: float, lead_s: float, lateness: float, share: float
) -> None:
    tokens = make_tokens(access_expires_at=START + life_s, refresh_expires_at=None)
    policy, now = RefreshPolicy(lead_s=lead_s), START + share * life_s

    early = refresh_verdict(tokens, now, policy)
    late = refresh_verdict(tokens, now, policy, lateness=lateness)

    assert (early is DUE) is (late is DUE)
    assert late is early or (early, late) == (SOON, FRESH)


# --- outage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grace_s", "after_s", "is_bridged"),
    [(0, 299, True), (0, 300, False), (60, 300, True), (60, 359.9, True), (60, 360, False)],
)
def test_an_outage_is_bridged_from_the_end_of_the_access_token_on(
    grace_s: float, after_s: float, *, is_bridged: bool
) -> None:
    policy = RefreshPolicy(outage_grace_s=grace_s)

    assert bridges_outage(make_tokens(), START + after_s, policy) is is_bridged
