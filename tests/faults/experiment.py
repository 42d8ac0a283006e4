"""One fault under traffic, from whole to whole again: who takes part, what is done, what the judge has to say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.core.secret import Secret
from proxy.core.session import session_key
from tests.faults.schedule import HOLD_S, NEAR, Fault, Loss, Scene
from tests.faults.traffic import NEVER, PROMISE_S, RECOVERY_S, Incident, Traffic, Visitor, judge
from tests.journeys.replicas import Browser

if TYPE_CHECKING:
    from tests.journeys.replicas import ReplicaHouse, Store

RESIDENTS = ("alice", "bob", "alice")
LEAVER = "bob"
SETTLED_S = 0.3
"""How long everything must have been ordinary again before we stop looking."""

START_WITHIN_S = 10.0


class Residents:
    """People whose sessions go on from fault to fault; whoever lost one signs in again."""

    def __init__(self, house: ReplicaHouse) -> None:
        """Nobody is signed in yet."""
        self.house = house
        self._browsers: list[Browser] = []

    def at_home(self) -> list[Visitor]:
        """Return a visitor for each, and as the last one somebody who will leave.

        Replicas that have not found the store again after the fault before are waited for: they sign nobody in.
        """
        self.house.wait_until_ready()
        self._browsers += [self._signed_in(name) for name in RESIDENTS[len(self._browsers) :]]
        visitors = [_visitor(name, browser) for name, browser in zip(RESIDENTS, self._browsers, strict=True)]
        return [*visitors, _visitor(LEAVER, self._signed_in(LEAVER))]

    def part_with(self, visitors: list[Visitor]) -> None:
        """Forget those whose session is over."""
        over = {id(one.browser) for one in visitors if one.ending_at is not NEVER}
        self._browsers = [browser for browser in self._browsers if id(browser) not in over]

    def begin_anew(self) -> None:
        """Forget everybody: after a broken law nobody knows whose session is left for the next fault."""
        self._browsers.clear()

    def _signed_in(self, username: str) -> Browser:
        browser = Browser(self.house)
        browser.sign_in(username, at=NEAR)
        return browser


def complaints_about(fault: Fault, residents: Residents, store: Store) -> list[str]:
    """Let the fault happen while everybody is asking; returns a sentence for each law that was broken."""
    visitors = residents.at_home()
    *_, victim, leaver = visitors
    scene = Scene(residents.house, store, record=_record_of(victim))
    losing = {Loss.NOTHING: [], Loss.ONE: [victim], Loss.EVERYTHING: visitors}[fault.loss]

    with Traffic(residents.house, visitors) as traffic:
        complaints = traffic.until_served_everywhere(within_s=START_WITHIN_S)
        begun_at = time.time()
        mended_at = _happen(fault, scene, losing=losing, leaver=leaver)
        complaints += traffic.until_served_everywhere(within_s=RECOVERY_S)
        complaints += traffic.until_refused_everywhere(within_s=RECOVERY_S)
        settled_at = time.time()
        time.sleep(SETTLED_S)

    residents.part_with(visitors)
    incident = Incident(begun_at, settled_at, fault.breaks_connections, mended_at if fault.severs else None)
    return [*complaints, *judge(visitors, incident), *leave_at_last(leaver)]


def _happen(fault: Fault, scene: Scene, *, losing: list[Visitor], leaver: Visitor) -> float:
    """Strike, let somebody sign out, hold, mend; returns when it was mended."""
    begun_at = time.time()
    for visitor in losing:
        visitor.ending_at = begun_at
    try:
        fault.strike(scene)
        for visitor in losing:
            visitor.ended_at = time.time()
        sign_out(leaver)
        time.sleep(max(0.0, begun_at + HOLD_S - time.time()))
    finally:
        fault.mend(scene)
    return time.time()


def sign_out(visitor: Visitor) -> None:
    """Sign out at the near replica. That it worked is known by the answer; 503 says that it did not, or not wholly."""
    visitor.ending_at = min(visitor.ending_at, time.time())
    answer = visitor.browser.sign_out(at=NEAR)
    assert answer.status in {303, 503}, (answer.status, answer.text)
    if answer.status == 303:
        visitor.ended_at = min(visitor.ended_at, time.time())


def leave_at_last(leaver: Visitor) -> list[str]:
    """Sign out again if that could not be done before; afterwards nobody may serve the session any more."""
    if leaver.ended_at is NEVER:
        answer = leaver.browser.sign_out(at=NEAR)
        if answer.status != 303:
            return [f"a logout after the fault was answered with {answer.status}"]
    is_refused = leaver.browser.as_thief().is_refused_everywhere(within_s=PROMISE_S)
    return [] if is_refused else ["whoever has signed out is served after the fault"]


def _record_of(visitor: Visitor) -> str:
    """The name of a session's record in Redis."""
    cookies = dict(pair.split("=", 1) for pair in visitor.cookie.split("; "))
    return f"sidegate:s:{session_key(Secret(cookies['sidegate']))}"


def _visitor(username: str, browser: Browser) -> Visitor:
    return Visitor(username, browser, browser.cookie)
