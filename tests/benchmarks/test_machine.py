"""What is read from /proc: CPU of trees and cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.machine import TICK_S, CoreTimes, foreign_share, parse_core_times, parse_stat, tree_cpu_s, tree_of

STAT = "77 (a) b (c) S 12 77 77 0 -1 4194560 1 2 3 4 100 20 5 3 20 0 1 0 99 1 1 18446744073709551615"


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields() -> None:
    stat = parse_stat(STAT)

    assert stat.parent == 12
    assert stat.cpu_s == pytest.approx(128 * TICK_S)


def test_the_core_that_is_meant_is_read() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu1 10 2 3 400 5 6 7 8 0 0\ncpu11 1 1 1 1 1 1 1 1 0 0\n"

    times = parse_core_times(text, 1)

    assert times == CoreTimes(processes=15 * TICK_S, interrupts=13 * TICK_S, stolen=8 * TICK_S)


def test_what_others_used_is_what_is_left_of_the_core() -> None:
    before, after = CoreTimes(10.0, 1.0, 0.0), CoreTimes(12.0, 2.0, 0.5)

    share = foreign_share(before, after, ours_s=1.5, took_s=4.0)

    assert share == pytest.approx(0.25)


def test_the_cpu_of_a_child_counts_for_its_tree() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()

        assert len(tree_of(process.pid)) == 2
        assert tree_cpu_s(process.pid) >= 0.2 - 2 * TICK_S
    finally:
        process.communicate("\n", timeout=10)


def test_our_own_tree_begins_with_us() -> None:
    began = time.process_time()

    assert tree_of(os.getpid())[0] == os.getpid()
    assert tree_cpu_s(os.getpid()) >= began - 2 * TICK_S
