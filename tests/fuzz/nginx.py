"""A real nginx as second hop: what would the next proxy make of these bytes?

It stands between a unix socket and a log, passes every field on, and is as lenient as it can be told to be: the more
it takes, the more it can read differently.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.readers import Message, Transcript
from tests.fuzz.wire import Log, Script, connect_unix, request_end, settle
from tests.support.processes import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

QUIET_S = 0.3
"""Another process, on a busy machine."""

_REFUSED = re.compile(r"\[(?:info|error)\] [^ ]+ (?:\*[0-9]+ )?((?:client sent|client intended|invalid|unsafe)[^\n]*)")

OK = Script([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])

MAIN = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; server_tokens off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;
  client_max_body_size 0; client_header_buffer_size 64k; large_client_header_buffers 8 128k;
  client_header_timeout 2s; client_body_timeout 2s; keepalive_timeout 2s; lingering_timeout 1s;
  keepalive_requests 1000000; reset_timedout_connection on;
  {servers}
}}
"""
SERVER = """
  server {{
    listen unix:{folder}/{number}.sock; error_log {folder}/{number}.log info;
    location / {{
      proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_pass_request_headers on; proxy_next_upstream off; proxy_read_timeout 2s;
    }}
  }}
"""


def nginx_command() -> str | None:
    """Where nginx is; None when it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class NginxHop:
    """One nginx with ``count`` places, each with a log of its own behind it."""

    def __init__(self, command: str, *, count: int) -> None:
        self._command = command
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-nginx-"))
        self.logs = [Log(lambda head: OK) for _ in range(count)]
        self._program: Program | None = None

    async def start(self) -> None:
        """Start the logs, then nginx, and wait until it listens."""
        for log in self.logs:
            await log.start()
        folder = str(self._folder)
        servers = "".join(SERVER.format(folder=folder, number=n, port=log.port) for n, log in enumerate(self.logs))
        configuration = self._folder / "nginx.conf"
        configuration.write_text(MAIN.format(folder=folder, servers=servers), "utf-8")
        output = self._folder / "output.log"
        self._program = Program([self._command, "-p", folder, "-c", str(configuration), "-e", str(output)], log=output)
        if not await settle(lambda: all(Path(self._socket(n)).exists() for n in range(len(self.logs)))):
            raise RuntimeError(f"nginx does not listen: {self._program.output}")

    async def stop(self) -> None:
        """End nginx and the logs."""
        if self._program is not None:
            await asyncio.to_thread(self._program.end)
        for log in self.logs:
            log.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def requests(self, pieces: Sequence[bytes], *, place: int, patience: int = 1) -> Transcript:
        """Return the whole requests that nginx sends on when it gets these bytes; ``refusal`` is its 4xx or 5xx."""
        log = self.logs[place]
        log.begin()
        sender = await connect_unix(self._socket(place))
        await sender.send(pieces)
        await sender.until_quiet(QUIET_S * patience)
        await sender.close()
        await settle(lambda: log.is_settled)
        transcript = Transcript()
        for connection in log.touched:
            transcript.messages += _whole_requests(bytes(connection.received))
        transcript.refusal = self._refusal(place)
        return transcript

    def _refusal(self, place: int) -> str:
        """Return why nginx refused, from its log, which is emptied for the next."""
        log = self._folder / f"{place}.log"
        said = _REFUSED.search(log.read_text("latin-1"))
        os.truncate(log, 0)
        return said[1] if said else ""

    def _socket(self, place: int) -> str:
        return f"{self._folder}/{place}.sock"


def _whole_requests(stream: bytes) -> list[Message]:
    """Read what nginx wrote, which is regular: one length, no chunks, one space after each colon."""
    found, start = [], 0
    while end := request_end(stream, start):
        head, _, body = stream[start:end].partition(b"\r\n\r\n")
        line, *rest = head.split(b"\r\n")
        method, _, target = line.rpartition(b" ")[0].partition(b" ")
        pairs = [text.partition(b":") for text in rest]
        fields = tuple((name.lower(), value.strip(b" \t")) for name, _, value in pairs)
        found.append(Message((method, target), fields, body))
        start = end
    return found
