"""Routes: which rule stands for a path and a method; compiled once, then only read.

What lives here: patterns, what a route may demand (:data:`Access`), the table, and the two questions that depend on the
path alone: whether it lies under our own prefix, and what is left of it after ``strip_prefix``.
What does not: who is asking. That is ``core.policy``.

A table is one regular expression: each alternative a pattern, in the order of the file, so that the first that matches
wins. Routes of the same pattern form a group, and within a group the method chooses. Every reading of a target must
fall into the same group, with its letters as they are and folded, else nobody can say which rule is meant:

=====================================  =========================================================
every reading in one group             the method decides: Matched or MethodNotAllowed
no reading in any group                NoRoute
anything else                          Ambiguous, with the reading and both routes
=====================================  =========================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from proxy.core.claims import ClaimPattern
from proxy.core.narrowing import EVERYTHING, Narrowing
from proxy.core.target import Reading, fold_letters
from proxy.errors import TargetRefused

if TYPE_CHECKING:
    from proxy.core.headers import HeaderTemplate
    from proxy.core.target import RequestTarget


# --- access ----------------------------------------------------------------------------------------------------------


class Public(Struct, frozen=True):
    """No session is looked up, no identity is sent."""


class Optional(Struct, frozen=True):
    """An identity is sent if there is one."""


class Authenticated(Struct, frozen=True):
    """Anybody who is signed in."""


class ClaimCondition(Struct, frozen=True):
    """A claim that must be, or hold, any of some values."""

    name: str
    any_of: tuple[ClaimPattern, ...]


class Conditions(Struct, frozen=True):
    """Every condition that is named must hold; an empty one is not named.

    The first four are about who somebody is; the last two about how and when they proved it (*step-up*).

    Attributes:
        any_role: canonical names as in ``Identity.roles``.
        any_group: full paths, each beginning with ``/``.
        acr: authentication context class references, any of which will do. They are compared as they stand: which one
            is the stronger is known to the provider alone (OIDC Core 1.0 §2, ``acr``).
        max_age_s: seconds since the person was asked for proof, at most.
    """

    any_role: tuple[str, ...] = ()
    all_roles: tuple[str, ...] = ()
    any_group: tuple[str, ...] = ()
    claims: tuple[ClaimCondition, ...] = ()
    acr: tuple[str, ...] = ()
    max_age_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a mapping of nothing: it would look like a rule and be none."""
        if (
            not (self.any_role or self.all_roles or self.any_group or self.claims or self.acr)
            and self.max_age_s is None
        ):
            raise ValueError("access names no condition; write authenticated if anybody signed in may pass")


Access = Public | Optional | Authenticated | Conditions

PUBLIC, OPTIONAL, AUTHENTICATED = Public(), Optional(), Authenticated()
_WORDS: Mapping[str, Access] = {"public": PUBLIC, "optional": OPTIONAL, "authenticated": AUTHENTICATED}
_CONDITIONS = ("any_role", "all_roles", "any_group", "claims", "acr", "max_age")

ACR_VALUE = re.compile(r"[A-Za-z0-9._:/#~+-]+")
"""One ``acr``: a word, a URN or a URL. A space would part it in two in ``acr_values`` (OIDC Core 1.0 §3.1.2.1), a quote
or a backslash would have to be escaped in ``WWW-Authenticate`` (RFC 9470 §3)."""

MAX_ACR_VALUES_LENGTH = 255
"""Characters of all values of one route, with the spaces between them: they travel in a URL."""

MIN_MAX_AGE_S = 10.0
"""Seconds below which ``max_age`` would ask people again before they are back from being asked."""


