"""A collector of traces: OTLP over HTTP with protobuf, on loopback, in a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

DEADLINE_S = 10.0


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it arrived; ids are hexadecimal, ``parent_id`` is empty for the first of a trace."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: tuple[str, ...]
    seconds: float


class Collector:
    """Listens while it is entered.

    Attributes:
        paths, headers: of each batch.
        status: what it answers.
        holds: while it is set, no batch is answered.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.holds = threading.Event()
        self._spans: list[ReceivedSpan] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector._take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                while collector.holds.is_set():
                    time.sleep(0.01)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        return list(self._spans)

    def wait_for(self, count: int) -> list[ReceivedSpan]:
        """Return the spans once there are so many."""
        deadline = time.monotonic() + DEADLINE_S
        while len(self._spans) < count:
            assert time.monotonic() < deadline, f"{len(self._spans)} of {count} spans came: {self._spans}"
            time.sleep(0.02)
        return self.spans

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.holds.clear()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.paths.append(path)
        self.headers.append(headers)
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self._spans += [_received(span, resource) for span in of_scope.spans]


def _received(span: Any, resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        attributes=_plain(span.attributes),
        resource=resource,
        links=tuple(link.trace_id.hex() for link in span.links),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
