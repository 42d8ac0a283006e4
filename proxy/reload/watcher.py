"""Notice that files changed: the system's word that something happened, and a look that says whether it did.

What the system says is only a hint (``watchfiles``: inotify, kqueue): it comes for other files of the folder too, in
bursts, and on some file systems (NFS, FUSE, some volumes of containers) never. So what counts is a look at the files:
after each hint, and every :data:`LOOK_EVERY_S` without one. A change counts once two looks in a row see the same: who
writes in several steps, or takes the file away to put another in its place, is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from proxy.reload.named_files import digest_of, folders_of, look
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
    from pathlib import Path

    from proxy.ports import Clock, Observer
    from proxy.reload.named_files import Stamp

LOOK_EVERY_S: Final = 5.0
"""Seconds between two looks without a hint; a kubelet takes a minute to bring a change."""

QUIET_MS: Final = 200
"""Milliseconds without an event that end a burst of them; also how long the thread that waits may take to end."""

BURST_MS: Final = 1600
"""Milliseconds of events at most that are one hint."""

BEGINS_AFTER_S: Final = 1.0
"""Seconds until the system is asked for its word first. Before that the provider is looked for, on which people
wait, and to import what listens takes as long as it takes to answer. What changes meanwhile is found by a look."""

SETTLE_S: Final = 0.25
"""Seconds between two looks that must see the same."""

SETTLE_WITHIN_S: Final = 5.0
"""Seconds after which a file that changes all the time is read as it is; its next change is seen as well."""


class Hints(Protocol):
    """Who says that something may have happened."""

    def watch(self, folders: frozenset[Path], hint: Callable[[], None]) -> None:
        """Call ``hint`` in the loop when something happens in one of these folders, and no more for those before."""

    async def close(self) -> None:
        """Say nothing any more."""


class FolderEvents:
    """``Hints`` by the system's events, waited for in a thread."""

    def __init__(self, observer: Observer, *, begins_after_s: float = BEGINS_AFTER_S) -> None:
        """Watch nothing yet."""
        self._observer = observer
        self._begins_after_s = begins_after_s
        self._tasks = TaskOwner(self._failed)
        self._folders: frozenset[Path] = frozenset()
        self._stop = threading.Event()

    def watch(self, folders: frozenset[Path], hint: Callable[[], None]) -> None:
        """As :meth:`Hints.watch`."""
        if folders == self._folders:
            return
        self._folders = folders
        self._stop.set()
        stop = self._stop = threading.Event()
        _ = self._tasks.start(self._tell(folders, hint, stop))

    async def close(self) -> None:
        """As :meth:`Hints.close`; the thread ends within :data:`QUIET_MS`."""
        self._stop.set()
        await self._tasks.close()

    async def _tell(self, folders: frozenset[Path], hint: Callable[[], None], stop: threading.Event) -> None:
        await asyncio.sleep(self._begins_after_s)
        self._begins_after_s = 0.0
        watch = await asyncio.to_thread(_imported_watch)
        if stop.is_set():
            return
        events = watch(
            *folders,
            watch_filter=None,
            debounce=BURST_MS,
            step=QUIET_MS,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
        )
        try:
            while await asyncio.to_thread(next, events, None) is not None:
                hint()
        finally:
            stop.set()

    def _failed(self, fault: BaseException) -> None:
        """The limit of watches is reached, or a folder may not be read; looks go on without hints."""
        self._observer.warning(
            f"changes of files are not told by the system; they are looked for every {LOOK_EVERY_S:g} s",
            fault=str(fault),
        )


def _imported_watch() -> Callable[..., Generator[object]]:
    from watchfiles import watch  # noqa: PLC0415 - nobody waits for it; a start would

    return watch


class Known(Struct, frozen=True):
    """What stood at one path when it was looked at last, and what tells those contents from others."""

    stamps: Mapping[Path, Stamp]
    digest: bytes


class FileWatcher:
    """Say when files have changed and nothing changes any more."""

    def __init__(
        self,
        hints: Hints,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Watch nothing before :meth:`follow`; ``sleep`` waits between two looks that must see the same."""
        self._hints = hints
        self._clock = clock
        self._sleep = sleep
        self._look_every_s = look_every_s
        self._woken = asyncio.Event()
        self._is_called = False
        self._known: dict[Path, Known] = {}

    async def follow(self, paths: Iterable[Path]) -> None:
        """Watch these from now on, and no others. What stands now at a path that was not watched before is no change;
        what has changed at the others since they were looked at still is one.
        """
        wanted = frozenset(paths)
        fresh = {path: await asyncio.to_thread(_known, path) for path in wanted - self._known.keys()}
        self._known = fresh | {path: known for path, known in self._known.items() if path in wanted}
        await self._listen()

    def call(self) -> None:
        """Have :meth:`changed` return, whether anything did."""
        self._is_called = True
        self._woken.set()

    async def changed(self) -> None:
        """Return when other contents stand at the paths than before, and stay; or soon after :meth:`call`."""
        while True:
            await self._hint_or_time()
            is_called, self._is_called = self._is_called, False
            await self._listen()
            if not (is_called or await self._differs()):
                continue
            await self._settled()
            if await self._take_in() or is_called:
                return

    async def close(self) -> None:
        """Watch nothing any more."""
        await self._hints.close()

    async def _hint_or_time(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_every_s):
                await self._woken.wait()
        self._woken.clear()

    async def _listen(self) -> None:
        """Be told of what comes, before the look at what is there; a link may lead elsewhere than before."""
        self._hints.watch(await asyncio.to_thread(folders_of, tuple(self._known)), self._woken.set)

    async def _differs(self) -> bool:
        stamps = await asyncio.to_thread(_stamps, tuple(self._known))
        return any(self._known[path].stamps != seen for path, seen in stamps.items())

    async def _settled(self) -> None:
        give_up_at = self._clock.monotonic() + SETTLE_WITHIN_S
        seen = await asyncio.to_thread(_stamps, tuple(self._known))
        while self._clock.monotonic() < give_up_at:
            await self._sleep(SETTLE_S)
            before, seen = seen, await asyncio.to_thread(_stamps, tuple(self._known))
            if seen == before:
                return

    async def _take_in(self) -> bool:
        """Know what stands there now; says whether any contents are others."""
        before = self._known
        self._known = {path: await asyncio.to_thread(_known, path) for path in before}
        return any(known.digest != before[path].digest for path, known in self._known.items())


def _stamps(paths: Iterable[Path]) -> dict[Path, Mapping[Path, Stamp]]:
    return {path: look(path) for path in paths}


def _known(path: Path) -> Known:
    stamps = look(path)
    return Known(stamps, digest_of(stamps))