def compile_access(stated: object) -> Access:
    """Compile ``access`` of a route: a word or a mapping of conditions (contract §2).

    Raises:
        ValueError: with a sentence that says what to write instead.
    """
    if isinstance(stated, str):
        if (word := _WORDS.get(stated)) is None:
            raise ValueError(f"{stated!r} is no access; write public, optional, authenticated or a mapping")
        return word
    if not isinstance(stated, Mapping):
        raise ValueError("access is public, optional, authenticated or a mapping of conditions")  # noqa: TRY004 - one type for a bad file
    for name in stated:
        if name not in _CONDITIONS:
            raise ValueError(f"{name!r} is no condition; write {', '.join(_CONDITIONS)}")
    claims = stated.get("claims", {})
    if not isinstance(claims, Mapping) or ("claims" in stated and not claims):
        raise ValueError("claims is a mapping from a claim's name to a value or a list of values")
    return Conditions(
        any_role=_names(stated, "any_role"),
        all_roles=_names(stated, "all_roles"),
        any_group=tuple(name if name.startswith("/") else f"/{name}" for name in _names(stated, "any_group")),
        claims=tuple(_claim_condition(name, values) for name, values in claims.items()),
        acr=_acr_values(stated),
        max_age_s=_max_age_s(stated),
    )


def _acr_values(stated: Mapping[str, object]) -> tuple[str, ...]:
    values = _names(stated, "acr")
    if not all(map(ACR_VALUE.fullmatch, values)) or len(" ".join(values)) > MAX_ACR_VALUES_LENGTH:
        raise ValueError("acr is a value or a list of values: letters, digits and . _ : / # ~ + -, 255 in all")
    return values


def _max_age_s(stated: Mapping[str, object]) -> float | None:
    if "max_age" not in stated:
        return None
    seconds = stated["max_age"]
    # bool is an int for Python.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < MIN_MAX_AGE_S:
        raise ValueError(f"max_age is a number of seconds, at least {MIN_MAX_AGE_S:g}")
    return float(seconds)


def _names(stated: Mapping[str, object], condition: str) -> tuple[str, ...]:
    """Return the names of a condition; () when it is not stated. A stated condition without names never holds."""
    if condition not in stated:
        return ()
    names = stated[condition]
    if isinstance(names, str):
        names = [names]
    if (
        not isinstance(names, Sequence)
        or not names
        or not all(isinstance(name, str) and name.strip() for name in names)
    ):
        raise ValueError(f"{condition} is a list of at least one name")
    return tuple(dict.fromkeys(names))


def _claim_condition(name: object, values: object) -> ClaimCondition:
    if not isinstance(name, str) or not name:
        raise ValueError("a claim has a name")
    listed = values if isinstance(values, list | tuple) else [values]
    if not listed or not all(isinstance(value, str | int | float | bool) for value in listed):
        raise ValueError(f"claim {name} is compared with a value or a list of values: text, a number, true or false")
    return ClaimCondition(name, tuple(ClaimPattern(value) for value in listed if isinstance(value, str | int | float)))


# --- routes ----------------------------------------------------------------------------------------------------------


class OnUnauthenticated(Enum):
    """What a stranger gets."""

    BY_REQUEST = "by_request"
    """A navigation is led to the login page, everything else gets 401."""
    UNAUTHORIZED = "401"


class Preflight(Enum):
    """Whether a CORS preflight passes without a session."""

    DENY = "deny"
    PASS = "pass"  # noqa: S105 - lets pass, is no password


class Activity(Enum):
    """Whether a request counts against the idle time."""

    COUNTS = "counts"
    PASSIVE = "passive"


class Csrf(Enum):
    """Whether requests of other sites are refused (``core.cross_site``)."""

    SAME_ORIGIN = "same_origin"
    OFF = "off"


class Cache(Enum):
    """What becomes of the app's Cache-Control on answers that hold somebody's data."""

    PRIVATE = "private"
    AS_SENT = "as_sent"


class ServiceWorker(Enum):
    """Whether the app may install service workers from here."""

    REFUSED = "refused"
    ALLOWED = "allowed"


class PathCase(Enum):
    """Whether routes tell upper from lower case (``server.path_case``)."""

    SENSITIVE = "sensitive"
    IGNORE = "ignore"


class Purpose(Enum):
    """What a route is for."""

    APP = "app"
    LOGOUT = "logout"
    """The app's own logout link: the session ends here, and nothing is sent on (``logout: true``)."""


