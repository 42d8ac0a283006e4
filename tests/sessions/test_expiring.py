"""Deadlines and bounded maps, against a plain model and at their caps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.sessions.expiring import STALE_ALLOWANCE, Deadlines, ExpiringMap


def test_deadlines_come_in_the_order_of_their_instants() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.schedule("late", 30)
    deadlines.schedule("early", 10)

    assert [deadlines.pop_due(30), deadlines.pop_due(30), deadlines.pop_due(30)] == ["early", "late", None]


def test_nothing_is_due_before_its_instant() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.schedule("a", 10)

    assert deadlines.pop_due(9.9) is None
    assert deadlines.pop_due(10) == "a"


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=60))
def test_a_later_deadline_replaces_an_earlier_one_and_a_forgotten_one_never_comes(
    changes: list[tuple[int, int | None]],
) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, int] = {}
    for key, at in changes:
        if at is None:
            deadlines.forget(key)
            model.pop(key, None)
        else:
            deadlines.schedule(key, at)
            model[key] = at

    popped = [deadlines.pop_due(10) for _ in range(len(model) + 1)]

    assert {key for key in popped if key is not None} == {key for key, at in model.items() if at <= 10}
    assert len(deadlines) == sum(at > 10 for at in model.values())


def test_the_heap_stays_in_proportion_when_everything_is_forgotten_early() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for n in range(10_000):
        deadlines.schedule(n, 1_000_000)
        deadlines.forget(n)

    assert deadlines.heap_size <= STALE_ALLOWANCE


def test_the_heap_stays_in_proportion_when_one_key_moves_again_and_again() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for n in range(10_000):
        deadlines.schedule("a", n)

    assert deadlines.heap_size <= 2 + STALE_ALLOWANCE
    assert deadlines.pop_due(10_000) == "a"


def test_an_entry_is_there_until_its_end() -> None:
    entries: ExpiringMap[str, int] = ExpiringMap(2)
    entries.put("a", 1, 10)

    assert entries.get("a", 9.9) == 1
    assert entries.get("a", 10) is None
    assert entries.get("b", 0) is None


def test_a_full_map_has_room_again_when_something_ended() -> None:
    entries: ExpiringMap[str, int] = ExpiringMap(2)
    entries.put("a", 1, 10)
    entries.put("b", 2, 20)

    assert entries.is_full(9)
    assert not entries.is_full(10)
    assert len(entries) == 1


def test_the_entry_that_would_end_first_can_be_taken_out() -> None:
    entries: ExpiringMap[str, int] = ExpiringMap(2)
    entries.put("a", 1, 20)
    entries.put("b", 2, 10)

    assert [entries.pop_first(), entries.pop_first(), entries.pop_first()] == [2, 1, None]
    assert len(entries) == 0


def test_a_discarded_entry_leaves_nothing_behind() -> None:
    entries: ExpiringMap[str, int] = ExpiringMap(2)
    entries.put("a", 1, 10)
    entries.discard("a")
    entries.discard("a")
    entries.put("a", 2, 30)
    entries.sweep(10)

    assert entries.get("a", 20) == 2
