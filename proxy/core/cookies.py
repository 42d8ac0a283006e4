"""Our own cookies: their names, reading them from a request, writing them into an answer.

Five of them (contract §6): the session (256 random bits, nothing else), ``…-login`` (the root authentication session),
``…-known`` (a browser in which somebody has signed in before), ``…-language`` (in which our pages are read) and
``…-kept`` (the form that waits for the next request).
``__Host-`` on https binds a cookie to this very host; with ``cookie.domain`` the session's is ``__Secure-`` instead.
The others belong to our own pages, which have one host, and never have a domain.

Reading is lenient, because a browser sends cookies of other apps that no grammar allows (RFC 6265 §5.4 against §4.2.1),
and strict about ours: two of one name, and none counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from proxy.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.request import RequestHead, Scheme

COOKIE_VALUE_LENGTH = 43
"""Characters of 256 random bits in base64url without padding (RFC 4648 §5)."""

LOGIN_MAX_AGE_S = 1800
"""30 minutes, as long as a root authentication session lives (contract §6)."""

KNOWN_MAX_AGE_S = 180 * 86400
"""180 days (contract §6)."""

LANGUAGE_MAX_AGE_S = 180 * 86400
"""180 days, as long as a browser is known."""

KEPT_MAX_AGE_S = 120
"""Two minutes: it is set by the answer to a login and wanted by the very next request."""

_OURS = re.compile(rb"[A-Za-z0-9_-]{%d}" % COOKIE_VALUE_LENGTH)
_KNOWN = re.compile(rb"[A-Za-z0-9._~-]{1,1024}")
_LANGUAGE = re.compile(rb"[A-Za-z0-9-]{2,35}")
_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")
_DOMAIN = re.compile(r"\.?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


class SameSite(Enum):
    """``sessions.cookie.same_site`` (RFC 6265bis §5.6.7)."""

    LAX = "Lax"
    STRICT = "Strict"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCookies:
    """Names and attributes of our cookies; compiled once per portal.

    Attributes:
        name: ``sessions.cookie.name``.
        scheme: of the public URL.
        domain: of the session cookie; None is this host only.
        neighbours: names of other sites' session cookies that browsers bring along here too.
        session, login, known, language, kept: names on the wire.
        every_name: each name of ours and of neighbours, with and without both prefixes, folded as header names are:
            none reaches the app, and none that the app sets reaches the browser.

    Raises:
        ValueError: a name or domain that no cookie can have.
    """

    name: str = "sidegate"
    scheme: Scheme = "https"
    same_site: SameSite = SameSite.LAX
    domain: str | None = None
    neighbours: frozenset[str] = frozenset()
    session: bytes = field(init=False)
    login: bytes = field(init=False)
    known: bytes = field(init=False)
    language: bytes = field(init=False)
    kept: bytes = field(init=False)
    every_name: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Settle the names."""
        if not _TOKEN.fullmatch(self.name) or self.name.lower().startswith(("__host-", "__secure-")):
            raise ValueError("sessions.cookie.name is letters, digits, . _ and -, without __Host- or __Secure-")
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ValueError("sessions.cookie.domain is a host name")
        bare = self.name.encode()
        of_host = b"__Host-" if self.scheme == "https" else b""
        of_domain = b"__Secure-" if self.scheme == "https" else b""
        object.__setattr__(self, "session", (of_host if self.domain is None else of_domain) + bare)
        object.__setattr__(self, "login", of_host + bare + b"-login")
        object.__setattr__(self, "known", of_host + bare + b"-known")
        object.__setattr__(self, "language", of_host + bare + b"-language")
        object.__setattr__(self, "kept", of_host + bare + b"-kept")
        stems = (bare, *(name.encode() for name in self.neighbours))
        names = (stem + suffix for stem in stems for suffix in (b"", b"-login", b"-known", b"-language", b"-kept"))
        every = (prefix + name for name in names for prefix in (b"", b"__Host-", b"__Secure-"))
        object.__setattr__(self, "every_name", frozenset(map(fold_cookie_name, every)))

    def session_cookie(self, value: Secret, *, max_age_s: int | None) -> bytes:
        """Return the Set-Cookie value; ``max_age_s`` None ends with the browser."""
        return self._written(self.session, value.reveal(), max_age_s=max_age_s, domain=self.domain)

    def login_cookie(self, root_id: str) -> bytes:
        """Return the Set-Cookie value that binds the browser to its root authentication session."""
        return self._written(self.login, root_id, max_age_s=LOGIN_MAX_AGE_S, domain=None)

    def known_cookie(self, mark: str) -> bytes:
        """Return the Set-Cookie value of a browser in which somebody has signed in; ``mark`` is letters and ``.~``."""
        return self._written(self.known, mark, max_age_s=KNOWN_MAX_AGE_S, domain=None)

    def language_cookie(self, tag: str) -> bytes:
        """Return the Set-Cookie value that keeps the language of our pages; ``tag`` is one that there are words for."""
        return self._written(self.language, tag, max_age_s=LANGUAGE_MAX_AGE_S, domain=None)

    def kept_cookie(self, mark: str) -> bytes:
        """Return the Set-Cookie value that says which kept form waits for the next request (``core.kept``)."""
        return self._written(self.kept, mark, max_age_s=KEPT_MAX_AGE_S, domain=None)

    def clear_session_cookie(self) -> bytes:
        """Return the Set-Cookie value that takes the session cookie away."""
        return self._written(self.session, "", max_age_s=0, domain=self.domain)

    def clear_login_cookie(self) -> bytes:
        """Return the Set-Cookie value that takes the login cookie away."""
        return self._written(self.login, "", max_age_s=0, domain=None)

    def clear_known_cookie(self) -> bytes:
        """Return the Set-Cookie value that makes the browser a stranger again."""
        return self._written(self.known, "", max_age_s=0, domain=None)

    def _written(self, name: bytes, value: str, *, max_age_s: int | None, domain: str | None) -> bytes:
        if not _VALUE.fullmatch(value):
            raise ValueError("a cookie value of ours is letters, digits and ._~:=-")
        # The login's cookie must come back from the provider by a link: never Strict (RFC 6265bis §5.2).
        same_site = self.same_site if name == self.session else SameSite.LAX
        attributes = ["Path=/", "HttpOnly", f"SameSite={same_site.value}"]
        if self.scheme == "https":
            attributes.append("Secure")
        if domain is not None:
            attributes.append(f"Domain={domain}")
        if max_age_s is not None:
            attributes.append(f"Max-Age={max_age_s}")
        return b"; ".join([name + b"=" + value.encode(), *(part.encode() for part in attributes)])