class TokenExchange(Struct, frozen=True, kw_only=True):
    """The access token that the app of a route gets in place of the person's own (RFC 8693 §2.1).

    Attributes:
        audience: the client in Keycloak for whom it is.
        scope: what of its rights is asked for, names with a space between them; None is what the provider gives.
    """

    audience: str
    scope: str | None = None


class Route(Struct, frozen=True, kw_only=True):
    """One line of ``routes``, compiled.

    Attributes:
        pattern: as written.
        methods: upper case; None is any. GET includes HEAD.
        index: its place in the file.
        strip_prefix: without a final slash; empty takes nothing away.
        header_set: fields put last, over ours too; a template whose claim is missing is not sent.
        header_remove: names folded by ``core.headers.fold``.
        narrowing: which roles and groups the app hears of.
        token_exchange: the token that the app gets; None where it gets none of its own.
    """

    pattern: str
    access: Access
    index: int = 0
    methods: tuple[str, ...] | None = None
    on_unauthenticated: OnUnauthenticated = OnUnauthenticated.BY_REQUEST
    preflight: Preflight = Preflight.DENY
    activity: Activity = Activity.COUNTS
    upstream: str = "app"
    strip_prefix: bytes = b""
    header_set: tuple[HeaderTemplate, ...] = ()
    header_remove: frozenset[bytes] = frozenset()
    narrowing: Narrowing = EVERYTHING
    token_exchange: TokenExchange | None = None
    csrf: Csrf = Csrf.SAME_ORIGIN
    cache: Cache = Cache.PRIVATE
    service_worker: ServiceWorker = ServiceWorker.REFUSED
    purpose: Purpose = Purpose.APP

    def __str__(self) -> str:
        """Say it for the log and for ``explain``."""
        return f"routes[{self.index}] {' '.join(self.methods) + ' ' if self.methods else ''}{self.pattern}"

    def takes(self, method: str) -> bool:
        """Say whether the route is for this method (RFC 9110 §9.3.2: HEAD is GET without the content)."""
        return self.methods is None or method in self.methods or (method == "HEAD" and "GET" in self.methods)


# --- patterns --------------------------------------------------------------------------------------------------------

_UNREADABLE = re.compile(rb"[\x00-\x1f\x7f?#;\\%]")
_ESCAPED_ON_THE_WIRE = frozenset(range(0x80, 0x100)) | frozenset(b' "<>^`{|}')
"""Bytes that no client sends as they are (RFC 3986 §2.1, WHATWG URL "path percent-encode set")."""


def normalised_pattern(pattern: str) -> str:
    """Return the pattern as it is compared with others: escapes decoded, no final slash.

    Raises:
        ValueError: it is no pattern; the sentence says why.
    """
    if not pattern.startswith("/"):
        raise ValueError(f"a path begins with /, write /{pattern}")
    decoded = unquote_to_bytes(pattern)
    if found := _UNREADABLE.search(decoded):
        raise ValueError(f"no path with {found[0].decode()!r} is matched in one way only, so no pattern may have it")
    segments = decoded.removesuffix(b"/").split(b"/")[1:]
    for index, segment in enumerate(segments):
        _refuse_segment(segment, "last" if index == len(segments) - 1 else "inner")
    return decoded.removesuffix(b"/").decode(errors="surrogateescape") or "/"


def _refuse_segment(segment: bytes, place: str) -> None:
    if not segment:
        raise ValueError("a pattern has no empty segment; a path with // is read with one / too")
    if b"**" in segment and (segment != b"**" or place != "last"):
        raise ValueError("** stands alone, as the last segment; use * within a segment")
    if segment.rstrip(b". ") != segment:
        raise ValueError("a segment of a pattern ends in no dot or space; some servers take them away")


class _Letters(Enum):
    """Whether an expression is for paths as they are or for folded ones."""

    AS_WRITTEN = "as_written"
    FOLDED = "folded"


def _pattern_expression(normalised: str, letters: _Letters) -> bytes:
    """Return the regular expression of the paths that a pattern matches."""
    if normalised == "/":
        return rb"/"
    rest = b""
    segments = normalised.split("/")[1:]
    if segments[-1] == "**":
        segments.pop()
        rest = rb"(?:/.*)?" if segments else rb"/.*"
    return b"".join(rb"/" + _segment_expression(segment, letters) for segment in segments) + (rest or rb"/?")


