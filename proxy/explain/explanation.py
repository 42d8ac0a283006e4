"""What ``sidegate explain`` says: the value, its lines for people and its document for programs.

Pure, and without any rule of its own: what the gate decided and why comes from ``explain.py``, the words of a reason
are here. Lines have 80 columns. The names of the document are documented in README.md and do not change; what is new is
added.
"""

from __future__ import annotations

import textwrap
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.core.policy import Reason
from proxy.core.routing import WhyNot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.policy import Judged
    from proxy.core.routing import Looked, Met, Route

COLUMNS: Final = 80
_LABEL: Final = 12
"""Characters of the first column: ``conditions:`` and a space."""

_LONG_RUN: Final = 4
"""Routes that differ in the path alone, in a row, from which on they are one line."""

SENTENCES: Final[Mapping[str, str]] = {
    Reason.PUBLIC: "anybody may; nobody is asked who they are",
    Reason.OPTIONAL: "anybody may; whoever is signed in is named",
    Reason.AUTHENTICATED: "anybody who is signed in may",
    Reason.CONDITIONS_MET: "every condition is met",
    Reason.PREFLIGHT: "a CORS preflight passes here without a session (preflight: pass)",
    Reason.NO_SESSION: "nobody is signed in",
    Reason.ROLE_MISSING: "the account lacks a role",
    Reason.GROUP_MISSING: "the account lacks a group",
    Reason.CLAIM_MISMATCH: "a claim of the account is another than the route asks for",
    Reason.ACR_INSUFFICIENT: "signed in, but not in the way (acr) that the route asks for",
    Reason.AUTHENTICATION_TOO_OLD: "signed in longer ago than the route allows",
    Reason.CROSS_SITE: "another site sent it with our session cookie; allowed_origins or csrf: off would let it pass",
    Reason.SERVICE_WORKER: "the script of a service worker could sit between people and the login page; "
    "service_worker: true would let it pass",
    Reason.NO_ROUTE: "no route matches the path",
    Reason.METHOD_NOT_ALLOWED: "no route of the pattern that matches takes the method",
    "own": "it lies under server.prefix: Sidegate answers by itself",
    "logout": "the route signs out (logout: true), and the app never hears of it",
    "https": "it came by http, and server.https_redirect sends it to https",
    "not_kept_nobody": "nobody is signed in, and the form is not kept, for nobody was signed in before either",
    "not_kept_foreign": "nobody is signed in, and the form is not kept, for nothing says that a page of this site "
    "sent it (Sec-Fetch-Site: same-origin, or an equal Origin)",
    "not_kept_address": "nobody is signed in, and the form is not kept, for no login could lead back to its address",
}
"""What a reason means; where the fault of a request has a sentence of its own, that is said."""


class Ink(Enum):
    """Whether the terminal shows colours."""

    PLAIN = "plain"
    COLOUR = "colour"


_COLOUR_OF: Final = {"allow": 32, "challenge": 33, "step_up": 33, "met": 32, "not met": 31}
"""SGR codes (ECMA-48 §8.3.117); every other decision is red. The words say the same without them."""

_MET: Final = {True: "met", False: "not met", None: "unknown"}


class Asked(Struct, frozen=True, kw_only=True):
    """The request as it was put to the gate.

    Attributes:
        person: None is nobody; else roles, groups and claims by these names.
        portal: whose gate was asked; empty where the file has none, and for the site at its top.
    """

    method: str
    url: str
    person: Mapping[str, object] | None
    portal: str = ""


class Reply(Struct, frozen=True):
    """What Sidegate answers by itself; ``location`` is where a redirect leads."""

    status: int
    location: str | None = None


class Passed(Struct, frozen=True, kw_only=True):
    """What reaches the app.

    Attributes:
        upstream: its name in the file.
        target: request-target as the app gets it.
        headers: pairs of name and value; what only a real request has stands in ``<…>``.
    """

    upstream: str
    url: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]


