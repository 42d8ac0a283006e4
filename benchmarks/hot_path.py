"""The profile of the hot path: py-spy looks at Sidegate while it is loaded by the timetable.

The looking costs time itself, so nothing else is measured meanwhile.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RATE_HZ = 400
TOP = 30
_PLACE = re.compile(r".*?(?P<file>[^/ (]+/[^/ (]+\.py)")


def profile(pid: int, out: Path, *, seconds: float, core: int, load: Callable[[], object]) -> str:
    """Return the functions in which Sidegate was met most often, as Markdown.

    Args:
        load: keeps the server busy for at least ``seconds``.
    """
    program = Path(sys.executable).with_name("py-spy")
    if not program.exists():
        return "There is no profile: py-spy is not installed."
    options = [
        "--rate",
        str(RATE_HZ),
        "--duration",
        str(int(seconds)),
        "--format",
        "raw",
        "--nonblocking",
        "--function",
    ]
    busy = threading.Thread(target=load)
    busy.start()
    command = [str(program), "record", "--pid", str(pid), *options, "--output", str(out)]
    done = subprocess.run(pinned(core, command), capture_output=True, text=True, check=False, timeout=seconds + 60)
    busy.join()
    if done.returncode or not out.exists():
        return f"There is no profile: {done.stderr.strip()[-300:]}"
    return table(out.read_text("utf-8").splitlines())


def table(folded: Iterable[str]) -> str:
    """Return the top of the list.

    Args:
        folded: lines of ``frame;frame;frame count``, the outermost first.
    """
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rpartition(" ")
        frames = [_shown(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    total = own.total() or 1
    rows = [f"| {frame} | {count / total:.1%} | {whole[frame] / total:.1%} |" for frame, count in own.most_common(TOP)]
    return "\n".join(["| function | itself | with what it calls |", "| --- | --- | --- |", *rows])


def _shown(frame: str) -> str:
    """Return ``function (folder/file.py)``: where a library is installed is nobody's business."""
    function, _, place = frame.partition(" (")
    found = _PLACE.match(place)
    return f"`{function}` ({found['file']})" if found else f"`{function}`"
