"""The log: one line for each request, each audit event and each message; JSON, or text for a console.

structlog carries messages and audit events through its processors. The line of a request, which is made thousands of
times in a second, is put together by hand from the same parts in the same order (a benchmark holds its price).
Every line passes :mod:`proxy.observe.redaction`; times are ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

import structlog

from proxy.observe.events import Kind
from proxy.observe.redaction import MAX_TEXT, mask_tokens, mask_tokens_in_json, printable, shown, shown_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from proxy.ports import Clock, RequestEvent

RESERVED = frozenset({"at", "level", "kind", "event"})
"""Names that every line uses for itself; a message's field of such a name gets an underscore."""

_LONG_REQUEST = 3 * MAX_TEXT
"""Characters of a request's text above which its values are cut one by one."""


_MAX_REMEMBERED = 1024
_REMEMBERED_LENGTH = 1024
"""Texts, and characters of each, that are quoted once: at most 2 MiB of what was asked and by whom."""


class LogFormat(StrEnum):
    """``log.format``."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """``log.level``. Requests are ``info``; the audit trail is written at every level."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_RANK = {level: rank for rank, level in enumerate(LogLevel)}

_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


class _Timestamp:
    """Unix seconds as ISO 8601 with milliseconds; the part that changes once in a second is kept."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return self._text + _MILLISECONDS[int((now - second) * 1000)]


class Log:
    """Make lines and hand them to ``write``.

    Attributes:
        context: what messages and audit events say besides, of the request in which they are said.
    """

    context: Callable[[], Mapping[str, str]] = dict

    def __init__(
        self, write: Callable[[bytes], None], *, clock: Clock, level: LogLevel, line_format: LogFormat
    ) -> None:
        """Begin; ``write`` takes a whole line and neither waits nor raises (``LineWriter.write``)."""
        self._write = write
        self._clock = clock
        self._rank = _RANK[level]
        self._timestamp = _Timestamp()
        self._asked = _Members("method", "host", "path", "route", "decision", "reason")
        self._asker = _Members("subject", "username", "address", "user_agent")
        self._is_json = line_format is LogFormat.JSON
        self._says_requests = _RANK[LogLevel.INFO] >= self._rank
        renderer = _json_line if self._is_json else structlog.dev.ConsoleRenderer(colors=False, timestamp_key="at")
        processors = [self._add_time, _redact, *(() if self._is_json else (_printable,)), renderer]
        # Everything is named here, so that nobody's structlog.configure changes what is written.
        lazy = structlog.wrap_logger(
            _Sink(self._take), processors=processors, wrapper_class=structlog.BoundLogger, context_class=dict
        )
        self._logger = lazy.bind()

    @property
    def left_out(self) -> int:
        """Return how many lines of requests were left out; here none is."""
        return 0

    def close(self) -> None:
        """Say what is still to be said; here nothing is."""

    def adopt(self, *, level: LogLevel) -> None:
        """Write what is at least of this level from now on."""
        self._rank = _RANK[level]
        self._says_requests = _RANK[LogLevel.INFO] >= self._rank

    def say(self, level: LogLevel, message: str, fields: Mapping[str, object]) -> None:
        """Write a message with its fields."""
        if _RANK[level] >= self._rank:
            safe = {f"{name}_" if name in RESERVED else name: value for name, value in fields.items()}
            self._logger.info(message, level=level.value, kind=Kind.MESSAGE.value, **safe)

    def audit(self, name: str, fields: Mapping[str, object]) -> None:
        """Write an audit event, whatever the level is."""
        self._logger.info(name, level=LogLevel.INFO.value, kind=Kind.AUDIT.value, **fields)

    def request(self, event: RequestEvent) -> None:
        """Write the line of a request."""
        if not self._says_requests:
            return
        if not self._is_json:
            self._console_request(event)
            return
        if len(event.path) + len(event.user_agent) + len(event.host) > _LONG_REQUEST:
            event = _shortened(event)
        line = self._request_line(event)
        self._write(mask_tokens_in_json(line).encode())

    def _request_line(self, event: RequestEvent) -> str:
        """Put the line together; what is the same for many requests is quoted once."""
        asked = self._asked[event.method, event.host, event.path, event.route, event.decision, event.reason]
        asker = self._asker[event.subject, event.username, event.address, event.user_agent]
        upstream = "null" if event.upstream_s is None else f"{event.upstream_s:.6f}"
        return (
            f'{{"at":"{self._timestamp(self._clock.now())}","level":"info","kind":"request"'
            f',"request_id":{quoted(event.request_id)},"trace_id":"{event.traceparent[3:35]}",{asked}'
            f',"status":{event.status},"duration_s":{event.duration_s:.6f},"upstream_s":{upstream}'
            f',"bytes_in":{event.bytes_in},"bytes_out":{event.bytes_out},{asker}'
            f',"fault":{"null" if event.fault is None else quoted(event.fault)}}}\n'
        )

    def _console_request(self, event: RequestEvent) -> None:
        fields = {
            "status": event.status,
            "duration_s": round(event.duration_s, 6),
            "route": event.route,
            "decision": event.decision,
            "reason": event.reason,
            "username": event.username,
            "request_id": event.request_id,
            "fault": event.fault,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        what = f"{event.method} {event.path}"
        self._logger.info(what, level=LogLevel.INFO.value, kind=Kind.REQUEST.value, **said)

    def _add_time(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"at": self._timestamp(self._clock.now()), **line, **self.context()}

    def _take(self, line: str) -> None:
        masked = mask_tokens_in_json(line) if self._is_json else mask_tokens(line)
        self._write(masked.encode(errors="backslashreplace") + b"\n")


class StandardHandler(logging.Handler):
    """Bring what libraries say by the standard library's ``logging`` into our log."""

    def __init__(self, log: Log) -> None:
        """Take records of every level; the log has its own."""
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be written is lost, and its library does not notice."""
        try:
            fields = {"logger": record.name}
            if record.exc_info is not None and record.exc_info[0] is not None:
                fields["fault"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
            self._log.say(_level_of(record.levelno), record.getMessage(), fields)
        except Exception:  # noqa: BLE001 - logging.Handler's rule: emit never raises
            self.handleError(record)


class _Sink:
    """What structlog takes for a logger: every level is the same."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.info = take


def _redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return shown_fields(line)


def _printable(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: printable(value) for name, value in line.items()}


def _json_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
    first = {"at": line.pop("at"), "level": line.pop("level"), "kind": line.pop("kind"), "event": line.pop("event")}
    return json.dumps(first | dict(line), separators=(",", ":"))


class _Members(dict[tuple[str | None, ...], str]):
    """Values -> members of a JSON object, in C's quoting since anybody may have chosen them; remembers a few."""

    __slots__ = ("_names",)

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, values: tuple[str | None, ...]) -> str:
        pairs = zip(self._names, values, strict=True)
        text = ",".join(f'"{name}":{"null" if value is None else quoted(value)}' for name, value in pairs)
        if len(text) <= _REMEMBERED_LENGTH:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[values] = text
        return text


def _shortened(event: RequestEvent) -> RequestEvent:
    """Return a copy whose text is cut; the event itself belongs to the request."""
    copy = type(event)(request_id=event.request_id, started_at=event.started_at)
    for name in event.__struct_fields__:
        setattr(copy, name, shown(getattr(event, name)))
    return copy


def _level_of(number: int) -> LogLevel:
    if number >= logging.ERROR:
        return LogLevel.ERROR
    if number >= logging.WARNING:
        return LogLevel.WARNING
    return LogLevel.INFO if number >= logging.INFO else LogLevel.DEBUG
