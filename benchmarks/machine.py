"""Cores and processes: who used how much CPU, read from /proc. No network, no load."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


class MachineError(Exception):
    """The machine lacks what a run needs."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of two cores: one for the server under test alone, one for everything else."""

    server: int
    others: int


def choose_cores() -> Cores:
    """Return the last two cores that we may use; the first takes most interrupts.

    Raises:
        MachineError: there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise MachineError("a run needs two cores: one for the server, one for the load")
    return Cores(server=allowed[-1], others=allowed[-2])


def pinned(core: int, command: list[str]) -> list[str]:
    """Return the command, bound to a core with all its children."""
    return ["taskset", "-c", str(core), *command]


# --- process trees ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stat:
    """A line of /proc/PID/stat (proc(5)): the parent, and seconds of CPU with those of children that were reaped."""

    parent: int
    cpu_s: float


def parse_stat(text: str) -> Stat:
    """Read the line; the name in brackets may hold anything, spaces and brackets too."""
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), cpu_s=sum(map(int, fields[11:15])) * TICK_S)


def tree_of(root: int) -> list[int]:
    """Return the process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid in _all_pids():
        if (stat := _stat_of(pid)) is not None:
            children.setdefault(stat.parent, []).append(pid)
    tree, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        tree.append(pid)
        waiting += children.get(pid, [])
    return tree


def tree_cpu_s(*roots: int) -> float:
    """Return the seconds of CPU that these trees have used, those of ended children included."""
    stats = [_stat_of(pid) for root in roots for pid in tree_of(root)]
    return sum(stat.cpu_s for stat in stats if stat is not None)


def tree_memory_mib(root: int) -> float:
    """Return the resident memory of a tree; what processes share is counted once (PSS, proc(5))."""
    return sum(_pss_kib(pid) for pid in tree_of(root)) / 1024


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat_of(pid: int) -> Stat | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# --- cores -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """Seconds since the start of the machine that a core worked for processes, for the kernel's interrupts, or was
    taken away by the host of a virtual machine.
    """

    processes: float
    interrupts: float
    stolen: float


def parse_core_times(text: str, core: int) -> CoreTimes:
    """Read the core's line of /proc/stat: user nice system idle iowait irq softirq steal."""
    line = next(line for line in text.splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return CoreTimes((user + nice + system) * TICK_S, (irq + softirq) * TICK_S, steal * TICK_S)


def core_times(core: int) -> CoreTimes:
    """Return the core's times now."""
    return parse_core_times(Path("/proc/stat").read_text("utf-8"), core)


def foreign_share(before: CoreTimes, after: CoreTimes, *, ours_s: float, took_s: float) -> float:
    """Return which part of a core others used, from 0 to 1: processes that are not ours, and the host.

    Args:
        ours_s: seconds of CPU that our processes used meanwhile.
    """
    processes = after.processes - before.processes
    return max(0.0, processes - ours_s + after.stolen - before.stolen) / took_s


# --- notes -----------------------------------------------------------------------------------------------------------


def notes() -> dict[str, str]:
    """Return what the machine is, without a name of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB / 1024
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{_release()}, Linux {platform.release()}, {platform.machine()}",
    }


def version_of(command: list[str]) -> str:
    """Return the lines that say a version, as one, or ``unknown``."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if any(map(str.isdigit, line))]
    return "; ".join(lines[:2]).replace("\t", " ") or "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or "unknown"


def _release() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"
