"""What is said of one of several sites has its name, and what is counted is counted as ever."""

from __future__ import annotations

from proxy.observe.of_portal import observer_of
from proxy.ports import AuditEvent, RequestEvent
from tests.support.observers import RecordingObserver


def test_events_and_sentences_have_the_portals_name() -> None:
    heard = RecordingObserver()
    observer = observer_of("admin", heard)

    observer.audit(AuditEvent(event="login.failed", details={"by": "form"}))
    observer.notice("n", a=1.0)
    observer.warning("w")
    observer.error("e")

    assert heard.audits == [AuditEvent(event="login.failed", details={"by": "form", "portal": "admin"})]
    assert heard.notices == [("n", {"a": 1.0, "portal": "admin"})]
    assert heard.warnings == [("w", {"portal": "admin"})]
    assert heard.errors == [("e", {"portal": "admin"})]


def test_the_rest_is_passed_on_as_it_is() -> None:
    heard = RecordingObserver()
    observer = observer_of("admin", heard)
    event = RequestEvent(request_id="r", started_at=0.0)

    observer.login("form", "ok")
    observer.request(event)

    assert heard.logins == [("form", "ok")]
    assert heard.requests == [event]


def test_without_a_name_nobody_stands_between() -> None:
    heard = RecordingObserver()

    assert observer_of("", heard) is heard
