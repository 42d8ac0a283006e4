"""``sidegate explain``: what the gate would do with a request, and why, without a network.

A part of the composition root. The gate is the real one, with the rules of the file; a session with the roles, groups
and claims of the command line lies in a store of its own, in memory, and everything that is said of the decision is
read from the gate's admission. Why other routes did not match, and which conditions are met, are told by
``core.routing`` and ``core.policy``, by the predicates that decide.

What only a real request has stands in ``<…>``: tokens, request id, addresses, and what of a person was not given.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Never

from proxy import slices
from proxy.clock import SystemClock
from proxy.core.claims import claim_value
from proxy.core.cross_site import route_match
from proxy.core.headers import UnverifiedEmail, fold
from proxy.core.identity import Identity, IdentityRules, assemble_identity
from proxy.core.policy import judged
from proxy.core.request import RequestHead
from proxy.core.routing import Ambiguous, Matched, MethodNotAllowed, UnderPrefix, lies_under
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin, Session, session_key
from proxy.core.tokens import TokenSet
from proxy.errors import SidegateError
from proxy.explanation import SENTENCES, Asked, Explanation, Passed, Reply
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.handler import Gate, GateParts
from proxy.observe.observer import ProductionObserver
from proxy.ports import Forward, KeepBody, OwnPage
from proxy.ports import Reply as Replied
from proxy.respond import Responder
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.memory_kept import MemoryKeptRequests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.headers import HeaderTemplate
    from proxy.core.request import Headers
    from proxy.core.routing import Met, Route, RouteMatch
    from proxy.core.target import RequestTarget
    from proxy.gate.handler import GateRules
    from proxy.ports import Admission, RequestEvent
    from proxy.settings.model import Settings

PEER: Final = "192.0.2.1"
"""Stands for the browser's address (RFC 5737: nobody's)."""

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*")
_FIELD: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_ABSOLUTE: Final = re.compile(r"(https?)://([^/?#@]+)((?:[/?#].*)?)", re.IGNORECASE | re.DOTALL)


class QuestionRefused(ValueError):
    """The question makes no sense; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
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


def explain(settings: Settings, question: Question) -> Explanation:
    """Say what the gate does with a request.

    Raises:
        QuestionRefused: no such request, or no such person, can be.
    """
    return asyncio.run(_explained(settings, question))


async def _explained(settings: Settings, question: Question) -> Explanation:
    stage = _Stage(settings)
    cookie_value = Secret(secrets.token_urlsafe(32))
    session = None if question.person is None else _session(settings, question.person, cookie_value, stage.clock)
    head = _head(settings, question, None if session is None else cookie_value)
    if session is not None:
        await stage.store.create(cookie_value, session)
    admission = stage.gate.admit(head)
    if isinstance(admission, Awaitable):
        admission = await admission
    return _Account(stage, head, session, admission).explanation(_asked(question, head, session))


# --- the stage -------------------------------------------------------------------------------------------------------


class _Standstill:
    """A ``ports.Clock`` that stands still, so that nothing passes between the decision and its account."""

    def __init__(self) -> None:
        self._now, self._monotonic = SystemClock.now(), SystemClock.monotonic()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic


class _NeverRefreshed:
    """A ``ports.Refresher`` for tokens that nobody made: they are as good as they will ever be."""

    def ready(self, _session: Session) -> bool:
        return True

    async def fresh(self, _cookie_value: Secret, session: Session) -> Session | None:
        return session


class _BlankPages:
    """``ports.Pages`` that nobody reads: of an answer only status and Location are told."""

    def render(self, name: str, **_: object) -> bytes:
        return f"the page {name}".encode()

    def language(self, languages: Sequence[str]) -> str:
        return next(iter(languages), "en")

    def speaks(self, tag: str) -> bool:
        return tag == "en"

    def headers(self, name: str) -> Headers:
        return ((b"X-Page", name.encode()),)


