"""The open streams of sessions: WebSockets and answers still being sent, which end when their session does.

Synchronous bookkeeping for one loop. The streams themselves belong to the data path; here are only their ways to be
closed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.errors import StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.session import EndCause, SessionKey
    from proxy.ports import Observer

MAX_STREAMS = 100_000
"""Streams in one process; far above the sockets that a process is usually given (``ulimit -n`` 65536)."""

MAX_RECENTLY_ENDED = 10_000
"""Ended sessions remembered for streams that open a moment too late; the oldest goes."""


class _Stream:
    """One registered stream: closed once, by its session's end, or unregistered once, by its own."""

    __slots__ = ("_close", "_registry", "key")

    def __init__(self, registry: LiveStreamRegistry, key: SessionKey, close: Callable[[EndCause], None]) -> None:
        self._registry: LiveStreamRegistry | None = registry
        self._close = close
        self.key = key

    def ended(self) -> None:
        """Hear that the stream ended by itself; a second call does nothing."""
        registry, self._registry = self._registry, None
        if registry is not None:
            registry.forget(self)

    def close(self, cause: EndCause) -> None:
        """Close the stream, unless it ended meanwhile."""
        if self._registry is not None:
            self._registry = None
            self._close(cause)


class LiveStreamRegistry:
    """``ports.LiveStreams`` of one process."""

    def __init__(self, observer: Observer, *, max_streams: int = MAX_STREAMS) -> None:
        """Begin with no stream; ``max_streams`` is a number of streams."""
        self._observer = observer
        self._max_streams = max_streams
        self._count = 0
        self._streams: dict[SessionKey, set[_Stream]] = {}
        self._recently_ended: dict[SessionKey, EndCause] = {}

    def __len__(self) -> int:
        """Return how many streams are open."""
        return self._count

    def opened(self, key: SessionKey, close: Callable[[EndCause], None]) -> Callable[[], None]:
        """Register a stream; returns what to call when it ended by itself.

        A session that ended between the decision and this call closes the stream in the next turn of the loop: keys
        are random and never come back, so what has ended may be remembered by key.

        Raises:
            StoreFull: at the cap. A stream that nobody could close must not be opened.
        """
        if self._count >= self._max_streams:
            msg = f"{self._max_streams} streams are open, which is the cap; no further one is taken"
            raise StoreFull(msg)
        stream = _Stream(self, key, close)
        self._count += 1
        self._streams.setdefault(key, set()).add(stream)
        if key in self._recently_ended:
            asyncio.get_running_loop().call_soon(self._close_all, key, self._recently_ended[key])
        return stream.ended

    def session_ended(self, key: SessionKey, cause: EndCause) -> int:
        """Close every stream of the session; returns how many."""
        if len(self._recently_ended) >= MAX_RECENTLY_ENDED:
            del self._recently_ended[next(iter(self._recently_ended))]
        self._recently_ended[key] = cause
        return self._close_all(key, cause)

    def forget(self, stream: _Stream) -> None:
        """Take out a stream that ended by itself."""
        streams = self._streams.get(stream.key)
        if streams is None or stream not in streams:
            return  # its session ends at this moment, and closing another stream ended this one
        streams.remove(stream)
        self._count -= 1
        if not streams:
            del self._streams[stream.key]

    def _close_all(self, key: SessionKey, cause: EndCause) -> int:
        streams = self._streams.pop(key, ())
        self._count -= len(streams)
        for stream in streams:
            self._close_one(stream, cause)
        return len(streams)

    def _close_one(self, stream: _Stream, cause: EndCause) -> None:
        try:
            stream.close(cause)
        except Exception as fault:  # noqa: BLE001 - one stream's fault must not keep the others open
            self._observer.error("a stream of an ended session could not be closed", fault=repr(fault))
