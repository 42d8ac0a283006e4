"""Every line is whole, readable by a machine, in UTC, and free of secrets."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.secret import Secret
from proxy.observe.log import Log, LogFormat, LogLevel, StandardHandler
from proxy.observe.redaction import MAX_TEXT
from proxy.ports import RequestEvent
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"


class Written:
    """A log and the lines that it wrote."""

    def __init__(self, level: LogLevel = LogLevel.INFO, line_format: LogFormat = LogFormat.JSON) -> None:
        self.lines: list[bytes] = []
        self.clock = FakeClock(1_795_257_847.125)
        self.log = Log(self.lines.append, clock=self.clock, level=level, line_format=line_format)

    @property
    def only(self) -> dict[str, Any]:
        (line,) = self.lines
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        parsed: dict[str, Any] = json.loads(line)
        return parsed


def make_event(**changes: Any) -> RequestEvent:
    event = RequestEvent(
        request_id="r1",
        started_at=0.0,
        method="GET",
        path="/wiki",
        host="app.example.com",
        route="/**",
        decision="allow",
        reason="authenticated",
        subject="alice-id",
        username="alice",
        address="192.0.2.1",
        user_agent='Mozilla "5"',
        traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01",
        status=200,
        bytes_out=12,
        duration_s=0.0041234,
        upstream_s=0.003,
    )
    for name, value in changes.items():
        setattr(event, name, value)
    return event


def test_the_line_of_a_request_says_everything_about_it() -> None:
    written = Written()
    written.log.request(make_event())

    assert written.only == {
        "at": "2026-11-21T10:44:07.125Z",
        "level": "info",
        "kind": "request",
        "request_id": "r1",
        "trace_id": "ab" * 16,
        "method": "GET",
        "host": "app.example.com",
        "path": "/wiki",
        "route": "/**",
        "decision": "allow",
        "reason": "authenticated",
        "status": 200,
        "duration_s": 0.004123,
        "upstream_s": 0.003,
        "bytes_in": 0,
        "bytes_out": 12,
        "subject": "alice-id",
        "username": "alice",
        "address": "192.0.2.1",
        "user_agent": 'Mozilla "5"',
        "fault": None,
    }


def test_every_field_of_the_event_is_in_its_line() -> None:
    written = Written()
    written.log.request(make_event())

    assert set(RequestEvent.__slots__) - set(written.only) == {"started_at", "traceparent"}


def test_what_is_quoted_once_says_the_same_the_second_time() -> None:
    written = Written()
    events = [make_event(request_id=id_, path=path) for id_ in ("r1", "r2") for path in ("/a", '/"b"', "/a")]

    for event in events:
        written.log.request(event)

    lines = [json.loads(line) for line in written.lines]
    assert [(line["request_id"], line["path"]) for line in lines] == [(one.request_id, one.path) for one in events]
    assert {line["username"] for line in lines} == {"alice"}


def test_what_is_remembered_of_visitors_is_bounded() -> None:
    written = Written()

    for number in range(3000):
        written.log.request(make_event(path=f"/{number}", user_agent=f"agent {number}"))
    written.log.request(make_event(path="/" + "x" * 2000))

    for remembered in (written.log._asked, written.log._asker):
        assert 0 < len(remembered) <= 1024
        assert max(map(len, remembered.values())) <= 1024


@given(st.text(max_size=40), st.text(max_size=40), st.one_of(st.none(), st.text(max_size=40)))
def test_no_text_of_a_visitor_breaks_the_line(path: str, user_agent: str, username: str | None) -> None:
    written = Written()
    written.log.request(make_event(path=path, user_agent=user_agent, username=username))

    assert (written.only["path"], written.only["user_agent"], written.only["username"]) == (path, user_agent, username)


@pytest.mark.parametrize("text", ['"', "\\", "a\nb", "\x00", "\u2028", "\ud800", '","status":500,"x":"'])
def test_quotes_line_feeds_and_half_characters_are_escaped(text: str) -> None:
    written = Written()
    written.log.request(make_event(path=text))
    written.log.say(LogLevel.INFO, text, {"field": text})

    for line in written.lines:
        parsed = json.loads(line)
        assert text in (parsed.get("path"), parsed.get("event"))
        assert parsed.get("status", 200) == 200


def test_a_text_that_ends_an_escape_like_a_token_leaves_the_line_whole() -> None:
    written = Written()
    written.log.request(make_event(user_agent="\xeeyJaaaaaaa.b"))
    written.log.audit("login.failed", {"user_agent": "\u044eyJaaaaaaa.b"})

    assert [json.loads(line)["user_agent"] for line in written.lines] == ["\xeeyJaaaaaaa.b", "\u044eyJaaaaaaa.b"]


@pytest.mark.parametrize("line_format", list(LogFormat))
def test_a_token_in_a_path_or_a_message_is_masked(line_format: LogFormat) -> None:
    written = Written(line_format=line_format)
    written.log.request(make_event(path=f"/reset/{TOKEN}"))
    written.log.say(LogLevel.WARNING, f"refused {TOKEN}", {"token": TOKEN})
    written.log.audit("login.failed", {"reason": TOKEN})

    assert len(written.lines) == 3
    for line in written.lines:
        assert b"eyJ" not in line
        assert b"***" in line


@pytest.mark.parametrize("line_format", list(LogFormat))
def test_a_secret_is_masked_by_its_type(line_format: LogFormat) -> None:
    written = Written(line_format=line_format)
    written.log.say(LogLevel.ERROR, "it broke", {"password": Secret("tell nobody"), "inside": [Secret("tell nobody")]})

    (line,) = written.lines
    assert b"tell nobody" not in line
    assert b"***" in line


def test_a_message_has_its_fields_and_its_level() -> None:
    written = Written()
    written.log.say(LogLevel.WARNING, 'the "provider" is away', {"since": 12.5})

    assert written.only == {
        "at": "2026-11-21T10:44:07.125Z",
        "level": "warning",
        "kind": "message",
        "event": 'the "provider" is away',
        "since": 12.5,
    }


def test_a_field_does_not_take_the_place_of_the_lines_own() -> None:
    written = Written()
    written.log.say(LogLevel.INFO, "message", {"event": "x", "at": "x", "level": "x", "kind": "x"})

    assert (written.only["event"], written.only["level"], written.only["event_"]) == ("message", "info", "x")


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        (LogLevel.DEBUG, ["request", "debug", "info", "error", "audit"]),
        (LogLevel.INFO, ["request", "info", "error", "audit"]),
        (LogLevel.WARNING, ["error", "audit"]),
    ],
)
def test_what_is_below_the_level_is_not_written_but_the_audit_trail_is(level: LogLevel, kinds: list[str]) -> None:
    written = Written(level)
    written.log.request(make_event())
    for each in (LogLevel.DEBUG, LogLevel.INFO, LogLevel.ERROR):
        written.log.say(each, each.value, {})
    written.log.audit("login.failed", {})

    parsed = [json.loads(line) for line in written.lines]
    assert [line["event"] if line["kind"] == "message" else line["kind"] for line in parsed] == kinds


def test_the_time_goes_on() -> None:
    written = Written()
    for _ in range(3):
        written.log.say(LogLevel.INFO, "x", {})
        written.clock.advance(0.5)

    stamps = [json.loads(line)["at"][-13:] for line in written.lines]
    assert stamps == ["10:44:07.125Z", "10:44:07.625Z", "10:44:08.125Z"]


def test_long_texts_are_cut_and_the_event_is_left_as_it_is() -> None:
    written = Written()
    event = make_event(path="/" + "x" * 30_000)
    written.log.request(event)

    assert len(written.only["path"]) == MAX_TEXT + 1
    assert len(event.path) == 30_001


def test_on_a_console_a_visitor_cannot_write_control_characters() -> None:
    written = Written(line_format=LogFormat.CONSOLE)
    written.log.request(make_event(path="/\x1b[2J\r\nfake"))

    (line,) = written.lines
    assert b"\x1b" not in line
    assert line.count(b"\n") == 1
    assert b"GET /\\x1b[2J\\r\\nfake" in line
    assert b"status=200" in line


@pytest.fixture
def library() -> Iterator[tuple[logging.Logger, Written]]:
    written = Written()
    logger = logging.getLogger("some.library")
    handler = StandardHandler(written.log)
    logger.addHandler(handler)
    yield logger, written
    logger.removeHandler(handler)


def test_what_a_library_says_is_in_our_log(library: tuple[logging.Logger, Written]) -> None:
    logger, written = library
    logger.warning("lost %s", TOKEN)

    assert written.only["event"] == "lost ***"
    assert (written.only["level"], written.only["logger"]) == ("warning", "some.library")


def test_a_librarys_fault_is_one_line_with_its_type(library: tuple[logging.Logger, Written]) -> None:
    logger, written = library
    fault = ValueError("two\nlines")
    logger.error("it broke", exc_info=fault)

    assert written.only["fault"] == "ValueError: two\nlines"
    assert written.only["level"] == "error"


def test_a_librarys_broken_message_harms_nobody(
    library: tuple[logging.Logger, Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger, written = library
    logger.warning("%d", "no number")

    assert written.lines == []
