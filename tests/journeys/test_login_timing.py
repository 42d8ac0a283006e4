"""How long a refusal takes tells nobody why: all on one grid of 250 ms, at a Keycloak that hashes dearly.

``SIDEGATE_TEST_FULL=1 pytest -s`` makes 200 tries of each kind and prints when they were refused; else a few are made.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.journeys.house import Person, wait_for
from tests.keycloak.realms import FAILURES_THAT_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.journeys.house import House

pytestmark = [pytest.mark.slow]

REALM = "hashing"
IS_FULL = bool(os.environ.get("SIDEGATE_TEST_FULL"))
TRIES = 200 if IS_FULL else 20
"""At most: a few suffice, unless the machine is busy."""

AT_ONCE = 2
"""More, and a provider on a small machine cannot keep up: then a refusal that needs no hash comes sooner."""

GRID_S = 0.25
LEAST_S = 0.5
MUCH = 0.1
"""Of the tries of one kind: as many more may be later by a step than those of another; a busy machine is late."""

NO_THROTTLE = {"throttle": {"per_user": "off", "per_address": "off"}}
TRIES_OF_ONE = FAILURES_THAT_LOCK - 1


@dataclass
class Kind:
    """One reason to be refused: who tries with which password, and how long each refusal took in seconds."""

    tries: list[tuple[str, str]]
    took_s: list[float] = field(default_factory=list)

    def steps(self) -> Counter[int]:
        """How many answers came at which step of the grid."""
        return Counter(int(took_s / GRID_S) for took_s in self.took_s)

    def __str__(self) -> str:
        """How many answers came when, and by how much they were later than the step, as a median."""
        steps = {f"{step * GRID_S:g} s": count for step, count in sorted(self.steps().items())}
        return f"{steps}, {median(took_s % GRID_S for took_s in self.took_s) * 1000:.1f} ms beyond the step"


def make_kinds(house: House) -> dict[str, Kind]:
    """People of these tries alone, one of whom is locked already."""
    people = [_make_user(house) for _ in range(0, TRIES, TRIES_OF_ONE)]
    locked = _make_user(house)
    for _ in range(FAILURES_THAT_LOCK + 1):
        refuse(house, locked, "wrong")
    admin = house.keycloak.admin
    locked_id = wait_for(admin.user_id(locked, realm=REALM))
    assert wait_for(admin.brute_force_status(locked_id, realm=REALM))["disabled"]
    return {
        "unknown user": Kind([(f"nobody-{uuid.uuid4().hex[:8]}", "wrong") for _ in range(TRIES)]),
        "wrong password": Kind([(people[number // TRIES_OF_ONE], "wrong") for number in range(TRIES)]),
        "empty password": Kind([(people[0], "")] * TRIES),
        "locked user": Kind([(locked, f"{locked}-pw")] * TRIES),
    }


def _make_user(house: House) -> str:
    name = f"timed-{uuid.uuid4().hex[:10]}"
    wait_for(house.keycloak.admin.create_user(name, realm=REALM))
    return name


def refuse(house: House, username: str, password: str) -> float:
    """Sign in, which must be refused; returns after how many seconds that was said."""
    person = Person(house)
    page = person.get("/_sidegate/login")
    form = {**page.hidden_inputs(), "username": username, "password": password}
    began = time.monotonic()
    answer = person.browser.post(page.form_action, form, Accept="text/html", Origin=house.url)
    took_s = time.monotonic() - began
    assert answer.status == 401, (answer.status, username)
    return took_s


def try_all(house: House, kinds: Mapping[str, Kind]) -> None:
    """Try all kinds in turn, so that whatever else the machine does falls on all of them."""
    of_each = ([(kind, one) for one in kind.tries] for kind in kinds.values())
    turns = list(chain.from_iterable(zip(*of_each, strict=True)))

    def go(turn: tuple[Kind, tuple[str, str]]) -> None:
        kind, (username, password) = turn
        kind.took_s.append(refuse(house, username, password))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(go, turns))


def try_until_each_was_quick(house: House, kinds: Mapping[str, Kind]) -> None:
    """Try all kinds in turn, until the soonest of each came at one step: a busy machine makes single answers late."""
    for number in range(TRIES):
        for kind in kinds.values():
            kind.took_s.append(refuse(house, *kind.tries[number]))
        if number >= 2 and len({min(kind.steps()) for kind in kinds.values()}) == 1:
            return


def must_be_alike(kinds: Iterable[Kind]) -> None:
    """The same share of each kind comes at each step."""
    shares = [{step: count / TRIES for step, count in kind.steps().items()} for kind in kinds]
    for step in set(chain.from_iterable(shares)):
        at_step = [share.get(step, 0.0) for share in shares]
        assert max(at_step) - min(at_step) <= MUCH, (step * GRID_S, at_step)


@pytest.mark.timeout(900 if IS_FULL else 120)
def test_a_refusal_takes_as_long_whatever_its_reason(build_house: Callable[..., House]) -> None:
    house = build_house(realm=REALM, login=NO_THROTTLE)
    kinds = make_kinds(house)

    (try_all if IS_FULL else try_until_each_was_quick)(house, kinds)

    for name, kind in kinds.items():
        print(f"{name:15} {kind}")
    assert min(min(kind.took_s) for kind in kinds.values()) >= LEAST_S
    assert len({min(kind.steps()) for kind in kinds.values()}) == 1, "one reason is told sooner than another"
    if IS_FULL:
        must_be_alike(kinds.values())
