"""Everything that runs during a run: upstream, provider, Redis, and the servers under test with their sessions."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.behind import SMALL, running_upstream
from benchmarks.contestants import AccessLog, Place
from benchmarks.machine import MachineError, pinned
from benchmarks.samples import Entrant
from benchmarks.sign_in import sign_in_many
from benchmarks.started import START_TIMEOUT_S, started
from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from benchmarks.behind import Upstream
    from benchmarks.contestants import Contestant
    from benchmarks.machine import Cores

SIGN_IN_WITHIN_S = 130.0
"""For all sessions of one server; what cannot be made in this time is missing, and the report says how many were."""

READY_POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the servers under test find."""

    folder: Path
    cores: Cores
    upstream: Upstream
    issuer: str
    redis_port: int
    ports: dict[tuple[str, AccessLog], int]

    def place(self, contestant: Contestant, log: AccessLog) -> Place:
        """Return where this server is set up."""
        folder = self.folder / f"{contestant.name}-{log.name.lower()}"
        folder.mkdir(exist_ok=True)
        port = self.ports[contestant.name, log]
        return Place(folder, port, self.upstream.url, self.issuer, self.redis_port)


def set_up(stack: ExitStack, folder: Path, cores: Cores, contestants: list[Contestant]) -> Surroundings:
    """Start what is around the servers under test."""
    folder.chmod(0o755)  # the workers of nginx and Apache are other users
    ports = {(one.name, log): free_port() for one in contestants for log in AccessLog}
    upstream = stack.enter_context(running_upstream(folder / "upstream", cores.others))
    issuer = _start_provider(stack, folder, cores.others, ports)
    redis_port = _start_redis(stack, folder, cores.others, contestants)
    return Surroundings(folder, cores, upstream, issuer, redis_port, ports)


def _start_provider(stack: ExitStack, folder: Path, core: int, ports: dict[tuple[str, AccessLog], int]) -> str:
    """Start the provider with one client for each server, whose two origins share it; return the issuer."""
    origins: dict[str, list[str]] = {}
    for (name, _log), port in ports.items():
        origins.setdefault(name, []).append(f"http://127.0.0.1:{port}")
    log = folder / "provider.log"
    command = [sys.executable, "-m", "benchmarks.provider", json.dumps(origins)]
    program = Program(pinned(core, command), log=log)
    stack.callback(program.end)
    program.wait_until(lambda: program.output.startswith("http"), timeout_s=START_TIMEOUT_S)
    return program.output.split()[0]


def _start_redis(stack: ExitStack, folder: Path, core: int, contestants: list[Contestant]) -> int:
    """Start Redis if somebody present keeps sessions there; return its port."""
    port = free_port()
    if any(one.name == "oauth2-proxy" for one in contestants):
        if shutil.which("redis-server") is None:
            raise MachineError("oauth2-proxy keeps its sessions in Redis (Debian: redis-server)")
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        stack.enter_context(started(pinned(core, command), folder / "redis.log", port=port))
    return port


def enter(stack: ExitStack, around: Surroundings, contestant: Contestant, log: AccessLog) -> Entrant:
    """Start a server and sign in once."""
    place = around.place(contestant, log)
    command = pinned(around.cores.server, contestant.command(place, log))
    program = stack.enter_context(started(command, place.folder / "output.log", port=place.port))
    wait_until_answering(program, place.port)
    one = place.folder / "one"
    cookies = [] if contestant.start is None else sign_in_many(place.origin, contestant.start, 1, within_s=30)
    one.write_text("".join(f"{cookie}\n" for cookie in cookies), "utf-8")
    return Entrant(contestant.name, log, place.port, program.pid, one, place.folder / "many")


def sign_in_many_at(entrant: Entrant, contestant: Contestant, number: int) -> int:
    """Make the sessions of ``entrant.many``; return how many there are."""
    if contestant.start is None:
        entrant.many.write_text("", "utf-8")
        return 0
    origin = f"http://127.0.0.1:{entrant.port}"
    cookies = sign_in_many(origin, contestant.start, number, within_s=SIGN_IN_WITHIN_S)
    entrant.many.write_text("".join(f"{cookie}\n" for cookie in cookies), "utf-8")
    return len(cookies)


def wait_until_answering(program: Program, port: int) -> None:
    """Return when a request is answered with a status below 500.

    Raises:
        MachineError: the server ended, or took too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_answering(port):
        if program.exit_code is not None or time.monotonic() > deadline:
            raise MachineError(f"{program.name} does not answer:\n{program.output[-2000:]}")
        time.sleep(READY_POLL_S)


def _is_answering(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", SMALL)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
