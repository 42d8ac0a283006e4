"""Law 4 under load: no input lets one client's bytes reach another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from proxy.forward.upstream import UpstreamConnection
from tests.fuzz import crowd

if TYPE_CHECKING:
    from proxy.forward.upstream import AnswerConsumer

REQUESTS = 1500
ALL_REQUESTS = 10_000
TOKEN, OTHER = crowd.token_of(1), crowd.token_of(2)


def held(found: crowd.Crowd, requests: int) -> None:
    assert found.strays == []
    assert found.asked == requests
    # Else nothing was at stake.
    assert found.whole > requests / 3
    assert found.failed > requests / 50
    assert found.broken > requests / 50
    assert found.left > requests / 20


async def test_not_one_byte_reaches_the_wrong_client() -> None:
    held(await crowd.hold(REQUESTS, seed=1), REQUESTS)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SIDEGATE_ALL_REQUESTS"), reason="SIDEGATE_ALL_REQUESTS is not set")
async def test_not_one_byte_of_ten_thousand_answers_reaches_the_wrong_client() -> None:
    held(await crowd.hold(ALL_REQUESTS, seed=2), ALL_REQUESTS)


async def test_a_connection_that_serves_on_with_what_is_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is judged: let the next request have the bytes behind the last answer."""
    begin = UpstreamConnection.begin

    def keep_what_is_left(
        self: UpstreamConnection, consumer: AnswerConsumer, *, asked: bytes, response_timeout_s: float
    ) -> None:
        begin(self, consumer, asked=asked, response_timeout_s=response_timeout_s)
        self._unread = b"HTTP/1.1 200 OK\r\nX-Token: " + OTHER + b"\r\nContent-Length: 0\r\n\r\n"

    monkeypatch.setattr(UpstreamConnection, "begin", keep_what_is_left)

    assert (await crowd.hold(200, seed=1)).strays != []


HEAD = b"HTTP/1.1 200 OK\r\nX-Token: " + TOKEN + b"\r\n"
LAWFUL = {
    "nothing": b"",
    "a part of a head": HEAD[:7],
    "a part of a body": HEAD + b"Content-Length: 32\r\n\r\n" + TOKEN + TOKEN[:4],
    "all of a body": HEAD + b"Content-Length: 32\r\n\r\n" + TOKEN * 2,
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\n" + TOKEN * 2 + b"\r\n0\r\n\r\n",
    "an interim answer": b"HTTP/1.1 103 Early\r\nX-Token: " + TOKEN + b"\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
    "our own 502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno",
}
STRAY = {
    "another's head": HEAD.replace(TOKEN, OTHER) + b"Content-Length: 0\r\n\r\n",
    "another's interim head": b"HTTP/1.1 103 E\r\nX-Token: "
    + OTHER
    + b"\r\n\r\n"
    + HEAD
    + b"Content-Length: 0\r\n\r\n",
    "one byte of a body": HEAD + b"Content-Length: 32\r\n\r\n" + TOKEN + OTHER[:1],
    "one byte of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n11\r\n" + TOKEN + b"x\r\n0\r\n\r\n",
    "one byte behind": HEAD + b"Content-Length: 16\r\n\r\n" + TOKEN + TOKEN[:1],
    "one byte behind the last chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
    "one byte behind our 502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno!",
    "another's body without a head": OTHER,
}


@pytest.mark.parametrize("answer", LAWFUL.values(), ids=LAWFUL.keys())
def test_own_bytes_are_no_strays(answer: bytes) -> None:
    assert crowd.strays(answer, TOKEN) == []


@pytest.mark.parametrize("answer", STRAY.values(), ids=STRAY.keys())
def test_one_byte_of_somebody_else_is_a_stray(answer: bytes) -> None:
    assert crowd.strays(answer, TOKEN) != []
