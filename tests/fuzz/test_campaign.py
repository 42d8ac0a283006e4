"""A short run with fixed seeds, and that the judges see what is wrong: a fuzzer that cannot complain says nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.forward import framing, writing
from proxy.forward.framing import CHUNKED, NO_BODY, Body, Delimiter
from tests.fuzz import answer_trial, request_trial
from tests.fuzz.answer_grammar import make_scene
from tests.fuzz.campaign import Campaign
from tests.fuzz.nginx import NginxHop
from tests.fuzz.request_grammar import Stimulus, make_stimulus
from tests.fuzz.wire import End, Script

TRIALS = 120
HOST = b"Host: app.example.com\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.slow
async def test_every_reader_reads_what_was_forwarded_as_what_was_admitted(nginx: str) -> None:
    seed = 0 if "uvloop" in type(asyncio.get_running_loop()).__module__ else 1_000_000

    tally = await Campaign(nginx_command=nginx, seed=seed, limit=TRIALS).run(90)

    assert (tally.streams, tally.scenes) == (TRIALS, TRIALS)
    assert tally.findings == []
    # Else the grammar has gone astray, and nothing was tried.
    assert tally.forwarded > TRIALS / 2
    assert tally.read_by_nginx > TRIALS / 2
    assert tally.statuses[400] > TRIALS / 5
    assert tally.answers[200] > TRIALS / 6
    assert tally.answers[502] > TRIALS / 6


def test_a_seed_makes_the_same_trial_again() -> None:
    assert make_stimulus(7) == make_stimulus(7)
    assert make_stimulus(7) != make_stimulus(8)
    assert make_scene(7) == make_scene(7)
    assert make_scene(7) != make_scene(8)


# --- the judges, when the data path is broken on purpose


async def tried(*pieces: bytes, nginx: str | None = None) -> list[str]:
    hop = NginxHop(nginx, count=1) if nginx else None
    course = request_trial.RequestCourse(hop, place=0)
    if hop is not None:
        await hop.start()
    await course.start()
    outcome = await course.run(Stimulus(0, pieces))
    await course.stop()
    if hop is not None:
        await hop.stop()
    return request_trial.complaints(outcome)


ORDINARY = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"


async def test_an_ordinary_request_is_no_finding(nginx: str) -> None:
    assert await tried(ORDINARY, nginx=nginx) == []


async def test_a_body_without_its_framing_is_found(monkeypatch: pytest.MonkeyPatch, nginx: str) -> None:
    monkeypatch.setattr(writing, "_framing_line", lambda body: b"")

    found = await tried(b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)

    assert any("nobody admitted" in text for text in found)


async def test_two_framings_of_one_request_are_found(monkeypatch: pytest.MonkeyPatch, nginx: str) -> None:
    both = writing._framing_line(CHUNKED) + writing._framing_line(Body(Delimiter.LENGTH, 5))
    monkeypatch.setattr(writing, "_framing_line", lambda body: b"" if body is NO_BODY else both)

    found = await tried(
        b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", nginx=nginx
    )

    assert any("refuses" in text for text in found), found


async def test_a_field_that_the_gate_did_not_send_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    written = writing._head_lines
    monkeypatch.setattr(writing, "_head_lines", lambda block: written(block) + b"X-Auth-Roles: admin\r\n")

    assert any("reads the fields" in text for text in await tried(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"))


async def test_a_body_that_is_taken_for_a_request_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_declared_body", lambda lengths, codings, version: None)

    found = await tried(b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)

    assert any("of what was sent" in text for text in found)


# --- and of the answers


async def scene_of(said: bytes, *, end: End = End.KEEP) -> list[str]:
    scene = replace(make_scene(1), method=b"GET", first=b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n", is_pipelined=False)
    course = answer_trial.AnswerCourse()
    await course.start()
    result = await course.run(replace(scene, script=Script([said], end)))
    await course.stop()
    return answer_trial.complaints(result)


async def test_an_ordinary_answer_is_no_finding() -> None:
    assert await scene_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == []


async def test_an_answer_without_its_framing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_framing_line", lambda body: b"")

    assert await scene_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") != []


async def test_an_answer_read_by_another_framing_than_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_declared_body", lambda lengths, codings, version: Body(Delimiter.LENGTH, 1))

    found = await scene_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert any("of what was said" in text for text in found)
