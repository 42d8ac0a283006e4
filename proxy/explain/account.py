"""The account: what became of a request, read from the gate's admission and told by the functions that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from proxy.core.claims import claim_value
from proxy.core.cross_site import route_match
from proxy.core.headers import UnverifiedEmail, fold
from proxy.core.policy import judged
from proxy.core.routing import Ambiguous, Matched, MethodNotAllowed, UnderPrefix, lies_under
from proxy.errors import SidegateError
from proxy.explain.explanation import SENTENCES, Asked, Explanation, Passed, Reply
from proxy.explain.question import PEER
from proxy.ports import Forward, KeepBody, OwnPage
from proxy.ports import Reply as Replied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.core.headers import HeaderTemplate
    from proxy.core.identity import Identity
    from proxy.core.request import RequestHead
    from proxy.core.routing import Met, Route, RouteMatch
    from proxy.core.session import Session
    from proxy.core.target import RequestTarget
    from proxy.explain.stage import Stage
    from proxy.ports import Admission, RequestEvent


class Account:
    """Reads from an admission what became of a request."""

    def __init__(self, stage: Stage, head: RequestHead, session: Session | None, admission: Admission) -> None:
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
        if route is not None:
            yield from _of_route(route, identity)
            identity = route.narrowing.narrowed(identity)
        templates = (*headers.templates, *(() if route is None else route.header_set))
        yield from (note for template in templates for note in _unsent(template, identity.claims))
        if not identity.email_is_verified and headers.unverified_email is UnverifiedEmail.DROP:
            yield "the e-mail address is not sent, for it is not verified; --claim email_verified=true says that it is"
        yield from headers.identity_headers(identity).left_out


def _of_route(route: Route, identity: Identity) -> Iterator[str]:
    """Say what the route keeps from its app, and what token it gives it."""
    told = route.narrowing.narrowed(identity)
    for kind, all_of_them, sent in (
        ("role", identity.roles, told.roles),
        ("group", identity.groups, told.groups),
    ):
        if kept := sorted(all_of_them - sent):
            yield f"the app is not told of the {kind}{'s' if len(kept) > 1 else ''} {', '.join(kept)} (headers.{kind}s)"
    if route.token_exchange is not None:
        yield f"Keycloak is asked for the token for {route.token_exchange.audience}; it may refuse it, which is 403"


def _unsent(template: HeaderTemplate, claims: Mapping[str, object]) -> Iterator[str]:
    if template.render(claims) is None:
        missing = [name for name in template.parts[1::2] if claim_value(claims, name) is None]
        why = f"no claim {missing[0]} was given" if missing else "a claim is neither text, number, truth nor a list"
        yield f"{template.name} is not sent: {why}"


def _no_kept_form() -> Never:
    raise AssertionError("a store that is empty gives no form back")