class Explanation(Struct, frozen=True, kw_only=True):
    """What became of a request and why.

    Attributes:
        route: None when none stands for it: no match, two, or it is Sidegate's own.
        looked: what became of every route; empty when none was looked at.
        decision: a word of contract §1.
        conditions: of the route, each with its verdict.
        readings: of a path that meets two routes: as sent, and the one that differs.
        reply: None when the app answers, or a page of Sidegate's own.
        passed: None when nothing reaches the app.
        removed: what of the request, or of ours, the app does not get.
        notes: further sentences.
    """

    asked: Asked
    route: Route | None
    looked: tuple[Looked, ...]
    decision: str
    reason: str
    sentence: str
    conditions: tuple[Judged, ...] = ()
    readings: tuple[Met, ...] = ()
    reply: Reply | None = None
    passed: Passed | None = None
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        asked, reply, passed = self.asked, self.reply, self.passed
        return {
            "request": {"method": asked.method, "url": asked.url, "person": asked.person},
            "route": None if self.route is None else _route_document(self.route),
            "routes": [{**_route_document(one.route), "outcome": one.why.name.lower()} for one in self.looked],
            "decision": self.decision,
            "reason": self.reason,
            "sentence": self.sentence,
            "conditions": [
                {"condition": one.condition, "any_of": list(one.any_of), "met": one.is_met} for one in self.conditions
            ],
            "readings": [_reading_document(one) for one in self.readings],
            "answer": None if reply is None else {"status": reply.status, "location": reply.location},
            "upstream": None
            if passed is None
            else {"name": passed.upstream, "url": passed.url, "method": passed.method, "target": passed.target},
            "headers": None if passed is None else [{"name": name, "value": value} for name, value in passed.headers],
            "removed": list(self.removed),
            "notes": list(self.notes),
            "portal": asked.portal or None,
        }

    def lines(self, ink: Ink = Ink.PLAIN) -> Iterator[str]:
        """Yield the lines for people."""
        yield from _block("request", (f"{self.asked.method} {self.asked.url}", f"by {_who(self.asked.person)}"))
        if self.asked.portal:
            yield from _block("portal", (self.asked.portal,))
        yield from _block("route", self._route_paragraphs())
        if self.readings:
            yield from _block("readings", (f"{one.reading} meets {one.route or 'no route'}" for one in self.readings))
        yield from _tinted(_block("decision", (self.decision,)), self.decision, ink)
        yield from _block("reason", (f"{self.reason}: {self.sentence}",))
        yield from self._condition_lines(ink)
        if self.reply is not None:
            yield from _block("answer", (_reply_words(self.reply),))
        yield from _block("headers", self._header_paragraphs())
        yield from _block("removed", self.removed)
        yield from _block("note", self.notes)

    def _route_paragraphs(self) -> Iterator[str]:
        yield "none" if self.route is None else str(self.route)
        for why, looked in groupby(self._passed_over(), key=lambda one: one.why):
            routes = [one.route for one in looked]
            if why is WhyNot.PATH and len(routes) >= _LONG_RUN:
                yield f"not routes[{routes[0].index}] to [{routes[-1].index}]: the path differs"
            else:
                yield from (f"not {route}: {why.value}" for route in routes)

    def _passed_over(self) -> list[Looked]:
        """Return the routes that stand before the one that matches; all of them when none does."""
        if self.readings:
            return []
        route = self.route
        return list(self.looked) if route is None else [one for one in self.looked if one.route.index < route.index]

    def _condition_lines(self, ink: Ink) -> Iterator[str]:
        for label, one in zip(["conditions", *[""] * len(self.conditions)], self.conditions, strict=False):
            word = _MET[one.is_met]
            said = f"{one.condition}: {' or '.join(one.any_of)}" if one.any_of else one.condition
            yield from _tinted(_block(label, (f"{word:<9}{said}",)), word, ink)

    def _header_paragraphs(self) -> Iterator[str]:
        if self.passed is None:
            yield "none, for nothing reaches the app"
            return
        passed = self.passed
        yield f"to {passed.upstream}, {passed.url}: {passed.method} {passed.target}"
        yield from (f"{name}: {value}" for name, value in passed.headers)


def _route_document(route: Route) -> dict[str, Any]:
    return {
        "index": route.index,
        "path": route.pattern,
        "methods": None if route.methods is None else list(route.methods),
    }


def _reading_document(met: Met) -> dict[str, Any]:
    return {
        "path": met.reading.path.decode("ascii", "backslashreplace"),
        "by": list(met.reading.by),
        "route": None if met.route is None else _route_document(met.route),
    }


def _who(person: Mapping[str, object] | None) -> str:
    """Return who asks, as far as it was said."""
    if person is None:
        return "nobody who is signed in"
    said = [f"{name} {_listed(value)}" for name, value in person.items() if value]
    return f"somebody who is signed in, with {'; '.join(said)}" if said else "somebody who is signed in, with no role"


def _listed(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={entry}" for name, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reply_words(reply: Reply) -> str:
    return str(reply.status) if reply.location is None else f"{reply.status} to {reply.location}"


def _block(label: str, paragraphs: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs beside a label, each of them filled; nothing when there is none."""
    lead = f"{label}:" if label else ""
    for paragraph in paragraphs:
        for number, line in enumerate(_filled(_printable(paragraph))):
            yield f"{lead:<{_LABEL}}{'  ' if number else ''}{line}"
            lead = ""


def _filled(paragraph: str) -> Sequence[str]:
    width = COLUMNS - _LABEL - 2
    if len(paragraph) <= COLUMNS - _LABEL:
        return [paragraph]
    return textwrap.wrap(paragraph, width, break_on_hyphens=False, drop_whitespace=True) or [""]


def _printable(text: str) -> str:
    """Return text without what could write to a terminal: an address or a claim holds whatever somebody wrote."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _tinted(lines: Iterable[str], word: str, ink: Ink) -> Iterator[str]:
    """Yield lines with the first place of ``word`` in colour."""
    code = _COLOUR_OF.get(word, 31)
    for line in lines:
        yield line if ink is Ink.PLAIN or word == "unknown" else line.replace(word, f"\x1b[{code}m{word}\x1b[0m", 1)
