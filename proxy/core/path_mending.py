"""Paths in an app's answer, mended: an app that believes it lives at ``/`` lives below what its route strips.

===================  ==============================================================================================
field                what is mended
===================  ==============================================================================================
Location,            a path (``/x`` becomes ``/old/x``), and a URL of one of our hosts or of the upstream's; of the
Content-Location,    latter only the path is left, for browsers do not reach that host
Refresh              the same of the address in it
Set-Cookie           ``Path=/x``; a cookie without Path, and a ``__Host-`` cookie, whose Path is ``/`` or browsers drop
                     it (RFC 6265bis §4.1.3.2), are left alone
===================  ==============================================================================================

Left alone besides: relative references, which are right already; other hosts; and what lies under the prefix or under
our own pages, because an app that was told where it lives says so itself. Bodies are never changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

Field = tuple[bytes, bytes]

_WITH_AUTHORITY = re.compile(
    rb"(?P<scheme>(?:https?:)?)//(?P<authority>[^/?#\\]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_DELAY = re.compile(rb"(?P<before>\s*[0-9.]+\s*[;,]\s*(?:url\s*=\s*)?[\"']?)(?P<url>.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORTS: Mapping[bytes, bytes] = {b"http:": b":80", b"https:": b":443"}
_END_OF_PATH = re.compile(rb"[?#]")


class PathMending(Struct, frozen=True):
    """How the answers of one route are mended.

    Attributes:
        prefix: what ``strip_prefix`` takes away, without a final slash.
        own_prefix: the path under which our own pages lie.
        own_hosts: Host values that are ours, asked in lower case.
        upstream_host: the app's own, lower case.
    """

    prefix: bytes
    own_prefix: bytes
    own_hosts: Container[str]
    upstream_host: bytes

    def field(self, field: Field) -> Field:
        """Return a field of the answer with its paths mended."""
        mend = _MENDERS.get(field[0].lower())
        return field if mend is None else (field[0], mend(self, field[1]))

    def url(self, url: bytes) -> bytes:
        """Return a URL reference as the browser needs it (RFC 3986 §4.2)."""
        if url[:1] == b"/" and url[1:2] not in {b"/", b"\\"}:  # both begin an authority for a browser (WHATWG URL)
            return self._path(url)
        found = _WITH_AUTHORITY.fullmatch(url)
        if found is None:
            return url
        scheme, authority = found["scheme"].lower(), found["authority"].lower()
        host = authority.removesuffix(_DEFAULT_PORTS.get(scheme, b":"))
        rest = found["rest"] if found["rest"][:1] == b"/" else b"/" + found["rest"]
        if host.decode("latin-1") in self.own_hosts:
            return found["scheme"] + b"//" + found["authority"] + self._path(rest)
        return self._path(rest) if host == self.upstream_host else url

    def _path(self, path: bytes) -> bytes:
        """Put the prefix before a path with its query."""
        bare = _END_OF_PATH.split(path, maxsplit=1)[0]
        return path if _lies_under(self.prefix, bare) or _lies_under(self.own_prefix, bare) else self.prefix + path

    def _refresh(self, value: bytes) -> bytes:
        found = _DELAY.fullmatch(value)
        return value if found is None else found["before"] + self.url(found["url"])

    def _set_cookie(self, value: bytes) -> bytes:
        if value.lstrip().lower().startswith(b"__host-"):
            return value
        pair, *attributes = value.split(b";")
        return b";".join((pair, *map(self._attribute, attributes)))

    def _attribute(self, attribute: bytes) -> bytes:
        name, equals, path = attribute.partition(b"=")
        bare = path.strip()
        if name.strip().lower() != b"path" or bare[:1] != b"/" or _lies_under(self.prefix, bare):
            return attribute
        # Path=/old is matched by /old and all below it, Path=/old/ not by /old (RFC 6265 §5.1.4).
        return name + equals + self.prefix + (b"" if bare == b"/" else bare)


def _lies_under(prefix: bytes, path: bytes) -> bool:
    return path == prefix or path.startswith(prefix + b"/")


_MENDERS: Mapping[bytes, Callable[[PathMending, bytes], bytes]] = {
    b"location": PathMending.url,
    b"content-location": PathMending.url,
    b"refresh": PathMending._refresh,  # noqa: SLF001 - the table of this class
    b"set-cookie": PathMending._set_cookie,  # noqa: SLF001
}
