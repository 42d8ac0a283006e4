"""When a session in Redis is over."""

from __future__ import annotations

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.sessions.codec import summary_of
from proxy.sessions.redis_times import cause_of_end, ends_at
from tests.support.clocks import START
from tests.support.sessions import make_session

A = Secret("cookie-a")


def test_the_absolute_end_comes_before_the_idle_end() -> None:
    summary = summary_of(make_session(A, expires_at=START + 100, idle_timeout_s=60))

    assert cause_of_end(summary, START, START + 59) is None
    assert cause_of_end(summary, START, START + 60) is EndCause.IDLE
    assert cause_of_end(summary, START + 50, START + 99) is None
    assert cause_of_end(summary, START, START + 100) is EndCause.EXPIRED
    assert [ends_at(summary, START + seen) for seen in (0, 50)] == [START + 60, START + 100]
