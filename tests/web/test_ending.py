"""Ending sessions for good: remembered before it is deleted, and for long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy import keys
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, EndedMark, EverySessionOf, SessionSummary
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.web.ending import end_everything_before, end_for_good, end_without_sid, tell_ended
from proxy.web.options import OPTIONS
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from aiohttp import web

    from tests.web.conftest import MakeRequest

ALICE = BySubject(ISSUER, "alice-id")


class WatchedStore(MemorySessionStore):
    """Keeps the marks that it was told."""

    def __init__(self) -> None:
        observer = RecordingObserver()
        live = LiveStreamRegistry(observer)
        super().__init__(FakeClock(), live=live, observer=observer, limits=MemoryLimits())
        self.marks: list[EndedMark] = []

    async def mark_ended(self, mark: EndedMark) -> None:
        self.marks.append(mark)
        await super().mark_ended(mark)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def request_(make_request: MakeRequest, store: WatchedStore) -> web.Request:
    request = make_request()
    request.app[keys.SESSIONS] = store
    request.app[keys.OBSERVER] = RecordingObserver()
    return request


async def stored(store: WatchedStore, value: str, **changes: Any) -> Secret:
    cookie = Secret(value)
    await store.create(cookie, make_session(cookie, **changes))
    return cookie


def summary(**changes: Any) -> SessionSummary:
    members: dict[str, Any] = {
        "key": "k",
        "client_id": "legacy-app",
        "subject": "alice-id",
        "username": "alice",
        "sid": None,
        "created_at": START,
        "last_seen_at": START,
        "expires_at": START,
        "user_agent": "",
        "address": "",
    }
    return SessionSummary(**{**members, **changes})


async def test_what_ended_is_marked_and_returned(request_: web.Request, store: WatchedStore) -> None:
    cookie = await stored(store, "one", sid="s-1")

    ended = await end_for_good(request_, BySid(ISSUER, "s-1"), EndCause.DEVICE, ended_at=START)

    remember_s = request_.app[OPTIONS].sessions.remember_ended_s
    assert [session.sid for session in ended] == ["s-1"]
    assert store.marks == [EndedMark(BySid(ISSUER, "s-1"), START, START + remember_s)]
    tombstone = await store.tombstone(cookie)
    assert tombstone is not None
    assert tombstone.cause is EndCause.DEVICE


async def test_those_that_know_no_sid_are_told_from_the_others(request_: web.Request, store: WatchedStore) -> None:
    nameless, named = await stored(store, "one", sid=None), await stored(store, "two", sid="s-2")
    strangers = await stored(store, "three", sid=None, subject="bob-id")

    ended = await end_without_sid(request_, ALICE, EndCause.BACKCHANNEL)

    assert len(ended) == 1
    assert [await store.load(each) is None for each in (nameless, named, strangers)] == [True, False, False]
    assert store.marks == []


async def test_a_watermark_outlives_the_longest_session(request_: web.Request, store: WatchedStore) -> None:
    await end_everything_before(request_, START - 5)

    longest_s = request_.app[OPTIONS].sessions.lifetime_s
    assert store.marks == [EndedMark(EverySessionOf(ISSUER, "legacy-app"), START - 5, START + longest_s)]


@pytest.mark.parametrize(
    ("ended", "subject", "told"),
    [
        ((), None, (None, None, 0)),
        ((), "alice-id", ("alice-id", None, 0)),
        ((summary(),), None, ("alice-id", "alice", 1)),
        ((summary(), summary(subject="bob-id", username="bob")), None, (None, None, 2)),
    ],
)
def test_the_trail_names_the_person_when_there_is_one(
    request_: web.Request, ended: tuple[SessionSummary, ...], subject: str | None, told: object
) -> None:
    tell_ended(request_, "backchannel", ended, reason="sid", subject=subject)

    observer: Any = request_.app[keys.OBSERVER]
    (event,) = observer.audits
    assert (event.subject, event.username, event.sessions_affected) == told
    assert (event.event, event.reason, event.request_id) == ("logout.backchannel", "sid", "req-1")
    assert observer.logouts == ["backchannel"]
