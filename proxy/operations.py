"""What operators do from a terminal: ``sidegate sessions`` and ``sidegate audit``.

A part of the composition root. Sessions in Redis are reached there, with the keys that the file names; sessions in
memory belong to a running process, which is asked by its management API. What is printed is a table for people or JSON
for programs; whatever a visitor chose is made printable, so that nobody writes to an operator's terminal.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from proxy import page_slices, slices
from proxy.clock import SystemClock
from proxy.errors import SettingsError
from proxy.management_client import ManagementClient
from proxy.observe.log import LogLevel
from proxy.observe.observer import ProductionObserver
from proxy.observe.redaction import printable
from proxy.redis_stores import RedisStores
from proxy.sessions.live import LiveStreamRegistry
from proxy.web.administration import AdministrationParts, Operator, StoreAdministration
from proxy.web.user_agents import words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence

    from proxy.settings.portals import SiteSettings
    from proxy.web.administration import Administration

Document = dict[str, Any]

_UNREACHABLE: Final = (
    "sessions.store is memory, so the running process is asked, and that needs management.admin_token; "
    "write {file: PATH} there and start it anew"
)

_COLUMNS: Final = ("USER", "ADDRESS", "SIGNED IN", "LAST USED", "ENDS", "BROWSER", "SID")

_EVENT_WIDTHS: Final = (20, 18, 16, 15)
"""Columns of an event that are filled up: time, name, user, address."""

MAX_CELL: Final = 64
"""Characters of a cell; a sid has 36."""


class Form(Enum):
    """How it is printed."""

    TABLE = "table"
    JSON = "json"


@asynccontextmanager
async def administration(sites: Sequence[SiteSettings]) -> AsyncIterator[Administration]:
    """Give what the operator works with: sessions of all sites of the file.

    Raises:
        SettingsError: sessions are in memory, and the file has no token for the process that holds them.
    """
    at = _at_redis if sites[0].settings.sessions.store == "redis" else _at_process
    async with at(sites) as asked:
        yield asked


@asynccontextmanager
async def _at_redis(sites: Sequence[SiteSettings]) -> AsyncIterator[Administration]:
    """Give the store itself, with a trail that has what is done here written before the end."""
    clock = SystemClock()
    observer = ProductionObserver(_tell_warnings, clock=clock, level=LogLevel.WARNING)
    stores = RedisStores(sites, clock=clock, observer=observer, live=LiveStreamRegistry(observer))
    if stores.audit is not None:
        observer.keep_audit(stores.audit)
    parts = AdministrationParts(
        sites=tuple(page_slices.managed_site(page_slices.web_options(one.settings, portal=one.name)) for one in sites),
        sessions=stores.sessions,
        trail=stores.audit,
        observer=observer,
        clock=clock,
    )
    try:
        await stores.start()
        yield StoreAdministration(parts, Operator(by=f"command of {_account()}"))
    finally:
        await stores.close()
        observer.close()


def _tell_warnings(lines: bytes) -> None:
    """Tell the operator of what they could not see (records of another key); faults come as exceptions anyway."""
    for line in map(json.loads, lines.splitlines()):
        if line["level"] == LogLevel.WARNING.value:
            sys.stderr.write(f"sidegate: {printable(line['event'])}\n")


def _account() -> str:
    """Return whose terminal it is; a container may have no names."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


@asynccontextmanager
async def _at_process(sites: Sequence[SiteSettings]) -> AsyncIterator[Administration]:
    settings = sites[0].settings
    source = settings.management.admin_token
    if source is None:
        raise SettingsError(_UNREACHABLE)
    async with ManagementClient(slices.api_address(settings), source.read()) as client:
        yield client


# --- commands --------------------------------------------------------------------------------------------------------


def list_sessions(sites: Sequence[SiteSettings], form: Form, *, user: str | None, sid: str | None, limit: int) -> int:
    """Print live sessions; returns the exit code."""

    async def work() -> int:
        async with administration(sites) as asked:
            document = await asked.list_sessions(user=user, sid=sid, limit=limit)
            await _print_sessions(document, form)
        total, shown = document["total"], len(_rows(document["sessions"]))
        if form is Form.TABLE:
            _say(_counted(total, "session") + ("" if shown == total else f"; the last {shown} used are shown"))
        return 0

    return _run(work())


