"""Forward-auth: another proxy holds the connection and asks here whether a request may pass (contract §3, ``/verify``).

What the proxy tells of that *original* request becomes a ``RequestHead`` like any other, and a gate decides about it by
its own steps, so that nothing is decided twice. What lives here is what stands around that: who may ask, from which
fields the original is read, and what becomes of the admission, since there is no body to read and nothing to forward.

The original is read from exactly one source, the one of the file. A proxy such as nginx passes the client's fields into
its question, so a field of another set may be the client's, and so may one of two:

============  ===============================================  ======================================================
source        the set, all of it, each field once              asked by
============  ===============================================  ======================================================
x-forwarded   X-Forwarded-Method, -Proto, -Host, -Uri          Traefik ``forwardAuth``, Caddy ``forward_auth``
x-original    X-Original-Method, -URL, -URI (they must agree)  nginx ``auth_request``, ingress-nginx
path          method, Host and target after ``/verify/path``,  Envoy ``ext_authz`` with an ``http_service``
              X-Forwarded-Proto
============  ===============================================  ======================================================

The app behind the proxy sees what the client sent, but for what the proxy takes from the 200. So the 200 has every
field that the app would have from us, and those of the client's own that we would have changed (:func:`said_names`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from proxy.core.answer import Answer
from proxy.core.headers import OVERRIDES, AuthorizationField, fold
from proxy.core.remembered import Remembered
from proxy.core.request import RequestHead
from proxy.errors import MethodRefused, OriginalRefused, PeerRefused
from proxy.ports import Forward, OwnPage, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.core.headers import HeaderRules, UpstreamHeaders
    from proxy.core.request import Headers, Scheme
    from proxy.core.routing import RouteTable
    from proxy.gate.accept import Acceptor
    from proxy.ports import Admission, Gatekeeper


class Source(Enum):
    """``forward_auth.source``."""

    X_FORWARDED = "x-forwarded"
    X_ORIGINAL = "x-original"
    PATH = "path"


class Strangers(Enum):
    """``forward_auth.on_unauthenticated``: what a navigation gets that needs a login."""

    LED = "302"
    """A redirect, from a proxy that passes it on."""
    TOLD = "401"
    """401 whose Location says where to sign in: ``auth_request`` takes any other 3xx or 4xx for a fault."""


class ForwardAuthRules(Struct, frozen=True):
    """``forward_auth`` of the file."""

    source: Source
    strangers: Strangers


VERIFY = b"/verify"
BEFORE_TARGET = b"/path"

_OF_X_FORWARDED = (b"x-forwarded-method", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-uri")
_OF_X_ORIGINAL = (b"x-original-method", b"x-original-url", b"x-original-uri")
_SETS: Mapping[Source, tuple[bytes, ...]] = {
    Source.X_FORWARDED: _OF_X_FORWARDED,
    Source.X_ORIGINAL: _OF_X_ORIGINAL,
    Source.PATH: (b"x-forwarded-proto",),
}
_EVERY_SET = frozenset(_OF_X_FORWARDED + _OF_X_ORIGINAL)

_OF_QUESTION = _EVERY_SET | {b"host", b"connection"}
"""What is of the question and its way, not of the original."""

_OF_WAY = frozenset(b"x-forwarded-for x-forwarded-port x-real-ip x-request-id".split())
"""What the proxy says of the way beside the sets; the app may know it in another spelling too."""

_SCHEMES: Mapping[bytes, bytes] = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}
"""Traefik calls the scheme of a WebSocket ``ws`` or ``wss``."""

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_AUTHORITY = re.compile(rb"[A-Za-z0-9._~-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_URL = re.compile(rb"(https?)://([^/?#]*)(/.*)", re.IGNORECASE | re.DOTALL)

HEADERS_TO_REMOVE = b"X-Envoy-Auth-Headers-To-Remove"
"""By which Envoy is told what to take out of the original (ext_authz, ``headers_to_remove``)."""


class _Told(Struct, frozen=True):
    """What a proxy tells of the original."""

    method: bytes
    scheme: bytes
    host: bytes
    target: bytes


class _Original(Struct, frozen=True):
    """The original as the gate sees it; remembered with the question, since equal questions are about the same."""

    head: RequestHead
    scheme: Scheme


class ForwardAuth:
    """Answers ``/verify``; everything that decides is asked of ``gate``."""

    def __init__(
        self, rules: ForwardAuthRules, *, path: bytes, said: frozenset[bytes], acceptor: Acceptor, gate: Gatekeeper
    ) -> None:
        """Keep them.

        Args:
            path: of the public URL, our prefix and :data:`VERIFY`.
            said: folded names of what a 200 says (:func:`said_names`).
            gate: decides about originals: it keeps no form and shows no page of ours.
        """
        self._source = rules.source
        self._path = path
        self._said = said
        self._acceptor = acceptor
        self._gate = gate
        self._removable = tuple(sorted(said - {b"host"}))
        guarded = said | _EVERY_SET | _OF_WAY
        self._is_lookalike = Remembered(lambda name: name.lower() != fold(name) and fold(name) in guarded)

    def is_asked(self, head: RequestHead) -> bool:
        """Say whether this is a question, by the target as it was sent: no other reading of it is one."""
        target = head.target
        return target.startswith(self._path) and target[len(self._path) : len(self._path) + 1] in {b"", b"/", b"?"}

    def admission(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Answer a question.

        Raises:
            PeerRefused: whoever asks is not in ``server.trusted_proxies``.
            OriginalRefused: the original is not told in one way only.
            MethodRefused: a method that is never served.
        """
        if not self._acceptor.peer_is_trusted(head.peer):
            raise PeerRefused("only peers in server.trusted_proxies may ask /verify")
        original = head.recall(self, _Original)
        if original is None:
            original = self._original(head)
            head.remember(self, original)
        admission = self._gate.admit(original.head)
        if isinstance(admission, Awaitable):
            return self._eventually(admission, original.scheme)
        return self._answered(admission, original.scheme)

    async def _eventually(self, asking: Awaitable[Admission], scheme: Scheme) -> Admission:
        return self._answered(await asking, scheme)

    # --- the original -------------------------------------------------------------------------------------------------

    def _original(self, head: RequestHead) -> _Original:
        told = self._told(head)
        if not _TOKEN.fullmatch(told.method):
            raise OriginalRefused("the method of the original is no token")
        if told.method != told.method.upper() or told.method == b"PRI":
            raise MethodRefused("the method of the original has small letters, or is PRI")
        if not told.target.startswith(b"/"):
            raise OriginalRefused("the target of the original is no path")
        if not _AUTHORITY.fullmatch(told.host):
            raise OriginalRefused("the host of the original is none")
        if any(self._is_lookalike[name] for name, _ in head.headers):
            raise OriginalRefused("a field that the proxy passes on reads like one of ours in another spelling")
        fields = (*_fields_of(head, told), *_upgrade(head))
        original = RequestHead(told.method, told.target, fields, head.peer, head.scheme)
        return _Original(original, cast("Scheme", told.scheme.decode()))

    def _told(self, head: RequestHead) -> _Told:
        """Read the set of the source, all of it, and nothing else.

        Raises:
            OriginalRefused
        """
        names = _SETS[self._source]
        for name in sorted(_EVERY_SET.difference(names)):
            if head.values(name):
                raise OriginalRefused(f"{name.decode()} is not of the set that forward_auth.source names")
        values = [_once(head, name) for name in names]
        rest = head.target[len(self._path) :]
        if self._source is Source.PATH:
            if not rest.startswith(BEFORE_TARGET):
                raise OriginalRefused("the target of the original does not stand after /verify/path")
            return _Told(head.method, _scheme(values[0]), _once(head, b"host"), rest[len(BEFORE_TARGET) :])
        told = _of_x_original(*values) if self._source is Source.X_ORIGINAL else _of_x_forwarded(*values)
        # Caddy leaves the query of the original there. Another one is refused: other gateways take rules from it, and
        # who writes them here would wait in vain.
        if rest not in {b"", b"?", b"".join(told.target.partition(b"?")[1:])}:
            raise OriginalRefused("nothing may follow /verify: the rules are those of the file")
        return told

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _answered(self, admission: Admission, scheme: Scheme) -> Reply:
        """Turn what was decided into an answer: a proxy lets the original pass by 200, and by nothing else.

        Raises:
            TypeError: what needs the connection of the original.
        """
        if isinstance(admission, Forward):
            return self._allowed(admission)
        if isinstance(admission, OwnPage):
            return _led_to_own_page(admission, scheme)
        if isinstance(admission, Reply):
            return _seen_from_outside(admission, scheme)
        raise TypeError(f"{type(admission).__name__} in answer to a question")

    def _allowed(self, forward: Forward) -> Reply:
        fields = [(name, value) for name, value in forward.headers if fold(name) in self._said]
        said = _cookies_in_one(fields)
        event = forward.event
        event.status = 200
        headers = (*said, (b"Cache-Control", b"no-store"), (b"X-Request-ID", event.request_id.encode()))
        if self._source is Source.PATH:
            present = {fold(name) for name, _ in said}
            missing = b",".join(name for name in self._removable if name not in present)
            headers = (*headers, (HEADERS_TO_REMOVE, missing))
        return Reply(answer=Answer(200, headers), event=event)


