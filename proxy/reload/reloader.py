"""Reloads, one at a time: by SIGHUP, or because a file changed.

A file that is refused leaves what runs; it is read again at the next change or signal. What stands in the *other*
files that run (certificates, keys, templates) does not wait for it: a certificate that was renewed while the settings
file is broken is taken with the settings that run.

What is refused is tried again every :data:`RETRY_S`, and told again only when the reason is another: a certificate that
the file names may come later than the file, and a new provider too.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.errors import SettingsError, SidegateError
from proxy.reload.named_files import digest_of, look, named_files
from proxy.reload.outcome import Outcome, Reloaded, applied, refused
from proxy.reload.restart_only import applicable
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from proxy.reload.outcome import ReloadObserver
    from proxy.reload.watcher import FileWatcher
    from proxy.settings.portals import SiteSettings

RETRY_S: Final = 30.0
"""Seconds until a file that was refused is tried again."""

MOST_TOLD: Final = 50
"""Problems of one file that are written to the log, a line each."""


class ReloadParts(Struct, frozen=True, kw_only=True):
    """Whom a reload needs.

    Attributes:
        read: returns the sites of the file, in a thread; raises SettingsError with each problem on a line of its own.
        serve: exchanges what runs for these sites. Raises SidegateError when they cannot be made, or the provider of
            one is not there; then all is as before.
    """

    path: Path
    read: Callable[[Path], Sequence[SiteSettings]]
    serve: Callable[[Sequence[SiteSettings]], Awaitable[None]]
    watcher: FileWatcher
    observer: ReloadObserver


class Telling(Enum):
    """Of which outcomes log and metrics hear."""

    ALL = "all"
    NEWS = "news"
    """Only of one that is not the last one again."""


class Reloader:
    """See the module.

    Attributes:
        last: how the last reload ended; None before the first.
    """

    def __init__(self, running: Sequence[SiteSettings], parts: ReloadParts) -> None:
        """Begin with what runs; its files are read, as what was made of them."""
        self.last: Reloaded | None = None
        self._running = tuple(running)
        self._parts = parts
        self._digest = _digest_of(self._running)
        self._tasks = TaskOwner(lambda fault: parts.observer.error("the watch over files ended", fault=repr(fault)))

    @property
    def detail(self) -> str | None:
        """Return in what the file on disk is not what runs, for ``/readyz``; None when it is."""
        return None if self.last is None else self.last.detail

    async def start(self) -> None:
        """Watch the files from now on."""
        await self._parts.watcher.follow(self._named(self._running))
        _ = self._tasks.start(self._reload_for_ever())

    def ask(self) -> None:
        """Reload soon; however often this is called before, once."""
        self._parts.watcher.call()

    async def close(self) -> None:
        """Watch no more; a reload under way has changed everything, or nothing."""
        await self._tasks.close()
        await self._parts.watcher.close()

    async def _reload_for_ever(self) -> None:
        while True:
            is_told = await self._changed_or_due()
            await self.reload(Telling.ALL if is_told else Telling.NEWS)

    async def _changed_or_due(self) -> bool:
        """Wait; says whether something changed or somebody asked, not only time passed."""
        is_refused = self.last is not None and self.last.outcome is Outcome.REFUSED
        try:
            async with asyncio.timeout(RETRY_S if is_refused else None):
                await self._parts.watcher.changed()
        except TimeoutError:
            return False
        return True

    async def reload(self, telling: Telling = Telling.ALL) -> Reloaded:
        """Read the file and serve it, or say why not; never raises."""
        try:
            ended = await self._tried()
            if ended.outcome is Outcome.REFUSED:
                await self._take_renewed_files()
        except Exception as defect:  # noqa: BLE001 - the outermost frame: a defect of ours must not end the watch
            self._parts.observer.error("a defect while reloading", fault=repr(defect))
            ended = refused([f"{self._parts.path}: could not be applied, {type(defect).__name__}; the log says more"])
        before, self.last = self.last, ended
        if telling is Telling.ALL or ended != before:
            self._tell(ended)
        return ended

    async def _tried(self) -> Reloaded:
        parts = self._parts
        try:
            wanted = applicable(self._running, await asyncio.to_thread(parts.read, parts.path))
            await parts.watcher.follow(self._named(self._running) | self._named(wanted.sites))
            await self._serve(wanted.sites)
        except SettingsError as fault:
            return refused(str(fault).splitlines())
        except SidegateError as fault:
            return refused([f"{parts.path}: {fault}"])
        await parts.watcher.follow(self._named(self._running))
        return applied(wanted.waiting)

    async def _serve(self, sites: tuple[SiteSettings, ...]) -> None:
        # Before they are read: what changes meanwhile is a change.
        digest = await asyncio.to_thread(_digest_of, sites)
        await self._parts.serve(sites)
        self._running, self._digest = sites, digest

    async def _take_renewed_files(self) -> None:
        """Serve what runs anew when a file that it names has changed, although the settings file is refused."""
        digest = await asyncio.to_thread(_digest_of, self._running)
        if digest == self._digest:
            return
        self._digest, observer = digest, self._parts.observer
        try:
            await self._serve(self._running)
        except SidegateError as fault:
            observer.error("changed files of what runs are not taken, the old ones stay in use", fault=str(fault))
        else:
            observer.warning("changed files of what runs were read again, without the settings file that is refused")

    def _tell(self, ended: Reloaded) -> None:
        observer, path = self._parts.observer, str(self._parts.path)
        observer.config_reload(ended.outcome.value, succeeded=ended.outcome is not Outcome.REFUSED)
        for problem in ended.problems[:MOST_TOLD]:
            observer.error("the file is not applied, what ran before runs on", problem=problem)
        if ended.outcome is not Outcome.REFUSED:
            observer.notice("the file was read again and is applied", file=path)
        for key in ended.waiting:
            observer.warning("a changed key is not applied: restart to apply it", file=path, key=key)

    def _named(self, sites: Iterable[SiteSettings]) -> frozenset[Path]:
        return named_files(site.settings for site in sites) | {self._parts.path}


def _digest_of(sites: Iterable[SiteSettings]) -> bytes:
    paths = sorted(named_files(site.settings for site in sites))
    return b"".join(digest_of(look(path)) for path in paths)
