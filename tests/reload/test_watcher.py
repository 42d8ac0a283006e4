"""When files have changed: laws of ``reload.watcher``, with hints and settling in the hand of the test."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from proxy.reload.watcher import SETTLE_S, SETTLE_WITHIN_S, FileWatcher, FolderEvents
from tests.support.clocks import FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

FOR_EVER = 3600.0


def write(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def lead_elsewhere(path: Path) -> None:
    """Let a link stand in the place of a file."""
    (path.parent / "new").mkdir()
    (path.parent / "new" / path.name).write_text("two")
    path.unlink()
    path.symlink_to(f"new/{path.name}")


class Hand:
    """``Hints`` that the test gives, and the clock and the sleep of a watcher."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.folders: frozenset[Path] = frozenset()
        self.hint: Callable[[], None] = lambda: None
        self.slept: list[float] = []
        self.meanwhile: list[Callable[[], object]] = []

    def watch(self, folders: frozenset[Path], hint: Callable[[], None]) -> None:
        self.folders, self.hint = folders, hint

    async def close(self) -> None:
        self.folders = frozenset()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def watcher(self, *, look_every_s: float = FOR_EVER) -> FileWatcher:
        return FileWatcher(self, clock=self.clock, sleep=self.sleep, look_every_s=look_every_s)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sidegate.yaml"
    path.write_text("one")
    return path


async def is_still_waiting(watcher: FileWatcher, hand: Hand) -> bool:
    """Whether a hint is not enough for it: after a second one it would have returned, had it believed the first."""
    waiting = asyncio.get_running_loop().create_task(watcher.changed())
    for _ in range(3):
        hand.hint()
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        if done:
            return False
    waiting.cancel()
    await asyncio.wait([waiting])
    return True


async def test_a_hint_without_a_change_is_none(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])

    assert await is_still_waiting(watcher, hand)


async def test_a_change_is_told_once_and_after_it_stayed(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])

    write(file, "two")
    hand.hint()
    await asyncio.wait_for(watcher.changed(), 10)

    assert hand.slept == [SETTLE_S]
    assert await is_still_waiting(watcher, hand)


async def test_a_touch_is_no_change(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])

    os.utime(file, ns=(1, 1))

    assert await is_still_waiting(watcher, hand)


async def test_a_file_that_is_written_in_several_steps_is_waited_for(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])
    write(file, "tw")
    hand.meanwhile = [lambda: write(file, "two"), file.unlink, lambda: write(file, "three")]

    hand.hint()
    await asyncio.wait_for(watcher.changed(), 10)

    assert len(hand.slept) == 4


async def test_a_file_that_never_rests_is_taken_as_it_is(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])
    write(file, "two")
    hand.meanwhile = [lambda: write(file, file.read_text() + "x")] * 1000

    hand.hint()
    await asyncio.wait_for(watcher.changed(), 10)

    assert SETTLE_WITHIN_S <= sum(hand.slept) <= SETTLE_WITHIN_S + SETTLE_S


async def test_a_file_that_was_taken_away_and_brought_back_is_no_change(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])
    remove(file)
    hand.meanwhile = [lambda: write(file, "one")]

    assert await is_still_waiting(watcher, hand)


async def test_a_change_is_found_without_a_hint(hand: Hand, file: Path) -> None:
    watcher = hand.watcher(look_every_s=0.01)
    await watcher.follow([file])

    write(file, "two")

    await asyncio.wait_for(watcher.changed(), 10)


async def test_whoever_calls_need_not_have_changed_anything(hand: Hand, file: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])

    watcher.call()
    watcher.call()
    await asyncio.wait_for(watcher.changed(), 10)

    assert await is_still_waiting(watcher, hand)


async def test_what_changes_before_the_files_are_followed_anew_is_not_overlooked(hand: Hand, file: Path) -> None:
    """A change that comes while the one before is applied is the next one."""
    watcher = hand.watcher()
    await watcher.follow([file])
    other = file.with_name("tls.crt")

    write(file, "two")
    await watcher.follow([file, other])
    hand.hint()

    await asyncio.wait_for(watcher.changed(), 10)


async def test_a_file_that_was_not_there_before_is_a_change(hand: Hand, file: Path) -> None:
    watcher, other = hand.watcher(), file.with_name("tls.crt")
    await watcher.follow([file, other])

    other.touch()
    hand.hint()

    await asyncio.wait_for(watcher.changed(), 10)


async def test_after_a_link_leads_elsewhere_its_new_folder_is_watched(hand: Hand, file: Path, tmp_path: Path) -> None:
    watcher = hand.watcher()
    await watcher.follow([file])
    lead_elsewhere(file)

    hand.hint()
    await asyncio.wait_for(watcher.changed(), 10)

    assert hand.folders == {tmp_path, tmp_path / "new"}


class TestFolderEvents:
    """The system's own word."""

    @pytest.fixture
    async def events(self) -> AsyncIterator[FolderEvents]:
        self.observer = RecordingObserver()
        made = FolderEvents(self.observer, begins_after_s=0)
        yield made
        await made.close()

    async def test_what_happens_in_a_folder_is_told_and_below_it_is_not_asked(
        self, events: FolderEvents, tmp_path: Path
    ) -> None:
        told: list[int] = []
        events.watch(frozenset({tmp_path}), lambda: told.append(1))

        async def is_told() -> bool:
            # Written again and again, for nobody knows when the watch has begun.
            (tmp_path / "a").write_text(str(len(told)))
            return bool(told)

        await eventually(is_told, expected=True)

    async def test_only_the_first_watch_waits_while_the_provider_is_looked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        imported_at: list[float] = []

        def imported() -> Callable[..., Iterator[object]]:
            imported_at.append(time.monotonic())
            return lambda *_, **__: iter(())

        async def imports() -> int:
            return len(imported_at)

        monkeypatch.setattr("proxy.reload.watcher._imported_watch", imported)
        events = FolderEvents(RecordingObserver(), begins_after_s=1.0)
        begun_at = time.monotonic()

        events.watch(frozenset({tmp_path}), lambda: None)
        await eventually(imports, expected=1)

        assert imported_at[0] - begun_at >= 0.99
        again_at = time.monotonic()
        events.watch(frozenset({tmp_path, tmp_path.parent}), lambda: None)
        await eventually(imports, expected=2)
        assert imported_at[1] - again_at < 0.99
        await events.close()

    async def test_other_folders_take_the_place_of_the_first(self, events: FolderEvents, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        told: list[str] = []
        events.watch(frozenset({tmp_path / "a"}), lambda: told.append("a"))
        events.watch(frozenset({tmp_path / "b"}), lambda: told.append("b"))

        async def last_told() -> str:
            for name in ("a", "b"):
                (tmp_path / name / "file").write_text(str(len(told)))
            return told[-1] if told else ""

        await eventually(last_told, expected="b")
        before = told.count("a")
        (tmp_path / "a" / "file").write_text("again")
        await eventually(last_told, expected="b")
        assert told.count("a") == before

    async def test_a_folder_that_cannot_be_watched_is_one_warning_until_there_are_others(
        self, events: FolderEvents, tmp_path: Path
    ) -> None:
        async def warnings() -> int:
            events.watch(frozenset({tmp_path / "none"}), lambda: None)
            return len(self.observer.warnings)

        await eventually(warnings, expected=1)
        assert await warnings() == 1
        assert "looked for every 5 s" in self.observer.warnings[0][0]
        events.watch(frozenset({tmp_path}), lambda: None)
        await eventually(warnings, expected=2)
