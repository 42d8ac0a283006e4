"""What is behind every server under test: nginx with a file of 1 KiB and one of 100 MiB, and the echo of messages.

All on the core of the load; none of it counts.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.machine import MIB, pinned
from benchmarks.started import started
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = "/small"
SMALL_BYTES = 1024
LARGE = "/large"
LARGE_BYTES = 100 * MIB
WEBSOCKET = "/ws"

_NGINX = """
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type text/plain;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  open_file_cache max=10;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {folder}/files;
    location = /ws {{
      proxy_pass http://127.0.0.1:{echo_port};
      proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where it listens, and the processes that it is."""

    port: int
    pids: tuple[int, ...]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_upstream(folder: Path, core: int) -> Iterator[Upstream]:
    """Serve the files and the echo."""
    files = folder / "files"
    files.mkdir(parents=True)
    for name in (SMALL[1:], "index.html"):  # the latter is where a sign-in lands
        (files / name).write_bytes(b"x" * SMALL_BYTES)
    with (files / LARGE[1:]).open("wb") as large:
        large.truncate(LARGE_BYTES)
    port, echo_port = free_port(), free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, echo_port=echo_port), "utf-8")
    with ExitStack() as stack:
        echo = [sys.executable, "-m", "benchmarks.echo", str(echo_port)]
        echo_program = stack.enter_context(started(pinned(core, echo), folder / "echo.log", port=echo_port))
        nginx = ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)]
        program = stack.enter_context(started(pinned(core, nginx), folder / "nginx.log", port=port))
        yield Upstream(port, (echo_program.pid, program.pid))
