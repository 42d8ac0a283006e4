"""One scene: an odd answer to the first request of a client, ordinary ones to its second and to another client.

The law: what the client got for the first request is one answer that every reader reads the same, or our own 502 or
504, or an answer that is visibly broken off; and no byte of it is taken for the answer to anybody's next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz.course import Course
from tests.fuzz.readers import answer_readers, answers_by_h11
from tests.fuzz.refusals import refuses_lawfully
from tests.fuzz.wire import QUIET_S, End, Script

if TYPE_CHECKING:
    from proxy.ports import RequestEvent
    from tests.fuzz.answer_grammar import Scene
    from tests.fuzz.readers import Message, Transcript

ORDINARY = b"GET /%b HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
SECOND, THIRD = b"second", b"third"
OURS = frozenset({b"502", b"504"})
_LENT = frozenset({b"connection", b"date", b"content-length", b"transfer-encoding"})


@dataclass(slots=True)
class Result:
    """All that one scene caused; ``first`` is the connection with the odd answer, ``other`` another client's."""

    scene: Scene
    ended: list[RequestEvent]
    first: bytes
    first_ended: bool
    first_was_reset: bool
    other: bytes
    is_settled: bool


class AnswerCourse(Course):
    """A course whose upstream answers by the scene."""

    def __init__(self) -> None:
        super().__init__(self._script)
        self._scene: Scene | None = None

    def _script(self, request: bytes) -> Script:
        target = request.split(b" ")[1]
        if target == b"/first" and self._scene is not None:
            return self._scene.script
        token = target.strip(b"/")
        return Script(
            [b"HTTP/1.1 200 OK\r\nX-Token: " + token + b"\r\nContent-Length: %d\r\n\r\n" % len(token) + token]
        )

    async def run(self, scene: Scene, *, patience: int = 1) -> Result:
        """Hold one trial; ``patience`` is how many times longer than usual silence is listened to."""
        self.begin()
        self._scene = scene
        client = await self.client()
        second = ORDINARY % SECOND
        await client.send([scene.first + second] if scene.is_pipelined else [scene.first])
        await client.until_quiet(QUIET_S * patience, is_busy=self.is_answering)
        if not scene.is_pipelined and not client.ended.done():
            await client.send([second])
            await client.until_quiet(QUIET_S * patience)
        # A connection that is poisoned has gone back to the pool by now.
        other = await self.client()
        await other.send([ORDINARY % THIRD])
        await other.until_quiet(QUIET_S / 2)
        ended, was_reset = client.ended.done(), client.was_reset
        await client.close()
        await other.close()
        is_settled = await self.settled()
        return Result(
            scene, self.witness.ended, first=bytes(client.received), first_ended=ended, first_was_reset=was_reset,
            other=bytes(other.received), is_settled=is_settled,
        )  # fmt: skip


def complaints(result: Result) -> list[str]:
    """Say every way in which the law is broken; an empty list when it holds."""
    found = [] if result.is_settled else ["the data path did not let go of the connection"]
    if comes_late(result.scene):
        return found
    asked = [result.scene.method, b"GET"]
    is_ended = result.first_ended and not result.first_was_reset
    transcripts = {name: read(result.first) for name, read in answer_readers(asked, is_ended=is_ended).items()}
    for name, transcript in transcripts.items():
        found += [f"{name}: {text}" for text in _unlawful(transcript, result)]
        if transcript.refusal and not is_broken(result) and not refuses_lawfully(name, transcript):
            found.append(f"{name}: refuses: {transcript.refusal}")
    found += _disagreements(transcripts)
    found += _not_whole(transcripts["h11"], result)
    found += _not_as_said(transcripts["h11"], result)
    return found + _of_the_other(result)


def comes_late(scene: Scene) -> bool:
    """Say whether bytes behind the end of the answer come in a later piece: nobody can tell them from the next answer.

    HTTP/1.1 has no numbers; when the next request is out, whatever comes is its answer.
    """
    seen = b""
    for number, piece in enumerate(scene.script.pieces):
        seen += piece
        read = answers_by_h11(seen, [scene.method], is_ended=False)
        if read.messages and read.messages[0].is_whole:
            return not read.rest and any(scene.script.pieces[number + 1 :])
    return False


def is_broken(result: Result) -> bool:
    """Say whether Sidegate broke the connection off, which no reader need like."""
    return result.first_ended


def _unlawful(transcript: Transcript, result: Result) -> list[str]:
    found = []
    messages = transcript.messages
    if len(messages) > 2 or (transcript.rest and not is_broken(result)):
        found.append(f"reads more than was asked for: {[one.start for one in messages]} {transcript.rest[:80]!r}")
    if messages and not messages[0].is_whole and not (result.first_ended or result.scene.script.end is End.KEEP):
        found.append("waits for the rest of an answer whose upstream has ended")
    if messages and not messages[0].is_whole and len(messages) > 1:
        found.append("reads a second answer behind one that is not whole")
    for second in messages[1:2]:
        token = dict(second.fields).get(b"x-token")
        if second.start[0] not in OURS and (token != SECOND or (second.is_whole and second.body != SECOND)):
            found.append(f"reads as second answer {second.start!r} {token!r} {second.body[:80]!r}")
    return found


def _disagreements(transcripts: dict[str, Transcript]) -> list[str]:
    """All readers that got so far read the same whole answers."""
    found = []
    for index in range(2):
        whole = {
            name: transcript.messages[index]
            for name, transcript in transcripts.items()
            if index < len(transcript.messages) and transcript.messages[index].is_whole
        }
        if len({(one.start, _value_folded(one), one.body) for one in whole.values()}) > 1:
            found.append(f"the answer {index} is read in several ways: {whole!r}"[:1500])
    return found


def _value_folded(message: Message) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(pair for pair in message.fields if pair[0] not in _LENT)


def _not_whole(of_client: Transcript, result: Result) -> list[str]:
    """An answer that Sidegate takes for done is done for the client too."""
    is_done = any(event.path == "/first" and not event.fault for event in result.ended)
    if is_done and not (of_client.messages and of_client.messages[0].is_whole):
        return ["h11: waits for the rest of an answer that Sidegate takes for whole"]
    return []


def _not_as_said(of_client: Transcript, result: Result) -> list[str]:
    """What was passed on is what the readers find in the upstream's own bytes, where they take them at all."""
    fault = next((event.fault for event in result.ended if event.path == "/first"), None)
    if fault or not of_client.messages or not of_client.messages[0].is_whole or of_client.messages[0].start[0] in OURS:
        return []
    got = of_client.messages[0]
    readers = dict(answer_readers([result.scene.method], is_ended=result.scene.script.end is End.CLOSE))
    del readers["http.client"]  # it reads chunks behind 204 and 304, and none where space stands around the coding
    said = {name: read(b"".join(result.scene.script.pieces)).messages[:1] for name, read in readers.items()}
    return [
        f"{name} of what was said: {one!r} is not {got!r}"[:1500]
        for name, messages in said.items()
        for one in messages
        if one.is_whole and (one.start, one.body) != (got.start, got.body)
    ]


def _of_the_other(result: Result) -> list[str]:
    """Another client hears its own answer, or that the upstream failed, or nothing."""
    found = []
    for name, read in answer_readers([b"GET"], is_ended=True).items():
        for one in read(result.other).messages:
            token = dict(one.fields).get(b"x-token")
            if one.start[0] not in OURS and (token, one.body) != (THIRD, THIRD):
                found.append(f"{name}: another client got {one!r}")
    return found
