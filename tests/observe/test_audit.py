"""The audit trail says what happened to whom, in the names of the contract."""

from __future__ import annotations

import json
from typing import Any

from proxy.core.secret import Secret
from proxy.observe.audit import AuditTrail
from proxy.observe.log import Log, LogFormat, LogLevel
from proxy.ports import AuditEvent
from tests.support.clocks import FakeClock


def recorded(event: AuditEvent) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    log = Log(lines.append, clock=FakeClock(), level=LogLevel.ERROR, line_format=LogFormat.JSON)
    AuditTrail(log).record(event)
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


def test_details_are_told_and_redacted() -> None:
    details: Any = {"client": "legacy-app", "cookie": Secret("tell nobody")}

    (line,) = recorded(AuditEvent(event="access.denied", details=details))

    assert line["details"] == {"client": "legacy-app", "cookie": "***"}


def test_an_event_of_no_known_name_is_written_with_an_error() -> None:
    error, line = recorded(AuditEvent(event="made.up"))

    assert (error["level"], error["name"]) == ("error", "made.up")
    assert line["event"] == "made.up"
