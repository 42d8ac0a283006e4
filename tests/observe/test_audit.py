"""The audit trail says what happened to whom, in the names of the contract."""

from __future__ import annotations

import json
from typing import Any

from proxy.core.secret import Secret
from proxy.observe.audit import AuditLog
from proxy.observe.audit_memory import MAX_EVENTS, AuditMemoryLimits, MemoryAuditTrail
from proxy.observe.log import Log, LogFormat, LogLevel
from proxy.ports import AuditEvent
from tests.support.clocks import START, FakeClock


def recorded(event: AuditEvent) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    log = Log(lines.append, clock=FakeClock(), level=LogLevel.ERROR, line_format=LogFormat.JSON)
    AuditLog(log, clock=FakeClock()).record(event)
    return [json.loads(line) for line in lines]


def test_an_event_has_every_field_of_the_contract() -> None:
    event = AuditEvent(event="logout.backchannel", subject="alice-id", sessions_affected=2, reason="sid")

    (line,) = recorded(event)

    assert line == {
        "at": "2027-01-15T08:00:00.000Z",
        "level": "info",
        "kind": "audit",
        "event": "logout.backchannel",
        "request_id": None,
        "route": None,
        "subject": "alice-id",
        "username": None,
        "address": None,
        "user_agent": None,
        "sessions_affected": 2,
        "reason": "sid",
    }


async def test_a_trail_that_keeps_is_handed_each_event_with_its_time() -> None:
    clock = FakeClock()
    log = Log(lambda _: None, clock=clock, level=LogLevel.ERROR, line_format=LogFormat.JSON)
    trail = MemoryAuditTrail(AuditMemoryLimits(keep_s=60), clock=clock)
    audit = AuditLog(log, clock=clock)

    audit.record(AuditEvent(event="login.failed", username="before"))
    audit.keep_in(trail)
    audit.record(AuditEvent(event="login.failed", username="alice"))

    (record,) = await trail.read(username=None, since=0, limit=9)
    assert (record.at, record.event.username) == (START, "alice")


async def test_what_strangers_cause_pushes_nobody_out_of_the_trail() -> None:
    clock = FakeClock()
    lines: list[bytes] = []
    log = Log(lines.append, clock=clock, level=LogLevel.ERROR, line_format=LogFormat.JSON)
    trail = MemoryAuditTrail(AuditMemoryLimits(keep_s=60), clock=clock)
    audit = AuditLog(log, clock=clock)
    audit.keep_in(trail)

    audit.record(AuditEvent(event="login.succeeded", username="alice"))
    for _ in range(MAX_EVENTS):
        audit.record(AuditEvent(event="logout.rejected", address="203.0.113.9"))

    assert [one.event.event for one in await trail.read(username="alice", since=0, limit=1)] == ["login.succeeded"]
    assert len(lines) == MAX_EVENTS + 1
    assert audit.left_out > 0


def test_details_are_told_and_redacted() -> None:
    details: Any = {"client": "legacy-app", "cookie": Secret("tell nobody")}

    (line,) = recorded(AuditEvent(event="access.denied", details=details))

    assert line["details"] == {"client": "legacy-app", "cookie": "***"}


def test_an_event_of_no_known_name_is_written_with_an_error() -> None:
    error, line = recorded(AuditEvent(event="made.up"))

    assert (error["level"], error["name"]) == ("error", "made.up")
    assert line["event"] == "made.up"
