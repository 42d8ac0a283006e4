"""The law of the target: one request-target, and every path that an app could read in it.

What lives here: splitting a request-target (RFC 9112 §3.2), refusing what nobody can read for certain, and the
*readings* of the path: the closure of the transformations that servers and frameworks are known to apply. Rules are
matched against all of them (``core.routing``); what is forwarded is byte for byte what was sent.

What does not: routes, and letter case. A folded path is one more reading of each reading, and patterns are folded
with it, so that ``core.routing`` does both (:func:`fold_letters`).

Refused before any rule, for everybody: control bytes, space and ``#`` anywhere; in the path a bad escape, an overlong
UTF-8 sequence, and a dot segment or control byte in any reading; any form but origin-form and absolute-form. So
``OPTIONS *`` (asterisk-form, RFC 9112 §3.2.4) and ``CONNECT host:port`` (authority-form, §3.2.3) are refused: both
speak of the server, and no route stands for it. The query never decides, so escapes in it are the app's business.

======================  =============================================  =========================================
transformation          who does it                                    how often
======================  =============================================  =========================================
decoded                 every server; twice behind a decoding proxy    twice in all; a non-escape stays
decoded, %2F kept       ASP.NET Core, Apache (NoDecode), Tomcat        counts as decoded
backslash as slash      IIS, WHATWG URL (Node)                         until nothing changes
empty segments merged   nginx, PHP, Rails                              until nothing changes
path parameters         Tomcat, Jetty, Spring; urllib (last segment)   until nothing changes
cut at ? or #           whoever decodes before splitting               until nothing changes
``//name``              WHATWG URL, urllib, Apache's proxy             once
trailing dots, spaces   Windows                                        until nothing changes
``:…`` of a segment     NTFS streams                                   until nothing changes
extension               Rails, Spring (``app_reads.extensions``)       once
front controller        PHP (``app_reads.front_controllers``)          until nothing changes
======================  =============================================  =========================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from proxy.errors import TargetRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_READINGS = 128
"""Distinct readings of one path. An ordinary path has one, a file name with an escape two or three, a path made of
every trick at once some dozens; whoever needs more wants to cost us time."""

_MAX_BYTES_READ = 32 * 1024
"""Bytes of all readings that are looked at together: 128 of 256 bytes, or four of the longest path. Each byte is looked
at by every transformation, so this is what bounds the milliseconds that one hostile target can cost."""

_MAX_ODD_PATH = 8 * 1024
"""Bytes of a path that is not plain; Apache takes no longer line than 8190 bytes, and such a path is nobody's."""

AS_SENT = "as sent"


class Extensions(Enum):
    """What the app makes of ``/x.json`` (``app_reads.extensions``)."""

    KEPT = "kept"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What is known of the app behind (``server.app_reads``); compiled once.

    Attributes:
        extensions: REMOVED when the app serves ``/x`` for ``/x.json`` (Rails, Spring).
        front_controllers: names of scripts that a path may pass through (``index.php``).
    """

    extensions: Extensions = Extensions.KEPT
    front_controllers: tuple[str, ...] = ()
    plain: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    steps: tuple[_Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Choose the transformations, and the expression of paths that none of them changes."""
        names = frozenset(fold_letters(name.encode()) for name in self.front_controllers)
        if b"" in names or any(b"/" in name for name in names):
            raise ValueError("a front controller is the name of one file, such as index.php")
        extra: tuple[_Step, ...] = ()
        if self.extensions is Extensions.REMOVED:
            extra += (_Step("extension removed", _replacing_in_last(_SUFFIX), once=_EXTENSION),)
        if names:
            extra += (_Step("front controller removed", _front_controller_remover(names)),)
        object.__setattr__(self, "steps", _STEPS + extra)
        object.__setattr__(self, "plain", _plain_expression(self.extensions, names))


