"""Ask a running Sidegate whether it is well, for the health check of a container: ``sidegate health``.

Standard library only: it runs every few seconds beside the process it asks, in an image without curl.
"""

from __future__ import annotations

import http.client
import socket
from typing import Final

from proxy.errors import SidegateError

PATIENCE_S: Final = 3.0
"""Seconds for the connection, and for each piece of the answer; a loop that cannot turn for so long is not well."""

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask a process that listens there


def ask_health(address: tuple[str, int] | str, page: str) -> str:
    """Return what ``page`` (``healthz``, ``readyz``) at the management port says when it says 200.

    Args:
        address: host and port, or the path of a unix socket.
        page: name of the page.

    Raises:
        SidegateError: nobody answers, or another status.
    """
    connection = _connection(address)
    try:
        connection.request("GET", f"/{page}", headers={"Host": "localhost"})
        answer = connection.getresponse()
        text = answer.read(64 * 1024).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise SidegateError(
            f"nobody answers on management.listen, {_said(address)}: {error}; is it running?"
        ) from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise SidegateError(f"/{page} on {_said(address)} says {answer.status}: {text}")
    return text


def _said(address: tuple[str, int] | str) -> str:
    return f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"


def _connection(address: tuple[str, int] | str) -> http.client.HTTPConnection:
    if isinstance(address, str):
        return _UnixConnection(address)
    host, port = address
    return http.client.HTTPConnection(_EVERY_ADDRESS.get(host, host), port, timeout=PATIENCE_S)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)
