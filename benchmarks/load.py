"""Load on a server: openloop.c keeps to a timetable, wrk asks as fast as it is answered."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import MachineError, pinned

SOURCE = Path(__file__).with_name("openloop.c")
PATIENCE_S = 30.0
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True, slots=True)
class Load:
    """What a server is asked.

    Attributes:
        rate: requests a second; 0: as fast as it answers.
        cookies: file with a Cookie value per line.
    """

    path: str
    connections: int
    rate: int
    seconds: float
    cookies: Path


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of it; latencies in microseconds, from when a request was due."""

    answered: int
    wrong: int
    seconds: float
    p50_us: float
    p99_us: float


class Generators:
    """The two programs, on the core of the load."""

    def __init__(self, folder: Path, core: int) -> None:
        """Compile ours.

        Raises:
            MachineError: there is no C compiler, or it refuses.
        """
        self._core = core
        self._program = folder / "openloop"
        command = ["cc", "-O2", "-o", str(self._program), str(SOURCE)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        except FileNotFoundError as error:
            raise MachineError("the load generator needs a C compiler (Debian: gcc libc6-dev)") from error
        except subprocess.CalledProcessError as error:
            raise MachineError(f"the load generator does not compile:\n{error.stderr}") from error

    def requests(self, port: int, load: Load) -> Answers:
        """Ask by HTTP."""
        return self._run(port, load, "http")

    def messages(self, port: int, load: Load) -> Answers:
        """Send messages over WebSockets and await their echo."""
        return self._run(port, load, "ws")

    def saturate(self, port: int, load: Load) -> Answers:
        """Ask with wrk, with the first of the cookies."""
        cookie = load.cookies.read_text("utf-8").partition("\n")[0]
        fields = ["-H", "Accept: */*", "-H", "Accept-Language: en", *(["-H", f"Cookie: {cookie}"] if cookie else [])]
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds:.0f}s", "--latency", *fields]
        return parse_wrk(self._output([*command, f"http://127.0.0.1:{port}{load.path}"], load))

    def _run(self, port: int, load: Load, protocol: str) -> Answers:
        numbers = [str(port), load.path, str(load.connections), str(load.rate), str(load.seconds)]
        return parse_openloop(self._output([str(self._program), *numbers, str(load.cookies), protocol], load))

    def _output(self, command: list[str], load: Load) -> str:
        """Run it.

        Raises:
            MachineError: it failed; its last words are in the message.
        """
        done = subprocess.run(
            pinned(self._core, command), capture_output=True, text=True, check=False, timeout=load.seconds + PATIENCE_S
        )
        if done.returncode:
            raise MachineError(f"{Path(command[0]).name}: {done.stderr[-500:]}")
        return done.stdout


def parse_openloop(text: str) -> Answers:
    """Read the generator's JSON. What was due and was not answered is wrong too."""
    said = json.loads(text)
    wrong = said["refused"] + said["failed"] + (said["planned"] - said["answered"] - said["failed"])
    return Answers(said["answered"], wrong, said["seconds"], said["p50_us"], said["p99_us"])


def parse_wrk(text: str) -> Answers:
    """Read wrk's report.

    Raises:
        MachineError: it is none.
    """
    quantiles = {share: _microseconds(value) for share, value in re.findall(r"(50|99)%\s+([\d.]+[a-z]+)", text)}
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    if total is None or len(quantiles) != 2:
        raise MachineError(f"wrk said: {text[-500:]}")
    wrong = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    wrong += sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    seconds = _microseconds(total[2] + total[3]) / 1e6
    return Answers(int(total[1]), wrong, seconds, quantiles["50"], quantiles["99"])


def _microseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]  # found by a pattern
    return float(number) * _UNITS[unit]
