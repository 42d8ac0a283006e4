"""Whether cached sessions may be believed: every change of a record reaches this replica, or it knows that it may not.

One feed (``change_feed``) for each primary. The cache is believed only while each of them has confirmed, less than
:data:`MAX_STALENESS_S` ago, that everything until then was heard. The clock is compared at each look, so a process that
was stopped, or a loop that was held up, believes nothing on waking until it has read what waits in its sockets.

The cache begins anew with each connection, with FLUSHALL and with each change of the primaries. What is on its way from
the store at that moment is overtaken too.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from proxy.errors import SettingsError, StoreUnavailable
from proxy.sessions.change_feed import (
    CHANNEL,
    OPEN_WITHIN_S,
    PING_EVERY_S,
    PONG_WITHIN_S,
    ChangeFeed,
    ChangeListener,
    Manner,
)
from proxy.sessions.primaries import primaries_of
from proxy.sessions.redis_options import Alone
from proxy.sessions.resp_connection import RespError
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from proxy.ports import Clock, Observer
    from proxy.sessions.primaries import Primaries
    from proxy.sessions.redis_connection import RedisConnection
    from proxy.sessions.redis_options import RedisNode

__all__ = ["MAX_STALENESS_S", "TOLD_TRUST_S", "ChangeListener", "Tracking"]

MAX_STALENESS_S = PING_EVERY_S + PONG_WITHIN_S
"""Seconds: the longest that a cached session can be served after its record changed, whatever is cut, hung or stopped.
A change is usually heard within a millisecond."""

TOLD_TRUST_S = 1.0
"""Seconds: as :data:`MAX_STALENESS_S`, where the server refuses tracking and replicas tell one another."""

LOOK_FOR_PRIMARIES_S = 0.5
"""Seconds between two looks at who the primaries are; when one is lost, the look is at once. Only a primary that the
sentinels or its cluster have replaced, and that still answers us, is believed until the next look."""

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
"""Seconds between two tries to connect, the first and the longest; each wait doubles."""

SAY_AFTER_S = 5.0
"""Seconds without tracking while Redis itself is well, after which the log says so."""

_NOT_TOLD = (OSError, SettingsError, ValueError, LookupError, TypeError)
"""Nobody there, a password that cannot be read, or an answer that makes no sense."""


class Tracking:
    """Hear of changes from every primary."""

    def __init__(
        self,
        connection: RedisConnection,
        listener: ChangeListener,
        *,
        observer: Observer,
        clock: Clock,
        on_new_primary: Callable[[], None] | None = None,
    ) -> None:
        """Hear nothing yet.

        Args:
            connection: whose Redis it is; used for :meth:`announce`, and asked whether Redis is there.
            on_new_primary: called when a primary is another server than before, or was restarted: what was written last
                may be lost there, since replication and the disk come later.
        """
        self._connection = connection
        self._listener = listener
        self._observer = observer
        self._clock = clock
        self._monotonic = clock.monotonic  # asked for each request
        self._on_new_primary = on_new_primary
        self._primaries: Primaries = primaries_of(connection.options)
        self._tasks = TaskOwner(self._task_failed)
        self._links: dict[RedisNode, asyncio.Task[None]] = {}
        self._feeds: dict[RedisNode, ChangeFeed] = {}
        self._run_ids: dict[RedisNode, str] = {}
        self._had_primary = False
        self._telling: set[RedisNode] = set()
        self._look_now = asyncio.Event()
        self._trusted_until = float("-inf")
        self._emptied_at = float("-inf")
        self._untrusted_since: float | None = None
        self._said_refusal = ""

    def is_trusted(self) -> bool:
        """Say whether cached sessions may be served now."""
        return self._monotonic() <= self._trusted_until

    async def start(self) -> None:
        """Begin to look for the primaries; returns once the first look is over, never fails."""
        if isinstance(self._connection.options.topology, Alone):
            self._follow(await self._primaries.find())
        self._look_task = self._tasks.start(self._keep_looking())

    async def close(self) -> None:
        """Hear nothing any more; nothing is trusted."""
        await self._tasks.close()
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()
        self._primaries.close()
        self._weigh()

    async def announce(self, names: Iterable[bytes]) -> None:
        """Tell the other replicas that these records changed; call it after each change of a tracked key.

        Does nothing where Redis tells them itself. Never raises: whoever misses it believes its copy for at most
        :data:`TOLD_TRUST_S`.

        Args:
            names: full names of keys; they hold no newline.
        """
        if not self._is_told():
            return
        channel, message = self._connection.prefix + CHANNEL, b"\n".join(names)
        try:
            await self._connection.run("announce", lambda redis: redis.execute_command("PUBLISH", channel, message))
        except StoreUnavailable:
            return  # the line of the log about the outage has been written

    # -- who the primaries are

    async def _keep_looking(self) -> None:
        while True:
            # When nobody tells, or tells what cannot be read, whoever was known is tried on.
            with contextlib.suppress(*_NOT_TOLD):
                self._follow(await self._primaries.find())
            self._say_what_is_amiss()
            self._look_now.clear()
            await _waited(self._look_now.wait(), LOOK_FOR_PRIMARIES_S)

    def _follow(self, nodes: frozenset[RedisNode]) -> None:
        if nodes == self._links.keys():
            return
        if self._links:
            self._connection.look_now()
        for node in self._links.keys() - nodes:
            self._links.pop(node).cancel()
            self._run_ids.pop(node, None)  # whoever comes back was a replica meanwhile
            self._telling.discard(node)
            if (feed := self._feeds.pop(node, None)) is not None:
                feed.close()
        for node in nodes - self._links.keys():
            self._links[node] = self._tasks.start(self._keep_link(node))
        self._doubt()

    async def _keep_link(self, node: RedisNode) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            if await self._open(node):
                wait_s = FIRST_RETRY_S
                await self._beat(node, self._feeds[node])
                self._feeds.pop(node, None)
                self._look_now.set()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _open(self, node: RedisNode) -> bool:
        feed = ChangeFeed(self._listener, self._clock, on_lost=self._doubt)
        try:
            await self._agree(node, feed)
        except _NOT_TOLD:
            feed.close()
            return False
        except BaseException:
            feed.close()
            raise
        self._feeds[node] = feed
        (self._telling.add if feed.manner is Manner.TOLD else self._telling.discard)(node)
        # What changed while nobody listened is unknown, so the cache begins anew, from after the server has agreed.
        self._doubt()
        self._notice_run(node, feed)
        self._say_refusal(feed)
        return True

    async def _agree(self, node: RedisNode, feed: ChangeFeed) -> None:
        async with asyncio.timeout(OPEN_WITHIN_S):
            await feed.agree(node, self._connection.options)
        # A primary that was replaced while it hung takes itself for one on waking; so the others are asked, after it
        # has answered.
        if node not in await self._primaries.find():
            raise RespError("it is no primary any more")

    async def _beat(self, node: RedisNode, feed: ChangeFeed) -> None:
        while self._feeds.get(node) is feed and await feed.beat():
            self._weigh()
            await feed.pause()

    def _notice_run(self, node: RedisNode, feed: ChangeFeed) -> None:
        is_first, self._had_primary = not self._had_primary, True
        is_known = feed.run_id and self._run_ids.get(node) == feed.run_id
        self._run_ids[node] = feed.run_id
        if not is_first and not is_known and self._on_new_primary is not None:
            self._on_new_primary()

    # -- whether they can be believed

    def _doubt(self) -> None:
        """Believe nothing until every feed has confirmed again."""
        self._trusted_until = float("-inf")
        self._empty()
        self._weigh()

    def _weigh(self) -> None:
        """Reckon until when the cache is believed."""
        if not self._links or self._feeds.keys() != self._links.keys():
            self._trusted_until = float("-inf")
            return
        confirmed_at = min(feed.confirmed_at for feed in self._feeds.values())
        self._trusted_until = confirmed_at + MAX_STALENESS_S
        if self._is_told() and confirmed_at > float("-inf"):
            self._renew()
            self._trusted_until = min(self._trusted_until, self._emptied_at + TOLD_TRUST_S)

    def _renew(self) -> None:
        # A message may be lost and expiry is not told, so no copy grows older than this.
        if self._clock.monotonic() - self._emptied_at >= TOLD_TRUST_S / 2:
            self._empty()

    def _empty(self) -> None:
        self._emptied_at = self._clock.monotonic()
        self._listener.everything_changed()

    def _is_told(self) -> bool:
        return bool(self._telling)

    # -- what is said

    def _say_refusal(self, feed: ChangeFeed) -> None:
        if feed.refusal != self._said_refusal and feed.refusal:
            self._observer.warning(
                f"{self._connection.options.topology} refuses CLIENT TRACKING ({feed.refusal}), so it does not say "
                f"itself what changed: replicas tell one another, and a session that ends by redis-cli, eviction or a "
                f"lost message is served for up to {TOLD_TRUST_S:g} s; use Redis 6.2 or newer, and allow HELLO and "
                "CLIENT TRACKING"
            )
        self._said_refusal = feed.refusal

    def _say_what_is_amiss(self) -> None:
        now = self._clock.monotonic()
        if self.is_trusted() or not self._connection.readiness().is_ready:
            if self._untrusted_since == float("inf"):
                self._observer.warning("changes of sessions are heard again; cached sessions are served")
            self._untrusted_since = None
        elif self._untrusted_since is None:
            self._untrusted_since = now
        elif now - self._untrusted_since > SAY_AFTER_S:
            self._untrusted_since = float("inf")
            self._observer.error(
                f"{self._connection.options.topology} answers, but its changes are not heard, so every request asks "
                "it; allow HELLO and CLIENT TRACKING, and check that every primary can be reached from here"
            )

    def _task_failed(self, fault: BaseException) -> None:
        self._observer.error("the tracking of changes failed", fault=repr(fault))


async def _waited(event: Awaitable[object], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event
