"""The generators: what they say is read right, and ours does not hide a stall."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import Generators, Load, parse_openloop, parse_wrk
from benchmarks.machine import MachineError, choose_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WRK = """\
Running 5s test @ http://127.0.0.1:1/
  Latency Distribution
     50%  812.00us
     75%    1.02ms
     90%    1.50ms
     99%    3.25ms
  41234 requests in 5.10s, 50.12MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 7
"""


class StallingServer:
    """Answers each request at once, but for one stall of its only thread."""

    def __init__(self, *, stall_after: int, stall_s: float) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stall_after, self._stall_s = stall_after, stall_s
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            answered = 0
            while connection.recv(65536):
                answered += 1
                if answered == self._stall_after:
                    time.sleep(self._stall_s)  # the stall is what is tested
                connection.sendall(ANSWER)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def stalling() -> Iterator[StallingServer]:
    server = StallingServer(stall_after=20, stall_s=0.4)
    yield server
    server.close()


def test_wrk_is_read_with_its_units_and_its_errors() -> None:
    answers = parse_wrk(WRK)

    assert (answers.answered, answers.wrong) == (41234, 11)
    assert (answers.p50_us, answers.p99_us) == (812.0, 3250.0)
    assert answers.seconds == pytest.approx(5.1)


def test_what_is_no_report_of_wrk_is_refused() -> None:
    with pytest.raises(MachineError, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:1")


def test_what_was_due_and_never_answered_is_wrong() -> None:
    said = '{"planned":100,"sent":90,"answered":80,"refused":1,"failed":4,"seconds":1.0,"p50_us":1,"p99_us":2}'

    answers = parse_openloop(said)

    assert answers.wrong == 1 + 4 + 16


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.skipif(shutil.which("taskset") is None, reason="there is no taskset")
def test_a_stall_is_seen_by_every_request_that_was_due_meanwhile(tmp_path: Path, stalling: StallingServer) -> None:
    try:
        generators = Generators(tmp_path, choose_cores().others)
    except MachineError as missing:
        pytest.skip(str(missing))
    cookies = tmp_path / "cookies"
    cookies.write_text("", "utf-8")

    answers = generators.requests(stalling.port, Load("/", 1, 100, 1.0, cookies))

    # 0.4 s of 1 s was stalled: a third of the requests or more waited, not the single one that met the stall.
    assert (answers.answered, answers.wrong) == (100, 0)
    assert answers.p99_us > 300_000
    assert answers.p50_us < 300_000