_VALUE = re.compile(r"[A-Za-z0-9._~:=-]*")


def fold_cookie_name(name: bytes) -> bytes:
    """Return the name as it is compared for taking it out: PHP and others read ``.``, ``-`` and ``_`` as the same."""
    return name.strip(b" \t").lower().replace(b"_", b"-").replace(b".", b"-")


def session_cookie_value(head: RequestHead, names: OwnCookies) -> Secret | None:
    """Return the session cookie of a request, or None when there is none, more than one, or it is none of ours."""
    return _own_value(head, names.session)


def login_cookie_value(head: RequestHead, names: OwnCookies) -> str | None:
    """Return the id of the root authentication session, by the same rules."""
    return value.reveal() if (value := _own_value(head, names.login)) else None


def known_cookie_value(head: RequestHead, names: OwnCookies) -> str | None:
    """Return the marks of a browser in which somebody has signed in, unverified; None when there are none, or two."""
    values = cookie_values(head, names.known)
    return values[0].decode("ascii") if len(values) == 1 and _KNOWN.fullmatch(values[0]) else None


def language_cookie_value(head: RequestHead, names: OwnCookies) -> str | None:
    """Return the language that the browser keeps; None when there is none, more than one, or it is no tag."""
    values = cookie_values(head, names.language)
    return values[0].decode("ascii") if len(values) == 1 and _LANGUAGE.fullmatch(values[0]) else None


def kept_cookie_value(head: RequestHead, names: OwnCookies) -> bytes | None:
    """Return what names a kept form; None when there is none, or more than one."""
    values = cookie_values(head, names.kept)
    return values[0] if len(values) == 1 else None


def cookie_values(head: RequestHead, name: bytes) -> tuple[bytes, ...]:
    """Return every value of the cookies called exactly ``name``, over all Cookie fields."""
    found: list[bytes] = []
    for cookies in head.values(b"cookie"):
        if name in cookies:
            found.extend(_values_in(cookies, name))
    return tuple(found)


def _values_in(cookies: bytes, name: bytes) -> Iterable[bytes]:
    for pair in cookies.split(b";"):
        key, _, value = pair.partition(b"=")
        if key.strip(b" \t") == name:
            yield value.strip(b" \t")


def _own_value(head: RequestHead, name: bytes) -> Secret | None:
    values = cookie_values(head, name)
    if len(values) != 1 or not _OURS.fullmatch(values[0]):
        return None
    return Secret(values[0].decode("ascii"))
