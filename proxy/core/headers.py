"""What becomes of header fields on the way to the app; the way back is ``answer_headers.py``.

Drop first, then put, on every route (law 3). Names are compared folded, because servers behind us fold
them too: WSGI, CGI and PHP see ``X_Auth_Roles`` and ``X-Auth-Roles`` as one. What a client lists in Connection is
dropped before ours are put, so that it cannot take ours away (RFC 9110 §7.6.1).

Framing is not here: neither Content-Length nor Transfer-Encoding nor any hop-by-hop field is in what these functions
return; whoever writes the message writes them (:data:`NEVER_PASSED`).

===========================  =====================================================  =============================
dropped from requests        names                                                  unless
===========================  =====================================================  =============================
:data:`NEVER_PASSED`         framing, hop-by-hop, what Connection names             never
identity                     every name of every preset, ``set``, the assertion's   never
put by us                    X-Forwarded-For/-Proto/-Host/-Port, request id, trace  never
:data:`OVERRIDES`            X-Original-URL and the like                            ``allow_request_headers``
:data:`CLIENT_ADDRESS`       X-Forwarded-*, Forwarded, X-Real-IP and the like       the same, or a trusted peer
===========================  =====================================================  =============================

Everything is compiled at start; verdicts on names are remembered, up to a cap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from proxy.core.claims import claim_value
from proxy.core.cookies import OwnCookies, fold_cookie_name
from proxy.core.remembered import Remembered
from proxy.core.request import PeerTrust
from proxy.core.request_fields import Block, HeadBlock, RequestFields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.identity import Identity
    from proxy.core.request import Accepted, Headers
    from proxy.core.secret import Secret

Field = tuple[bytes, bytes]

MAX_LIST_BYTES = 4096
"""Bytes of one header of roles or groups, about 200 names. nginx takes lines of 8 KiB, gunicorn and Apache of 8190
bytes, and Tomcat a whole head of 8 KiB: the rest is for the app's own cookies. What is beyond is left out and told."""

MAX_VALUE_BYTES = 1024
"""Bytes of any other header that we make; a longer name or e-mail address is nobody's."""

_FOLD = bytes(byte if chr(byte).isalnum() and byte < 128 else 0x2D for byte in range(256)).lower()


def fold(name: bytes) -> bytes:
    """Return a field name as it is compared: lower case, and whatever is neither letter nor digit as ``-``.

    CGI turns ``-`` into ``_`` (RFC 3875 §4.1.18), and old servers every other sign as well.
    """
    return name.translate(_FOLD)


# --- names -----------------------------------------------------------------------------------------------------------


class Preset(StrEnum):
    """``identity_headers.preset`` (contract §5)."""

    X_AUTH = "x-auth"
    X_AUTH_REQUEST = "x-auth-request"
    X_FORWARDED = "x-forwarded"
    REMOTE = "remote"
    NONE = "none"


class _Roles(Enum):
    """Where roles go."""

    OWN_FIELD = "own_field"
    AMONG_GROUPS = "among_groups"
    NOWHERE = "nowhere"


class _Names(Struct, frozen=True, kw_only=True):
    """The fields of a preset; None is not sent."""

    subject: bytes | None = None
    username: bytes | None = None
    email: bytes | None = None
    name: bytes | None = None
    roles: bytes | None = None
    groups: bytes | None = None
    roles_go: _Roles = _Roles.NOWHERE

    def all(self) -> Iterable[bytes]:
        """Return every name."""
        fields = (self.subject, self.username, self.email, self.name, self.roles, self.groups)
        return (name for name in fields if name is not None)


