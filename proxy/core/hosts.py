"""Which Host values are answered: names, and wildcards that stand for one label. Pure.

``*.apps.example.com`` is ``a.apps.example.com``, neither ``apps.example.com`` nor ``a.b.apps.example.com``: as with
certificates (RFC 6125 §6.4.3), so that what a browser trusts and what is answered are the same. The label is one of a
host name (RFC 1123 §2.1). Nothing is kept of a name that was asked about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WILDCARD: Final = "*."

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class HostNames:
    """Host values in lower case, each with its port when that is not the scheme's own."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take names and wildcards."""
        names = frozenset(names)
        self._names = frozenset(name for name in names if not is_wildcard(name))
        self._wildcards = tuple(sorted(names - self._names))

    def __contains__(self, host: object) -> bool:
        """Say whether a host is one of these."""
        return host in self._names or (
            isinstance(host, str) and any(stands_for(wildcard, host) for wildcard in self._wildcards)
        )

    def __iter__(self) -> Iterator[str]:
        """Give each as it was written."""
        yield from sorted(self._names)
        yield from self._wildcards

    @property
    def exact(self) -> frozenset[str]:
        """Return those that are no wildcards."""
        return self._names

    @property
    def wildcards(self) -> tuple[str, ...]:
        """Return those that are."""
        return self._wildcards


def is_wildcard(name: str) -> bool:
    """Say whether a name stands for others."""
    return name.startswith(WILDCARD)


def stands_for(wildcard: str, host: str) -> bool:
    """Say whether the wildcard stands for this host."""
    suffix = wildcard[1:]
    return host.endswith(suffix) and _LABEL.fullmatch(host.removesuffix(suffix)) is not None


def at_host(url: str, host: str) -> str:
    """Return a URL or an origin as it is at a host that was answered: the host in the place of a wildcard.

    Without a wildcard it is the same at every host.
    """
    scheme, separator, rest = url.partition("://")
    if not rest.startswith(WILDCARD):
        return url
    _, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host}{slash}{path}"
