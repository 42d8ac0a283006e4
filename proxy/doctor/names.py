"""Whether the names of the file resolve from here: one line when all do, one for each that does not."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.doctor.finding import fail, ok, warn
from proxy.doctor.wire import is_proxied
from proxy.oidc.http_client import shown
from proxy.settings.values import TcpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.doctor.finding import Finding
    from proxy.settings.model import Settings

CHECK: Final = "names"

RESOLVE_S: Final = 5.0
"""Seconds for one name; a resolver that has no server left gives up after about as many."""


class Name(Struct, frozen=True):
    """A host name.

    Attributes:
        key: where the file has it.
        is_ours_to_reach: whether this process connects there; browsers alone may have another DNS.
    """

    host: str
    key: str
    is_ours_to_reach: bool = True


def names_of(settings: Settings) -> dict[str, Name]:
    """Return each name once, by host; that which this process needs before that which only browsers do."""
    found: dict[str, Name] = {}
    for name in sorted(_every_name(settings), key=lambda one: not one.is_ours_to_reach):
        if not _is_address(name.host) and "*" not in name.host:
            found.setdefault(name.host, name)
    return found


def _every_name(settings: Settings) -> Iterator[Name]:
    keycloak = settings.keycloak
    inner = keycloak.internal_url
    for url, key, is_ours in (
        (inner, "keycloak.internal_url", True),
        (keycloak.issuer, "keycloak.issuer", inner is None),
        (str(settings.server.public_url), "server.public_url", False),
    ):
        if url is not None and not is_proxied(url):
            yield Name(urlsplit(url).hostname or "", key, is_ours)
    for upstream, one in settings.upstreams.items():
        if isinstance(one.url.address, TcpAddress):
            yield Name(one.url.address.host, f"upstreams.{upstream}.url")
    if settings.sessions.store == "redis":
        yield from _names_of_redis(settings)


def _names_of_redis(settings: Settings) -> Iterator[Name]:
    redis = settings.sessions.redis
    if redis.sentinel is not None:
        yield from (Name(node.host, "sessions.redis.sentinel.nodes") for node in redis.sentinel.nodes)
    elif isinstance(redis.url.address, TcpAddress):
        yield Name(redis.url.address.host, "sessions.redis.url")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host
    return True


async def look_at_names(settings: Settings) -> tuple[Finding, ...]:
    """Resolve every name, all at once."""
    names = names_of(settings).values()
    outcomes = await asyncio.gather(*(_trouble(name.host) for name in names))
    amiss = tuple(_finding(name, trouble) for name, trouble in zip(names, outcomes, strict=True) if trouble)
    if amiss or not names:
        return amiss
    return (ok(CHECK, f"{', '.join(name.host for name in names)}: found"),)


async def _trouble(host: str) -> str:
    """Return why a name does not resolve; empty when it does."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            await _resolve(host)
    except TimeoutError:
        return f"no answer within {RESOLVE_S:g} s"
    except OSError as fault:
        return shown(fault.strerror or "not found").lower()
    except UnicodeError:
        return "it is no host name"
    return ""


async def _resolve(host: str) -> None:
    await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)


def _finding(name: Name, trouble: str) -> Finding:
    sentence = f"{name.host} does not resolve from here ({trouble})"
    if name.is_ours_to_reach:
        return fail(CHECK, sentence, f"mend {name.key}, or the DNS that this machine asks (/etc/resolv.conf)")
    return warn(CHECK, sentence, f"if browsers find it, all is well; else mend {name.key} or the DNS")
