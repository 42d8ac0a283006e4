"""The first login of a process shows how long sessions can last, and it is said once."""

from __future__ import annotations

from proxy.core.lifetime import SessionPlan
from proxy.web.first_login import FirstLogin
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_tokens

PLAN = SessionPlan(30 * 86_400, 7 * 86_400, ("openid",))


def test_what_the_first_tokens_show_is_said_once() -> None:
    observer = RecordingObserver()
    first = FirstLogin(PLAN, observer)

    for _ in range(3):
        first.seen(make_tokens())

    assert len(observer.notices) == 1
    assert "sessions end after 30m without activity" in observer.notices[0][0]
