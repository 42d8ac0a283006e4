"""Sessions and their ends."""

from __future__ import annotations

import re

from proxy.demo.clients import Lifetimes
from proxy.demo.sessions import ClientSession, Persistence, Sessions, UserSession, new_sid

LIFETIMES = Lifetimes(session_idle_s=10, session_max_s=100)


def session(**fields: object) -> UserSession:
    usual = {"sid": "s", "subject": "alice", "started_at": 0.0, "refreshed_at": 95.0}
    return UserSession(**{**usual, **fields})  # type: ignore[arg-type]


def test_a_sid_has_24_characters_of_base64url() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{24}", new_sid()) for _ in range(50))


def test_idleness_never_reaches_beyond_the_absolute_end() -> None:
    assert session(refreshed_at=50.0).idle_ends_at(LIFETIMES) == 60
    assert session(refreshed_at=95.0).idle_ends_at(LIFETIMES) == 100


def test_an_offline_session_has_no_end() -> None:
    assert session(persistence=Persistence.OFFLINE).idle_ends_at(LIFETIMES) == float("inf")


def test_a_clients_part_ends_by_its_own_age_or_idleness() -> None:
    part = ClientSession(client_id="app", scope=(), started_at=0, refreshed_at=50)

    assert part.ends_at(LIFETIMES) == 60
    assert part.ends_at(Lifetimes(session_idle_s=1000, session_max_s=70)) == 70


def test_an_online_and_an_offline_session_may_share_their_sid() -> None:
    sessions = Sessions()
    online, offline = sessions.add(session()), sessions.add(session(persistence=Persistence.OFFLINE))

    sessions.remove(online)

    assert sessions.get("s") is None
    assert sessions.get("s", Persistence.OFFLINE) is offline
    assert sessions.of_subject("alice", Persistence.OFFLINE) == [offline]
