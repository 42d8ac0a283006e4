"""The throttle at the login form: who tries from where, whether the provider is asked, and what counts.

A refused try costs the provider nothing and takes no place in the queue before it. A person is never locked out of a
browser in which they have signed in before: strangers who fail under their name do not count there.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.throttle import counted_address, folded_username, parsed_address
from proxy.core.tokens import GrantRefusal
from proxy.ports import AddressOf, Attempt
from proxy.web.caller import caller_of
from proxy.web.cookies import known_cookie, set_known_cookie
from proxy.web.grant_slots import GRANT_SLOTS
from proxy.web.known_browser import KnownBrowsers
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.tokens import Grant

MARK_BYTES = 12
"""Random bytes of a mark's id: enough to be unlike every other mark of one person."""

JUDGED_WRONG = frozenset(GrantRefusal) - {GrantRefusal.ACCOUNT_SETUP_REQUIRED}
"""Refusals that count. A disabled account is one of them although its password was right: else it could be told from
others by never being throttled.
"""


class ProxyWarning:
    """Says once that the limit per address does not hold, and what to do."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._is_said = False

    def say(self, request: web.Request) -> None:
        """Warn, the first time."""
        if self._is_said:
            return
        self._is_said = True
        peer = caller_of(request).address
        who = f"{peer} speaks for others" if peer else "whoever connects to our unix socket speaks for others"
        remedy = "name it in server.trusted_proxies" if peer else "listen on 127.0.0.1 and name that in trusted_proxies"
        request.app[keys.OBSERVER].warning(
            f"{who} and is not in server.trusted_proxies: nobody knows the addresses behind it, so failed sign-ins "
            f"are not limited per address; {remedy}",
            peer=peer,
        )


PROXY_WARNING: web.AppKey[ProxyWarning] = web.AppKey("proxy_warning", ProxyWarning)


async def ask_within_limits(
    request: web.Request, username: str, ask: Callable[[], Awaitable[Grant | GrantRefusal]]
) -> Grant | GrantRefusal:
    """Return what the provider says of a password, when it may be asked.

    The try is counted as failed before the answer is known, and given back unless it is one: of many tries at once no
    more get through than one after the other. It is looked at before it queues, and counted when its turn has come:
    people who wait, a whole office behind one address, do not count.

    Raises:
        Throttled: too many failed; the provider was not asked.
        ProviderUnavailable: also when no turn came in time.
        StoreUnavailable: nobody can say how many failed.
    """
    throttle, attempt = request.app[keys.THROTTLE], _attempt(request, username)
    await throttle.check(attempt)
    async with request.app[GRANT_SLOTS].slot():
        await throttle.reserve(attempt)
        try:
            answer = await ask()
        except errors.SidegateError:
            await throttle.give_back(attempt)
            raise
    if not (isinstance(answer, GrantRefusal) and answer in JUDGED_WRONG):
        await throttle.give_back(attempt)
    return answer


def waiting_time(seconds: int) -> int:
    """Return how long to say that somebody has to wait, in seconds: whole minutes or hours when it is two or more, and
    rather too long, for who comes back too early is refused again.
    """
    unit_s = next((unit_s for unit_s in (3600, 60) if seconds >= 2 * unit_s), 1)
    return ceil(seconds / unit_s) * unit_s


def client_address(request: web.Request) -> str | None:
    """Return the address of the person's browser; None when nobody knows it."""
    caller = caller_of(request)
    address = parsed_address(caller.address)
    return None if address is None or caller.address_of is AddressOf.PROXY else str(address)


def remember_browser(request: web.Request, response: web.StreamResponse, *usernames: str | None) -> None:
    """Mark the browser as one in which these names, of one person, have signed in."""
    marks, now = known_cookie(request), request.app[keys.CLOCK].now()
    mark_id = request.app[keys.RANDOM_BYTES](MARK_BYTES).hex()
    for name in dict.fromkeys(folded_username(name) for name in usernames if name):
        marks = _known_browsers(request).with_mark(marks, name, now=now, mark_id=mark_id)
    if marks:
        set_known_cookie(request, response, marks)


def _attempt(request: web.Request, username: str) -> Attempt:
    caller, name = caller_of(request), folded_username(username)
    if caller.address_of is AddressOf.PROXY:
        request.app[PROXY_WARNING].say(request)
    return Attempt(
        username=name,
        address=None if caller.address_of is AddressOf.PROXY else counted_address(caller.address),
        known_browser=_known_browsers(request).mark_of(known_cookie(request), name, request.app[keys.CLOCK].now()),
    )


def _known_browsers(request: web.Request) -> KnownBrowsers:
    options = request.app[OPTIONS]
    return KnownBrowsers((options.server_key, *options.older_keys), options.issuer)
