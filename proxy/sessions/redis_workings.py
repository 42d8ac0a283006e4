"""What the Redis store is made of, put together once: each part knows only those that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.sessions.codec import SessionCodec
from proxy.sessions.redis_commands import RedisCommands
from proxy.sessions.redis_indexes import Indexes
from proxy.sessions.redis_marks import Marks, Watermarks
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.redis_records import Records
from proxy.sessions.redis_touches import Touches

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ports import Clock, LiveStreams, Observer
    from proxy.sessions.cache import SessionCache
    from proxy.sessions.redis_commands import Connection
    from proxy.sessions.sealing import Sealer


class RedisStoreParts(Struct, frozen=True, kw_only=True):
    """What surrounds the store.

    Attributes:
        max_per_user: sessions of one person; above it the oldest end. 0: no limit.
        max_cached: sessions whose last activity is remembered; as many as ``cache`` keeps.
    """

    clock: Clock
    observer: Observer
    live: LiveStreams
    cache: SessionCache
    max_cached: int
    max_per_user: int


class Workings(Struct, frozen=True, kw_only=True):
    """What the parts of the Redis store share."""

    commands: RedisCommands
    names: RedisNames
    records: Records
    indexes: Indexes
    touches: Touches
    marks: Marks
    watermarks: Watermarks
    cache: SessionCache
    clock: Clock
    observer: Observer
    live: LiveStreams


def make_workings(
    connection: Connection, sealer: Sealer, *, parts: RedisStoreParts, is_trusted: Callable[[], bool]
) -> Workings:
    """Return the parts, which have asked nothing yet.

    Args:
        is_trusted: says whether a change would be told; while it would not, no watermark is remembered.
    """
    names, commands = RedisNames(connection.prefix, sealer), RedisCommands(connection)
    indexes = Indexes(commands, names)
    touches = Touches(commands, names, indexes=indexes, clock=parts.clock, observer=parts.observer)
    touches.max_known = parts.max_cached
    return Workings(
        commands=commands,
        names=names,
        records=Records(commands, names, codec=SessionCodec(sealer), sealer=sealer, touches=touches),
        indexes=indexes,
        touches=touches,
        marks=Marks(commands, names, parts.clock),
        watermarks=Watermarks(is_trusted),
        cache=parts.cache,
        clock=parts.clock,
        observer=parts.observer,
        live=parts.live,
    )
