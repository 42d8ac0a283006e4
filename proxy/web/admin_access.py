"""Who may use the management API: whoever has the token, and nobody tries many.

The token is read anew for each request, so that a file that was exchanged counts at once.

Source: RFC 6750 §2.1, §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.core.secret import Secret
from proxy.web.address_budget import AddressBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ports import Clock

BURST: Final = 10
"""Wrong tokens in a row that an address may send."""

REFILL_S: Final = 6.0
"""Seconds until it may send one more: 10 in a minute, 14,400 in a day, for a token of any sense hopeless."""

MAX_TOKEN: Final = 4096
"""Characters of a token that are compared."""


class AdminAccess:
    """The rule at the door of the API."""

    def __init__(self, read_token: Callable[[], Secret | None], *, clock: Clock) -> None:
        """``read_token`` returns None where none is configured, and raises SettingsError where it cannot be read."""
        self._read_token = read_token
        self._wrong = AddressBudget(clock, burst=BURST, refill_s=REFILL_S)

    def check(self, authorization: list[str], *, address: str) -> None:
        """Return when the caller may go on.

        An address that tried too often is not looked at any more, not even with the right token: else the answer
        would tell whether a guess was right.

        Raises:
            ManagementRefused: ``reason`` says why: ``not_configured``, ``token_unreadable``, ``too_many_tries``,
                ``no_token``, ``wrong_token``.
        """
        expected = self._expected()
        if not self._wrong.has_any(address):
            raise errors.ManagementRefused("too many wrong tokens came from this address", reason="too_many_tries")
        given = _bearer(authorization)
        if given is None:
            raise errors.ManagementRefused("send the token as Authorization: Bearer", reason="no_token")
        if given != expected:
            self._wrong.spend(address)
            raise errors.ManagementRefused("this is not the token", reason="wrong_token")

    def _expected(self) -> Secret:
        try:
            token = self._read_token()
        except errors.SettingsError as error:
            raise errors.ManagementRefused(f"management.admin_token: {error}", reason="token_unreadable") from error
        if not token:
            raise errors.ManagementRefused("management.admin_token is not configured", reason="not_configured")
        return token


def _bearer(authorization: list[str]) -> Secret | None:
    """Return the token of the one field there is."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].partition(" ")
    token = token.strip(" ")
    return Secret(token) if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN else None
