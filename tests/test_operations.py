"""What an operator reads: tables and JSON, of text that visitors chose; and who is asked."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from proxy import operations
from proxy.errors import SettingsError
from proxy.observe.log import LogLevel
from proxy.observe.observer import ProductionObserver
from proxy.operations import Form
from proxy.ports import AuditEvent
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from tests.support.administration import Office, make_office
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from proxy.settings.portals import SiteSettings
    from proxy.web.administration import Administration

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
EVERYTHING: dict[str, Any] = {"user": None, "since": 0.0, "limit": 100}


def settings(**management: Any) -> Sequence[SiteSettings]:
    given = Settings.model_validate(
        {
            "server": {"public_url": "https://app.example.com"},
            "management": management,
            "keycloak": {
                "issuer": "https://sso.example.com/realms/acme",
                "client_id": "a",
                "client_auth": {"method": "none"},
            },
            "upstreams": {"app": {"url": "http://127.0.0.1:1"}},
        }
    )
    return one_site(given)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office that every command finds."""
    made = make_office()

    @asynccontextmanager
    async def find(_sites: Sequence[SiteSettings]) -> AsyncIterator[Administration]:
        yield made.administration

    monkeypatch.setattr(operations, "administration", find)
    return made


def sign_in(office: Office, cookie: str, **changes: Any) -> None:
    asyncio.run(office.signed_in(cookie, **changes))


def test_sessions_are_a_table_for_people(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(office, "a", user_agent=FIREFOX, address="203.0.113.7", sid="s1")
    sign_in(office, "b", user_agent="nobody knows", subject="bob-id", sid=None)

    assert operations.list_sessions(settings(), Form.TABLE, user=None, sid=None, limit=100) == 0

    header, alice, bob, count = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "USER"
    moments = "2027-01-15 08:00Z  2027-01-15 08:00Z  2027-02-14 08:00Z"
    assert alice == f"alice  203.0.113.7  {moments}  Firefox 127 on Linux  s1"
    assert bob == f"bob    -            {moments}  nobody knows          -"
    assert header.index("SID") == alice.index("s1")
    assert count == "2 sessions"


def test_the_portal_stands_first_where_there_are_several(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(office, "a", portal="admin")
    sign_in(office, "b")

    operations.list_sessions(settings(), Form.TABLE, user=None, sid=None, limit=100)

    header, *rows, _ = capsys.readouterr().out.splitlines()
    assert header.startswith("PORTAL  USER")
    assert sorted(row.split()[0] for row in rows) == ["-", "admin"]


def test_what_is_not_shown_is_counted(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        sign_in(office, f"c{number}")

    operations.list_sessions(settings(), Form.TABLE, user=None, sid=None, limit=1)

    assert capsys.readouterr().out.splitlines()[-1] == "3 sessions; the last 1 used are shown"


def test_sessions_are_json_for_programs(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(office, "a")

    operations.list_sessions(settings(), Form.JSON, user="alice", sid=None, limit=100)

    assert json.loads(capsys.readouterr().out)["sessions"][0]["username"] == "alice"


def test_an_end_prints_what_ended(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(office, "a", sid="s1")
    sign_in(office, "b", subject="bob-id")

    operations.end_sessions(settings(), Form.TABLE, user="alice", sid=None)
    first = capsys.readouterr().out.splitlines()
    operations.end_sessions(settings(), Form.TABLE, user=None, sid=None)
    second = capsys.readouterr().out.splitlines()

    assert ("s1" in first[1], first[-1]) == (True, "1 session ended")
    assert ("bob" in second[1], second[-1]) == (True, "1 session ended")


def test_events_are_lines(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.trail.add(
        AuditEvent(event="login.failed", username="alice", address="203.0.113.7", reason="invalid_credentials"), START
    )
    office.trail.add(AuditEvent(event="logout.backchannel", sessions_affected=2), START)

    operations.read_audit(settings(), Form.TABLE, **EVERYTHING)

    failed, out = capsys.readouterr().out.splitlines()
    assert failed.split() == [
        "2027-01-15T08:00:00Z", "login.failed", "alice", "203.0.113.7", "reason=invalid_credentials"
    ]  # fmt: skip
    assert out.split() == ["2027-01-15T08:00:00Z", "logout.backchannel", "-", "-", "sessions=2"]


def test_events_are_json_lines_for_programs(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.trail.add(AuditEvent(event="login.failed", username="alice"), START)

    operations.read_audit(settings(), Form.JSON, **EVERYTHING)

    assert json.loads(capsys.readouterr().out)["event"] == "login.failed"


@pytest.mark.parametrize("how", [KeyboardInterrupt])
def test_ctrl_c_is_how_one_stops_following(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: type[BaseException]
) -> None:
    office.trail.add(AuditEvent(event="login.failed"), START)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        raise how

    monkeypatch.setattr(operations, "_say", say)

    assert operations.follow_audit(settings(), Form.TABLE, **EVERYTHING) == 0
    assert len(said) == 1


def test_no_visitor_writes_to_the_terminal(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202efake\u0085"
    sign_in(office, "a", user_agent=evil, address=evil, subject=f"{evil}-id", sid=evil)
    office.trail.add(AuditEvent(event="login.failed", username=evil, user_agent=evil, reason=evil), START)

    for form in Form:
        operations.list_sessions(settings(), form, user=None, sid=None, limit=100)
        operations.read_audit(settings(), form, **EVERYTHING)

    out = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in out)


def test_a_long_text_does_not_break_the_table(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(office, "a", user_agent="x" * 250, sid="s" * 36)

    operations.list_sessions(settings(), Form.TABLE, user=None, sid=None, limit=100)

    assert "x" * 65 not in capsys.readouterr().out


async def test_memory_without_a_token_names_the_key() -> None:
    with pytest.raises(SettingsError, match=r"needs management\.admin_token"):
        async with operations.administration(settings()):
            pass


def test_ago_is_before_now() -> None:
    assert operations.ago(60) < operations.ago(0)


def test_an_operator_hears_of_what_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    observer = ProductionObserver(operations._tell_warnings, clock=FakeClock(), level=LogLevel.WARNING)

    observer.warning("records cannot be read \x1b[2J", records=3)
    observer.error("Redis is away")
    observer.audit(AuditEvent(event="session.revoked"))
    observer.close()

    assert capsys.readouterr().err == "sidegate: records cannot be read \\x1b[2J\n"
