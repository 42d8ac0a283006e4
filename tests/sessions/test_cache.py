"""Sessions that a replica keeps: what a change overtook is not kept, and memory is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from proxy.core.session import SessionKey
from proxy.sessions.cache import SessionCache
from tests.support.hypothesis_profile import MORE

if TYPE_CHECKING:
    from proxy.core.session import Session
    from proxy.sessions.cache import Ticket

KEY, OTHER, THIRD = (SessionKey(letter * 64) for letter in "abc")


def _session(name: str = "s") -> Session:
    session: Any = name  # the cache never looks inside
    return session  # type: ignore[no-any-return]


def _keep(cache: SessionCache, key: SessionKey, size: int = 1) -> Session:
    session = _session(key)
    cache.keep(cache.begin(key), session, size)
    return session


@pytest.fixture
def cache() -> SessionCache:
    return SessionCache(max_entries=100, max_bytes=1000)


def test_what_was_kept_is_there(cache: SessionCache) -> None:
    session = _keep(cache, KEY, 10)

    assert cache.get(KEY) is session
    assert cache.get(OTHER) is None
    assert (len(cache), cache.bytes) == (1, 10)


def test_a_change_forgets_it(cache: SessionCache) -> None:
    _keep(cache, KEY, 10)
    _keep(cache, OTHER, 5)

    cache.forget(KEY)

    assert cache.get(KEY) is None
    assert cache.get(OTHER) is not None
    assert (len(cache), cache.bytes) == (1, 5)


def test_a_change_that_overtakes_a_record_on_its_way_wins(cache: SessionCache) -> None:
    ticket = cache.begin(KEY)
    cache.forget(KEY)

    cache.keep(ticket, _session(), 1)

    assert cache.get(KEY) is None


def test_a_change_of_everything_overtakes_too(cache: SessionCache) -> None:
    _keep(cache, OTHER)
    ticket = cache.begin(KEY)
    cache.forget_all()

    cache.keep(ticket, _session(), 1)

    assert cache.get(KEY) is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_change_of_another_session_overtakes_nothing(cache: SessionCache) -> None:
    ticket = cache.begin(KEY)
    cache.forget(OTHER)

    cache.keep(ticket, _session(), 1)

    assert cache.get(KEY) is not None


def test_whoever_asks_after_the_change_may_keep_and_whoever_asked_before_may_not(cache: SessionCache) -> None:
    before = cache.begin(KEY)
    cache.forget(KEY)
    after = cache.begin(KEY)

    cache.keep(after, _session("new"), 1)
    cache.keep(before, _session("old"), 1)

    assert cache.get(KEY) == "new"


def test_all_who_wait_for_one_record_are_overtaken(cache: SessionCache) -> None:
    tickets = [cache.begin(KEY) for _ in range(3)]
    cache.forget(KEY)

    for ticket in tickets:
        cache.keep(ticket, _session(), 1)

    assert cache.get(KEY) is None


def test_a_change_after_one_was_kept_overtakes_the_others_who_wait(cache: SessionCache) -> None:
    first, second = cache.begin(KEY), cache.begin(KEY)
    cache.keep(first, _session(), 1)
    cache.forget(KEY)

    cache.keep(second, _session(), 1)

    assert cache.get(KEY) is None


def test_loads_that_fail_leave_nothing_behind(cache: SessionCache) -> None:
    for number in range(1000):
        cache.begin(SessionKey(f"{number:064}"))

    assert len(cache._tickets) == 0


def test_the_least_recently_used_goes_at_the_cap_of_entries() -> None:
    cache = SessionCache(max_entries=2, max_bytes=1000)
    _keep(cache, KEY)
    _keep(cache, OTHER)
    cache.get(KEY)

    _keep(cache, THIRD)

    assert cache.get(OTHER) is None
    assert cache.get(KEY) is not None
    assert cache.get(THIRD) is not None


def test_the_least_recently_used_go_at_the_cap_of_bytes() -> None:
    cache = SessionCache(max_entries=100, max_bytes=10)
    _keep(cache, KEY, 4)
    _keep(cache, OTHER, 4)

    _keep(cache, THIRD, 9)

    assert (len(cache), cache.bytes) == (1, 9)
    assert cache.get(THIRD) is not None


def test_what_is_larger_than_the_cap_is_not_kept_and_puts_nobody_out() -> None:
    cache = SessionCache(max_entries=100, max_bytes=10)
    _keep(cache, KEY, 4)

    _keep(cache, OTHER, 11)

    assert cache.get(KEY) is not None
    assert cache.get(OTHER) is None


def test_a_cache_of_no_entries_keeps_nothing() -> None:
    cache = SessionCache(max_entries=0, max_bytes=10)

    _keep(cache, KEY)

    assert (len(cache), cache.bytes) == (0, 0)


def test_a_record_that_comes_again_counts_once(cache: SessionCache) -> None:
    _keep(cache, KEY, 10)
    _keep(cache, KEY, 3)

    assert (len(cache), cache.bytes) == (1, 3)


class CacheAgainstStore(RuleBasedStateMachine):
    """A store whose records change, loads that are under way, and the cache: it never shows what was changed."""

    keys = st.sampled_from([KEY, OTHER, THIRD])
    loads = Bundle("loads")
    MAX_ENTRIES, MAX_BYTES = 2, 12

    def __init__(self) -> None:
        super().__init__()
        self.cache = SessionCache(self.MAX_ENTRIES, self.MAX_BYTES)
        self.store: dict[SessionKey, int] = dict.fromkeys([KEY, OTHER, THIRD], 0)

    @rule(key=keys)
    def change(self, key: SessionKey) -> None:
        self.store[key] += 1
        self.cache.forget(key)

    @rule()
    def change_all(self) -> None:
        self.store = {key: version + 1 for key, version in self.store.items()}
        self.cache.forget_all()

    @rule(target=loads, key=keys)
    def begin(self, key: SessionKey) -> tuple[Ticket, int]:
        return self.cache.begin(key), self.store[key]

    @rule(load=consumes(loads), size=st.integers(0, 14))
    def come(self, load: tuple[Ticket, int], size: int) -> None:
        ticket, version = load
        self.cache.keep(ticket, _session(f"{ticket.key} {version}"), size)

    @rule(key=keys)
    def look(self, key: SessionKey) -> None:
        assert self.cache.get(key) in {None, f"{key} {self.store[key]}"}

    @invariant()
    def is_bounded_and_adds_up(self) -> None:
        assert len(self.cache) <= self.MAX_ENTRIES
        assert self.cache.bytes <= self.MAX_BYTES
        assert self.cache.bytes == sum(size for _, size in self.cache._entries.values())


TestCacheAgainstStore = CacheAgainstStore.TestCase
TestCacheAgainstStore.settings = settings(max_examples=50 * MORE, stateful_step_count=30, deadline=None)
