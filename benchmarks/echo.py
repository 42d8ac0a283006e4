"""Echo of WebSocket messages behind everybody: ``python -m benchmarks.echo PORT``.

As little as can answer: a frame of less than 126 bytes comes masked and goes back unmasked (RFC 6455 §5.2). Fragments,
control frames and longer ones end the connection, because the generator sends none.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r\n]+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        """Begin before the handshake."""
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._unread = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._is_open:
            self._shake_hands()
        while self._is_open and self._echo_one():
            pass

    def _shake_hands(self) -> None:
        head, end, rest = self._unread.partition(_HEAD_END)
        if not end:
            return
        key = _KEY.search(head)
        if key is None:
            self._transport.abort()
            return
        accept = base64.b64encode(hashlib.sha1(key[1].strip() + _ACCEPT).digest())  # noqa: S324  RFC 6455 says so
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + _HEAD_END
        )
        self._unread = rest
        self._is_open = True

    def _echo_one(self) -> bool:
        unread = self._unread
        if len(unread) < 6:
            return False
        size = unread[1] & 0x7F
        if unread[0] not in {0x81, 0x82} or size > 125:
            self._transport.abort()
            return False
        if len(unread) < 6 + size:
            return False
        mask = (unread[2:6] * (size // 4 + 1))[:size]
        payload = int.from_bytes(unread[6 : 6 + size]) ^ int.from_bytes(mask)
        self._transport.write(unread[:1] + bytes((size,)) + payload.to_bytes(size))
        self._unread = unread[6 + size :]
        return True


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