def end_sessions(sites: Sequence[SiteSettings], form: Form, *, user: str | None, sid: str | None) -> int:
    """End the sessions of one person or sid, or every one when neither is named; prints what ended."""

    async def work() -> int:
        async with administration(sites) as asked:
            is_all = user is None and sid is None
            ended = asked.end_every_session() if is_all else asked.end_sessions(user=user, sid=sid)
            document = await ended
            await _print_sessions(document, form)
        if form is Form.TABLE:
            _say(f"{_counted(document['sessions_ended'], 'session')} ended")
        return 0

    return _run(work())


def read_audit(sites: Sequence[SiteSettings], form: Form, *, user: str | None, since: float, limit: int) -> int:
    """Print the last events; returns the exit code."""

    async def work() -> int:
        async with administration(sites) as asked:
            document = await asked.read_audit(user=user, since=since, limit=limit)
        for event in _rows(document["events"]):
            _say(_event_line(event, form))
        return 0

    return _run(work())


def follow_audit(sites: Sequence[SiteSettings], form: Form, *, user: str | None, since: float, limit: int) -> int:
    """Print the last events and then each further one, until Ctrl-C; returns the exit code."""

    async def work() -> int:
        async with administration(sites) as asked:
            async for event in asked.follow_audit(user=user, since=since, limit=limit):
                _say(_event_line(event, form))
        return 0

    return _run(work())


def ago(seconds: float) -> float:
    """Return the Unix time that was so many seconds ago."""
    return SystemClock.now() - seconds


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:  # how one stops following
        return 0
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # its flush at the end must not complain
        return 0


# --- what is printed -------------------------------------------------------------------------------------------------


async def _print_sessions(document: Mapping[str, object], form: Form) -> None:
    if form is Form.JSON:
        _say(json.dumps(document, indent=2))
        return
    sessions = _rows(document["sessions"])
    words = await words_of(str(one["user_agent"]) for one in sessions)
    browsers = {text: _browser(text, said.browser, said.system) for text, said in words.items()}
    rows = [_session_row(one, browsers[str(one["user_agent"])]) for one in sessions]
    columns: tuple[str, ...] = _COLUMNS
    if any("portal" in one for one in sessions):
        rows = [(_cell(one.get("portal")), *row) for one, row in zip(sessions, rows, strict=True)]
        columns = ("PORTAL", *_COLUMNS)
    for line in _table([columns, *rows]) if rows else ():
        _say(line)


def _session_row(session: Document, browser: str) -> tuple[str, ...]:
    moments = [_moment(session[name]) for name in ("created_at", "last_seen", "expires_at")]
    cells = (session["username"], session["address"], *moments, browser, session["sid"])
    return tuple(_cell(cell) for cell in cells)


def _browser(text: str, browser: str | None, system: str | None) -> str:
    return " on ".join(part for part in (browser, system) if part) or text


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _event_line(event: Document, form: Form) -> str:
    if form is Form.JSON:
        return json.dumps(event, separators=(",", ":"))
    columns = (str(event["at"])[:19] + "Z", event["event"], event["username"], event["address"])
    filled = [f"{_cell(cell):<{width}}" for cell, width in zip(columns, _EVENT_WIDTHS, strict=True)]
    details = {"reason": event["reason"], "route": event["route"], **event.get("details", {})}
    said = [f"{name}={_cell(value)}" for name, value in details.items() if value is not None]
    count = [f"sessions={event['sessions_affected']}"] if event["sessions_affected"] else []
    return "  ".join([*filled, *count, *said]).rstrip()


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    text = str(printable(str(value)))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _moment(at: object) -> str:
    return datetime.fromtimestamp(float(str(at)), UTC).strftime("%Y-%m-%d %H:%MZ")


def _counted(count: object, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _rows(value: object) -> list[Document]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _say(line: str) -> None:
    """Print a line at once, for whoever follows through a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
