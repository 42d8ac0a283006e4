"""One-time codes by time, RFC 6238 with HMAC-SHA1, 30 s and 6 digits, which is Keycloak's default. Pure."""

from __future__ import annotations

import hmac
from typing import Final

PERIOD_S: Final = 30
DIGITS: Final = 6
#: Keycloak's look-around window: one period back and one ahead.
WINDOW: Final = 1


def step_at(at: float) -> int:
    """The number of the period in which the instant ``at`` (Unix seconds) lies."""
    return int(at // PERIOD_S)


def code_of_step(secret: bytes, step: int) -> str:
    """The code of one period (RFC 4226 §5.3: dynamic truncation)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def code_at(secret: bytes, at: float) -> str:
    """The code that an authenticator app would show at ``at`` (Unix seconds)."""
    return code_of_step(secret, step_at(at))


def matching_step(secret: bytes, code: str, at: float) -> int | None:
    """The period whose code this is, within the window around ``at``; None when there is none."""
    now = step_at(at)
    for step in range(now - WINDOW, now + WINDOW + 1):
        if hmac.compare_digest(code_of_step(secret, step).encode(), code.encode()):
            return step
    return None