_PRESETS: Mapping[Preset, _Names] = {
    Preset.X_AUTH: _Names(
        subject=b"X-Auth-Subject",
        username=b"X-Auth-Username",
        email=b"X-Auth-Email",
        name=b"X-Auth-Name",
        roles=b"X-Auth-Roles",
        groups=b"X-Auth-Groups",
        roles_go=_Roles.OWN_FIELD,
    ),
    Preset.X_AUTH_REQUEST: _Names(
        subject=b"X-Auth-Request-User",
        username=b"X-Auth-Request-Preferred-Username",
        email=b"X-Auth-Request-Email",
        groups=b"X-Auth-Request-Groups",
        roles_go=_Roles.AMONG_GROUPS,
    ),
    Preset.X_FORWARDED: _Names(
        subject=b"X-Forwarded-User",
        username=b"X-Forwarded-Preferred-Username",
        email=b"X-Forwarded-Email",
        groups=b"X-Forwarded-Groups",
        roles_go=_Roles.AMONG_GROUPS,
    ),
    Preset.REMOTE: _Names(username=b"Remote-User", email=b"Remote-Email", name=b"Remote-Name", groups=b"Remote-Groups"),
    Preset.NONE: _Names(),
}

ASSERTION_NAME = b"X-Sidegate-Assertion"
"""The usual name of the signed assertion: dropped from clients whether we send one or not."""

IDENTITY_NAMES = frozenset(fold(name) for names in _PRESETS.values() for name in names.all()) | {fold(ASSERTION_NAME)}
"""Every name of every preset, folded: an app may have been set up for another preset than ours."""

NEVER_PASSED = frozenset(
    b"connection keep-alive te trailer transfer-encoding content-length upgrade expect http2-settings".split()
)
"""Hop-by-hop and framing fields (RFC 9110 §7.6.1, RFC 9112 §6, RFC 7540 §3.2.1), and every ``Proxy-*``."""

OVERRIDES = frozenset(
    b"x-original-url x-original-uri x-rewrite-url x-http-method x-http-method-override x-method-override proxy".split()
)
"""Fields by which some apps take another path or method than the one that was decided about (contract §5)."""

CLIENT_ADDRESS = frozenset(b"forwarded front-end-https x-real-ip true-client-ip x-client-ip".split())
"""What only a trusted peer may say about the client, beside every ``X-Forwarded-*``."""

