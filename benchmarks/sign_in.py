"""Real sessions: the code flow, walked by a browser without script, at whatever server is under test."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from benchmarks.provider import USERS
from tests.contracts.web_browser import Answer, WebBrowser

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HOPS = 12
BROWSERS = 4
"""Sign-ins at once: enough that the provider never waits, and few enough that none of them times out."""


class SignInFailed(Exception):
    """The way did not end at the app; the message says where."""


@dataclass(slots=True)
class Person:
    """Somebody whom the provider knows; signed in there once, so that later sign-ins show no form."""

    username: str
    at_provider: WebBrowser = field(default_factory=WebBrowser)

    def sign_in(self, origin: str, start: str) -> str:
        """Walk from ``start`` to the app.

        Returns:
            The value of the Cookie field of the session.

        Raises:
            SignInFailed
        """
        browser = WebBrowser()
        url = origin + start
        for _ in range(MAX_HOPS):
            ours = url.startswith(f"{origin}/")
            answer = (browser if ours else self.at_provider).get(url, Accept="text/html")
            if answer.status == 200 and ours:
                return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            if answer.status == 200:
                answer = self._send_form(answer)
            if not answer.location:
                raise SignInFailed(f"at {url}: {answer.status} {answer.text[:300]}")
            url = urljoin(url, answer.location)
        raise SignInFailed(f"after {MAX_HOPS} redirects at {url}")

    def _send_form(self, page: Answer) -> Answer:
        form = {**page.hidden_inputs(), "username": self.username, "password": "password"}
        return self.at_provider.post(page.form_action, form)


def sign_in_many(origin: str, start: str, number: int, *, within_s: float) -> list[str]:
    """Return the cookies of up to ``number`` sessions: as many as can be made in the time, of many persons."""
    people = [Person(f"user{index}") for index in range(min(USERS, number))]
    deadline = time.monotonic() + within_s
    numbers = count()

    def walk(mine: list[Person]) -> Iterator[str]:
        while time.monotonic() < deadline and (index := next(numbers)) < number:
            yield mine[index % len(mine)].sign_in(origin, start)

    # Each browser has people of its own: a person at two places at once would mix up the provider's cookies.
    shares = [people[index::BROWSERS] for index in range(BROWSERS)]
    with ThreadPoolExecutor(BROWSERS) as pool:
        walks = pool.map(lambda mine: list(walk(mine)), [share for share in shares if share])
        return [cookie for walked in walks for cookie in walked]


def sign_in_apart(origin: str, start: str, number: int) -> list[str]:
    """Return the cookies of so many sessions of which each is alone in its session at the provider.

    Those of :func:`sign_in_many` share them, and who signs out of one signs out of all.
    """
    people = [Person(f"user{index % USERS}") for index in range(number)]
    with ThreadPoolExecutor(BROWSERS) as pool:
        return list(pool.map(lambda person: person.sign_in(origin, start), people))