class Reading(NamedTuple):  # and no dataclass: at a quarter of the price, and one is made for each request
    """One path that an app could see, and the transformations that lead there, in order."""

    path: bytes
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it for the log and for ``explain``."""
        return f"{self.path.decode('ascii', 'backslashreplace')} ({', '.join(self.by) or AS_SENT})"


class RequestTarget(NamedTuple):
    """A request-target that can be judged.

    Attributes:
        raw: as sent.
        forward: in origin-form, byte for byte, an empty query included.
        path: of ``forward``, as sent.
        query: None without ``?``; empty when nothing follows it.
        authority: of the absolute-form, lower case; None in origin-form. The gate compares it with Host.
        readings: ``path`` first, then what else an app could read, without duplicates; letters not folded.
    """

    raw: bytes
    forward: bytes
    path: bytes
    query: bytes | None
    authority: bytes | None
    readings: tuple[Reading, ...]


def parse_target(raw: bytes, *, rules: TargetRules) -> RequestTarget:
    """Split a request-target and find every reading of its path.

    Raises:
        TargetRefused: with a sentence that names what is wrong, and in which reading.

    Source: RFC 9112 §3.2.1, §3.2.2; RFC 3986 §3.3.
    """
    if rules.plain.fullmatch(raw):
        # Nothing in such a path is read in two ways: no escape, no empty or dot-ended segment, no ``;``, ``:``, ``\``.
        path, mark, query = raw.partition(b"?")
        return RequestTarget(raw, raw, path, query if mark else None, None, (Reading(path),))
    forward, authority = _origin_form(raw)
    path, mark, query = forward.partition(b"?")
    readings = tuple(_readings(path, rules))
    return RequestTarget(raw, forward, path, query if mark else None, authority, readings)


def fold_letters(path: bytes) -> bytes:
    """Return the path as an app sees it that does not tell upper from lower case.

    UTF-8 is folded as text, by way of upper case (U+0131 and U+017F are ``i`` and ``s`` to Java), letter by letter;
    bytes that are no UTF-8 stay. A table that agrees for the path as sent and for this one agrees for whatever
    folds less.
    """
    if path.isascii():
        return path.lower()
    return path.decode(errors="surrogateescape").upper().casefold().encode(errors="surrogateescape")


# --- forms -----------------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile(rb"[\x00-\x20\x7f#]")
_ABSOLUTE = re.compile(rb"https?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?((?:[/?].*)?)", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_OVERLONG = re.compile(rb"[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|\xf8[\x80-\x87]|\xfc[\x80-\x83]")
"""RFC 3629 §3: C0 and C1 begin overlong sequences only; the last two are the five and six byte forms of old."""
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_DOT_SEGMENT = re.compile(rb"/\.\.?(?:/|\Z)")

_SEGMENT = rb"A-Za-z0-9_~!$&'()*+,=@-"
_QUERY = rb"(?:\?[^\x00-\x20\x7f#]*+)?+"


def _plain_expression(extensions: Extensions, front_controllers: frozenset[bytes]) -> re.Pattern[bytes]:
    """Return what matches a whole target whose path has exactly one reading."""
    if any(b"." not in name for name in front_controllers):
        return re.compile(rb"/" + _QUERY)
    if extensions is Extensions.REMOVED or front_controllers:
        return re.compile(rb"(?=/)(?:/[" + _SEGMENT + rb"]++)*+/?+" + _QUERY)
    return re.compile(rb"(?=/)(?:/[." + _SEGMENT + rb"]++(?<!\.))*+/?+" + _QUERY)


def _origin_form(raw: bytes) -> tuple[bytes, bytes | None]:
    """Return the target in origin-form, and the authority of an absolute-form."""
    if bad := _FORBIDDEN.search(raw):
        raise TargetRefused(f"the target has the byte 0x{bad[0].hex()}, which no target may have")
    if raw.startswith(b"/"):
        return raw, None
    found = _ABSOLUTE.fullmatch(raw)
    if found is None:
        raise TargetRefused("the target is neither a path nor an absolute http or https URL without user")
    rest = found[3]
    return (rest if rest.startswith(b"/") else b"/" + rest), (found[1] + (found[2] or b"")).lower()


# --- transformations -------------------------------------------------------------------------------------------------

_DECODE, _AUTHORITY, _EXTENSION = 1, 4, 8
"""Units of the budget of once-only steps: two of the first, one each of the others (two bits, one bit, one bit)."""
_DECODES_LEFT = 3
_FULL_BUDGET = 2 * _DECODE + _AUTHORITY + _EXTENSION


class _Step(Struct, frozen=True):
    """A transformation: returns what it makes of a path, the same path when it does not apply."""

    name: str
    apply: Callable[[bytes], bytes]
    once: int = 0


_EMPTY_SEGMENTS = re.compile(rb"/{2,}")
_PARAMETERS = re.compile(rb";[^/]*")
# Possessive, and begun only where a run begins: a path of dots alone would cost the square of its length otherwise.
_TRAILING = re.compile(rb"(?<![. ])[. ]++(?=/|\Z)")
_TRAILING_SPACES = re.compile(rb"(?<! ) ++(?=/|\Z)")
_STREAM = re.compile(rb":[^/]*")
_ESCAPE_BUT_SLASH = re.compile(rb"%(?!2[Ff])([0-9A-Fa-f]{2})")
_SUFFIX = re.compile(rb"\.[^.]*+\Z")
_NETWORK_PATH = re.compile(rb"/{2,}[^/]*")


def _decoded_but_slashes(path: bytes) -> bytes:
    return _ESCAPE_BUT_SLASH.sub(lambda found: bytes.fromhex(found[1].decode()), path)


def _without_authority(path: bytes) -> bytes:
    """Take what follows two or more slashes away (WHATWG URL, "special authority ignore slashes" state).

    RFC 3986 §3.2 reads an empty authority in three slashes; what is left then is the path with its slashes merged.
    """
    return (path[found.end() :] or b"/") if (found := _NETWORK_PATH.match(path)) else path


def _front_controller_remover(names: frozenset[bytes]) -> Callable[[bytes], bytes]:
    def remove(path: bytes) -> bytes:
        segments = path.split(b"/")
        for index, segment in enumerate(segments):
            if fold_letters(segment) in names:
                return b"/".join(segments[:index] + segments[index + 1 :]) or b"/"
        return path

    return remove


def _replacing(expression: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    def remove(path: bytes) -> bytes:
        return expression.sub(b"", path)

    return remove


def _replacing_in_last(expression: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    """The same for the last segment alone, whatever slashes follow it: so do urllib and most file systems."""

    def remove(path: bytes) -> bytes:
        end = len(path.rstrip(b"/"))
        start = path.rfind(b"/", 0, end) + 1
        return path[:start] + expression.sub(b"", path[start:end]) + path[end:]

    return remove


_STEPS = (
    _Step("percent-decoded", unquote_to_bytes, once=_DECODE),
    _Step("percent-decoded but for %2F", _decoded_but_slashes, once=_DECODE),
    _Step("backslash as slash", lambda path: path.replace(b"\\", b"/")),
    _Step("path parameters removed", _replacing(_PARAMETERS)),
    _Step("path parameters of the last segment removed", _replacing_in_last(_PARAMETERS)),
    _Step("cut at ?", lambda path: path.partition(b"?")[0]),
    _Step("cut at #", lambda path: path.partition(b"#")[0]),
    _Step("//name taken for an authority", _without_authority, once=_AUTHORITY),
    _Step("empty segments merged", lambda path: _EMPTY_SEGMENTS.sub(b"/", path)),
    _Step("trailing dots and spaces of segments removed", _replacing(_TRAILING)),
    _Step("trailing dots and spaces of the last segment removed", _replacing_in_last(_TRAILING)),
    _Step("trailing spaces of segments removed", _replacing(_TRAILING_SPACES)),
    _Step(":… of segments removed", _replacing(_STREAM)),
    _Step(":… of the last segment removed", _replacing_in_last(_STREAM)),
)


# --- the closure -----------------------------------------------------------------------------------------------------


def _readings(path: bytes, rules: TargetRules) -> Iterator[Reading]:
    """Yield every reading, the path as sent first; refuse what is wrong in any of them."""
    if len(path) > _MAX_ODD_PATH:
        raise TargetRefused(f"the path could be read in several ways and is longer than {_MAX_ODD_PATH} bytes")
    if _BAD_ESCAPE.search(path):
        raise TargetRefused("the path has a % that begins no escape")
    seen: dict[bytes, list[int]] = {}
    states = [(Reading(path), _FULL_BUDGET)]
    bytes_read = 0
    for reading, budget in states:
        budgets = seen.setdefault(reading.path, [])
        if any(_covers(earlier, budget) for earlier in budgets):
            continue
        bytes_read += len(reading.path)
        if len(seen) > MAX_READINGS or bytes_read > _MAX_BYTES_READ:
            raise TargetRefused(
                f"the path could be read in too many ways (more than {MAX_READINGS}, or too long for so many)"
            )
        if not budgets:
            _refuse_unreadable(reading)
            yield reading
        budgets.append(budget)
        states.extend(_next_states(reading, budget, rules))


def _next_states(reading: Reading, budget: int, rules: TargetRules) -> Iterator[tuple[Reading, int]]:
    """Yield what one more transformation makes of a reading, as far as the budget allows it."""
    path = reading.path
    for step in rules.steps:
        if step.once and not _affords(budget, step.once):
            continue
        changed = step.apply(path)
        if changed != path:
            yield Reading(changed or b"/", (*reading.by, step.name)), budget - step.once


def _affords(budget: int, once: int) -> bool:
    return bool(budget & _DECODES_LEFT) if once == _DECODE else bool(budget & once)


def _covers(earlier: int, budget: int) -> bool:
    """Say whether everything that ``budget`` still allows was allowed by ``earlier``."""
    return (earlier & _DECODES_LEFT) >= (budget & _DECODES_LEFT) and not budget & ~earlier & ~_DECODES_LEFT


def _refuse_unreadable(reading: Reading) -> None:
    """Refuse what no app should be asked to read.

    Raises:
        TargetRefused: a control byte, a dot segment or an overlong sequence.
    """
    path = reading.path
    if _CONTROL.search(path):
        raise TargetRefused(f"the path has a control byte when read so: {reading}")
    if _DOT_SEGMENT.search(path):
        raise TargetRefused(f"the path has a dot segment when read so: {reading}")
    if _OVERLONG.search(path):
        raise TargetRefused(f"the path has an overlong UTF-8 sequence when read so: {reading}")
