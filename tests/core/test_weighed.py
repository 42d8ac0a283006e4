"""A cache with two ends: so many entries, so many bytes."""

from __future__ import annotations

from proxy.core.weighed import Weighed


def weighed() -> Weighed[str, str]:
    return Weighed(entries=3, in_all=100)


def test_the_oldest_goes_at_the_cap_of_entries() -> None:
    cache = weighed()

    for key in "abcd":
        cache.put(key, key.upper(), 1)

    assert dict(cache) == {"b": "B", "c": "C", "d": "D"}
    assert cache.weight == 3


def test_the_oldest_go_at_the_cap_of_bytes_as_many_as_it_takes() -> None:
    cache = weighed()

    cache.put("a", "A", 40)
    cache.put("b", "B", 40)
    cache.put("c", "C", 70)

    assert dict(cache) == {"c": "C"}
    assert cache.weight == 70


def test_what_is_too_large_by_itself_pushes_nothing_out() -> None:
    cache = weighed()
    cache.put("a", "A", 40)

    cache.put("b", "B", 101)

    assert dict(cache) == {"a": "A"}


def test_a_key_that_is_written_again_is_the_newest_and_weighs_once() -> None:
    cache = weighed()
    for key in "abc":
        cache.put(key, key, 10)

    cache.put("a", "A", 20)
    cache.put("d", "d", 10)

    assert dict(cache) == {"c": "c", "a": "A", "d": "d"}
    assert cache.weight == 40


def test_what_is_forgotten_weighs_nothing_any_more() -> None:
    cache = weighed()
    cache.put("a", "A", 40)

    cache.forget("a")
    cache.forget("never there")

    assert (dict(cache), cache.weight) == ({}, 0)
