"""Many clients at once, who leave when they like, in front of an app that breaks off when it likes.

Each request has a token of its own, and every byte of its answer says it: a byte at the wrong client is seen, wherever
it is. What is done is drawn from a seed; when it happens is up to the machine.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.course import Course
from tests.fuzz.wire import End, Script, connect, reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.wire import Sender

CLIENTS = 64
TOKEN_SIZE = 16
PATIENCE_S = 10.0

_TARGET = re.compile(rb"^[A-Z]+ /([0-9a-f]{16})\?([a-z]+)(?:=([0-9]+))? ")
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")


def token_of(number: int) -> bytes:
    """Return the token of a request: 16 hexadecimal digits."""
    return b"%016x" % (number * 0x9E3779B97F4A7C15 % 2**64)


# --- the app ---------------------------------------------------------------------------------------------------------


def answer_of(request: bytes) -> Script:
    """Answer as the target asks for: ``/<token>?<kind>=<repeats>``; the body is the token over and over."""
    found = _TARGET.match(request)
    if found is None:
        return Script([b"HTTP/1.1 500 unheard of\r\nContent-Length: 0\r\n\r\n"], End.CLOSE)
    token, kind, repeats = found[1], found[2], int(found[3] or 1)
    return _scripts(token, repeats)[kind]


def _scripts(token: bytes, repeats: int) -> dict[bytes, Script]:
    """Every kind of answer that says this token so often."""
    head = b"HTTP/1.1 200 OK\r\nX-Token: " + token + b"\r\n"
    body = token * repeats
    whole = [head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100], body[100:]]
    started = head + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = (b"%x\r\n" % TOKEN_SIZE + token + b"\r\n") * repeats
    behind = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    return {
        b"whole": Script(whole),
        b"chunked": Script([started, chunks, b"0\r\n\r\n"]),
        b"closed": Script([head + b"\r\n", body], End.CLOSE),
        b"broken": Script([started, chunks], End.RESET),
        b"short": Script([head + b"Content-Length: %d\r\n\r\n" % (len(body) + 5), body], End.CLOSE),
        b"silent": Script([], End.RESET),
        b"interim": Script([b"HTTP/1.1 103 Early Hints\r\nX-Token: " + token + b"\r\n\r\n", *whole]),
        # Bytes behind the end: they are nobody's.
        b"beyond": Script([b"".join(whole) + behind]),
    }


KINDS = [b"whole"] * 8 + [b"chunked"] * 4 + [b"closed", b"broken", b"short", b"silent", b"interim", b"beyond"]


# --- the clients -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Crowd:
    """What happened.

    Attributes:
        asked: requests begun; ``whole`` of them were answered whole, ``failed`` with 502, others broke off.
        left: how often a client hung up on purpose.
        strays: sentences about bytes that came to somebody else; empty when the law holds.
    """

    asked: int = 0
    whole: int = 0
    failed: int = 0
    broken: int = 0
    left: int = 0
    kinds: Counter[bytes] = field(default_factory=Counter)
    strays: list[str] = field(default_factory=list)


async def hold(requests: int, *, seed: int) -> Crowd:
    """Let ``requests`` be asked over 64 connections, each made again when it ends."""
    course = Course(answer_of)
    await course.start()
    crowd = Crowd()
    numbers = iter(range(requests))
    try:
        await asyncio.gather(*(_client(course, crowd, numbers, random=Random(f"{seed} {n}")) for n in range(CLIENTS)))
        if not await course.settled():
            crowd.strays.append("the data path did not let go of every connection")
    finally:
        await course.stop()
    return crowd


async def _client(course: Course, crowd: Crowd, numbers: Iterator[int], *, random: Random) -> None:
    sender = await connect(course.port)
    for number in numbers:
        if sender.ended.done():
            sender = await connect(course.port)
        sender.received.clear()
        crowd.asked += 1
        if len(course.witness.admitted) > 1000:
            course.witness.begin()
        if not await _ask(sender, crowd, token_of(number), random=random):
            reset(sender.transport) if random.random() < 0.5 else sender.transport.close()
            await sender.ended
    await sender.close()


async def _ask(sender: Sender, crowd: Crowd, token: bytes, *, random: Random) -> bool:
    """Hold one exchange; False when the client leaves, or can go no further here."""
    kind = random.choice(KINDS)
    crowd.kinds[kind] += 1
    pieces = _request(token, kind, random)
    leaves = random.random()
    if leaves < 0.05:
        await sender.send(pieces[: random.randrange(len(pieces))])
        crowd.left += 1
        return False
    for piece in pieces:
        await sender.send([piece])
        if random.random() < 0.1:
            await asyncio.sleep(random.random() * 0.02)
    if leaves < 0.15:
        # Somewhere between the head's departure and the middle of the answer.
        await asyncio.wait([sender.ended], timeout=random.random() * 0.01)
        crowd.strays += strays(bytes(sender.received), token)
        crowd.left += 1
        return False
    return await _hear(sender, crowd, token)


def _request(token: bytes, kind: bytes, random: Random) -> list[bytes]:
    target = b"/%b?%b=%d" % (token, kind, random.choice((1, 3, 40, 4000)))
    fields = b"Host: app.example.com\r\n"
    match random.randrange(4):
        case 0:
            upload = token * random.choice((1, 20, 5000))
            head = b"POST " + target + b" HTTP/1.1\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(upload)
            middle = random.randrange(len(upload))
            return [head, upload[:middle], upload[middle:]]
        case 1:
            chunk = b"%x\r\n" % TOKEN_SIZE + token + b"\r\n"
            head = b"PUT " + target + b" HTTP/1.1\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n"
            return [head, chunk * 3, chunk[:7], chunk[7:] + b"0\r\n\r\n"]
        case _:
            head = b"GET " + target + b" HTTP/1.1\r\n" + fields + b"\r\n"
            return [head[:25], head[25:]] if random.random() < 0.3 else [head]


async def _hear(sender: Sender, crowd: Crowd, token: bytes) -> bool:
    """Wait for the whole answer, or the end."""
    async with asyncio.timeout(PATIENCE_S):
        while not (is_whole(bytes(sender.received)) or sender.ended.done()):
            sender.arrived.clear()
            await sender.arrived.wait()
    answer = bytes(sender.received)
    crowd.strays += strays(answer, token)
    status = final_status(answer)
    if status == b"502":
        crowd.failed += 1
    elif is_whole(answer):
        crowd.whole += 1
    else:
        crowd.broken += 1
    return is_whole(answer) and not sender.ended.done()


# --- judging what came -----------------------------------------------------------------------------------------------


def split_answer(answer: bytes) -> tuple[list[bytes], bytes]:
    """Return the heads, interim ones first, and what follows the last of them."""
    heads = []
    while b"\r\n\r\n" in answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        heads.append(head + b"\r\n")
        if not head.startswith(b"HTTP/1.1 1"):
            break
    return heads, answer


def final_status(answer: bytes) -> bytes:
    """Return the status of the final answer, empty while there is none."""
    heads, _ = split_answer(answer)
    return b"" if not heads or heads[-1].startswith(b"HTTP/1.1 1") else heads[-1][9:12]


def is_whole(answer: bytes) -> bool:
    """Say whether the final answer's end has come."""
    if not final_status(answer):
        return False
    heads, body = split_answer(answer)
    length = _LENGTH.search(heads[-1])
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def strays(answer: bytes, token: bytes) -> list[str]:
    """Say which bytes are not of this token; our own 502 has none and needs none."""
    heads, body = split_answer(answer)
    found = []
    for head in heads:
        ours = head.startswith(b"HTTP/1.1 502 ")
        if not ours and b"\r\nX-Token: " + token + b"\r\n" not in head:
            found.append(f"{token!r} got the head {head!r}")
    if not final_status(answer):
        is_head = b"HTTP/1.1 ".startswith(body[:9]) and b"evil" not in body
        return found if is_head else [*found, f"{token!r} got {body[:80]!r}"]
    content, behind = _split_body(heads[-1], body)
    if behind:
        found.append(f"{token!r} got behind the end {behind[:80]!r}")
    if final_status(answer) != b"502" and content != (token * (len(content) // TOKEN_SIZE + 1))[: len(content)]:
        found.append(f"{token!r} got the body {content[:200]!r}")
    return found


def _split_body(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Return what is in the body, as far as it came, and what stands behind its end."""
    length = _LENGTH.search(head)
    return (body[: int(length[1])], body[int(length[1]) :]) if length else _content(body)


def _content(body: bytes) -> tuple[bytes, bytes]:
    """Return what the chunks hold, as far as they came, and what stands behind the last."""
    content = b""
    while b"\r\n" in body:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return content, body.removeprefix(b"\r\n")
        content += body[:size]
        body = body[size + 2 :]
    return content, b""