# --- reading ---------------------------------------------------------------------------------------------------------


def _once(head: RequestHead, name: bytes) -> bytes:
    values = head.values(name)
    if len(values) != 1:
        raise OriginalRefused(f"{name.decode()} is there {len(values)} times and is wanted once")
    return values[0]


def _scheme(value: bytes) -> bytes:
    scheme = _SCHEMES.get(value.lower())
    if scheme is None:
        raise OriginalRefused("the scheme of the original is neither http nor https")
    return scheme


def _of_x_forwarded(method: bytes, proto: bytes, host: bytes, uri: bytes) -> _Told:
    return _Told(method, _scheme(proto), host, uri)


def _of_x_original(method: bytes, url: bytes, uri: bytes) -> _Told:
    found = _URL.fullmatch(url)
    if found is None or found[3] != uri:
        # A proxy that sets one of them and passes the client's other would let the client choose.
        raise OriginalRefused("X-Original-URL is not http(s)://host followed by X-Original-URI")
    return _Told(method, _scheme(found[1]), found[2], uri)


def _fields_of(head: RequestHead, told: _Told) -> Iterator[tuple[bytes, bytes]]:
    yield b"Host", told.host
    for name, value in head.headers:
        if name.lower() not in _OF_QUESTION:
            yield name, value
    yield b"X-Forwarded-Proto", told.scheme
    yield b"X-Forwarded-Host", told.host


