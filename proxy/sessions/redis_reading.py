"""How sessions in Redis are found: one by its key, in one round trip; many by an index, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sessions.codec import Unreadable
from proxy.sessions.redis_indexes import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from proxy.core.session import SessionKey, SessionsFilter
    from proxy.sessions.redis_records import StoredSession
    from proxy.sessions.redis_workings import Workings


class Reading:
    """Finds sessions; judges none of them."""

    def __init__(self, workings: Workings) -> None:
        """Read nothing yet."""
        self._workings = workings

    async def one(self, key: SessionKey) -> StoredSession:
        """Return what lies there of one session; what is not known of watermarks comes along.

        Raises:
            StoreUnavailable
        """
        records, marks, watermarks = self._workings.records, self._workings.marks, self._workings.watermarks
        begun, clients = watermarks.begin(), watermarks.unknown()
        asking = [records.asking(key), *(marks.asking_for_watermark(client) for client in clients)]
        answers = iter(await self._workings.commands.together("load", [one for part in asking for one in part]))
        of_session, *of_clients = ([next(answers) for _ in part] for part in asking)
        for client, answer in zip(clients, of_clients, strict=True):
            watermarks.keep(client, marks.watermark_from(answer), begun)
        return records.read_from(key, of_session)

    async def pages(self, which: SessionsFilter | None) -> AsyncIterator[list[StoredSession]]:
        """Yield what lies there of every session that matches (all when ``which`` is None), some at a time.

        Records that cannot be read are among them. One session may come twice when ``which`` is None.

        Raises:
            StoreUnavailable
        """
        if which is None:
            async for keys in self._roster_pages():
                yield await self._workings.records.read("list", keys)
        else:
            for keys in _parts(await self._workings.indexes.keys(which)):
                yield await self._matching(which, keys)

    async def _roster_pages(self) -> AsyncIterator[tuple[SessionKey, ...]]:
        for roster in self._workings.names.rosters():
            cursor, keys = await self._workings.indexes.page(roster, 0)
            yield keys
            while cursor:
                cursor, keys = await self._workings.indexes.page(roster, cursor)
                yield keys

    async def _matching(self, which: SessionsFilter, keys: Sequence[SessionKey]) -> list[StoredSession]:
        found = await self._workings.records.read("list", keys)
        stale = [stored.key for stored in found if not _may_match(stored, which)]
        if stale:
            await self._workings.indexes.found_stale(which, stale, now=self._workings.clock.monotonic())
        return [stored for stored in found if _may_match(stored, which)]


def _may_match(stored: StoredSession, which: SessionsFilter) -> bool:
    """Say whether an entry leads to what it says; of a record that cannot be read the index alone can tell."""
    if stored.summary is None or isinstance(stored.summary, Unreadable):
        return stored.summary is not None
    return which in stored.summary.filters()


def _parts(keys: tuple[SessionKey, ...]) -> Iterator[tuple[SessionKey, ...]]:
    for start in range(0, len(keys), PAGE):
        yield keys[start : start + PAGE]
