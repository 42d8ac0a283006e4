"""A person as JSON."""

from __future__ import annotations

from proxy.core.identity import Identity
from proxy.web.person import STRANGER, person


def test_a_stranger_has_the_same_members_as_a_person() -> None:
    somebody = person(Identity(issuer="https://sso", subject="1", roles=frozenset({"b", "a"})))

    assert somebody.keys() == STRANGER.keys()
    assert somebody["roles"] == ["a", "b"]
    assert "1" not in somebody.values()
