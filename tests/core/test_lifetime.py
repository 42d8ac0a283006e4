"""How long sessions last, said in a sentence that is true."""

from __future__ import annotations

import pytest

from proxy.core.lifetime import SessionPlan, in_words, observed_lifetime, promised_lifetime
from tests.support.clocks import START
from tests.support.sessions import make_tokens

DAY = 86_400.0
PLAN = SessionPlan(30 * DAY, 7 * DAY, ("openid",))
OFFLINE = SessionPlan(30 * DAY, 7 * DAY, ("openid", "offline_access"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59.6, "1m"), (90, "90s"), (1800, "30m"), (36_000, "10h"), (30 * DAY, "30d"), (-5, "0s")],
)
def test_a_duration_is_told_in_the_largest_unit_that_holds_it_whole(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


# --- of the file -----------------------------------------------------------------------------------------------------


def test_a_file_that_promises_more_than_a_fresh_realm_gives_says_so_with_the_remedy() -> None:
    lifetime = promised_lifetime(PLAN)

    assert lifetime == (
        "sessions last 30d, or 7d without activity, but not longer than the provider's: in a fresh Keycloak realm 10h, "
        "or 30m without activity; if that is too short, set keycloak.offline_access: true, or raise SSO Session Idle "
        "and Max in the realm"
    )


def test_a_file_that_promises_what_a_fresh_realm_gives_is_believed() -> None:
    lifetime = promised_lifetime(SessionPlan(8 * 3600, 900, ("openid",)))

    assert lifetime == "sessions last 8h, or 15m without activity"


@pytest.mark.parametrize("plan", [SessionPlan(DAY, 900, ("openid",)), SessionPlan(7200, DAY, ("openid",))])
def test_one_of_the_two_is_enough_to_promise_too_much(plan: SessionPlan) -> None:
    assert "but not longer" in promised_lifetime(plan)


def test_with_offline_access_the_promise_holds() -> None:
    lifetime = promised_lifetime(OFFLINE)

    assert lifetime.startswith("sessions last 30d, or 7d without activity")


def test_an_idle_time_that_never_comes_is_not_mentioned() -> None:
    assert promised_lifetime(SessionPlan(3600, 7 * DAY, ("openid", "offline_access"))).startswith(
        "sessions last 1h, as"
    )


# --- of the first tokens ---------------------------------------------------------------------------------------------


def test_refresh_tokens_of_half_an_hour_end_sessions_of_thirty_days() -> None:
    assert observed_lifetime(PLAN, make_tokens()) == (
        "sessions.lifetime is 30d, but the provider's refresh tokens last 30m: "
        "sessions end after 30m without activity, and with the provider's SSO session in any case; "
        "set keycloak.offline_access: true, or raise SSO Session Idle and Max in the realm"
    )


def test_refresh_tokens_between_idle_time_and_lifetime_leave_the_end_to_the_provider() -> None:
    lifetime = observed_lifetime(PLAN, make_tokens(refresh_expires_at=START + 10 * DAY))

    assert "not longer than the provider's SSO session; its refresh tokens last 10d" in lifetime


def test_refresh_tokens_as_long_as_the_lifetime_keep_the_promise() -> None:
    lifetime = observed_lifetime(PLAN, make_tokens(refresh_expires_at=START + 30 * DAY))

    assert lifetime.startswith("sessions last 30d, or 7d without activity: ")


def test_refresh_tokens_without_an_end_keep_the_promise() -> None:
    lifetime = observed_lifetime(OFFLINE, make_tokens(refresh_expires_at=None))

    assert "name no end of their own" in lifetime


def test_without_refresh_tokens_sessions_are_as_short_as_access_tokens() -> None:
    lifetime = observed_lifetime(PLAN, make_tokens(refresh_token=None, refresh_expires_at=None))

    assert "sessions end with their access token, after 5m" in lifetime


def test_tokens_of_which_nothing_is_known_leave_the_promise_as_it_is() -> None:
    lifetime = observed_lifetime(PLAN, make_tokens(refresh_token=None, refresh_expires_at=None, access_expires_at=None))

    assert lifetime.startswith("sessions last 30d, or 7d without activity: ")
