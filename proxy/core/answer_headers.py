"""What becomes of header fields on the way back to the browser.

Our cookies are ours to set, an answer that holds somebody's data is not for shared caches, and the security fields that
the app lacks are added.

Framing is not here: what these functions return has neither Content-Length nor Transfer-Encoding nor any hop-by-hop
field (``headers.NEVER_PASSED``); nor the request id, which is of one request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.cookies import OwnCookies, fold_cookie_name
from proxy.core.headers import HARMLESS_CONNECTION, NEVER_PASSED, Field
from proxy.core.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.path_mending import PathMending
    from proxy.core.request import Headers


class _Verdict(IntEnum):
    """What becomes of a field; all but the first two need a look at its value."""

    KEEP = 0
    DROP = 1
    CONNECTION = 2
    SET_COOKIE = 3
    CACHE_CONTROL = 4
    VARY = 5
    SECURITY = 6
    SHARED_CACHE = 7


_KEEP, _DROP, _CONNECTION = _Verdict.KEEP, _Verdict.DROP, _Verdict.CONNECTION


class Sharing(Enum):
    """Whether an answer is somebody's own."""

    PRIVATE = "private"
    """The request had an identity: no shared cache may keep the answer."""
    AS_SENT = "as_sent"
    """It had none, or the route says ``cache: as_sent``."""


_PRIVATE = Sharing.PRIVATE


class SecurityHeaders(Enum):
    """``security_headers``."""

    ADDED = "added"
    AS_SENT = "as_sent"


HSTS_MAX_AGE_S = 31_536_000
"""A year (RFC 6797 §6.1.1); without subdomains, for they may be others' and on http."""

_NOSNIFF = (b"X-Content-Type-Options", b"nosniff")
_REFERRER = (b"Referrer-Policy", b"strict-origin-when-cross-origin")
_FRAMES = (b"Content-Security-Policy", b"frame-ancestors 'self'")
HSTS = (b"Strict-Transport-Security", b"max-age=%d" % HSTS_MAX_AGE_S)
_WITHOUT_TLS = (_NOSNIFF, _REFERRER, _FRAMES)
_SECURITY_NAMES = frozenset(name.lower() for name, _ in (_NOSNIFF, _REFERRER, _FRAMES, HSTS)) | {b"x-frame-options"}

_ANSWER_VERDICTS: Mapping[bytes, _Verdict] = {
    b"connection": _CONNECTION,
    b"set-cookie": _Verdict.SET_COOKIE,
    b"cache-control": _Verdict.CACHE_CONTROL,
    b"vary": _Verdict.VARY,
    b"surrogate-control": _Verdict.SHARED_CACHE,
    b"x-accel-expires": _Verdict.SHARED_CACHE,
    b"x-request-id": _DROP,
    **dict.fromkeys(_SECURITY_NAMES, _Verdict.SECURITY),
    **dict.fromkeys(NEVER_PASSED - {b"connection"}, _DROP),
}


def _answer_verdict(name: bytes) -> _Verdict:
    lower = name.lower()
    if lower.startswith(b"proxy-"):
        return _DROP
    if lower.endswith(b"-cache-control"):
        return _Verdict.SHARED_CACHE
    return _ANSWER_VERDICTS.get(lower, _KEEP)