def _segment_expression(segment: str, letters: _Letters) -> bytes:
    if not segment.strip("*"):
        return rb"[^/]+"
    return rb"[^/]*".join(
        b"".join(_letter_expression(letter, letters) for letter in part) for part in segment.split("*")
    )


def _letter_expression(letter: str, letters: _Letters) -> bytes:
    """Match a letter as it is; what travels as escapes only, as those too: else no browser could reach the route."""
    literal = letter.encode(errors="surrogateescape")
    spelling = literal if letters is _Letters.AS_WRITTEN else fold_letters(literal)
    if not _ESCAPED_ON_THE_WIRE.isdisjoint(literal):
        return b"(?:" + b"|".join([re.escape(spelling), _escaped(literal), _escaped(spelling)]) + b")"
    return re.escape(spelling)


def _escaped(letter: bytes) -> bytes:
    """Return the expression of the percent escapes of a letter, their digits in either case."""
    return b"".join(b"%%(?i:%02x)" % byte for byte in letter)


def _table_expression(patterns: Sequence[str], letters: _Letters) -> re.Pattern[bytes]:
    alternatives = (b"(" + _pattern_expression(pattern, letters) + b")" for pattern in patterns)
    return re.compile(b"|".join(alternatives) or rb"(?!)", re.DOTALL)


# --- outcomes --------------------------------------------------------------------------------------------------------


class Matched(Struct, frozen=True):
    """This route stands for the request."""

    route: Route


class NoRoute(Struct, frozen=True):
    """No route at all: 404."""


class MethodNotAllowed(Struct, frozen=True):
    """A pattern matches, none of its routes takes the method: 405 with ``Allow`` (RFC 9110 §15.5.6)."""

    allow: tuple[str, ...]
    route: Route


class Ambiguous(Struct, frozen=True):
    """One reading meets another rule than the path as sent: 400. None stands for no route."""

    reading: Reading
    route_a: Route | None
    route_b: Route | None

    def __str__(self) -> str:
        """Say it for the log and for ``explain``."""
        first, second = (str(route) if route else "no route" for route in (self.route_a, self.route_b))
        return f"the path as sent meets {first}, but read as {self.reading} it meets {second}"


RouteMatch = Matched | NoRoute | MethodNotAllowed | Ambiguous
_NO_ROUTE = NoRoute()


class WhyNot(Enum):
    """What became of a route that was looked at."""

    PATH = "the path differs"
    METHOD = "the path matches, the method differs"
    TAKEN = "this is the route"
    LATER = "the path matches, but an earlier route decides"
    PATTERN = "the path matches, but the pattern differs from that of an earlier match"


class Looked(Struct, frozen=True):
    """One line of a trace."""

    route: Route
    why: WhyNot


class Met(Struct, frozen=True):
    """One reading of a target, and the first route of the pattern that it meets; None when it meets none."""

    reading: Reading
    route: Route | None


class _Group(Struct, frozen=True):
    """Routes of one pattern, in order, and what was found for each method so far."""

    routes: tuple[Route, ...]
    outcomes: dict[bytes, Matched | MethodNotAllowed]

    def outcome(self, method: bytes) -> Matched | MethodNotAllowed:
        """Return what the group says to a method; the methods that it names are looked up only."""
        return self.outcomes.get(method) or self._choose(method.decode("latin-1"))

    def _choose(self, method: str) -> Matched | MethodNotAllowed:
        for route in self.routes:
            if route.takes(method):
                return Matched(route)
        named = dict.fromkeys(name for route in self.routes for name in route.methods or ())
        allow = [name for method in named for name in ((method, "HEAD") if method == "GET" else (method,))]
        return MethodNotAllowed(tuple(dict.fromkeys(allow)), self.routes[0])


_KNOWN_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")


