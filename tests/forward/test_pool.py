"""The pool: a connection is idle here or belongs to somebody, never both."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.forward.pool import Pool


@dataclass(eq=False)
class Connection:
    name: str = ""
    is_usable: bool = True


def test_the_freshest_is_taken_first_and_is_then_gone() -> None:
    pool: Pool[Connection] = Pool(max_idle=10, idle_s=4)
    old, fresh = Connection("old"), Connection("fresh")
    pool.put(old, 0.0)
    pool.put(fresh, 1.0)

    assert pool.take(2.0) == (fresh, [])
    assert pool.take(2.0) == (old, [])
    assert pool.take(2.0) == (None, [])


def test_what_is_dead_or_over_is_returned_for_closing_and_never_used() -> None:
    pool: Pool[Connection] = Pool(max_idle=10, idle_s=4)
    good, dead, over = Connection("good"), Connection("dead"), Connection("over")
    pool.put(good, 5.0)
    pool.put(over, 0.0)
    pool.put(dead, 5.0)
    dead.is_usable = False

    assert pool.take(6.0) == (good, [dead, over])


def test_a_shorter_stay_announced_by_the_upstream_counts() -> None:
    pool: Pool[Connection] = Pool(max_idle=10, idle_s=4)
    brief, not_at_all = Connection(), Connection()

    assert pool.put(brief, 0.0, at_most_s=1.0) == []
    assert pool.put(not_at_all, 0.0, at_most_s=-1.0) == [not_at_all]
    assert pool.take(1.0) == (None, [brief])


def test_a_longer_stay_announced_by_the_upstream_does_not() -> None:
    pool: Pool[Connection] = Pool(max_idle=10, idle_s=4)
    connection = Connection()
    pool.put(connection, 0.0, at_most_s=60.0)

    assert pool.take(4.0) == (None, [connection])


def test_at_the_cap_the_oldest_is_returned_for_closing() -> None:
    pool: Pool[Connection] = Pool(max_idle=2, idle_s=4)
    first, second, third = Connection("1"), Connection("2"), Connection("3")

    assert pool.put(first, 0.0) == []
    assert pool.put(second, 0.0) == []
    assert pool.put(third, 0.0) == [first]
    assert len(pool) == 2


def test_what_ended_by_itself_is_forgotten() -> None:
    pool: Pool[Connection] = Pool(max_idle=2, idle_s=4)
    connection = Connection()
    pool.put(connection, 0.0)

    pool.remove(connection)
    pool.remove(connection)

    assert pool.take(0.0) == (None, [])


def test_the_expired_are_swept_and_the_others_stay() -> None:
    pool: Pool[Connection] = Pool(max_idle=9, idle_s=4)
    old, fresh = Connection("old"), Connection("fresh")
    pool.put(old, 0.0)
    pool.put(fresh, 3.0)

    assert pool.expired(5.0) == [old]
    assert pool.empty() == [fresh]
    assert len(pool) == 0
