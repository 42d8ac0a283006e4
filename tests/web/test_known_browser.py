"""The marks of a browser in which somebody has signed in."""

from __future__ import annotations

import pytest

from proxy.core.cookies import KNOWN_MAX_AGE_S, OwnCookies
from proxy.web.known_browser import MAX_MARKS, KnownBrowsers
from tests.support.clocks import START
from tests.support.sessions import ISSUER

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ID = "0123456789abcdef01234567"
DAY_S = 86400


def marks(*keys: bytes, issuer: str = ISSUER) -> KnownBrowsers:
    return KnownBrowsers(keys or (KEY,), issuer)


def cookie_of(*names: str, key: bytes = KEY, issuer: str = ISSUER, at: float = START) -> str:
    cookie = None
    for name in names:
        cookie = marks(key, issuer=issuer).with_mark(cookie, name, now=at, mark_id=ID)
    assert cookie is not None
    return cookie


def test_a_name_that_was_marked_is_known_and_no_other() -> None:
    cookie = cookie_of("alice")

    assert marks().mark_of(cookie, "alice", START) == ID
    assert marks().mark_of(cookie, "bob", START) is None
    assert marks().mark_of(None, "alice", START) is None


def test_several_people_may_use_one_browser() -> None:
    cookie = cookie_of("alice", "bob")

    assert [marks().mark_of(cookie, name, START) for name in ("alice", "bob")] == [ID, ID]


def test_the_oldest_name_goes_when_there_are_too_many() -> None:
    cookie = cookie_of(*(f"user-{number}" for number in range(MAX_MARKS + 1)))

    assert marks().mark_of(cookie, "user-0", START) is None
    assert all(marks().mark_of(cookie, f"user-{number}", START) for number in range(1, MAX_MARKS + 1))


def test_no_more_marks_are_looked_at_than_we_make() -> None:
    forged = cookie_of(*(f"user-{number}" for number in range(MAX_MARKS)), key=OTHER_KEY)

    assert marks().mark_of(f"{forged}.{cookie_of('alice')}", "alice", START) is None


def test_a_mark_that_is_over_goes_with_the_next_login() -> None:
    cookie = marks().with_mark(cookie_of("bob"), "alice", now=START + KNOWN_MAX_AGE_S, mark_id=ID)

    assert cookie.count(".") == 0


def test_a_second_login_renews_the_mark_and_pushes_nobody_out() -> None:
    cookie = cookie_of("bob", *["alice"] * 20)

    assert cookie.count(".") == 1
    assert marks().mark_of(cookie, "bob", START) == ID


def test_a_mark_ends_after_180_days() -> None:
    cookie = cookie_of("alice")

    assert marks().mark_of(cookie, "alice", START + KNOWN_MAX_AGE_S - 1) == ID
    assert marks().mark_of(cookie, "alice", START + KNOWN_MAX_AGE_S) is None


def test_a_mark_of_the_future_does_not_count() -> None:
    cookie = cookie_of("alice", at=START + DAY_S)

    assert marks().mark_of(cookie, "alice", START) is None


@pytest.mark.parametrize("position", range(0, 66, 3))
def test_a_mark_that_was_changed_does_not_count(position: int) -> None:
    cookie = cookie_of("alice")
    changed = cookie[:position] + ("0" if cookie[position] != "0" else "1") + cookie[position + 1 :]

    assert marks().mark_of(changed, "alice", START) is None


@pytest.mark.parametrize("cookie", ["", ".", "~~", "x" * 4000, "0~0~0", f"{'f' * 400}~{ID}~{'0' * 32}", f"0~{ID}~"])
def test_nonsense_counts_for_nothing(cookie: str) -> None:
    assert marks().mark_of(cookie, "alice", START) is None


def test_a_mark_of_another_key_or_issuer_does_not_count() -> None:
    assert marks().mark_of(cookie_of("alice", key=OTHER_KEY), "alice", START) is None
    assert marks().mark_of(cookie_of("alice", issuer="https://other.example"), "alice", START) is None


def test_after_a_change_of_keys_old_marks_are_known_and_new_ones_are_made_with_the_new_key() -> None:
    both = marks(OTHER_KEY, KEY)

    assert both.mark_of(cookie_of("alice"), "alice", START) == ID
    renewed = both.with_mark(None, "alice", now=START, mark_id=ID)
    assert marks(OTHER_KEY).mark_of(renewed, "alice", START) == ID


def test_the_cookie_names_nobody_and_fits_into_one() -> None:
    cookie = cookie_of(*(f"somebody-{number}" for number in range(MAX_MARKS)))

    assert "somebody" not in cookie
    assert len(OwnCookies().known_cookie(cookie)) < 1024