def _group(routes: Sequence[Route]) -> _Group:
    group = _Group(tuple(routes), {})
    for method in _KNOWN_METHODS:
        group.outcomes[method] = group.outcome(method)
    return group


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of one portal, in the order of the file.

    Raises:
        ValueError: two patterns differ only in case, or one is no pattern (``check`` says so before, with the line).
    """

    routes: tuple[Route, ...]
    path_case: PathCase = PathCase.SENSITIVE
    _groups: tuple[_Group, ...] = field(init=False, repr=False, compare=False)
    _exact: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _folded: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _is_folded: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the patterns, once as written and once folded."""
        groups: dict[str, list[Route]] = {}
        for route in self.routes:
            groups.setdefault(normalised_pattern(route.pattern), []).append(route)
        patterns = list(groups)
        folded = [_fold_text(pattern) for pattern in patterns]
        if len(set(folded)) != len(folded):
            raise ValueError("two routes differ only in case")
        object.__setattr__(self, "_groups", tuple(_group(routes) for routes in groups.values()))
        object.__setattr__(self, "_exact", _table_expression(patterns, _Letters.AS_WRITTEN))
        object.__setattr__(self, "_folded", _table_expression(patterns, _Letters.FOLDED))
        object.__setattr__(self, "_is_folded", patterns == folded)

    def match(self, target: RequestTarget, method: bytes) -> RouteMatch:
        """Find the rule that every reading of the target meets."""
        first, *others = target.readings
        folded = fold_letters(first.path)
        decided = _group_of(self._folded, folded)
        if self._tells_apart(first.path, folded) and (exact := _group_of(self._exact, first.path)) != decided:
            return self._ambiguous(_with_letters_folded(first, folded), exact, decided)
        for reading in others:
            folded = fold_letters(reading.path)
            if (group := _group_of(self._folded, folded)) != decided:
                return self._ambiguous(_folded(reading, folded), decided, group)
            if self._tells_apart(reading.path, folded) and (group := _group_of(self._exact, reading.path)) != decided:
                return self._ambiguous(reading, decided, group)
        return self._groups[decided - 1].outcome(method) if decided else _NO_ROUTE

    def _tells_apart(self, path: bytes, folded: bytes) -> bool:
        """Say whether the path as it is could meet another pattern than the folded one."""
        return self.path_case is PathCase.SENSITIVE and not (self._is_folded and folded == path)

    def _ambiguous(self, reading: Reading, first: int | None, second: int | None) -> Ambiguous:
        return Ambiguous(reading, self._first_of(first), self._first_of(second))

    def met(self, target: RequestTarget) -> tuple[Met, ...]:
        """Say which route each reading meets, as :meth:`match` looks at them: the path as sent first.

        Only when all meet the same is the target not :class:`Ambiguous`.
        """
        found: list[Met] = []
        for reading in target.readings:
            folded = fold_letters(reading.path)
            by_folded = self._first_of(_group_of(self._folded, folded))
            if self._tells_apart(reading.path, folded):
                found.append(Met(reading, self._first_of(_group_of(self._exact, reading.path))))
                found.append(Met(_with_letters_folded(reading, folded), by_folded))
            else:
                found.append(Met(_folded(reading, folded), by_folded))
        return tuple(found)

    def _first_of(self, group: int | None) -> Route | None:
        return self._groups[group - 1].routes[0] if group else None

    def trace(self, target: RequestTarget, method: bytes) -> tuple[Looked, ...]:
        """Say of each route what became of it, for the path as sent.

        Routes that are looked at after the one that decides are LATER; those of another pattern than the first that
        matched are PATTERN, for only the same pattern may take another method.
        """
        path = target.readings[0].path
        group = _group_of(self._folded, fold_letters(path)) if self._folds else _group_of(self._exact, path)
        routes = self._groups[group - 1].routes if group else ()
        outcome = self._groups[group - 1].outcome(method) if group else None
        taken = outcome.route.index if isinstance(outcome, Matched) else None
        return tuple(Looked(route, self._why(route, path, rivals=routes, taken=taken)) for route in self.routes)

    @property
    def _folds(self) -> bool:
        return self.path_case is PathCase.IGNORE

    def _why(self, route: Route, path: bytes, *, rivals: Sequence[Route], taken: int | None) -> WhyNot:
        if route.index == taken:
            return WhyNot.TAKEN
        letters = _Letters.FOLDED if self._folds else _Letters.AS_WRITTEN
        expression = _table_expression([normalised_pattern(route.pattern)], letters)
        if not expression.fullmatch(fold_letters(path) if self._folds else path):
            return WhyNot.PATH
        if taken is not None and taken < route.index:
            return WhyNot.LATER
        return WhyNot.METHOD if route in rivals else WhyNot.PATTERN


