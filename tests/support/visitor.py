"""A visitor with one kept connection, in a process of its own, so that nothing here slows down who measures there.

``python -m tests.support.visitor PORT HOST PATH COUNT`` asks COUNT times, at most 400 times a second, and says the
99th percentile of the answers in milliseconds; every answer must be 200 and whole.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time

PAUSE_S = 0.0025


def ask(sock: socket.socket, request: bytes) -> float:
    """Seconds until the answer was whole.

    Raises:
        ConnectionError: it was not, or not 200.
    """
    begun = time.perf_counter()
    sock.sendall(request)
    answer = b""
    while not _is_whole(answer):
        data = sock.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {answer[:200]!r}")
        answer += data
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"{answer[:200]!r}")
    return time.perf_counter() - begun


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"\r\n0\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)


def main(port: str, host: str, path: str, count: str) -> None:
    """Ask and say."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    took = []
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(int(count)):
            took.append(ask(sock, request))
            time.sleep(PAUSE_S)
    print(statistics.quantiles(took, n=100)[98] * 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
