"""One stimulus through a real data path and a real gate, and the judgement of what came out.

The law: whatever the upstream got, every reader reads it as the very requests that the gate admitted, once each, in
whole or visibly broken off, with nothing left over; and each answer that the client got is the answer to its own
request. What the client sent is read by the others too: a reader that takes it at all must have taken it for the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.ports import Forward
from tests.fuzz.course import Course
from tests.fuzz.readers import REQUEST_READERS, answer_readers
from tests.fuzz.refusals import leaves_lawfully, refuses_lawfully
from tests.fuzz.wire import QUIET_S, Script, request_id

if TYPE_CHECKING:
    from proxy.ports import RequestEvent
    from tests.fuzz.course import Admitted
    from tests.fuzz.nginx import NginxHop
    from tests.fuzz.readers import Message, Transcript
    from tests.fuzz.request_grammar import Stimulus

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"upgrade"})
OF_THE_HOP = FRAMING | {b"host"}
"""What nginx writes itself."""


@dataclass(slots=True)
class Outcome:
    """All that one stimulus caused."""

    stimulus: Stimulus
    admitted: list[Admitted]
    ended: list[RequestEvent]
    streams: list[tuple[bytes, bool]]
    answers: bytes
    is_ended: bool
    is_settled: bool
    by_nginx: list[Transcript] = field(default_factory=list)
    stimulus_by_nginx: Transcript | None = None

    @property
    def forwards(self) -> dict[bytes, Forward]:
        """What may have gone to the upstream, by request id."""
        return {one.id: one.admission for one in self.admitted if isinstance(one.admission, Forward)}


class RequestCourse(Course):
    """A course with a place at nginx."""

    def __init__(self, nginx: NginxHop | None, *, place: int) -> None:
        super().__init__(_echo_of_id)
        self._nginx = nginx
        self._place = place

    async def run(self, stimulus: Stimulus, *, patience: int = 1) -> Outcome:
        """Hold one trial; ``patience`` is how many times longer than usual silence is listened to."""
        self.begin()
        client = await self.client()
        await client.send(stimulus.pieces)
        await client.until_quiet(QUIET_S * patience)
        is_ended = client.ended.done()
        await client.close()
        is_settled = await self.settled()
        outcome = Outcome(
            stimulus,
            self.witness.admitted,
            self.witness.ended,
            streams=[(bytes(connection.received), connection.is_lost) for connection in self.log.touched],
            answers=bytes(client.received),
            is_ended=is_ended,
            is_settled=is_settled,
        )
        if self._nginx is not None:
            await self._ask(self._nginx, outcome, patience)
        return outcome

    async def _ask(self, nginx: NginxHop, outcome: Outcome, patience: int) -> None:
        for stream, _ in outcome.streams:
            outcome.by_nginx.append(await nginx.requests([stream], place=self._place, patience=patience))
        if outcome.admitted:
            pieces = outcome.stimulus.pieces
            outcome.stimulus_by_nginx = await nginx.requests(pieces, place=self._place, patience=patience)


def _echo_of_id(request: bytes) -> Script:
    token = request_id(request)
    body = b"" if request.startswith(b"HEAD ") else token
    return Script([b"HTTP/1.1 200 OK\r\nX-Token: " + token + b"\r\nContent-Length: %d\r\n\r\n" % len(token) + body])


# --- the judgement ---------------------------------------------------------------------------------------------------


def complaints(outcome: Outcome) -> list[str]:
    """Say every way in which the law is broken; an empty list when it holds."""
    found = [] if outcome.is_settled else ["the data path did not let go of the connection"]
    found += _same_readings(outcome)
    found += _once_each(outcome)
    found += _own_answers(outcome)
    found += _same_as_sent(outcome)
    return found


def _same_readings(outcome: Outcome) -> list[str]:
    """What the upstream got is read by all as what the gate admitted."""
    found: list[str] = []
    for number, (stream, is_lost) in enumerate(outcome.streams):
        transcripts = {name: read(stream) for name, read in REQUEST_READERS.items()}
        for name, transcript in transcripts.items():
            found += [f"{name}: {text}" for text in _ends_badly(name, transcript, stream=stream, is_lost=is_lost)]
            found += [f"{name}: {text}" for one in transcript.messages for text in _not_as_admitted(one, outcome)]
        if outcome.by_nginx:
            found += _unlike_by_nginx(outcome.by_nginx[number], transcripts)
    return found


def _ends_badly(name: str, transcript: Transcript, *, stream: bytes, is_lost: bool) -> list[str]:
    """All is read, nothing is left over; what is not whole was visibly broken off."""
    if transcript.refusal and not is_lost:
        return [] if refuses_lawfully(name, transcript) else [f"refuses: {transcript.refusal}"]
    if transcript.rest and not is_lost:
        return [] if leaves_lawfully(name, stream) else [f"has left over {transcript.rest[:80]!r}"]
    for index, message in enumerate(transcript.messages):
        if not message.is_whole and (index < len(transcript.messages) - 1 or not is_lost):
            return [f"reads a request that is not whole on a connection that goes on: {message.start!r}"]
    return []


def _unlike_by_nginx(by_nginx: Transcript, transcripts: dict[str, Transcript]) -> list[str]:
    """It read the same, up to where it, or all of the others, refused for a reason that is known."""
    if by_nginx.refusal and not refuses_lawfully("nginx", by_nginx):
        return [f"nginx: refuses: {by_nginx.refusal}"]
    most = max(transcripts.values(), key=lambda transcript: len(transcript.messages))
    read, expected = by_nginx.messages, [message for message in most.messages if message.is_whole]
    if by_nginx.refusal:
        expected = expected[: len(read)]
    if all(transcript.refusal for transcript in transcripts.values()):
        read = read[: len(expected)]
    return _differences("nginx", read, expected, OF_THE_HOP)


def _not_as_admitted(message: Message, outcome: Outcome) -> list[str]:
    ids = [value for name, value in message.fields if name == b"x-request-id"]
    forward = outcome.forwards.get(ids[0]) if len(ids) == 1 else None
    if forward is None:
        return [f"reads a request that nobody admitted: {message.start!r} {ids!r}"]
    expected = tuple((name.lower(), value) for name, value in forward.headers)
    found = []
    if message.start != (forward.method, forward.target):
        found.append(f"reads {message.start!r}, admitted was {(forward.method, forward.target)!r}")
    if _without(message.fields, FRAMING) != _without(expected, FRAMING):
        found.append(f"reads the fields {message.fields!r}, admitted were {expected!r}")
    if message.is_whole and len(message.body) != forward.event.bytes_in:
        found.append(f"reads a body of {len(message.body)} bytes, of {forward.event.bytes_in} sent")
    return found


def _once_each(outcome: Outcome) -> list[str]:
    """No request arrives twice; one that was answered well arrived whole, one that was refused did not."""
    whole = Counter(id_ for number in range(len(outcome.streams)) for id_, _ in _whole_bodies(outcome, number))
    found = [f"the request {id_!r} came {count} times" for id_, count in whole.items() if count > 1]
    status = {event.request_id.encode(): event.status for event in outcome.ended}
    for id_ in outcome.forwards:
        if status.get(id_) == 200 and not whole[id_]:
            found.append(f"the request {id_!r} was answered and never came whole")
        if whole[id_] and 400 <= status.get(id_, 0) < 499:
            found.append(f"the request {id_!r} was refused with {status[id_]} and came whole")
    return found


def _whole_bodies(outcome: Outcome, number: int) -> list[tuple[bytes, bytes]]:
    """Return id and body of each whole request of a connection, by the reader that found most."""
    transcripts = [read(outcome.streams[number][0]) for read in REQUEST_READERS.values()]
    transcripts += outcome.by_nginx[number : number + 1]
    most = max(transcripts, key=lambda transcript: len(transcript.messages))
    return [(dict(one.fields).get(b"x-request-id", b""), one.body) for one in most.messages if one.is_whole]


def _own_answers(outcome: Outcome) -> list[str]:
    """Each answer is the answer to its own request, in order, and there are no more than requests."""
    asked = [one.head.method for one in outcome.admitted]
    found: list[str] = []
    # A refusal before the gate is one answer more.
    for name, read in answer_readers([*asked, b"GET"], is_ended=outcome.is_ended).items():
        transcript = read(outcome.answers)
        for one, answer in zip(outcome.admitted, transcript.messages, strict=False):
            fields = dict(answer.fields)
            if answer.start == (b"200",) and fields.get(b"x-token") != one.id:
                found.append(f"{name}: the answer of {fields.get(b'x-token')!r} came to the request {one.id!r}")
            if answer.start == (b"200",) and answer.is_whole and answer.body not in {one.id, b""}:
                found.append(f"{name}: the body {answer.body!r} came to the request {one.id!r}")
        if len(transcript.messages) > len(asked) + 1 or transcript.rest:
            found.append(f"{name}: reads answers that nobody asked for: {transcript.rest[:80]!r}")
        if transcript.refusal and not refuses_lawfully(name, transcript):
            found.append(f"{name}: refuses the answers: {transcript.refusal}")
    return found


def _same_as_sent(outcome: Outcome) -> list[str]:
    """Readers of the client's own bytes saw the same heads in the same order, and the same bodies."""
    bodies = dict(pair for number in range(len(outcome.streams)) for pair in _whole_bodies(outcome, number))
    found: list[str] = []
    for name, read in REQUEST_READERS.items():
        for one, message in zip(outcome.admitted, read(outcome.stimulus.stream).messages, strict=False):
            found += [f"{name} of what was sent: {text}" for text in _unlike(one, message, bodies)]
    if outcome.stimulus_by_nginx is not None:
        for one, message in zip(outcome.admitted, outcome.stimulus_by_nginx.messages, strict=False):
            found += [f"nginx of what was sent: {text}" for text in _unlike_behind_nginx(one, message, bodies)]
    return found