def _group_of(table: re.Pattern[bytes], path: bytes) -> int | None:
    """Return the number of the first pattern that matches, from 1; None when none does."""
    found = table.fullmatch(path)
    return found.lastindex if found else None


def _folded(reading: Reading, path: bytes) -> Reading:
    return reading if path == reading.path else _with_letters_folded(reading, path)


def _with_letters_folded(reading: Reading, path: bytes) -> Reading:
    """Return the reading of an app that ignores case; of its patterns too, so the path may be the same."""
    return Reading(path, (*reading.by, "letters folded"))


def _fold_text(pattern: str) -> str:
    return fold_letters(pattern.encode(errors="surrogateescape")).decode(errors="surrogateescape")


# --- our own prefix, and what is taken away --------------------------------------------------------------------------


class UnderPrefix(Enum):
    """How the readings of a path lie to a prefix.

    ALL: the path as sent stands literally under it, and so does every reading: our own pages. SOME: at least one
    reading does: 400, it never reaches the app. NONE: the app's.
    """

    ALL = "all"
    SOME = "some"
    NONE = "none"


_folded_prefix = lru_cache(maxsize=64)(fold_letters)
"""Of our own prefixes, one a portal."""


def lies_under(prefix: bytes, target: RequestTarget) -> UnderPrefix:
    """Say whether a path is or lies under ``prefix`` (``/_sidegate``, with the public URL's path before it)."""
    folded, under = _folded_prefix(prefix), b"/"
    inside = 0
    for reading in target.readings:
        path = fold_letters(reading.path)
        if path.startswith(folded) and path[len(folded) : len(folded) + 1] in {b"", under}:
            inside += 1
    if not inside:
        return UnderPrefix.NONE
    is_literal = target.path.startswith(prefix)
    return UnderPrefix.ALL if is_literal and inside == len(target.readings) else UnderPrefix.SOME


def reading_under(prefix: bytes, target: RequestTarget) -> Reading:
    """Return the reading that makes it :attr:`UnderPrefix.SOME`: the first that lies under ``prefix``."""
    for reading in target.readings:
        if lies_under(prefix, target._replace(readings=(reading,))) is not UnderPrefix.NONE:
            return reading if reading.path.startswith(prefix) else _folded(reading, fold_letters(reading.path))
    raise ValueError("no reading lies under the prefix")