def _upgrade(head: RequestHead) -> Headers:
    """Return what of a WebSocket handshake is lost on the way: Upgrade is hop-by-hop, and most proxies drop it.

    Sec-WebSocket-Key and -Version are not, and no page can send them by other means (Fetch §2.2.2, forbidden
    ``Sec-``), so that the rule against foreign origins holds.
    """
    is_named = bool(head.values(b"upgrade"))
    if not is_named and not any(name.lower().startswith(b"sec-websocket-") for name, _ in head.headers):
        return ()
    connection = (b"Connection", b"Upgrade")
    return (connection,) if is_named else ((b"Upgrade", b"websocket"), connection)


# --- answering -------------------------------------------------------------------------------------------------------


def said_names(headers: HeaderRules, routes: RouteTable, upstreams: Mapping[str, UpstreamHeaders]) -> frozenset[bytes]:
    """Return the folded names that a 200 says, or says by leaving them out: the proxy lets none of the client's stand.

    Identity and what routes set or remove; what could make the app take another path or method; Cookie, from which ours
    are taken; Authorization where an app gets the access token in its place.
    """
    said = {b"cookie", *headers.identity_names, *OVERRIDES}
    for route in routes.routes:
        said.update(fold(template.field_name) for template in route.header_set)
        said.update(route.header_remove)
    gets_token = [one.authorization_of_session is AuthorizationField.REPLACED for one in upstreams.values()]
    if any(gets_token) or any(route.token_exchange is not None for route in routes.routes):
        said.add(b"authorization")
    return frozenset(said - {b"host"})


def _cookies_in_one(fields: list[tuple[bytes, bytes]]) -> Headers:
    """Join what several Cookie fields hold (HTTP/2 splits them, RFC 9113 §8.2.3): proxies copy one value."""
    cookies = [value for name, value in fields if fold(name) == b"cookie"]
    others = tuple(pair for pair in fields if fold(pair[0]) != b"cookie")
    return (*others, (b"Cookie", b"; ".join(cookies))) if cookies else others


def _led_to_own_page(page: OwnPage, scheme: Scheme) -> Reply:
    """Send the browser itself to the page that ends the session by the app's own link, with what it posted.

    Its answer may be a 200, which here would mean something else.
    """
    location = f"{scheme}://{page.event.host}".encode() + page.target
    page.event.status = 307
    headers = (
        (b"Location", location),
        (b"Cache-Control", b"no-store"),
        (b"X-Request-ID", page.event.request_id.encode()),
    )
    return Reply(answer=Answer(307, headers), event=page.event)


def _seen_from_outside(reply: Reply, scheme: Scheme) -> Reply:
    """Name the whole URL in Location: a proxy such as Traefik reads a path as one of the address that it asked.

    A page of ours that would be a 200 (the one that leads the app's logout link out of a frame) is a 403: the proxy
    takes every 2xx for a leave.
    """
    origin = f"{scheme}://{reply.event.host}".encode()
    headers = tuple(
        (name, origin + value) if name == b"Location" and value.startswith(b"/") else (name, value)
        for name, value in reply.answer.headers
    )
    status = reply.answer.status if reply.answer.status >= HTTPStatus.MULTIPLE_CHOICES else HTTPStatus.FORBIDDEN.value
    reply.event.status = status
    return Reply(answer=replace(reply.answer, status=status, headers=headers), event=reply.event)
