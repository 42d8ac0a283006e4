"""Ids of sessions say nothing and are found again."""

from __future__ import annotations

import re

from proxy.core.session import SessionKey
from proxy.web.session_ids import ID_PATTERN, SessionIds

ALICE, BOB = SessionKey("a" * 64), SessionKey("b" * 64)


def test_an_id_is_the_same_each_time_and_another_for_another_session() -> None:
    ids = SessionIds(b"k" * 32)

    assert ids.id_of(ALICE) == SessionIds(b"k" * 32).id_of(ALICE)
    assert ids.id_of(ALICE) != ids.id_of(BOB)
    assert re.fullmatch(ID_PATTERN, ids.id_of(ALICE))


def test_an_id_is_nothing_without_the_server_key() -> None:
    assert SessionIds(b"k" * 32).id_of(ALICE) != SessionIds(b"l" * 32).id_of(ALICE)
    assert ALICE not in SessionIds(b"k" * 32).id_of(ALICE)