def _unlike(one: Admitted, message: Message, bodies: dict[bytes, bytes]) -> list[str]:
    found = []
    if message.start != (one.head.method, one.head.target):
        found.append(f"{message.start!r} is not {(one.head.method, one.head.target)!r}")
    expected = tuple((name.lower(), value) for name, value in one.head.headers)
    # h11 writes a transfer coding in lower case.
    if _without(message.fields, FRAMING) != _without(expected, FRAMING):
        found.append(f"{message.fields!r} are not {expected!r}")
    if message.is_whole and one.id in bodies and bodies[one.id] != message.body:
        found.append(f"the body {message.body[:80]!r} is not {bodies[one.id][:80]!r}")
    return found


def _unlike_behind_nginx(one: Admitted, message: Message, bodies: dict[bytes, bytes]) -> list[str]:
    if not isinstance(one.admission, Forward):
        return []
    found = []
    if message.start != (one.head.method, one.admission.target):
        found.append(f"{message.start!r} is not {(one.head.method, one.admission.target)!r}")
    if one.id in bodies and bodies[one.id] != message.body:
        found.append(f"the body {message.body[:80]!r} is not {bodies[one.id][:80]!r}")
    return found


def _differences(name: str, read: list[Message], expected: list[Message], hop: frozenset[bytes]) -> list[str]:
    def seen(messages: list[Message]) -> list[tuple[object, ...]]:
        return [(message.start, _without(message.fields, hop), message.body) for message in messages]

    if seen(read) == seen(expected):
        return []
    return [f"{name} reads {seen(read)!r}, not {seen(expected)!r}"[:1500]]


def _without(fields: tuple[tuple[bytes, bytes], ...], names: frozenset[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(pair for pair in fields if pair[0] not in names)
