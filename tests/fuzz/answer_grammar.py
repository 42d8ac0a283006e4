r"""Answers as no app should give them: a grammar with wrong turns, and how the upstream ends. Pure.

A scene is one upstream's answer to one request of one client, and what the client does besides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.fuzz import words
from tests.fuzz.request_grammar import cut
from tests.fuzz.wire import End, Script

SMUGGLED = b"HTTP/1.1 200 OK\r\nX-Token: smuggled\r\nContent-Length: 8\r\n\r\nsmuggled"


@dataclass(frozen=True, slots=True)
class Scene:
    """One trial; ``seed`` makes it again.

    Attributes:
        first: the request whose answer is odd.
        is_pipelined: the second request is sent together with the first.
    """

    seed: int
    method: bytes
    first: bytes
    script: Script
    is_pipelined: bool


class AnswerGrammar:
    """Makes scenes; ``strange`` of a thousand turns are wrong ones."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._strange = self._random.choice((0, 20, 40, 40, 80, 200))

    def scene(self) -> Scene:
        """Make the one of this seed."""
        method = self._random.choice((b"GET", b"GET", b"GET", b"HEAD", b"POST"))
        answer = b"".join(self._interim() for _ in range(self._random.choice((0, 0, 0, 1, 3)))) + self._final()
        if self._random.random() < 0.15:
            answer += self._random.choice((SMUGGLED, b"x", b"\r\n", b"\r\n" + SMUGGLED, b"0\r\n\r\n"))
        while self._random.random() < self._strange / 300:
            answer = words.one_byte_off(self._random, answer)
        if self._random.random() < 0.15:
            answer = answer[: self._random.randrange(len(answer) + 1)]
        end = self._random.choice((End.KEEP, End.KEEP, End.CLOSE, End.CLOSE, End.RESET))
        return Scene(
            seed=self._seed,
            method=method,
            first=self._first(method),
            script=Script(cut(self._random, answer), end),
            is_pipelined=self._random.random() < 0.5,
        )

    def _first(self, method: bytes) -> bytes:
        version = self._random.choice((b"1.1", b"1.1", b"1.1", b"1.0"))
        fields = b"Host: app.example.com\r\n"
        if version == b"1.0" and self._random.random() < 0.7:
            fields += b"Connection: keep-alive\r\n"
        body = b"abc" if method == b"POST" else b""
        if body:
            fields += b"Content-Length: 3\r\n"
        return method + b" /first HTTP/" + version + b"\r\n" + fields + b"\r\n" + body

    def _turns_wrong(self) -> bool:
        return self._random.randrange(1000) < self._strange

    def _pick(self, right: list[bytes], wrong: list[bytes]) -> bytes:
        return self._random.choice(wrong if self._turns_wrong() else right)

    def _line_end(self) -> bytes:
        return self._random.choice(words.LINE_ENDS) if self._random.randrange(3000) < self._strange else b"\r\n"

    def _interim(self) -> bytes:
        line = self._pick(words.INTERIM_LINES, words.ODD_STATUS_LINES)
        fields = [
            self._pick([b"Link: </a>", b"X-I: i"], words.ODD_ANSWER_FIELDS) for _ in range(self._random.randrange(3))
        ]
        return b"".join(text + self._line_end() for text in [line, *fields]) + self._line_end()

    def _final(self) -> bytes:
        framing, body = self._framed_body()
        line = self._pick(words.STATUS_LINES, words.ODD_STATUS_LINES)
        fields = [self._pick(words.ANSWER_FIELDS, words.ODD_ANSWER_FIELDS) for _ in range(self._random.randrange(5))]
        fields += framing
        if self._random.random() < 0.3:
            self._random.shuffle(fields)
        return b"".join(text + self._line_end() for text in [line, *fields]) + self._line_end() + body

    def _framed_body(self) -> tuple[list[bytes], bytes]:
        content = self._random.choice([*words.BODIES, SMUGGLED, b"0\r\n\r\n" + SMUGGLED])
        chunked = words.chunked(self._random, content, strange=self._strange)
        if self._turns_wrong():
            both = [words.length_field(self._random, len(content), strange=self._strange), self._coding()]
            return self._random.choice((both, both[::-1], both[:1] * 2, both[1:] * 2)), self._random.choice(
                (chunked, content)
            )
        match self._random.randrange(5):
            case 0 | 1:
                return [words.length_field(self._random, len(content), strange=self._strange)], content
            case 2 | 3:
                return [self._coding()], chunked
            case _:
                return [], content

    def _coding(self) -> bytes:
        return self._pick([b"Transfer-Encoding"], words.CODING_NAMES) + b": " + self._pick([b"chunked"], words.CODINGS)


def make_scene(seed: int) -> Scene:
    """Return the scene of this number."""
    return AnswerGrammar(seed).scene()
