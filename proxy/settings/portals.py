"""Portals: one file, several sites, each an ordinary ``Settings``.

A portal has the keys at the top, and in their place those that it writes itself. Sections are merged key by key; what
is no section (a list, a word, a mapping with names of your own such as ``upstreams``) is taken whole. Some keys are of
the process: they are written once, at the top, whose ``server.public_url`` and ``server.hosts`` are its own site's.

Here a file becomes the data of its sites, and a finding about a site's key goes back to the line that the key came
from; ``load.py`` does the rest as for a file without portals.
"""

from __future__ import annotations

from itertools import combinations
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union, get_args, get_origin

from msgspec import Struct, field

from proxy.core.hosts import HostNames, is_wildcard
from proxy.settings.model import PortalSettings, Section, Settings
from proxy.settings.problems import Finding, KeyPath, Level, key_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Data = dict[str, Any]

_NAME_AND_HOSTS: Final = frozenset(PortalSettings.model_fields)

_OF_THE_SITE_AT_THE_TOP: Final = ("public_url", "hosts")
"""Keys of ``server`` that no portal inherits: no two sites have them in common."""

OF_THE_PROCESS: Final[tuple[KeyPath, ...]] = (
    ("server", "listen"),
    ("server", "trusted_proxies"),
    ("server", "tls"),
    ("server", "max_header_size"),
    ("server", "max_body_size"),
    ("server", "timeouts"),
    ("server", "shutdown_grace"),
    ("management",),
    ("sessions", "store"),
    ("sessions", "memory"),
    ("sessions", "redis"),
    ("sessions", "encryption_keys"),
    ("sessions", "max_per_user"),
    ("log",),
    ("audit",),
    ("tracing",),
    ("portals",),
)
"""What one process has once: its listeners, who in front of them is believed (that is asked before anybody knows which
portal is meant), where sessions are kept, and what is written where."""


class SiteSettings(NamedTuple):
    """What one site of a process is made of.

    Attributes:
        name: of the portal; empty for the site at the top.
    """

    name: str
    settings: Settings


class SiteData(Struct, frozen=True):
    """The data of one site as ``Settings`` takes it, and where in the file each key of it stands.

    Attributes:
        place: ``("portals", 2)``; empty for the site at the top.
        taken: what the portal wrote itself, each the highest key that was taken whole.
    """

    name: str
    data: Data
    place: KeyPath = ()
    top: Data = field(default_factory=dict)
    taken: frozenset[KeyPath] = frozenset()

    def in_file(self, finding: Finding) -> Finding:
        """Return a finding about this site with the keys as they stand in the file."""
        return Finding(
            self.place_of(finding.path),
            finding.message,
            finding.remedy,
            finding.level,
            tuple(map(self.place_of, finding.depends_on)),
        )

    def place_of(self, path: KeyPath) -> KeyPath:
        """Return where a key of this site stands in the file: with the portal, or at the top."""
        if not self.place:
            return path
        if path[:2] == ("server", "hosts"):
            return (*self.place, *path[1:])
        is_own = any(path[: len(taken)] == taken for taken in self.taken)
        return (*self.place, *path) if is_own or not _holds(self.top, path) else path


def sites_of(data: Data) -> tuple[SiteData, ...]:
    """Return the data of each site of a file, the one at the top first if there is one.

    A portal that is no mapping is left out; ``shape_findings`` says so.
    """
    portals = data.get("portals")
    top = {key: value for key, value in data.items() if key != "portals"}
    if not isinstance(portals, list) or not portals:
        return (SiteData("", top),)
    alone = (SiteData("", top),) if _has_url(top) else ()
    given = ((index, portal) for index, portal in enumerate(portals) if isinstance(portal, dict))
    return (*alone, *(_site_of(top, index, portal) for index, portal in given))


def _has_url(top: Data) -> bool:
    server = top.get("server")
    return isinstance(server, dict) and "public_url" in server


def _site_of(top: Data, index: int, portal: Data) -> SiteData:
    base = {**top, "server": _inherited(top.get("server"))}
    own = {key: value for key, value in portal.items() if key not in _NAME_AND_HOSTS}
    taken: set[KeyPath] = set()
    merged = _merged(Settings, base, own, (), taken)
    merged["server"] = {**_mapping(merged.get("server")), "hosts": portal.get("hosts", [])}
    name = portal.get("name")
    shown = str(name) if isinstance(name, str) else f"portals[{index}]"
    return SiteData(shown, merged, ("portals", index), base, frozenset(taken))


def _inherited(server: object) -> Data:
    return {key: value for key, value in _mapping(server).items() if key not in _OF_THE_SITE_AT_THE_TOP}


def _mapping(value: object) -> Data:
    return dict(value) if isinstance(value, dict) else {}


def _merged(model: type[Section], top: Data, own: Data, path: KeyPath, taken: set[KeyPath]) -> Data:
    merged = dict(top)
    for key, value in own.items():
        section = _section_at(model, key)
        if section is not None and isinstance(value, dict) and isinstance(top.get(key), dict):
            merged[key] = _merged(section, top[key], value, (*path, key), taken)
        else:
            taken.add((*path, key))
            merged[key] = value
    return merged


