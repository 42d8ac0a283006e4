"""What is remembered for a while."""

from __future__ import annotations

from proxy.forward.recent import Recent


def test_what_is_asked_for_again_stays_and_what_is_not_goes_at_the_second_ageing() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.keep("used", 1)
    recent.keep("unused", 2)

    recent.age()
    assert recent.get("used") == 1
    recent.age()

    assert recent.get("used") == 1
    assert recent.get("unused") is None
    assert len(recent) == 1


def test_it_holds_no_more_than_its_cap_in_each_generation() -> None:
    recent: Recent[int, int] = Recent(3)

    for generation in range(4):
        for number in range(10):
            recent.keep(generation * 10 + number, number)
        assert len(recent) <= 6
        recent.age()


def test_the_latest_value_of_a_key_counts_at_the_cap_too() -> None:
    recent: Recent[str, int] = Recent(1)
    recent.keep("a", 1)

    recent.keep("a", 2)
    recent.keep("b", 3)

    assert recent.get("a") == 2
    assert recent.get("b") is None


def test_a_value_that_was_replaced_does_not_come_back_from_the_elder_generation() -> None:
    recent: Recent[str, int] = Recent(4)
    recent.keep("a", 1)
    recent.age()
    recent.keep("a", 2)

    recent.forget("a")

    assert recent.get("a") is None
    assert len(recent) == 0
