"""Look after open streams of bearers, who have no session here: they end at ``exp``, and when their login ends.

==========================  =========================================================================================
what                        what is done
==========================  =========================================================================================
``exp``                     streams close within a tick of ``stream_keeper``
some login has ended        (``bearers_in_doubt``) those whose standing does not hold any more are asked for at once
store does not tell of      the store is asked at each tick
changes
store away                  streams close with "try again later", as those of sessions do
==========================  =========================================================================================

A token's rights never change, and nothing refreshes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.login import Login
from proxy.core.session import EndCause
from proxy.errors import StoreFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.bearer import Bearer
    from proxy.core.session import SessionKey
    from proxy.errors import SidegateError
    from proxy.ports import Clock, LoginStanding
    from proxy.sessions.live import LiveStreamRegistry
    from proxy.tasks import TaskOwner

LOOK_AGAIN_S = 1.0
"""Seconds to the next look while nobody would tell of an end."""

MAX_WAIT_S = 30.0
"""Seconds at most between two looks at a bearer."""


class BearerWatch:
    """What is known of one bearer with streams.

    Attributes:
        standing: None until the store was asked.
    """

    __slots__ = ("asks_again", "bearer", "is_asked", "standing")

    def __init__(self, bearer: Bearer) -> None:
        """Nobody was asked yet."""
        self.bearer = bearer
        self.standing: LoginStanding | None = None
        self.is_asked = self.asks_again = False


class BearerStreams:
    """Looks at one bearer when it is told to; who tells is the keeper of all streams."""

    def __init__(
        self,
        live: LiveStreamRegistry,
        standing: Callable[[Login], Awaitable[LoginStanding | None]],
        *,
        look_again_at: Callable[[SessionKey, float], None],
        give_up: Callable[[SessionKey, SidegateError], None],
        clock: Clock,
    ) -> None:
        """Look at nobody yet.

        Args:
            standing: asks the store; raises StoreFault when it does not answer in time.
            look_again_at: is told the Unix time of the next look.
            give_up: is told of streams of which nobody can say whether they may go on; they close.
        """
        self._live = live
        self._standing = standing
        self._look_again_at = look_again_at
        self._give_up = give_up
        self._clock = clock

    def look(self, key: SessionKey, watch: BearerWatch, *, tasks: TaskOwner) -> None:
        """Look at one bearer: at once where its standing holds, else in the background."""
        now = self._clock.now()
        if now >= watch.bearer.expires_at:
            self._live.session_ended(key, EndCause.EXPIRED)
        elif watch.standing is not None and watch.standing.holds():
            self._look_again_at(key, min(watch.bearer.expires_at, now + MAX_WAIT_S))
        elif watch.is_asked:
            watch.asks_again = True
        else:
            watch.is_asked = True
            _ = tasks.start(self._ask(key, watch, tasks))

    async def _ask(self, key: SessionKey, watch: BearerWatch, tasks: TaskOwner) -> None:
        try:
            watch.standing = await self._standing(Login.of(watch.bearer))
        except StoreFault as fault:
            self._give_up(key, fault)
            return
        finally:
            watch.is_asked = False
        if watch.standing is None:
            self._live.session_ended(key, EndCause.BACKCHANNEL)
        elif watch.asks_again:
            watch.asks_again = False
            self.look(key, watch, tasks=tasks)
        else:
            wait_s = MAX_WAIT_S if watch.standing.holds() else LOOK_AGAIN_S
            self._look_again_at(key, min(watch.bearer.expires_at, self._clock.now() + wait_s))
