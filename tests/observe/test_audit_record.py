"""What a trail keeps of an event comes back as it was, redacted and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.secret import Secret
from proxy.observe.audit_record import MAX_DETAILS, MAX_RECORD_BYTES, MAX_TEXT, is_of, packed, unpacked
from proxy.ports import AuditEvent

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

FULL = AuditEvent(
    event="logout.all",
    request_id="r-1",
    route="/**",
    subject="alice-id",
    username="Zoë \ud800",
    address="203.0.113.7",
    user_agent="curl/8",
    sessions_affected=3,
    reason="logout_all",
    details={"by": "somebody"},
)


@pytest.mark.parametrize("event", [FULL, AuditEvent(event="login.failed")])
def test_an_event_comes_back_as_it_was(event: AuditEvent) -> None:
    record = unpacked(packed(event, 12.5))

    assert record is not None
    assert (record.at, record.event) == (12.5, event)


def test_no_secret_and_no_token_is_kept() -> None:
    details: Any = {"cookie": Secret("tell nobody"), "said": f"bearer {TOKEN}"}

    raw = packed(AuditEvent(event="login.failed", username=TOKEN, user_agent=f"x {TOKEN}", details=details), 1.0)

    assert b"tell nobody" not in raw
    assert b"eyJ" not in raw
    assert unpacked(raw) is not None


def test_no_name_of_a_browser_hides_its_event() -> None:
    event = AuditEvent(event="login.succeeded", username="alice", user_agent="\u044eyJaaaaaaa.b")

    record = unpacked(packed(event, 1.0))

    assert record is not None
    assert record.event == event


def test_the_largest_event_has_a_bound() -> None:
    text = "\U0001f600" * 10_000
    details = {f"{number}{text}": text for number in range(1000)}

    texts = dict.fromkeys(
        ("event", "request_id", "route", "subject", "username", "address", "user_agent", "reason"), text
    )

    raw = packed(AuditEvent(**texts, sessions_affected=10**9, details=details), 1e10)

    assert len(raw) <= MAX_RECORD_BYTES
    kept = unpacked(raw)
    assert kept is not None
    assert len(kept.event.details) == MAX_DETAILS
    assert len(kept.event.username or "") == MAX_TEXT


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"{}", b'{"v":2,"at":1,"event":"x"}', b'{"v":1,"event":"x"}', b'{"v":1,"at":1}',
     b'{"v":1,"at":"soon","event":"x"}', b'{"v":1,"at":1,"event":"x","details":[1]}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_record_of_this_version_is_none(raw: bytes) -> None:
    assert unpacked(raw) is None


def test_what_a_later_build_adds_is_passed_over() -> None:
    raw = json.dumps({"v": 1, "at": 1, "event": "login.failed", "weather": "fine"}).encode()

    assert unpacked(raw) is not None


def test_people_are_known_whatever_the_case_of_their_letters() -> None:
    event = AuditEvent(event="login.failed", username="Straße")

    assert is_of("STRASSE", event)
    assert is_of(None, event)
    assert not is_of("alice", event)
    assert not is_of("", AuditEvent(event="login.failed"))