class _Stage:
    """The gate of a file, with a store that is empty so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = _Standstill()
        self.rules: GateRules = slices.gate_rules(settings)
        self.acceptor = Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes)
        observer = ProductionObserver(_nobody_reads, clock=self.clock)
        live = LiveStreamRegistry(observer)
        self.store = MemorySessionStore(self.clock, live=live, observer=observer, limits=MemoryLimits())
        authenticator = Authenticator(
            self.store,
            _NeverRefreshed(),
            client_id=settings.keycloak.client_id,
            clock=self.clock,
            observer=observer,
        )
        self.gate = Gate(
            self.rules,
            GateParts(
                acceptor=self.acceptor,
                authenticator=authenticator,
                kept=MemoryKeptRequests(self.clock, random_bytes=secrets.token_bytes),
                responder=Responder(_BlankPages()),
                observer=observer,
                clock=self.clock,
            ),
        )


def _nobody_reads(_lines: bytes) -> None:
    """Take what the gate would log: all of it is said on the terminal."""


# --- the question ----------------------------------------------------------------------------------------------------


def _head(settings: Settings, question: Question, cookie_value: Secret | None) -> RequestHead:
    """Return what a browser that navigates would send, with the fields of the question in place of its own."""
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


def _place(settings: Settings, url: str) -> tuple[str, str, str]:
    """Return scheme, Host and request-target, byte for byte as given."""
    public = settings.server.public_url
    if url.startswith("/") or url == "*":
        return public.scheme, public.authority, url
    found = _ABSOLUTE.fullmatch(url)
    if found is None:
        _refuse_url(url)
    rest = found[3]
    return found[1].lower(), found[2], rest if rest.startswith("/") else f"/{rest}"


def _refuse_url(url: str) -> Never:
    raise QuestionRefused(f"{url or 'nothing'} is no URL; write a path that begins with /, or https://host/path")


def _field(text: str) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise QuestionRefused(f"{text!r} is no header field; write 'Name: value'")
    return found[1].encode(), found[2].strip(" \t").encode(errors="surrogateescape")


def _asked(question: Question, head: RequestHead, session: Session | None) -> Asked:
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


def _session(settings: Settings, person: Person, cookie_value: Secret, clock: _Standstill) -> Session:
    now = clock.now()
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


# --- the account -----------------------------------------------------------------------------------------------------


class _Account:
    """Reads from an admission what became of a request."""

    def __init__(self, stage: _Stage, head: RequestHead, session: Session | None, admission: Admission) -> None:
        self._stage = stage
        self._head = head
        self._session = session
        self._admission = admission
        self._target, self._match = self._matched()

    @property
    def _event(self) -> RequestEvent:
        admission = self._admission
        return admission.event if isinstance(admission, Forward | OwnPage | Replied | KeepBody) else _no_kept_form()

    def explanation(self, asked: Asked) -> Explanation:
        """Return all of it."""
        event, rules, now = self._event, self._stage.rules, self._stage.clock.now()
        route = self._match.route if isinstance(self._match, Matched) else None
        is_looked = self._target is not None and self._match is not None
        decides = route is not None and event.reason != "logout"
        return Explanation(
            asked=asked,
            route=route,
            looked=rules.routes.trace(self._target, self._asked_method()) if is_looked and self._target else (),
            # A redirect to https is no word of contract §1: what was asked is not done.
            decision="refused" if event.decision == "redirect" else event.decision,
            reason=event.reason,
            sentence=self._sentence(),
            conditions=judged(route.access, self._session, now) if decides and route is not None else (),
            readings=self._readings(),
            reply=self._reply(),
            passed=self._passed(),
            removed=tuple({name.lower(): name for name in self._removed(route)}.values()),
            notes=tuple(self._notes(route)),
        )

    def _matched(self) -> tuple[RequestTarget | None, RouteMatch | None]:
        """Return what the gate matched; None twice when it came to no route."""
        stage = self._stage
        try:
            accepted = stage.acceptor.accept(self._head, "")
        except SidegateError:
            return None, None
        if self._event.reason == "https" or lies_under(stage.rules.own_prefix, accepted.target) is not UnderPrefix.NONE:
            return None, None
        return accepted.target, route_match(stage.rules.routes, accepted)

    def _asked_method(self) -> bytes:
        """Return the method that met the route: of a preflight that passes it is the one to come."""
        if self._event.reason != "preflight":
            return self._head.method
        return self._head.value(b"access-control-request-method") or self._head.method

    def _sentence(self) -> str:
        event = self._event
        if event.fault is not None:
            return event.fault
        if isinstance(self._match, MethodNotAllowed):
            return f"{SENTENCES[event.reason]}; they take {', '.join(self._match.allow)}"
        if event.decision == "forbid" and isinstance(self._match, Matched):
            conditions = judged(self._match.route.access, self._session, self._stage.clock.now())
            lacking = [str(one.lack) for one in conditions if one.lack is not None and not one.is_met]
            if lacking and event.reason not in {"cross_site", "service_worker"}:
                return f"the account lacks {'; and '.join(lacking)}"
        return SENTENCES.get(event.reason, "see the log")

    def _readings(self) -> tuple[Met, ...]:
        if not isinstance(self._match, Ambiguous) or self._target is None:
            return ()
        met = self._stage.rules.routes.met(self._target)
        return met[0], next(one for one in met if one.reading == self._match.reading)

    def _reply(self) -> Reply | None:
        admission = self._admission
        if isinstance(admission, KeepBody):
            admission = admission.lead("<kept>")
        if not isinstance(admission, Replied):
            return None
        answer = admission.answer
        location = next((value.decode() for name, value in answer.headers if name.lower() == b"location"), None)
        return Reply(answer.status, location)

    # --- what reaches the app -----------------------------------------------------------------------------------------

    def _passed(self) -> Passed | None:
        forward = self._admission
        if not isinstance(forward, Forward):
            return None
        return Passed(
            upstream=forward.upstream,
            url=str(self._stage.settings.upstreams[forward.upstream].url),
            method=forward.method.decode("ascii"),
            target=forward.target.decode("ascii", "backslashreplace"),
            headers=tuple(self._shown(name, value) for name, value in forward.headers),
        )

    def _shown(self, name: bytes, value: bytes) -> tuple[str, str]:
        event, text = self._event, value.decode("utf-8", "backslashreplace")
        made = {event.request_id: "<request id>", event.traceparent: "<trace context>"}
        if text in made and value not in self._head.values(name.lower()):
            text = made[text]
        if name == b"X-Forwarded-For":
            text = text.replace(PEER, "<client address>")
        return name.decode(), text

    def _removed(self, route: Route | None) -> Iterator[str]:
        """Name what was sent and is not passed on, and what the route takes out."""
        if not isinstance(self._admission, Forward):
            return
        passed = list(self._admission.headers)
        own = self._stage.rules.headers.identity_names
        passed_on = [field for field in passed if fold(field[0]) not in own]
        for name, value in self._head.headers:
            if name.lower() == b"cookie":
                kept = {pair.strip() for key, pairs in passed if key == name for pair in pairs.split(b";")}
                gone = [pair for pair in value.split(b";") if pair.strip() not in kept]
                yield from (f"Cookie {pair.partition(b'=')[0].strip().decode('ascii', 'replace')}" for pair in gone)
            elif name.lower() != b"host" and (name, value) not in passed_on:
                yield name.decode()
        if route is not None and route.index < len(self._stage.settings.routes):
            yield from self._stage.settings.routes[route.index].headers.remove

    def _notes(self, route: Route | None) -> Iterator[str]:
        """Say what of a person does not reach the app, and what is done with a form that must wait."""
        if isinstance(self._admission, KeepBody):
            yield "what was sent is kept, and sent on after that, once, if it is the same person"
        if not isinstance(self._admission, Forward) or self._admission.allow.session is None:
            return
        headers, identity = self._stage.rules.headers, self._admission.allow.session.identity
        templates = (*headers.templates, *(() if route is None else route.header_set))
        yield from (note for template in templates for note in _unsent(template, identity.claims))
        if not identity.email_is_verified and headers.unverified_email is UnverifiedEmail.DROP:
            yield "the e-mail address is not sent, for it is not verified; --claim email_verified=true says that it is"
        yield from headers.identity_headers(identity).left_out


def _unsent(template: HeaderTemplate, claims: Mapping[str, object]) -> Iterator[str]:
    if template.render(claims) is None:
        missing = [name for name in template.parts[1::2] if claim_value(claims, name) is None]
        why = f"no claim {missing[0]} was given" if missing else "a claim is neither text, number, truth nor a list"
        yield f"{template.name} is not sent: {why}"


def _no_kept_form() -> Never:
    raise AssertionError("a store that is empty gives no form back")


def document_text(explanation: Explanation) -> str:
    """Return the document as it is printed."""
    document: dict[str, Any] = explanation.document()
    return json.dumps(document, indent=2, ensure_ascii=False)
