"""The parts of the Redis store are put together so that each law reaches the part that keeps it."""

from __future__ import annotations

from proxy.core.secret import Secret
from proxy.core.session import EverySessionOf
from proxy.sessions.cache import SessionCache
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.redis_marks import NEVER
from proxy.sessions.redis_workings import RedisStoreParts, Workings, make_workings
from proxy.sessions.sealing import Sealer
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_scripts import ScriptedConnection
from tests.support.sessions import make_session


def _workings(*, trusted: bool = True) -> Workings:
    observer = RecordingObserver()
    parts = RedisStoreParts(
        clock=FakeClock(),
        observer=observer,
        live=LiveStreamRegistry(observer),
        cache=SessionCache(10, 1000),
        max_cached=2,
        max_per_user=0,
    )
    return make_workings(ScriptedConnection(), Sealer([b"k" * 32]), parts=parts, is_trusted=lambda: trusted)


def test_activity_is_remembered_of_as_many_sessions_as_are_cached() -> None:
    workings = _workings()

    for n in range(5):
        workings.touches.touched(make_session(Secret(str(n))))

    assert len(workings.touches) == 2


def test_watermarks_are_remembered_while_changes_are_heard() -> None:
    client = EverySessionOf("iss", "c")
    for trusted in (True, False):
        watermarks = _workings(trusted=trusted).watermarks
        watermarks.keep(client, NEVER, watermarks.begin())
        assert (watermarks.of(client) is NEVER) is trusted


def test_what_is_known_here_of_activity_counts_when_records_are_read() -> None:
    workings = _workings()
    session = make_session(Secret("a"))
    workings.touches.touched(session)

    assert workings.records.read_from(session.key, (None, None)).last_seen_at == session.created_at
    assert workings.names.record(session.key).startswith("test:s:")
