"""The legacy app on loopback, in threads, by the server that comes with Python. For the demo only."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from proxy.demo.legacy_app import LegacyApp

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK: Final = "127.0.0.1"


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: what matters of a request, the gate in front tells."""


@contextmanager
def running_legacy_app(port: int = 0) -> Iterator[str]:
    """The app's URL while it runs, on a free port unless one is named."""
    server = make_server(LOOPBACK, port, LegacyApp(), server_class=_ThreadingServer, handler_class=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
