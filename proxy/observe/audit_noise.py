"""What strangers can cause at will must not push what people did out of the trail. Pure but for its state.

A failed or throttled login or a refused logout costs a stranger one request, and a trail is bounded: without a rule
some minutes of either would leave nothing else in it. So of each such name only so many are kept; the log has them all.

===========  ==========  =======================================
structure    cap         at the cap
===========  ==========  =======================================
buckets      the names   there are no others
===========  ==========  =======================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from proxy.observe.events import AuditName

if TYPE_CHECKING:
    from proxy.ports import AuditEvent, Clock

ORDINARY_BYTES: Final = 400
"""Bytes of an event as people cause it; one with a long name counts for several."""

BURST: Final = 3000
"""Ordinary events of one name in a row: about a seventh of the trail of one process."""

REFILL_S: Final = 180.0
"""Seconds for one more: 3360 in a week, which is how long a trail is kept unless somebody says otherwise."""

BY_STRANGERS: Final = (AuditName.LOGIN_FAILED, AuditName.LOGIN_THROTTLED, AuditName.LOGOUT_REJECTED)
"""Names of events that need no account."""


class StrangersNoise:
    """A bucket for each name: how many of its events the trail still takes."""

    def __init__(self, clock: Clock) -> None:
        """Begin with every bucket full."""
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._left_out = 0

    @property
    def left_out(self) -> int:
        """Return how many events were not for the trail."""
        return self._left_out

    def leaves_room_for(self, event: AuditEvent) -> bool:
        """Take what it costs from the bucket of its name; False when there is too little in it.

        What needs an account is never noise.
        """
        if event.event not in BY_STRANGERS:
            return True
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(event.event, now), now) + _cost(event) * REFILL_S
        if full_at - now > BURST * REFILL_S:
            self._left_out += 1
            return False
        self._full_at[event.event] = full_at
        return True


def _cost(event: AuditEvent) -> int:
    """Return for how many ordinary events it counts, by the texts in it that strangers choose."""
    return 1 + len(json.dumps([event.user_agent, event.username])) // ORDINARY_BYTES
