"""The question: a request and a person, as the command line names them, made into what the gate takes.

A claim that was not given meets no condition; in headers its place is taken by its name in ``<…>``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Never

from msgspec import Struct
from msgspec.structs import replace

from proxy import slices
from proxy.core.hosts import WILDCARD, is_wildcard
from proxy.core.identity import Identity, IdentityRules, assemble_identity
from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin, Session, session_key
from proxy.core.tokens import TokenSet
from proxy.explain.explanation import Asked
from proxy.gate.accept import normal_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings

PEER: Final = "192.0.2.1"
"""Stands for the browser's address (RFC 5737: nobody's)."""

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*")
_FIELD: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_ABSOLUTE: Final = re.compile(r"(https?)://([^/?#@]+)((?:[/?#].*)?)", re.IGNORECASE | re.DOTALL)


class QuestionRefused(ValueError):
    """The question makes no sense; the message says what to write instead."""


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who is signed in.

    Attributes:
        roles: ``admin`` (realm), ``client:role``, ``realm:a:b``.
        groups: full paths; one without a slash at the start is read with one.
        claims: ``NAME=VALUE``; a value that is JSON is that, any other is text; a name twice is a list.
        authenticated_ago_s: seconds since they were asked for proof.
    """

    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    acr: str | None = None
    authenticated_ago_s: float = 0.0


