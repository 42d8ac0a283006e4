"""Keys that cannot change while we run: what is opened once, and where sessions live.

A file that changes one of them is taken all the same, with what runs in that key's place, and says so until the
restart. (PostgreSQL does it this way. The other way, to refuse the whole file, would keep a right from being taken away
because somebody has also written a port for the next restart.) No mixture comes of it that could not run: what only
makes sense together stays or goes together. These are keys of the process as a whole, equal in all its sites.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings

RESTART_ONLY: Final = (
    "server.listen",
    "server.tls",
    "management.listen",
    "management.api_listen",
    "sessions.store",
    "sessions.redis",
    "audit.keep",
    "log.format",
    "log.sample_2xx",
    "tracing",
)
"""Of ``server.tls`` only whether it is there: its files are read again, but where nobody spoke TLS nobody begins to."""

_WITH_THE_STORE: Final = ("sessions.store", "sessions.redis", "sessions.memory", "sessions.encryption_keys")
"""What another store would be opened with."""


class Applicable(Struct, frozen=True):
    """What of a file can run now.

    Attributes:
        sites: the file's, with what runs in the place of ``waiting``.
        waiting: keys that need a restart, as people write them.
    """

    sites: tuple[SiteSettings, ...]
    waiting: tuple[str, ...]


def applicable(running: Sequence[SiteSettings], wanted: Sequence[SiteSettings]) -> Applicable:
    """Return what of ``wanted`` can run in the place of ``running`` without a restart; both have at least one site."""
    old, new = running[0].settings, wanted[0].settings
    waiting = tuple(key for key in RESTART_ONLY if _differs(key, old, new))
    kept = [each for key in waiting for each in (_WITH_THE_STORE if key == "sessions.store" else (key,))]
    sites = tuple(site._replace(settings=_with(site.settings, old, kept)) for site in wanted)
    return Applicable(sites, waiting)


def _differs(key: str, old: Settings, new: Settings) -> bool:
    before, after = _value(old, key), _value(new, key)
    if key == "server.tls":
        return (before is None) is not (after is None)
    if key == "sessions.redis":
        return before != after and old.sessions.store == new.sessions.store == "redis"
    return bool(before != after)


def _value(settings: Settings, key: str) -> object:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _with(settings: Settings, old: Settings, keys: Sequence[str]) -> Settings:
    """Return the settings with the values that ``old`` has at these keys."""
    for key in keys:
        section, _, name = key.partition(".")
        value = _value(old, key)
        if name:
            before: BaseModel = getattr(settings, section)
            value = before.model_copy(update={name: value})
        settings = settings.model_copy(update={section: value})
    return settings