def forward_target(target: RequestTarget, strip_prefix: bytes) -> bytes:
    """Return the request-target for the upstream: byte for byte what was sent, less ``strip_prefix``.

    Raises:
        TargetRefused: the prefix does not stand there literally, or what is left does not begin with exactly one slash
            in every reading (``/old/%2Fx`` would become ``/%2Fx``, which some app reads as ``//x``).
    """
    if not strip_prefix:
        return target.forward
    if not target.path.startswith(strip_prefix):
        raise TargetRefused(
            f"{_shown(strip_prefix)} does not stand at the start of the path, so it cannot be taken away"
        )
    for reading in target.readings:
        left = reading.path.removeprefix(strip_prefix)
        if reading.path.startswith(strip_prefix) and (left[:1] not in {b"", b"/"} or left[:2] == b"//"):
            raise TargetRefused(f"without {_shown(strip_prefix)} more or less than one slash is left: {reading}")
    rest = target.forward[len(strip_prefix) :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _shown(prefix: bytes) -> str:
    return prefix.decode(errors="backslashreplace")


# --- for `check` -----------------------------------------------------------------------------------------------------


class RouteTrouble(Enum):
    """What can be wrong with a list of routes."""

    BAD_PATTERN = "bad_pattern"
    SAME_BUT_CASE = "same_but_case"
    SHADOWED = "shadowed"
    NO_CATCH_ALL = "no_catch_all"


class RouteProblem(Struct, frozen=True):
    """One finding. BAD_PATTERN and SAME_BUT_CASE are errors, the others warnings.

    Attributes:
        index: of the route it is about; None when it is about the whole list.
        by: the earlier route that is the cause, or None.
    """

    trouble: RouteTrouble
    index: int | None
    by: int | None
    sentence: str

    @property
    def is_error(self) -> bool:
        """Say whether the table cannot be compiled."""
        return self.trouble in {RouteTrouble.BAD_PATTERN, RouteTrouble.SAME_BUT_CASE}


def route_problems(specs: Sequence[tuple[str, tuple[str, ...] | None]]) -> list[RouteProblem]:
    """Find what is wrong with routes, given as pattern and methods (None: any), in the order of the file."""
    problems: list[RouteProblem] = []
    good: list[tuple[int, str, frozenset[str] | None]] = []
    for index, (pattern, methods) in enumerate(specs):
        try:
            normalised = normalised_pattern(pattern)
        except ValueError as error:
            problems.append(RouteProblem(RouteTrouble.BAD_PATTERN, index, None, str(error)))
            continue
        taken = None if methods is None else frozenset(name.upper() for name in methods)
        problems.extend(_clashes(good, (index, normalised, taken)))
        good.append((index, normalised, taken))
    if not any(normalised == "/**" for _, normalised, _ in good):
        sentence = "no route is /**, so every other path is 404; add one if the app has more"
        problems.append(RouteProblem(RouteTrouble.NO_CATCH_ALL, None, None, sentence))
    return problems


_Spec = tuple[int, str, "frozenset[str] | None"]


def _clashes(earlier: Sequence[_Spec], spec: _Spec) -> list[RouteProblem]:
    """Find the first earlier route that differs only in case, and the first that leaves nothing to this one."""
    index, pattern, methods = spec
    problems: list[RouteProblem] = []
    for other, other_pattern, _ in earlier:
        if other_pattern != pattern and _fold_text(other_pattern) == _fold_text(pattern):
            sentence = f"differs from routes[{other}] only in case; a path of either spelling would be refused"
            problems.append(RouteProblem(RouteTrouble.SAME_BUT_CASE, index, other, sentence))
            break
    for other, other_pattern, other_methods in earlier:
        if other_pattern == pattern:
            hides = other_methods is None or (methods is not None and methods <= _with_head(other_methods))
        else:
            hides = pattern_covers(other_pattern, pattern)
        if hides:
            sentence = f"never matches: routes[{other}] takes every such request; put it before, or take it out"
            problems.append(RouteProblem(RouteTrouble.SHADOWED, index, other, sentence))
            break
    return problems


def _with_head(methods: frozenset[str]) -> frozenset[str]:
    return methods | {"HEAD"} if "GET" in methods else methods


def pattern_covers(wide: str, narrow: str) -> bool:
    """Say whether every path of ``narrow`` is one of ``wide`` (both normalised); False when that is not certain."""
    wide_segments, narrow_segments = wide.split("/")[1:], narrow.split("/")[1:]
    if wide_segments[-1] == "**":
        stem = wide_segments[:-1]
        narrow_stem = narrow_segments[:-1] if narrow_segments[-1] == "**" else narrow_segments
        return len(narrow_stem) >= len(stem) and all(map(_segment_covers, stem, narrow_stem))
    if narrow_segments[-1] == "**" or len(wide_segments) != len(narrow_segments):
        return False
    return all(map(_segment_covers, wide_segments, narrow_segments))


def _segment_covers(wide: str, narrow: str) -> bool:
    """Say whether every segment of ``narrow`` is one of ``wide``; stars of ``narrow`` are met only by stars."""
    if not wide.strip("*"):
        # The root is the pattern with one empty segment, and a star is never empty.
        return bool(narrow)
    if not narrow.strip("*"):
        return False
    # A star of ``narrow`` stands for any text; a letter that no pattern has stands for it here.
    specimen = narrow.replace("*", "\0")
    return re.fullmatch("[^/]*".join(map(re.escape, wide.split("*"))), specimen) is not None