_VERDICTS_ON_ANSWERS = Remembered(_answer_verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """What is done to every answer of the upstreams of one portal, compiled once.

    Attributes:
        added: the security fields that an answer without any gets.
    """

    cookies: OwnCookies
    security_headers: SecurityHeaders = SecurityHeaders.ADDED
    added: tuple[Field, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Settle what is added."""
        of_scheme = (_NOSNIFF, _REFERRER, _FRAMES, HSTS) if self.cookies.scheme == "https" else _WITHOUT_TLS
        object.__setattr__(self, "added", of_scheme if self.security_headers is SecurityHeaders.ADDED else ())


class AnswerPlan(Struct, frozen=True):
    """What is done to the answers of upstreams; chosen by the gate, applied by the data path.

    Attributes:
        mending: of paths, where a route takes a prefix away; else None.
    """

    rules: AnswerRules
    sharing: Sharing
    mending: PathMending | None = None

    def apply(self, status: int, headers: Headers) -> Headers:
        """Return the end-to-end fields for the browser, but for the request id, which whoever writes them adds.

        An interim answer (1xx) gets nothing of ours.
        """
        fields: list[Field] = []
        looked_into: list[tuple[_Verdict, Field]] = []
        verdicts = _VERDICTS_ON_ANSWERS
        for header in headers:
            verdict = verdicts[header[0]]
            if verdict is _KEEP:
                fields.append(header)
            elif verdict is not _DROP and not (verdict is _CONNECTION and header[1] in HARMLESS_CONNECTION):
                looked_into.append((verdict, header))
        is_private = self.sharing is _PRIVATE and status >= 200
        added = self.rules.added if status >= 200 else ()
        if self.mending is not None:
            fields, looked_into = self._mended(fields, looked_into)
        if looked_into:
            fields, added = self._looked_into(fields, looked_into, added=added, is_private=is_private)
        elif is_private:
            fields += _SAID_PRIVATE
        fields += added
        return tuple(fields)

    def _looked_into(
        self,
        fields: list[Field],
        looked_into: Sequence[tuple[_Verdict, Field]],
        *,
        added: tuple[Field, ...],
        is_private: bool,
    ) -> tuple[list[Field], tuple[Field, ...]]:
        """Treat the fields whose value matters; returns all of them, and the security fields still to add."""
        of_kind: dict[_Verdict, list[Field]] = {}
        for verdict, header in looked_into:
            of_kind.setdefault(verdict, []).append(header)
        security = of_kind.get(_Verdict.SECURITY, [])
        fields += security
        fields += (header for header in of_kind.get(_Verdict.SET_COOKIE, ()) if not self._sets_ours(header[1]))
        caching = [of_kind.get(_Verdict.CACHE_CONTROL, []), of_kind.get(_Verdict.VARY, [])]
        if is_private:
            fields += _said_private(*caching)
        else:
            fields += caching[0] + caching[1] + of_kind.get(_Verdict.SHARED_CACHE, [])
        if _CONNECTION in of_kind:
            named = of_kind[_CONNECTION]
            hop_by_hop = {token.strip().lower() for _, value in named for token in value.split(b",")}
            fields = [header for header in fields if header[0].lower() not in hop_by_hop]
        return fields, _lacking(security, added) if security else added

    def _mended(
        self, fields: list[Field], looked_into: list[tuple[_Verdict, Field]]
    ) -> tuple[list[Field], list[tuple[_Verdict, Field]]]:
        """Put the prefix that was taken away back into what names paths."""
        if self.mending is None:
            return fields, looked_into
        mended = self.mending.field
        return [mended(header) for header in fields], [(verdict, mended(header)) for verdict, header in looked_into]

    def _sets_ours(self, set_cookie: bytes) -> bool:
        name = set_cookie.partition(b";")[0].partition(b"=")[0]
        return fold_cookie_name(name) in self.rules.cookies.every_name


class AnswerToKept(AnswerPlan, frozen=True):
    """The plan for the answer to a form that was kept: the browser takes it for the answer to its GET.

    So it must not be found in any cache when the same page is asked for again (RFC 9111 §4: one keyed by GET and URL).
    """

    def apply(self, status: int, headers: Headers) -> Headers:
        """Do as every plan, and let nobody store it."""
        fields = AnswerPlan.apply(self, status, headers)
        return (*(pair for pair in fields if pair[0].lower() not in _ABOUT_STORING), (b"Cache-Control", b"no-store"))


_ABOUT_STORING = frozenset({b"cache-control", b"expires", b"etag", b"last-modified"})


def _lacking(security: Sequence[Field], added: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return the security fields that the app did not send itself; its own are never changed."""
    present = {name.lower() for name, _ in security}
    policies = (value for name, value in security if name.lower() == b"content-security-policy")
    says_who_frames = b"x-frame-options" in present or any(b"frame-ancestors" in value.lower() for value in policies)
    if not says_who_frames:
        # A second policy narrows the first and changes none of its directives (CSP Level 3 §8.1).
        present.discard(_FRAMES[0].lower())
    else:
        present.add(_FRAMES[0].lower())
    return tuple(header for header in added if header[0].lower() not in present)


_DIRECTIVE = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_FOR_SHARED_CACHES = frozenset({b"public", b"s-maxage"})
_VARIES_BY = (b"Cookie", b"Authorization")


def _said_private(cache_control: Sequence[Field], vary: Sequence[Field]) -> tuple[Field, Field]:
    """Say that the answer is one person's. Orders to shared caches by other names (RFC 9213) go unsaid."""
    return (
        (b"Cache-Control", _PRIVATE_CACHE_CONTROL[b", ".join([value for _, value in cache_control])]),
        (b"Vary", _PRIVATE_VARY[b", ".join([value for _, value in vary])]),
    )


def _private_cache_control(value: bytes) -> bytes:
    """Take ``public`` and ``s-maxage`` out; add ``private`` when it does not stand there for the whole answer.

    Source: RFC 9111 §5.2.2.7: ``private="field"`` speaks of that field alone.
    """
    directives = (part.strip() for part in _DIRECTIVE.findall(value))
    kept = [part for part in directives if part and part.partition(b"=")[0].strip().lower() not in _FOR_SHARED_CACHES]
    if not any(part.lower() == b"private" for part in kept):
        kept.append(b"private")
    return b", ".join(kept)


def _private_vary(value: bytes) -> bytes:
    """Add Cookie and Authorization; ``*`` says more already (RFC 9110 §12.5.5)."""
    varied = [name for part in value.split(b",") if (name := part.strip())]
    present = {name.lower() for name in varied}
    if b"*" in present:
        return b"*"
    return b", ".join(varied + [name for name in _VARIES_BY if name.lower() not in present])


_PRIVATE_CACHE_CONTROL = Remembered(_private_cache_control)
_PRIVATE_VARY = Remembered(_private_vary)
_SAID_PRIVATE = _said_private((), ())