class Question(Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        url: absolute, or a path as it stands in the request line.
        headers: ``Name: value``; one takes the place of ours with the same name.
        person: None is a stranger.
    """

    method: str
    url: str
    headers: tuple[str, ...] = ()
    person: Person | None = None


# --- the request -----------------------------------------------------------------------------------------------------


def head_of(settings: Settings, question: Question, cookie_value: Secret | None) -> RequestHead:
    """Return what a browser that navigates would send, with the fields of the question in place of its own.

    Raises:
        QuestionRefused: no such request can be.
    """
    if not _METHOD.fullmatch(question.method):
        raise QuestionRefused(f"{question.method} is no method; write it in capitals, such as GET")
    scheme, host, target = _place(settings, question.url)
    given = tuple(map(_field, question.headers))
    names = {name.lower() for name, _ in given}
    own = [(b"Host", host.encode(errors="surrogateescape")), (b"Accept", b"text/html")]
    fields = [field for field in own if field[0].lower() not in names]
    if cookie_value is not None:
        name = slices.own_cookies(settings).session
        fields.append((b"Cookie", name + b"=" + cookie_value.reveal().encode()))
    return RequestHead(
        method=question.method.encode(),
        target=target.encode(errors="surrogateescape"),
        headers=(*fields, *given),
        peer=PEER,
        scheme="https" if scheme == "https" else "http",
    )


def site_asked(sites: Sequence[SiteSettings], question: Question) -> SiteSettings:
    """Return the site whose host the question names; the first for a path alone, and for a host that none has.

    Raises:
        QuestionRefused: the URL or a field is none.
    """
    first = sites[0]
    if len(sites) == 1:
        return first
    scheme, host, _ = _place(first.settings, question.url)
    named = [value for name, value in map(_field, question.headers) if name.lower() == b"host"]
    normal = normal_host(named[0] if named else host, scheme)
    at_path = question.url.startswith("/") and not named
    # A name is itself, whatever another's wildcard stands for.
    exact = (one for one in sites if normal in one.settings.server.host_values.exact)
    wide = (one for one in sites if normal in one.settings.server.host_values)
    return first if at_path else next(exact, None) or next(wide, first)


def _place(settings: Settings, url: str) -> tuple[str, str, str]:
    """Return scheme, Host and request-target, byte for byte as given."""
    public = settings.server.public_url
    if url.startswith("/") or url == "*":
        return public.scheme, _at_some_host(public.authority), url
    found = _ABSOLUTE.fullmatch(url)
    if found is None:
        _refuse_url(url)
    rest = found[3]
    return found[1].lower(), found[2], rest if rest.startswith("/") else f"/{rest}"


def _at_some_host(authority: str) -> str:
    """Return an authority at which the site is answered: of a wildcard any name will do, for all are alike."""
    return authority.replace(WILDCARD, "any.", 1) if is_wildcard(authority) else authority


def _refuse_url(url: str) -> Never:
    raise QuestionRefused(f"{url or 'nothing'} is no URL; write a path that begins with /, or https://host/path")


def _field(text: str) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise QuestionRefused(f"{text!r} is no header field; write 'Name: value'")
    return found[1].encode(), found[2].strip(" \t").encode(errors="surrogateescape")


def asked_of(question: Question, head: RequestHead, session: Session | None) -> Asked:
    """Return the question as it was understood."""
    host = (head.value(b"host") or b"").decode("ascii", "backslashreplace")
    target = head.target.decode("ascii", "backslashreplace")
    person: dict[str, object] | None = None
    if session is not None and question.person is not None:
        claims = _claims(question.person.claims)
        identity = session.identity
        person = {"roles": sorted(identity.roles), "groups": sorted(identity.groups), "claims": claims}
        person |= {"acr": session.acr} if session.acr is not None else {}
    return Asked(method=question.method, url=f"{head.scheme}://{host}{target}", person=person)


# --- the person ------------------------------------------------------------------------------------------------------


def session_of(settings: Settings, person: Person, cookie_value: Secret, now: float) -> Session:
    """Return a session that begins ``now`` (Unix seconds).

    Raises:
        QuestionRefused: no token gives such rights.
    """
    return Session(
        key=session_key(cookie_value),
        client_id=settings.keycloak.client_id,
        identity=_identity(settings, person),
        tokens=TokenSet(Secret("<access token>"), None, None, now, None, None),
        sid=None,
        origin=LoginOrigin.CODE,
        issued_at=now,
        authenticated_at=now - person.authenticated_ago_s,
        acr=person.acr,
        created_at=now,
        expires_at=now + settings.sessions.lifetime,
        idle_timeout_s=settings.sessions.idle_timeout,
    )


def _identity(settings: Settings, person: Person) -> Identity:
    """Return the identity that a token with these claims gives; what was not given stands in ``<…>``."""
    client_id, username_claim = settings.keycloak.client_id, settings.identity_headers.username_claim
    claims = _claims(person.claims)
    subject = claims.get("sub", "<sub>")
    if not isinstance(subject, str) or not subject:
        raise QuestionRefused("--claim sub is text; put a number in quotes: --claim 'sub=\"5\"'")
    rules = IdentityRules(issuer=settings.keycloak.issuer, client_id=client_id, username_claim=username_claim)
    given = assemble_identity(subject, [{**claims, **_rights(person, client_id)}], rules=rules)
    _refuse_impossible(person, given)
    return replace(
        given,
        username=given.username or f"<{username_claim}>",
        name=given.name or "<name>",
        email=given.email or "<email>",
        email_is_verified=given.email_is_verified or given.email is None,
    )


def _rights(person: Person, client_id: str) -> dict[str, object]:
    """Return roles and groups as Keycloak's claims; those of which none was given are left out."""
    realm: list[str] = []
    clients: dict[str, dict[str, list[str]]] = {}
    for role in person.roles:
        own, is_own, of_own = role.partition(f"{client_id}:")
        client, colon, name = (client_id, ":", of_own) if is_own and not own else role.partition(":")
        if not colon:
            realm.append(role)
        elif client == "realm" != client_id and ":" in name:
            realm.append(name)
        else:
            clients.setdefault(client, {"roles": []})["roles"].append(name)
    claims = {"realm_access": {"roles": realm} if realm else {}, "resource_access": clients, "groups": person.groups}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in claims.items() if value}


def _refuse_impossible(person: Person, identity: Identity) -> None:
    for role in person.roles:
        if role not in identity.roles:
            raise QuestionRefused(f"--role {role}: no token gives such a role; write NAME, CLIENT:NAME or realm:NA:ME")
    for group in person.groups:
        if group.removeprefix("/") not in {one.removeprefix("/") for one in identity.groups}:
            raise QuestionRefused(f"--group {group}: no token gives such a group; write its path, such as /staff")


def _claims(given: Iterable[str]) -> dict[str, object]:
    claims: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise QuestionRefused(f"--claim {text}: write NAME=VALUE")
        read = _claim(value)
        if name not in claims:
            claims[name] = read
        else:
            before = claims[name]
            claims[name] = [*(before if isinstance(before, list) else [before]), read]
    return claims


def _claim(value: str) -> object:
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return value


def _no_constant(name: str) -> Never:
    """Refuse ``NaN`` and its like, which are no JSON (RFC 8259 §6)."""
    raise ValueError(name)
