r"""Requests as nobody should send them: a grammar with wrong turns. Pure: a ``Random`` in, bytes out.

A stimulus is what one client sends on one connection: a few requests, most of them nearly right, cut into the pieces
in which TCP brings them. The same number makes the same stimulus, for ever on one version of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.fuzz import words

HOST = b"app.example.com"
LAST = b"GET /last HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"
"""Ends a stimulus where the connection is still in step; where a body swallows it, that is seen."""


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One client's bytes, in pieces; ``seed`` makes them again."""

    seed: int
    pieces: tuple[bytes, ...]

    @property
    def stream(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class RequestGrammar:
    """Makes stimuli; ``strange`` of a thousand turns are wrong ones."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(seed)
        # Many streams with one wrong turn, some with many, some with none.
        self._strange = self._random.choice((0, 15, 30, 30, 60, 150))

    def stimulus(self) -> Stimulus:
        """Make the one of this seed."""
        parts = []
        for _ in range(self._random.choice((1, 1, 2, 2, 3, 5))):
            if self._turns_wrong():
                parts.append(self._random.choice(words.BETWEEN))
            parts.append(self._request())
        if self._random.random() < 0.9:
            parts.append(LAST)
        stream = b"".join(parts)
        while self._random.random() < self._strange / 400:
            stream = words.one_byte_off(self._random, stream)
        return Stimulus(self._seed, cut(self._random, stream))

    def _turns_wrong(self) -> bool:
        return self._random.randrange(1000) < self._strange

    def _pick(self, right: list[bytes], wrong: list[bytes]) -> bytes:
        return self._random.choice(wrong if self._turns_wrong() else right)

    def _line_end(self) -> bytes:
        return self._random.choice(words.LINE_ENDS) if self._random.randrange(4000) < self._strange else b"\r\n"

    def _request(self) -> bytes:
        method = self._pick(words.METHODS, words.ODD_METHODS)
        version = self._pick(words.VERSIONS, words.ODD_VERSIONS)
        space = (
            b" "
            if not self._random.randrange(3000) < self._strange
            else self._random.choice((b"  ", b"\t", b"", b"\x0b", b" \t"))
        )
        line = method + space + self._pick(words.TARGETS, words.ODD_TARGETS) + b" " + version
        wants_body = method not in {b"GET", b"HEAD", b"OPTIONS", b"DELETE"} or self._random.random() < 0.1
        framing, body = self._framed_body() if wants_body or self._turns_wrong() else ([], b"")
        fields = [self._pick(words.HOSTS, words.ODD_HOSTS), *self._fields(), *framing]
        if self._random.random() < 0.3:
            self._random.shuffle(fields)
        head = b"".join(text + self._line_end() for text in [line, *filter(None, fields)])
        return head + self._line_end() + body

    def _fields(self) -> list[bytes]:
        return [self._pick(words.FIELDS, words.ODD_FIELDS) for _ in range(self._random.choice((0, 1, 1, 2, 4, 8)))]

    # --- framing

    def _framed_body(self) -> tuple[list[bytes], bytes]:
        content = self._random.choice(words.BODIES)
        if self._turns_wrong():
            return self._quarrelling(content)
        if self._random.random() < 0.5:
            return [self._length(len(content))], content
        return [self._coding()], self._chunked(content)

    def _quarrelling(self, content: bytes) -> tuple[list[bytes], bytes]:
        """Two framings, or one too many of the same; the body follows one of them."""
        chunked = self._chunked(content)
        body, length = (chunked, len(chunked)) if self._random.random() < 0.5 else (content, len(content))
        kinds = [[0, 1], [0, 0], [1, 1], [0, 1, 0], [1, 0], [0, 2]]
        made = {
            0: lambda: self._length(length),
            1: self._coding,
            2: lambda: self._length(length + self._random.randrange(-2, 9)),
        }
        return [made[kind]() for kind in self._random.choice(kinds)], body

    def _length(self, size: int) -> bytes:
        return words.length_field(self._random, size, strange=self._strange)

    def _coding(self) -> bytes:
        return (
            self._pick([b"Transfer-Encoding"], words.CODING_NAMES)
            + b": "
            + self._pick([b"chunked"] * 5 + [b"Chunked"], words.CODINGS)
        )

    def _chunked(self, content: bytes) -> bytes:
        return words.chunked(self._random, content, strange=self._strange)


def cut(random: Random, stream: bytes) -> tuple[bytes, ...]:
    """Cut a stream as TCP may: not at all, into single bytes, or at a few places."""
    how = random.random()
    if how < 0.4 or len(stream) < 2:
        return (stream,)
    if how < 0.5 and len(stream) < 400:
        return tuple(stream[at : at + 1] for at in range(len(stream)))
    cuts = sorted(random.sample(range(1, len(stream)), min(random.choice((1, 2, 6)), len(stream) - 1)))
    return tuple(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True))


def make_stimulus(seed: int) -> Stimulus:
    """Return the stimulus of this number."""
    return RequestGrammar(seed).stimulus()
