"""The cookie of a browser in which somebody has signed in: what it says, and that nobody but us can say it.

It lasts longer than any session and proves no login. All that it does is to keep others from locking somebody out: who
fails elsewhere under this person's name does not count here (``web.throttle``).

The value is a row of marks, one for each name, the newest first: ``<when>~<id>~<MAC>``, apart by dots. The name itself
is in the MAC alone, so the cookie tells nobody who has signed in. Pure: time and randomness are arguments.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.core.cookies import KNOWN_MAX_AGE_S
from proxy.web.form_tokens import derived_key

if TYPE_CHECKING:
    from collections.abc import Sequence

PURPOSE: Final = "known browser"

MAX_MARKS: Final = 6
"""Names that one browser keeps, the last ones; a family, or one person with two names and an e-mail address."""

MAC_DIGITS: Final = 32
"""Hexadecimal digits of a MAC: 128 bits, twice what is asked where each guess is seen (NIST SP 800-107 §5.3.3)."""

CLOCK_SKEW_S: Final = 60
"""Seconds by which another replica's clock may be ahead."""

_MARK = re.compile(r"([0-9a-f]{1,16})~([0-9a-f]{24})~([0-9a-f]{32})")


class KnownBrowsers:
    """Make marks and know them again."""

    def __init__(self, server_keys: Sequence[bytes], issuer: str) -> None:
        """Derive the keys; the first makes marks, all know them. A mark counts at one ``issuer``."""
        self._keys = tuple(derived_key(key, PURPOSE) for key in server_keys)
        self._issuer = issuer

    def mark_of(self, cookie: str | None, username: str, now: float) -> str | None:
        """Return the id of the mark that the cookie has for this folded user name, or None when it has none."""
        for mark in _marks_in(cookie):
            if self._is_of(mark, username) and _is_fresh(mark, now):
                return mark.mark_id
        return None

    def with_mark(self, cookie: str | None, username: str, *, now: float, mark_id: str) -> str:
        """Return the cookie with a new mark for this folded user name, in the place of older ones.

        Args:
            now: Unix seconds.
            mark_id: 24 hexadecimal digits, random.
        """
        bare = _Mark(f"{int(now):x}", mark_id, "")
        mark = bare._replace(mac=self._mac(self._keys[0], username, bare))
        others = [other for other in _marks_in(cookie) if not self._is_of(other, username) and _is_fresh(other, now)]
        return ".".join("~".join(one) for one in [mark, *others][:MAX_MARKS])

    def _is_of(self, mark: _Mark, username: str) -> bool:
        return any(hmac.compare_digest(mark.mac, self._mac(key, username, mark)) for key in self._keys)

    def _mac(self, key: bytes, username: str, mark: _Mark) -> str:
        # The name comes last, after parts that hold no NUL: no two lists of parts give the same bytes.
        message = f"{mark.made_at}\0{mark.mark_id}\0{self._issuer}\0{username}"
        return hmac.digest(key, message.encode(errors="surrogatepass"), "sha256").hex()[:MAC_DIGITS]


class _Mark(NamedTuple):
    """One mark as it stands in the cookie; ``made_at`` is in Unix seconds, hexadecimal."""

    made_at: str
    mark_id: str
    mac: str


def _marks_in(cookie: str | None) -> list[_Mark]:
    """Return what looks like a mark of ours; whose it is, and whether we made it, only its MAC says."""
    found = (_MARK.fullmatch(part) for part in (cookie or "").split("."))
    return [_Mark(*match.groups()) for match in found if match][:MAX_MARKS]


def _is_fresh(mark: _Mark, now: float) -> bool:
    return -CLOCK_SKEW_S <= now - int(mark.made_at, 16) < KNOWN_MAX_AGE_S