def _section_at(model: type[Section], key: str) -> type[Section] | None:
    """Return the section that a key holds, or None when its value is taken whole."""
    known = model.model_fields.get(key)
    if known is None:
        return None
    is_union = get_origin(known.annotation) in {Union, UnionType}
    kinds = get_args(known.annotation) if is_union else (known.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _holds(data: object, path: KeyPath) -> bool:
    for part in path:
        if isinstance(data, dict) and part in data:
            data = data[part]
            continue
        if not isinstance(data, list) or not isinstance(part, int) or part >= len(data):
            return False
        data = data[part]
    return True


# --- what is wrong with portals as such ------------------------------------------------------------------------------


def shape_findings(data: Data) -> Iterator[Finding]:
    """Yield what can be said before any site is understood: keys that no portal may have."""
    portals = data.get("portals")
    if not isinstance(portals, list) or not portals:
        return
    for index, portal in enumerate(portals):
        if isinstance(portal, dict):
            yield from _keys_of_the_process(("portals", index), portal)
    if not _has_url(data) and isinstance(data.get("server"), dict) and "hosts" in data["server"]:
        yield Finding(("server", "hosts"), "names hosts of no site, for the top has no server.public_url",
                      "name them in a portal's hosts, or write server.public_url here too")  # fmt: skip


def _keys_of_the_process(place: KeyPath, portal: Data) -> Iterator[Finding]:
    for path in OF_THE_PROCESS:
        if _holds(portal, path):
            yield Finding((*place, *path), "is of the whole process, and no portal has one of its own",
                          f"write {key_text(path)} once, at the top of the file")  # fmt: skip
    if _holds(portal, ("server", "hosts")):
        yield Finding((*place, "server", "hosts"), "is what a portal says in its own hosts", "write hosts beside name")


class DraftedSite(NamedTuple):
    """A site as far as it could be understood."""

    given: SiteData
    settings: Settings


def findings_between(sites: Sequence[DraftedSite]) -> Iterator[Finding]:
    """Yield what portals have wrong among themselves, in the places of the file."""
    for site in sites:
        if site.given.place:
            yield from _url_of_another(site)
    seen: dict[str, KeyPath] = {}
    for site in sites:
        path = (*site.given.place, "name")
        if site.given.place and seen.setdefault(site.given.name, path) != path:
            yield Finding(path, f"is the name of {key_text(seen[site.given.name][:-1])} too", "choose another one",
                          depends_on=(path,))  # fmt: skip
    for one, other in combinations(sites, 2):
        shared = [*_shared_hosts(one, other)]
        yield from shared or _shared_cookies(one, other)


def _url_of_another(site: DraftedSite) -> Iterator[Finding]:
    """The host of a portal's public URL is one of its own."""
    server = site.settings.server
    if server.public_url.authority not in _answered(site) and server.public_url.authority not in server.hosts:
        path = site.given.place_of(("server", "public_url"))
        message = f"has the host {server.public_url.authority}, which is not among the portal's hosts"
        yield Finding(path, message, "add it to hosts, or write a URL with one of them",
                      depends_on=((*site.given.place, "hosts"), path))  # fmt: skip


def _answered(site: DraftedSite) -> HostNames:
    server = site.settings.server
    return HostNames(server.hosts if site.given.place else (server.public_url.authority, *server.hosts))


def _shared_hosts(one: DraftedSite, other: DraftedSite) -> Iterator[Finding]:
    """Nobody could say which of the two is meant; a name that another's wildcard stands for is the name's."""
    shared = set(_answered(one)) & set(_answered(other))
    for host in sorted(shared):
        path = _host_place(other, host)
        yield Finding(path, f"names {host}, which is {_title(one)}'s too", "let one of the two have it",
                      depends_on=((*other.given.place, "hosts"), (*one.given.place, "hosts")))  # fmt: skip


def _host_place(site: DraftedSite, host: str) -> KeyPath:
    hosts = site.settings.server.hosts
    if host not in hosts:
        return site.given.place_of(("server", "public_url"))
    return site.given.place_of(("server", "hosts", hosts.index(host)))


def _title(site: DraftedSite) -> str:
    return f"portal {site.given.name}" if site.given.place else "the site at the top"


def _shared_cookies(one: DraftedSite, other: DraftedSite) -> Iterator[Finding]:
    """Two sites whose cookies a browser takes for one another's would sign each other's people out."""
    if one.settings.sessions.cookie.name != other.settings.sessions.cookie.name:
        return
    if _is_brought(one.settings, other.settings) or _is_brought(other.settings, one.settings):
        path = other.given.place_of(("sessions", "cookie", "name"))
        place = path if path[: len(other.given.place)] == other.given.place else (*other.given.place, "hosts")
        message = f"shares the session cookie with {_title(one)}: who signs in to one is signed out of the other"
        yield Finding(place or ("sessions", "cookie"), message, "give each portal a sessions.cookie.name",
                      Level.WARNING)  # fmt: skip


def cookies_of_neighbours(site: Settings, sites: Sequence[SiteSettings]) -> frozenset[str]:
    """Return the names of other sites' session cookies that browsers bring along to this one; none is for its apps."""
    names = (other.settings.sessions.cookie.name for other in sites if _is_brought(other.settings, site))
    return frozenset(names) - {site.sessions.cookie.name}


def _is_brought(one: Settings, other: Settings) -> bool:
    """Say whether browsers take the session cookie of one site along to the other (RFC 6265 §5.1.3)."""
    domain, names = one.sessions.cookie.domain, _host_names(other)
    if domain is not None:
        return any(_is_below(name, domain) for name in names)
    return bool(names & _host_names(one))


def _host_names(site: Settings) -> frozenset[str]:
    """Return the names without ports: cookies do not know ports (RFC 6265 §8.5)."""
    hosts = site.server.host_values
    return frozenset(host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host for host in hosts)


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}") or (is_wildcard(name) and name[2:] == domain)
