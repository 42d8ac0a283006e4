"""An open stream for tests: it remembers why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.core.policy import Allow, decide
from proxy.core.routing import AUTHENTICATED, Activity
from proxy.errors import RightsLost, SessionEnded
from proxy.ports import Forward, RequestEvent
from tests.support.clocks import START
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.bearer import Bearer
    from proxy.core.routing import Access
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.errors import SidegateError

ENDED, RIGHTS_LOST = SessionEnded.reason, RightsLost.reason


class _AsItIs:
    def apply(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        raise AssertionError("nothing is answered here")


def admit(
    cookie_value: Secret | None,
    *,
    session: Session | Bearer,
    access: Access = AUTHENTICATED,
    activity: Activity = Activity.COUNTS,
) -> Forward:
    """What the gate makes of a request of ``session`` on a route with ``access``; it must be allowed."""
    allow = decide(access, session, START)
    assert isinstance(allow, Allow)
    return Forward(
        allow,
        "app",
        b"GET",
        b"/",
        (),
        _AsItIs(),  # type: ignore[arg-type]
        RequestEvent(request_id="r", started_at=0.0),
        cookie_value=cookie_value,
        activity=activity,
    )


@dataclass(eq=False)
class FakeStream:
    """``ports.OpenStream``; each is equal to itself only.

    Attributes:
        ends: the reason of the fault by which it was ended, each time that it was told so.
        faults: the same, with their sentences.
        on_end: what happens then.
    """

    admitted: Forward
    began_at: float = 0.0
    faults: list[SidegateError] = field(default_factory=list)
    on_end: Callable[[], None] = lambda: None

    @property
    def ends(self) -> list[str]:
        return [fault.reason for fault in self.faults]

    def end(self, fault: SidegateError) -> None:
        self.faults.append(fault)
        self.on_end()


def make_stream(cookie_value: Secret, *, access: Access = AUTHENTICATED, session: Session | None = None) -> FakeStream:
    """A stream of the session of this cookie."""
    return FakeStream(admit(cookie_value, session=session or make_session(cookie_value), access=access))