_PUT_BY_US = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-request-id traceparent".split()
)
_NOT_FOR_OPERATORS = NEVER_PASSED | frozenset({b"host", b"cookie"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def checked_field_name(name: str) -> bytes:
    """Return a name that an operator may set.

    Raises:
        ValueError: no token (RFC 9110 §5.6.2), or Host, Cookie, a framing or hop-by-hop field.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header field")
    folded = fold(name.encode())
    if folded in _NOT_FOR_OPERATORS or folded.startswith(b"proxy-"):
        raise ValueError(f"{name} is written by Sidegate itself and cannot be set")
    return name.encode()


# --- templates -------------------------------------------------------------------------------------------------------

_CLAIM = re.compile(r"\{claims\.([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class HeaderTemplate:
    """A field of ``identity_headers.set``: text with ``{claims.name}`` in it.

    Raises:
        ValueError: a bad name, braces that are no claim, or text that is no field value.
    """

    name: str
    text: str
    field_name: bytes = field(init=False)
    parts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Split the text: literals at even places, names of claims at odd ones."""
        parts = tuple(_CLAIM.split(self.text))
        if any(sign in literal for literal in parts[::2] for sign in "{}"):
            raise ValueError(f"{self.name}: braces hold a claim, as in {{claims.department}}")
        if any(_UNSENDABLE.search(literal) for literal in parts[::2]):
            raise ValueError(f"{self.name}: a field value has no control characters")
        object.__setattr__(self, "field_name", checked_field_name(self.name))
        object.__setattr__(self, "parts", parts)

    def render(self, claims: Mapping[str, object]) -> str | None:
        """Return the value, or None when a claim is missing or is no text, number, truth value or list of them."""
        rendered: list[str] = []
        for index, part in enumerate(self.parts):
            text = part if index % 2 == 0 else _claim_text(claim_value(claims, part))
            if text is None:
                return None
            rendered.append(text)
        return "".join(rendered)


def _claim_text(value: object) -> str | None:
    if isinstance(value, list | tuple):
        entries = [text for entry in value if (text := _scalar_text(entry)) is not None and "," not in text]
        return ",".join(entries) if entries else None
    return _scalar_text(value)


def _scalar_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value else None


# --- identity --------------------------------------------------------------------------------------------------------

_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters of both sets, the two line ends of Unicode, and what UTF-8 cannot say."""


def is_sendable(text: str) -> bool:
    """Say whether a text can be told to an app as it stands: trimmed or cleaned it could be somebody else's name."""
    return _UNSENDABLE.search(text) is None and text == text.strip()


class UnverifiedEmail(Enum):
    """What becomes of an e-mail address that the provider has not verified."""

    DROP = "drop"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class RenderedIdentity:
    """Fields that say who is there, sentences about what could not be said, and the claims for a route's own fields.

    Attributes:
        truncated: names of lists that were too long, and are sent without their end.
    """

    headers: Headers
    left_out: tuple[str, ...] = ()
    claims: Mapping[str, object] = field(default_factory=dict)
    truncated: tuple[str, ...] = ()
    block: Block = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Give the fields a place for their lines."""
        object.__setattr__(self, "block", Block(self.headers))


NOBODY = RenderedIdentity(())


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRules:
    """``identity_headers`` of one portal and what goes with it, compiled once.

    Attributes:
        templates: ``set``; they win over a preset's field of the same name.
        assertion: name of the assertion's field; None when there is none.
        cookie_strip: further cookies that the app must not see.
        client_id: our own client, whose roles are sent; ``role_clients`` are the others.
    """

    client_id: str
    cookies: OwnCookies = field(default_factory=OwnCookies)
    preset: Preset = Preset.X_AUTH
    templates: tuple[HeaderTemplate, ...] = ()
    assertion: str | None = None
    unverified_email: UnverifiedEmail = UnverifiedEmail.DROP
    role_clients: tuple[str, ...] = ()
    cookie_strip: tuple[str, ...] = ()
    identity_names: frozenset[bytes] = field(init=False, repr=False)
    assertion_field: bytes = field(init=False, repr=False)
    _role_prefixes: tuple[str, ...] = field(init=False, repr=False)
    _keeps_cookie: Remembered[bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Gather the names that no client may send."""
        own = {fold(template.field_name) for template in self.templates}
        assertion = ASSERTION_NAME if self.assertion is None else checked_field_name(self.assertion)
        own.add(fold(assertion))
        object.__setattr__(self, "assertion_field", assertion)
        stripped = self.cookies.every_name | {fold_cookie_name(name.encode()) for name in self.cookie_strip}
        object.__setattr__(self, "identity_names", IDENTITY_NAMES | own)
        object.__setattr__(self, "_role_prefixes", tuple(f"{name}:" for name in (self.client_id, *self.role_clients)))
        object.__setattr__(self, "_keeps_cookie", Remembered(lambda name: fold_cookie_name(name) not in stripped))

    def identity_headers(self, identity: Identity) -> RenderedIdentity:
        """Return the fields of a person; the gate keeps them for as long as the session stays as it is."""
        names, page = _PRESETS[self.preset], _FieldSheet()
        page.put(names.subject, identity.subject)
        page.put(names.username, identity.username)
        page.put(names.email, self.email_sent(identity))
        page.put(names.name, identity.name)
        roles = self.roles_sent(identity)
        groups = sorted(identity.groups)
        if names.roles_go is _Roles.AMONG_GROUPS:
            groups += [f"role:{role}" for role in roles]
        page.put_list(names.roles, roles)
        page.put_list(names.groups, groups)
        for template in self.templates:
            page.put(template.field_name, template.render(identity.claims))
        return page.finished(identity.claims)

    def roles_sent(self, identity: Identity) -> list[str]:
        """Return the roles of which the app hears, in the order in which they are sent."""
        return sorted(filter(self._is_sent, identity.roles))

    def email_sent(self, identity: Identity) -> str | None:
        """Return the e-mail address, unless it is not verified and such are dropped."""
        sends = identity.email_is_verified or self.unverified_email is UnverifiedEmail.SEND
        return identity.email if sends else None

    def _is_sent(self, role: str) -> bool:
        """Say whether the app hears of a role: the realm's, our own client's, and those of ``role_clients``."""
        if ":" not in role or role.startswith(self._role_prefixes):
            return True
        return role.startswith("realm:") and role.count(":") > 1

    def without_own_cookies(self, cookies: bytes) -> bytes:
        """Return a Cookie value without ours and ``cookie.strip``; the others byte for byte (RFC 6265 §4.2.1)."""
        pairs = cookies.split(b";")
        keeps = self._keeps_cookie
        kept = [pair for pair in pairs if keeps[pair.partition(b"=")[0]]]
        if len(kept) == len(pairs):
            return cookies
        return b";".join(kept).lstrip(b" \t")


class _FieldSheet:
    """Fields being made: the last of one name wins; what cannot be sent is told."""

    def __init__(self) -> None:
        self._fields: dict[bytes, Field] = {}
        self._left_out: list[str] = []
        self._truncated: list[str] = []

    def put(self, name: bytes | None, value: str | None) -> None:
        """Put a text. One with control characters or space around it is left out whole: trimmed or cleaned it could
        be somebody else's name.
        """
        if name is None or not value:
            return
        if not is_sendable(value):
            self._left_out.append(f"{name.decode()}: the value has control characters or space around it")
        elif len(encoded := value.encode()) > MAX_VALUE_BYTES:
            self._left_out.append(f"{name.decode()}: the value is longer than {MAX_VALUE_BYTES} bytes")
        else:
            self._fields[fold(name)] = (name, encoded)

    def put_list(self, name: bytes | None, entries: Sequence[str]) -> None:
        """Put a list, joined by commas: an entry that holds one would be two.

        Of a list that is too long the first entries are sent, in alphabetical order and each whole, so that the same
        person is always told of in the same way.
        """
        if name is None:
            return
        sent: list[bytes] = []
        length = 0
        for entry in entries:
            if not entry or "," in entry or not is_sendable(entry):
                self._left_out.append(f"{name.decode()}: {entry!r} has a comma, control characters or space around it")
                continue
            encoded = entry.encode()
            if length + len(encoded) + 1 > MAX_LIST_BYTES:
                self._left_out.append(f"{name.decode()}: more than {MAX_LIST_BYTES} bytes; the rest is left out")
                self._truncated.append(name.decode())
                break
            sent.append(encoded)
            length += len(encoded) + 1
        if sent:
            self._fields[fold(name)] = (name, b",".join(sent))

    def finished(self, claims: Mapping[str, object]) -> RenderedIdentity:
        """Return what was put."""
        return RenderedIdentity(tuple(self._fields.values()), tuple(self._left_out), claims, tuple(self._truncated))


# --- verdicts on names -----------------------------------------------------------------------------------------------


class _Verdict(IntEnum):
    """What becomes of a field; the last ones need a look at its value."""

    KEEP = 0
    DROP = 1
    HOST = 2
    COOKIE = 3
    CONNECTION = 4
    AUTHORIZATION = 5


_KEEP, _DROP, _CONNECTION = _Verdict.KEEP, _Verdict.DROP, _Verdict.CONNECTION
_HOST, _COOKIE = _Verdict.HOST, _Verdict.COOKIE


class _RequestVerdicts:
    """What becomes of a client's fields, for one upstream and one kind of peer."""

    def __init__(self, dropped: frozenset[bytes], *, allowed: frozenset[bytes], trust: PeerTrust) -> None:
        self._dropped = dropped
        self._allowed = allowed
        self._trust = trust

    def __call__(self, name: bytes) -> _Verdict:
        folded = fold(name)
        if folded in self._dropped or folded.startswith(b"proxy-"):
            return _CONNECTION if folded == b"connection" else _DROP
        if folded in _LOOKED_INTO:
            return _LOOKED_INTO[folded]
        if folded in self._allowed:
            return _KEEP
        if folded in OVERRIDES or (self._trust is PeerTrust.UNTRUSTED and _speaks_of_client(folded)):
            return _DROP
        return _KEEP


def _speaks_of_client(folded: bytes) -> bool:
    return folded in CLIENT_ADDRESS or folded.startswith(b"x-forwarded-")


_LOOKED_INTO: Mapping[bytes, _Verdict] = {
    b"host": _Verdict.HOST,
    b"cookie": _Verdict.COOKIE,
    b"authorization": _Verdict.AUTHORIZATION,
}


# --- to the upstream -------------------------------------------------------------------------------------------------


class HostField(Enum):
    """Which Host the upstream gets (``preserve_host``)."""

    PRESERVED = "preserved"
    OF_UPSTREAM = "of_upstream"


class AccessTokenField(Enum):
    """Whether the upstream gets the session's access token as a Bearer (``access_token``)."""

    SENT = "sent"
    WITHHELD = "withheld"


class AuthorizationField(Enum):
    """What becomes of the client's own Authorization."""

    PASSED = "passed"
    REPLACED = "replaced"


_PASSED, _REPLACED = AuthorizationField.PASSED, AuthorizationField.REPLACED


class RouteFields(Protocol):
    """What a route says about fields (``core.routing.Route``)."""

    @property
    def header_set(self) -> tuple[HeaderTemplate, ...]:
        """Fields put last."""

    @property
    def header_remove(self) -> frozenset[bytes]:
        """Folded names taken out."""


class RequestIds(Protocol):
    """The ids of one request (``core.request.Accepted``, ``ports.RequestEvent``)."""

    @property
    def request_id(self) -> str:
        """See ``core.request.Accepted``."""

    @property
    def traceparent(self) -> str:
        """See ``core.request.Accepted``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamHeaders:
    """What goes to one upstream, compiled once.

    Attributes:
        host: the upstream's own Host, with its port when that is not the scheme's own.
        allow_request_headers: names of the second list of contract §5; others have no effect.
        authorization_of_session: what becomes of the client's Authorization when somebody is signed in.
    """

    rules: HeaderRules
    host: bytes
    host_field: HostField = HostField.PRESERVED
    access_token_field: AccessTokenField = AccessTokenField.WITHHELD
    allow_request_headers: tuple[str, ...] = ()
    authorization_of_session: AuthorizationField = field(init=False, repr=False, compare=False)
    _verdicts: Mapping[PeerTrust, Remembered[_Verdict]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Settle what becomes of each name."""
        dropped = NEVER_PASSED | self.rules.identity_names | _PUT_BY_US
        allowed = frozenset(fold(name.encode()) for name in self.allow_request_headers)
        verdicts = {trust: Remembered(_RequestVerdicts(dropped, allowed=allowed, trust=trust)) for trust in PeerTrust}
        of_session = _REPLACED if self.access_token_field is AccessTokenField.SENT else _PASSED
        object.__setattr__(self, "authorization_of_session", of_session)
        object.__setattr__(self, "_verdicts", verdicts)

    def for_request(
        self, accepted: Accepted, *, identity: RenderedIdentity, route: RouteFields, access_token: Secret | None = None
    ) -> Headers:
        """Return every end-to-end field for the upstream: Host, the client's in order, then ours.

        Args:
            identity: :data:`NOBODY` when there is none.
            access_token: the session's; sent only where the upstream is to have it, in place of the client's
                Authorization.
        """
        authorization = _PASSED if access_token is None else self.authorization_of_session
        head = accepted.head
        of_head = HeadBlock(head.method, head.target, self.of_head(accepted, authorization))
        return tuple(self.completed(of_head, accepted, identity=identity, route=route, access_token=access_token))

    def of_head(self, accepted: Accepted, authorization: AuthorizationField) -> Headers:
        """Return the fields that follow from the head and the rules alone: the same for equal heads."""
        return (*self._of_client(accepted, authorization), *_about_way(accepted))

    def completed(
        self,
        of_head: HeadBlock,
        ids: RequestIds,
        *,
        identity: RenderedIdentity,
        route: RouteFields,
        access_token: Secret | None = None,
        further: Headers = (),
    ) -> Headers | RequestFields:
        """Return what :meth:`of_head` gave, followed by what is of this one request (see :meth:`for_request`).

        Args:
            further: fields about the person that are not of ``identity``; a route may take them out like any other.
        """
        parts = RequestFields(of_head, ids.request_id.encode(), ids.traceparent.encode(), identity.block)
        is_replaced = access_token is not None and self.authorization_of_session is _REPLACED
        if not (is_replaced or further or route.header_remove or route.header_set):
            return parts
        fields = (*parts, *further)
        if access_token is not None and is_replaced:
            fields = (*fields, (b"Authorization", b"Bearer " + access_token.reveal().encode()))
        if route.header_remove or route.header_set:
            return _as_route_says(fields, route, identity.claims)
        return fields

    def _of_client(self, accepted: Accepted, authorization: AuthorizationField) -> list[Field]:
        """Return Host and what passes of the client's own fields."""
        verdicts = self._verdicts[accepted.peer_trust]
        fields: list[Field] = [(b"Host", self.host)]
        named: list[bytes] = []
        for header in accepted.head.headers:
            verdict = verdicts[header[0]]
            if verdict is _KEEP:
                fields.append(header)
            elif verdict is _DROP:
                continue
            elif verdict is _COOKIE:
                if cookies := self.rules.without_own_cookies(header[1]):
                    fields.append((header[0], cookies))
            elif verdict is _HOST:
                if self.host_field is HostField.PRESERVED:
                    fields[0] = header
            elif verdict is _CONNECTION:
                named.append(header[1])
            elif authorization is _PASSED:
                fields.append(header)
        return fields if all(value in HARMLESS_CONNECTION for value in named) else _not_named(fields, named)


HARMLESS_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive", b"close", b"Upgrade", b"upgrade"})
"""The ordinary values of Connection; they name nothing that is still there."""


def _not_named(fields: list[Field], connection: Iterable[bytes]) -> list[Field]:
    """Take out what Connection names (RFC 9110 §7.6.1); Host, the first, stays."""
    named = {fold(token.strip()) for value in connection for token in value.split(b",")}
    return [header for index, header in enumerate(fields) if index == 0 or fold(header[0]) not in named]


def _as_route_says(fields: Sequence[Field], route: RouteFields, claims: Mapping[str, object]) -> Headers:
    """Take out and put what the route says; Host, the first, stays. A field whose claim is missing is not sent."""
    removed = route.header_remove | {fold(template.field_name) for template in route.header_set}
    sheet = _FieldSheet()
    for template in route.header_set:
        sheet.put(template.field_name, template.render(claims))
    kept = [header for index, header in enumerate(fields) if index == 0 or fold(header[0]) not in removed]
    return (*kept, *sheet.finished(claims).headers)


def _about_way(accepted: Accepted) -> tuple[Field, ...]:
    """Return what is said of the way so far; the last hop of X-Forwarded-For is the peer that we saw ourselves."""
    peer = accepted.head.peer
    chain = (*accepted.forwarded_for, peer) if peer else accepted.forwarded_for
    about_host = _host_fields(accepted.scheme, accepted.host)
    if not chain:
        return about_host
    return ((b"X-Forwarded-For", ", ".join(chain).encode()), *about_host)


@lru_cache(maxsize=256)
def _host_fields(scheme: str, host: str) -> tuple[Field, ...]:
    """Return the fields about scheme and host; a process answers for a handful of hosts."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]") or not name:
        port = "443" if scheme == "https" else "80"
    return (
        (b"X-Forwarded-Proto", scheme.encode()),
        (b"X-Forwarded-Host", host.encode()),
        (b"X-Forwarded-Port", port.encode()),
    )
