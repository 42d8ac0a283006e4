"""People at three replicas while something breaks, and the judge of what they saw.

Each visitor asks every replica again and again, and keeps a stream of events open at each. Everything that is answered
is written down with the instants at which it was asked, served by the app and answered, and judged afterwards:

1. What the app served to an ended session after the promise was over, is a pass without a live session.
2. A live session that is refused was lost wrongly. While something is broken it may be 503, or find nobody there.
3. An answer or event that names somebody else, or belongs to another request, is a byte of one user at another.
4. Within :data:`RECOVERY_S` of the end of the fault every live session is served again by every replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.journeys.replicas import Browser, ReplicaHouse

PROMISE_S = 1.0
"""What has ended is served nowhere after this, a lost connection to the store included."""

BUSY_S = 2.0
"""What a busy machine may add until a stream is closed, which is work that waits its turn; that a request is refused is
a comparison of clocks, so it needs no such grace."""

RECOVERY_S = 5.0
ASK_EVERY_S = 0.1
ASK_WITHIN_S = 15.0
SERVED = 200
REFUSED = 401
UNAVAILABLE = 503
NEVER = float("inf")
NOBODY = 0
"""Instead of a status: the connection was refused, or broke before there was an answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request and what became of it; ``served_at`` is when the app did, None when it did not."""

    replica: int
    asked_at: float
    answered_at: float
    status: int
    served_at: float | None = None
    foreign: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One event of a stream."""

    replica: int
    heard_at: float
    said: str


@dataclass(slots=True)
class Visitor:
    """One session of somebody.

    Attributes:
        ending_at: from when a refusal is right: its logout was sent, or the store was made to lose it.
        ended_at: when that was done; from the promise after it on, only a refusal is right.
    """

    username: str
    browser: Browser
    cookie: str
    ending_at: float = NEVER
    ended_at: float = NEVER
    seen: list[Seen] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    def served_by(self, since: float) -> set[int]:
        """Return the replicas that served something asked after ``since``."""
        return self._answered_by(SERVED, since)

    def refused_by(self, since: float) -> set[int]:
        """Return the replicas that refused something asked after ``since``."""
        return self._answered_by(REFUSED, since)

    def _answered_by(self, status: int, since: float) -> set[int]:
        return {seen.replica for seen in self.seen if seen.status == status and seen.asked_at > since}


