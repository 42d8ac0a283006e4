r"""Where to go after a login: a path of our own origin as a browser parses it, or the default (law 10).

What is allowed is said, not what is forbidden: printable ASCII that begins with exactly one slash, whose path obeys the
law of the target (``core.target``) and begins with one slash in every reading too. So ``//host``, ``/\host``,
``/%09/host``, a tab between two slashes and ``https:host`` have nothing to hide behind. Letters beyond ASCII are
escaped as a browser does (WHATWG URL, UTF-8 percent-encode).
"""

from __future__ import annotations

import re

from proxy.core.routing import UnderPrefix, lies_under
from proxy.core.target import TargetRules, parse_target
from proxy.errors import TargetRefused

MAX_RETURN_TO = 2048
"""Bytes, contract §3: 2 KiB; browsers and proxies carry URLs of at least that length."""

_ALLOWED = re.compile(rb"/[^?#\\\x00-\x20\x7f-\xff]*(?:\?[^#\x00-\x20\x7f-\xff]*)?(?:#[^\x00-\x20\x7f-\xff]*)?")
_LOOPING = (b"/login", b"/start", b"/callback", b"/logout")
"""Our own pages that lead into or out of a login: to go there after a login would begin it again, or end it."""

_RULES = TargetRules()


def safe_return_to(text: str | None, default: str, *, prefix: bytes = b"/_sidegate") -> str:
    """Return ``text`` when it is a place of our own to go to, else ``default``; never raises.

    Args:
        text: what somebody asks for: nothing in it is trusted.
        prefix: under which our own pages lie, the public URL's path before it.

    Source: WHATWG URL §4.4 (path and authority states for special schemes).
    """
    if not text or len(text) > MAX_RETURN_TO:
        return default
    written = _escaped(text)
    if written is None or len(written) > MAX_RETURN_TO or not _ALLOWED.fullmatch(written):
        return default
    return written.decode("ascii") if _leads_home(written.partition(b"#")[0], prefix) else default


def _escaped(text: str) -> bytes | None:
    """Return the text with everything beyond ASCII escaped; None when it cannot be (a lone surrogate, C1 controls)."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return None
    if any("\x7f" <= letter <= "\x9f" for letter in text):
        return None
    return _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], raw)


_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def _leads_home(target: bytes, prefix: bytes) -> bool:
    try:
        parsed = parse_target(target, rules=_RULES)
    except TargetRefused:
        return False
    if any(reading.path[:2] in {b"//", b"/\\"} for reading in parsed.readings):
        return False
    return all(lies_under(prefix + page, parsed) is UnderPrefix.NONE for page in _LOOPING)
