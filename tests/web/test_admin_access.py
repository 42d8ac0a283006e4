"""Who may use the management API: nobody without a token, nobody by trying."""

from __future__ import annotations

import pytest

from proxy.core.secret import Secret
from proxy.errors import ManagementRefused, SettingsError
from proxy.web.admin_access import BURST, MAX_TOKEN, REFILL_S, AdminAccess
from tests.support.clocks import FakeClock

TOKEN = "correct horse"


def an_access(token: str | None = TOKEN) -> tuple[AdminAccess, FakeClock]:
    clock = FakeClock()
    return AdminAccess(lambda: None if token is None else Secret(token), clock=clock), clock


def reason(access: AdminAccess, *fields: str, address: str = "127.0.0.1") -> str:
    with pytest.raises(ManagementRefused) as refusal:
        access.check(list(fields), address=address)
    assert TOKEN not in str(refusal.value)
    return refusal.value.reason


@pytest.mark.parametrize("field", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", f"BEARER {TOKEN}"])
def test_the_token_opens(field: str) -> None:
    an_access()[0].check([field], address="127.0.0.1")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([], "no_token"),
        ([""], "no_token"),
        (["Bearer"], "no_token"),
        (["Bearer "], "no_token"),
        ([TOKEN], "no_token"),
        ([f"Basic {TOKEN}"], "no_token"),
        ([f"Bearer {TOKEN}", f"Bearer {TOKEN}"], "no_token"),
        (["Bearer " + "x" * (MAX_TOKEN + 1)], "no_token"),
        ([f"Bearer {TOKEN}x"], "wrong_token"),
        ([f"Bearer {TOKEN[:-1]}"], "wrong_token"),
        ([f"Bearer {TOKEN.upper()}"], "wrong_token"),
        (["Bearer \ud800"], "wrong_token"),
    ],
)
def test_nothing_else_does(fields: list[str], said: str) -> None:
    assert reason(an_access()[0], *fields) == said


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_of_ours_nobody_comes_in(token: str | None) -> None:
    access, _ = an_access(token)

    assert reason(access) == "not_configured"
    assert reason(access, "Bearer ") == "not_configured"
    assert reason(access, "Bearer None") == "not_configured"


def test_a_token_that_cannot_be_read_opens_for_nobody() -> None:
    def read() -> Secret:
        raise SettingsError("the file is gone")

    access = AdminAccess(read, clock=FakeClock())

    assert reason(access, f"Bearer {TOKEN}") == "token_unreadable"


def test_a_token_that_was_exchanged_counts_at_once() -> None:
    tokens = iter(["old", "new", "new"])
    access = AdminAccess(lambda: Secret(next(tokens)), clock=FakeClock())

    access.check(["Bearer old"], address="127.0.0.1")

    assert reason(access, "Bearer old") == "wrong_token"
    access.check(["Bearer new"], address="127.0.0.1")


def test_after_some_wrong_ones_even_the_right_one_is_not_looked_at() -> None:
    access, clock = an_access()

    said = [reason(access, f"Bearer {number}") for number in range(BURST + 2)]

    assert said == ["wrong_token"] * BURST + ["too_many_tries"] * 2
    assert reason(access, f"Bearer {TOKEN}") == "too_many_tries"
    clock.advance(REFILL_S)
    access.check([f"Bearer {TOKEN}"], address="127.0.0.1")


def test_another_address_is_not_kept_out() -> None:
    access, _ = an_access()
    for number in range(BURST + 1):
        reason(access, f"Bearer {number}")

    access.check([f"Bearer {TOKEN}"], address="127.0.0.2")


def test_the_right_token_costs_no_try() -> None:
    access, _ = an_access()

    for _ in range(10 * BURST):
        access.check([f"Bearer {TOKEN}"], address="127.0.0.1")