class Traffic:
    """Steady traffic of some visitors, from entering the block to leaving it.

    It has a loop in a thread of its own: whoever breaks things starts programs, and the kernel ends a program of ours
    with the thread that started it.
    """

    def __init__(self, house: ReplicaHouse, visitors: list[Visitor]) -> None:
        """Nobody asks anything yet."""
        self.visitors = visitors
        self._house = house
        self._replicas = range(len(house.replicas))
        self._http: aiohttp.ClientSession | None = None
        self._is_over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(ASK_WITHIN_S)
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._go_on())
        except BaseException as fault:  # noqa: BLE001  it is raised where the test is
            self._fault = fault
        finally:
            self._loop.close()

    async def _go_on(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ASK_WITHIN_S)
        connector = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout, connector=connector) as self._http:
            tasks = [
                self._loop.create_task(work(visitor, replica))
                for visitor in self.visitors
                for replica in self._replicas
                for work in (self._ask_on, self._listen_on)
            ]
            await self._is_over.wait()
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def until_served_everywhere(self, *, within_s: float) -> list[str]:
        """Wait until each replica has served each living visitor anew; returns what did not happen in time."""
        since = time.time()
        living = [one for one in self.visitors if one.ending_at is NEVER]
        while time.time() < since + within_s:
            if all(one.served_by(since) == set(self._replicas) for one in living):
                return []
            time.sleep(0.02)
        return [
            f"{one.username} is not served by {sorted(set(self._replicas) - one.served_by(since))} "
            f"{within_s} s after the end of the fault; {_last(one)}"
            for one in living
            if one.served_by(since) != set(self._replicas)
        ]

    def until_refused_everywhere(self, *, within_s: float) -> list[str]:
        """Wait until each replica has refused each ended visitor anew; returns what did not happen in time."""
        since = time.time()
        ended = [one for one in self.visitors if one.ended_at is not NEVER]
        while time.time() < since + within_s:
            if all(one.refused_by(since) == set(self._replicas) for one in ended):
                return []
            time.sleep(0.02)
        return [
            f"{one.username} is refused only by {sorted(one.refused_by(since))}; {_last(one)}"
            for one in ended
            if one.refused_by(since) != set(self._replicas)
        ]

    # -- asking

    async def _ask_on(self, visitor: Visitor, replica: int) -> None:
        while True:
            visitor.seen.append(await self._ask(visitor, replica))
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self, visitor: Visitor, replica: int) -> Seen:
        assert self._http is not None
        token, asked_at = secrets.token_hex(8), time.time()
        url = f"{self._house.address(replica)}/who?token={token}"
        try:
            async with self._http.get(url, headers=self._fields(visitor), allow_redirects=False) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return Seen(replica, asked_at, time.time(), NOBODY)
        if answer.status != SERVED:
            return Seen(replica, asked_at, time.time(), answer.status)
        said = json.loads(body)
        is_own = (said["username"], said["token"]) == (visitor.username, token)
        return Seen(replica, asked_at, time.time(), SERVED, said["at"], None if is_own else body.decode())

    async def _listen_on(self, visitor: Visitor, replica: int) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async for line in self._lines(visitor, replica):
                    visitor.heard.append(Heard(replica, time.time(), line))
            await asyncio.sleep(ASK_EVERY_S)

    async def _lines(self, visitor: Visitor, replica: int) -> AsyncIterator[str]:
        assert self._http is not None
        url = f"{self._house.address(replica)}/events?every={ASK_EVERY_S}"
        no_end = aiohttp.ClientTimeout(total=None)
        async with self._http.get(url, headers=self._fields(visitor), allow_redirects=False, timeout=no_end) as answer:
            if answer.status != SERVED:
                return
            async for line in answer.content:
                if line.startswith(b"data: "):
                    yield line.removeprefix(b"data: ").decode().partition(" ")[0]

    def _fields(self, visitor: Visitor) -> dict[str, str]:
        return {"Cookie": visitor.cookie, "Host": self._house.authority, "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened meanwhile, as the judge must know it.

    Attributes:
        begun_at: when it broke.
        settled_at: when everything was served again; from then on nothing but the ordinary is excused.
        may_break_connections: whether nobody need answer in between.
        joined_at: when a replica that stood still, or could not ask the store, could again. A stream that was open
            before goes on until then, as nobody can say that its session is over; requests are refused all the same.
    """

    begun_at: float
    settled_at: float
    may_break_connections: bool
    joined_at: float | None = None


def judge(visitors: list[Visitor], incident: Incident) -> list[str]:
    """Return a sentence for each broken law; see the module."""
    return [
        *(sentence for visitor in visitors for sentence in _judge_answers(visitor, incident)),
        *(sentence for visitor in visitors for sentence in _judge_streams(visitor, incident)),
    ]


def _judge_answers(visitor: Visitor, incident: Incident) -> list[str]:
    return [
        f"{visitor.username}: {fault}: asked {seen.asked_at - incident.begun_at:+.3f} s after the fault, replica "
        f"{seen.replica} answered {seen.status} {seen.answered_at - seen.asked_at:.3f} s later; "
        f"the session ended at {visitor.ended_at - incident.begun_at:+.3f} s"
        for seen in visitor.seen
        if (fault := _fault_in(seen, visitor, incident)) is not None
    ]


def _fault_in(seen: Seen, visitor: Visitor, incident: Incident) -> str | None:
    if seen.foreign is not None:
        return f"was told what is not theirs ({seen.foreign})"
    if seen.served_at is not None:
        return "served without a live session" if seen.served_at > visitor.ended_at + PROMISE_S else None
    if seen.status in _excused(seen, incident):
        return None
    if seen.status == REFUSED and seen.answered_at >= visitor.ending_at:
        return None
    return "a live session was not served"


def _excused(seen: Seen, incident: Incident) -> set[int]:
    is_during = seen.answered_at >= incident.begun_at and seen.asked_at <= incident.settled_at
    if not is_during:
        return set()
    return {UNAVAILABLE, NOBODY} if incident.may_break_connections else {UNAVAILABLE}


def _judge_streams(visitor: Visitor, incident: Incident) -> list[str]:
    """A stream may end while something is broken; what it says is its user's, and nothing after the promise."""
    over_at = max(visitor.ended_at + PROMISE_S, (incident.joined_at or 0.0) + PROMISE_S) + BUSY_S
    foreign = {heard.said for heard in visitor.heard} - {visitor.username}
    late = [heard for heard in visitor.heard if heard.heard_at > over_at]
    return [
        *(f"{visitor.username}: a stream spoke of {name}" for name in foreign),
        *(
            f"{visitor.username}: a stream at replica {one.replica} went on {one.heard_at - over_at:.3f} s too long"
            for one in late[-1:]
        ),
    ]


def _last(visitor: Visitor) -> str:
    return "; ".join(f"{seen.replica}: {seen.status}" for seen in visitor.seen[-6:])
