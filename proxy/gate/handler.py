"""The gate: one request head in, one admission out; the way of a request stands in :meth:`Gate._judge`.

Every rule is asked in one order: accept, own pages, match, service worker, public, bearer token or else cross-site and
session, decide. A form that was kept over a login (``keeping``) goes the same way as any other, in the place of the GET
that comes after. Only a ``core.policy.Allow`` becomes a ``Forward``; whatever goes wrong on the way becomes an answer
here, and nothing is forwarded after a refusal (laws 1, 6, 9).
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy.core.answer_headers import AnswerPlan, Sharing
from proxy.core.bearer import Bearer
from proxy.core.bearer_field import bearer_token
from proxy.core.cookies import session_cookie_value
from proxy.core.cross_site import (
    cross_site_verdict,
    is_framed,
    is_navigation,
    is_websocket,
    preflight_method,
    route_match,
    service_worker_verdict,
)
from proxy.core.headers import (
    NOBODY,
    AuthorizationField,
    RenderedIdentity,
)
from proxy.core.hosts import at_host
from proxy.core.kept import NotKept, head_of_sent, is_form_post
from proxy.core.narrowing import EVERYTHING
from proxy.core.path_mending import PathMending
from proxy.core.policy import Allow, Challenge, Decision, Forbid, Reason, StepUp, decide, decide_preflight
from proxy.core.refresh import access_is_live
from proxy.core.request_fields import HeadBlock
from proxy.core.routing import (
    Activity,
    Ambiguous,
    Cache,
    MethodNotAllowed,
    NoRoute,
    OnUnauthenticated,
    Preflight,
    Public,
    Purpose,
    Route,
    UnderPrefix,
    forward_target,
    lies_under,
    reading_under,
)
from proxy.core.target import parse_target
from proxy.core.weighed import Weighed
from proxy.errors import (
    BearerRejected,
    ExchangeFailed,
    ExchangeRefused,
    ProviderUnavailable,
    SidegateError,
    TargetRefused,
    TokenRejected,
)
from proxy.gate.asking import Askers, manner_of_stranger
from proxy.gate.authenticate import NOT_CACHED
from proxy.gate.demanded import demanded_of
from proxy.gate.keeping import FormKeeper, KeepingParts, KeepingRules, LostForm
from proxy.gate.own import own_headers
from proxy.gate.settled import Outgoing, Settled
from proxy.gate.verify import VERIFY, ForwardAuth, ForwardAuthRules, Strangers, said_names
from proxy.ports import Admission, AuditEvent, Forward, KeepBody, OwnPage, Reply, RequestEvent
from proxy.respond import Asker, Manner, last_resort

if TYPE_CHECKING:
    from proxy.core.answer import Answer
    from proxy.core.identity import Identity
    from proxy.core.narrowing import Narrowing
    from proxy.core.request import Accepted, Headers, RequestHead
    from proxy.core.routing import Access
    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.gate.rules import GateParts, GateRules
    from proxy.ports import IdentityAssertion

MAX_RENDERED_IDENTITIES = 10_000
MAX_RENDERED_BYTES = 32 * 1024 * 1024
"""Identity headers kept ready, and bytes of them with their claims, about; above, the oldest goes and is rendered again
when asked for."""

_REASON_BY_KIND = {Challenge: "challenge", Forbid: "forbid", StepUp: "step_up"}


class Gate:
    """Decide about requests; implements ``ports.Gatekeeper``."""

    def __init__(self, rules: GateRules, parts: GateParts) -> None:
        """Keep both; nothing else changes but the cache of rendered identities."""
        self._rules = rules
        self._parts = parts
        self._askers = Askers(rules.own_prefix, rules.cookies)
        self._keeper = FormKeeper(
            KeepingRules(
                own_prefix=rules.own_prefix,
                cookies=rules.cookies,
                allowed_origins=rules.allowed_origins,
                obstacle=None if rules.asked is None else NotKept.NO_BODY,
            ),
            KeepingParts(
                kept=parts.kept,
                authenticator=parts.authenticator,
                responder=parts.responder,
                observer=parts.observer,
                clock=parts.clock,
            ),
        )
        self._assertion = parts.assertion
        self._rendered: Weighed[SessionKey | tuple[SessionKey, Narrowing], tuple[Identity, RenderedIdentity]] = Weighed(
            entries=MAX_RENDERED_IDENTITIES, in_all=MAX_RENDERED_BYTES
        )
        self._plans = {id(route): _plans_of(route, rules) for route in rules.routes.routes}
        self._forward_auth = None if rules.forward_auth is None else self._beside(rules.forward_auth)

    def _beside(self, rules: ForwardAuthRules) -> ForwardAuth:
        """Make what answers a proxy beside whom we stand, with a gate like this for the requests it asks about."""
        own = self._rules
        return ForwardAuth(
            rules,
            path=own.own_prefix + VERIFY,
            said=said_names(own.headers, own.routes, own.upstreams),
            acceptor=self._parts.acceptor,
            gate=Gate(replace(own, forward_auth=None, asked=rules), self._parts),
        )

    # --- ports.Gatekeeper ---------------------------------------------------------------------------------------------

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        """Decide; an awaitable only when the store or the provider must be asked."""
        settled = head.recall(self, Settled)
        event = self._event_again(head, settled) if settled is not None else self._event(head)
        try:
            # What was settled says nothing new: it passed every step before this one, and would again.
            return self._ask(head, settled, event) if settled is not None else self._judge(head, event)
        except SidegateError as error:
            return self.fault(error, head, event)
        except Exception as error:  # noqa: BLE001 - the outermost frame: a defect of ours is closed, never a pass
            return self._defect(error, event)

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        """Turn a fault into an answer; its message goes to the log only."""
        if event is None:
            event = self._event(head)
        is_denied = isinstance(error, ExchangeRefused)
        event.decision = event.decision or ("forbid" if is_denied else "refused")
        event.reason = error.reason
        event.fault = str(error)
        if is_denied:
            self._parts.observer.audit(_denied(event))
        try:
            answer = self._parts.responder.error(error, self._askers.asker(head, event))
        except Exception as defect:  # noqa: BLE001 - the outermost frame
            return self._defect(defect, event)
        event.status = answer.status
        return Reply(answer=answer, event=event)

    def demanded(self, event: RequestEvent) -> Access | None:
        """Return what the rules demand of a request that was admitted by others before; None: it would not be now."""
        return demanded_of(event, self._rules, self._parts.acceptor)

    def finished(self, event: RequestEvent) -> None:
        """Say the one line of this request."""
        event.duration_s = self._parts.clock.monotonic() - event.started_at
        self._parts.observer.request(event)

    # --- the way of a request -----------------------------------------------------------------------------------------

    def _judge(self, head: RequestHead, event: RequestEvent) -> Admission | Awaitable[Admission]:
        if self._forward_auth is not None and self._forward_auth.is_asked(head):
            return self._verify(self._forward_auth, head, event)
        accepted = self._accept(head, event)
        if self._rules.https_origin is not None and accepted.scheme == "http":
            return self._to_https(self._rules.https_origin, accepted, event)
        if (own := self._own_page(accepted, event)) is not None:
            return own
        if (kept_id := self._keeper.awaited(accepted)) is not None:
            return self._closed(self._in_place_of_kept(kept_id, accepted, event), head, event)
        return self._at_route(accepted, event)

    def _verify(
        self, forward_auth: ForwardAuth, head: RequestHead, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        """Answer another proxy; when it is answered at all, the event is that of the request it asks about."""
        prefix = self._rules.own_prefix.decode()
        event.route, event.path = prefix + "/**", prefix + VERIFY.decode()
        admission = forward_auth.admission(head)
        return self._closed(admission, head, event) if isinstance(admission, Awaitable) else admission

    def _at_route(self, accepted: Accepted, event: RequestEvent) -> Admission | Awaitable[Admission]:
        head = accepted.head
        route = self._match(accepted, event)
        if not isinstance(route, Route):
            return route
        if route.purpose is Purpose.LOGOUT:
            return self._app_logout(accepted, event)
        settled = self._settle(accepted, route, event)
        if refused := service_worker_verdict(head, route):
            return self._refuse(refused, head, settled, event)
        head.remember(self, settled)
        return self._ask(head, settled, event)

    def _settle(self, accepted: Accepted, route: Route, event: RequestEvent) -> Settled:
        """Gather what the head says about who asks, and from where; pure."""
        head, rules = accepted.head, self._rules
        is_open = isinstance(route.access, Public) or (
            preflight_method(head) is not None and route.preflight is Preflight.PASS
        )
        # Whoever shows a token is who the token says, whatever cookies come along.
        token = None if is_open or self._parts.bearers is None else bearer_token(head)
        cookie_value = None if is_open or token is not None else session_cookie_value(head, rules.cookies)
        refusal = None if cookie_value is None else cross_site_verdict(accepted, route, allowed=rules.allowed_origins)
        return Settled(
            accepted.target,
            accepted.client_address,
            accepted.scheme,
            accepted.host,
            accepted.forwarded_for,
            accepted.peer_trust,
            event.method,
            event.path,
            event.user_agent,
            route,
            is_open,
            cookie_value,
            refusal,
            token,
        )

    def _ask(self, head: RequestHead, settled: Settled, event: RequestEvent) -> Admission | Awaitable[Admission]:
        """Ask what no head can tell: who this is now, and what they may do."""
        if settled.is_open:
            decision = decide_preflight(settled.route, None, self._parts.clock.now())
            return self._conclude(decision, head, settled, event)
        if settled.cookie_value is None:
            if settled.token is not None:
                return self._by_token(settled.token, head, settled, event)
            return self._authorized(None, head, settled, event)
        if settled.refusal is not None:
            return self._refuse(settled.refusal, head, settled, event)
        session = self._parts.authenticator.at_once(settled.cookie_value)
        if session is NOT_CACHED:
            return self._closed(self._awaited(settled.cookie_value, head, settled, event), head, event)
        return self._authorized(session, head, settled, event)

    async def _awaited(
        self, cookie_value: Secret, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission:
        session = await self._parts.authenticator.eventually(cookie_value)
        return await _now(self._authorized(session, head, settled, event))

    def _authorized(
        self, session: Session | None, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        if session is not None:
            identity = session.identity
            event.subject, event.username = identity.subject, identity.username
        decision = decide(settled.route.access, session, self._parts.clock.now())
        return self._conclude(decision, head, settled, event)

    def _by_token(
        self, token: Secret, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        """Ask who shows a token; one that does not count is refused, also where strangers may pass."""
        bearers = self._parts.bearers
        if bearers is None:
            raise BearerRejected("nobody is there to verify tokens")
        bearer = bearers.at_once(token)
        if isinstance(bearer, Bearer):
            return self._borne(bearer, head, settled, event)

        async def verified() -> Admission:
            try:
                found = await bearers.verified(token, peer=settled.client_address)
            except TokenRejected as error:
                raise BearerRejected(str(error), reason=error.reason) from error
            return await _now(self._borne(found, head, settled, event))

        return self._closed(verified(), head, event)

    def _borne(
        self, bearer: Bearer, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        event.subject, event.username = bearer.identity.subject, bearer.identity.username
        now = self._parts.clock.now()
        if bearer.expires_at <= now:
            raise BearerRejected("the token ran out while it was verified", reason="expired")
        return self._conclude(decide(settled.route.access, bearer, now), head, settled, event)

    def _conclude(
        self, decision: Decision, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        if isinstance(decision, Allow):
            if settled.route.token_exchange is not None and decision.person is not None:
                return self._with_token(decision, decision.person, head, settled, event)
            return self._forward(decision, head, settled, event)
        return self._refuse(decision, head, settled, event)

    def _with_token(
        self, allow: Allow, person: Session | Bearer, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission | Awaitable[Admission]:
        """Send on with a token for the app of this route alone, or not at all."""
        exchanged, wanted = self._parts.exchanged, settled.route.token_exchange
        if exchanged is None or wanted is None:
            raise ExchangeFailed("nobody is there to exchange tokens")
        token = exchanged.at_once(person, wanted)
        if token is not None:
            return self._forward(allow, head, settled, event, token)

        async def asked() -> Admission:
            await exchanged.eventually(person, wanted)
            # That took a while, in which the session may have ended or lost its right: all is asked again.
            return await _now(self._ask(head, settled, event))

        return self._closed(asked(), head, event)

    def _forward(
        self, allow: Allow, head: RequestHead, settled: Settled, event: RequestEvent, exchanged: Secret | None = None
    ) -> Forward:
        session, route = allow.session, settled.route
        upstream = self._rules.upstreams[route.upstream]
        person = session if session is not None else allow.bearer
        if person is None:
            outgoing = self._outgoing(head, settled, AuthorizationField.PASSED)
            fields = upstream.completed(outgoing.head, event, identity=NOBODY, route=route)
            plan = outgoing.plan_for_stranger
        else:
            # The token that a bearer shows is passed on as it came.
            token, authorization = None, AuthorizationField.PASSED
            further = () if self._assertion is None else self._signed(self._assertion, person, settled)
            if exchanged is not None:
                authorization = AuthorizationField.REPLACED
                further = (*further, (b"Authorization", b"Bearer " + exchanged.reveal().encode()))
            elif session is not None:
                token, authorization = session.tokens.access_token, upstream.authorization_of_session
                if authorization is AuthorizationField.REPLACED:
                    self._refuse_dead_token(session)
            outgoing = self._outgoing(head, settled, authorization)
            identity = self._identity(person, route.narrowing)
            fields = upstream.completed(
                outgoing.head, event, identity=identity, route=route, access_token=token, further=further
            )
            plan = outgoing.plan
            if session is not None and route.activity is Activity.COUNTS:
                self._parts.authenticator.touch(session)
        event.decision, event.reason = "allow", allow.reason
        # By position, which is half the price: allow, upstream, method, target, headers, answer, event, …
        return Forward(
            allow,
            route.upstream,
            head.method,
            outgoing.head.target,
            fields,
            plan,
            event,
            outgoing.upgrade,
            settled.cookie_value,
            route.activity,
        )

    def _refuse_dead_token(self, session: Session) -> None:
        """Refuse what an outage would bridge (``outage_grace``) where the app is sent the token: it would trust it."""
        if not access_is_live(session.tokens, self._parts.clock.now()):
            raise ProviderUnavailable("the access token that the app is sent is over, and the provider is away")

    def _outgoing(self, head: RequestHead, settled: Settled, authorization: AuthorizationField) -> Outgoing:
        """Return what is sent on, but for what is of one request or one person; made once for a head.

        Raises:
            TargetRefused: ``strip_prefix`` cannot be taken away, or uncovers what is ours.
        """
        outgoing = settled.outgoing
        if outgoing is not None and outgoing.authorization is authorization:
            return outgoing
        route = settled.route
        target = forward_target(settled.target, route.strip_prefix)
        if route.strip_prefix:
            self._refuse_own_prefix(target)
        fields = self._rules.upstreams[route.upstream].of_head(settled.accepted(head), authorization)
        upgrade = b"websocket" if is_websocket(head) else None
        plan, for_stranger = self._plans[id(route)]
        settled.outgoing = Outgoing(HeadBlock(head.method, target, fields), authorization, upgrade, plan, for_stranger)
        return settled.outgoing

    def _identity(self, person: Session | Bearer, narrowing: Narrowing) -> RenderedIdentity:
        """Return the identity fields, rendered once for each state of a session and each way in which routes narrow."""
        key = person.key if narrowing is EVERYTHING else (person.key, narrowing)
        found = self._rendered.get(key)
        if found is not None and found[0] is person.identity:
            return found[1]
        rendered = self._rules.headers.identity_headers(narrowing.narrowed(person.identity))
        for sentence in rendered.left_out:
            self._parts.observer.warning("an identity header is incomplete", detail=sentence)
        for name in rendered.truncated:
            self._parts.observer.identity_truncated(name)
        self._rendered.put(key, (person.identity, rendered), person.weight)
        return rendered

    def _signed(self, assertion: IdentityAssertion, person: Session | Bearer, settled: Settled) -> Headers:
        """Return the field of the assertion; a field of the same name that a client sent is gone long before."""
        narrowing, now = settled.route.narrowing, self._parts.clock.now()
        signed = assertion.signed(person, narrowing, host=settled.host, now=now)
        return ((self._rules.headers.assertion_field, signed),)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _accept(self, head: RequestHead, event: RequestEvent) -> Accepted:
        accepted = self._parts.acceptor.accept(head, event.request_id)
        event.traceparent = accepted.traceparent
        event.path = accepted.target.path.decode("ascii", "backslashreplace")
        event.host = accepted.host
        event.address = accepted.client_address
        return accepted

    def _own_page(self, accepted: Accepted, event: RequestEvent) -> Admission | None:
        under = lies_under(self._rules.own_prefix, accepted.target)
        if under is UnderPrefix.NONE:
            return None
        if under is UnderPrefix.SOME:
            reading = reading_under(self._rules.own_prefix, accepted.target)
            raise TargetRefused(f"the path lies under server.prefix, which never reaches the app, read as {reading}")
        if self._rules.asked is not None:
            raise TargetRefused("the proxy asks about a path under server.prefix instead of sending it here")
        event.route = self._rules.own_prefix.decode() + "/**"
        event.decision, event.reason = "allow", "own"
        headers = own_headers(accepted, self._rules.cookies)
        return OwnPage(
            method=accepted.head.method,
            target=accepted.target.forward,
            headers=headers,
            event=event,
            site=self._rules.site,
        )

    def _app_logout(self, accepted: Accepted, event: RequestEvent) -> Admission:
        """End the session by the app's own link, of which the app never hears: POST does, GET leads to the question.

        The question does not open in a frame, and neither does what comes after it: a small page leads out of there.
        """
        head, rules, responder = accepted.head, self._rules, self._parts.responder
        event.decision, event.reason = "allow", "logout"
        if head.method not in {b"GET", b"HEAD", b"POST"}:
            event.decision, event.reason = "refused", Reason.METHOD_NOT_ALLOWED
            return self._done(
                responder.method_not_allowed(("GET", "HEAD", "POST"), self._askers.asker(head, event)), event
            )
        if head.method == b"POST" and not is_framed(head):
            target = rules.own_prefix + b"/logout/app"
            headers = own_headers(accepted, rules.cookies)
            return OwnPage(method=b"POST", target=target, headers=headers, event=event, site=rules.site)
        came_from = self._askers.page_before(head, accepted.scheme, accepted.host)
        question = self._askers.url_back_to(came_from, b"/logout")
        asker = self._askers.asker(head, event)
        if is_framed(head):
            return self._done(responder.logout_in_frame(question, asker), event)
        return self._done(responder.redirect(303, question.encode(), asker), event)

    def _refuse_own_prefix(self, stripped: bytes) -> None:
        """Refuse what lies under our prefix once the route's own is taken away: another Sidegate may be next."""
        left = parse_target(stripped, rules=self._rules.target)
        if lies_under(self._rules.own_prefix, left) is not UnderPrefix.NONE:
            raise TargetRefused("without strip_prefix the path lies under server.prefix, which never reaches the app")

    def _match(self, accepted: Accepted, event: RequestEvent) -> Route | Reply:
        head = accepted.head
        found = route_match(self._rules.routes, accepted)
        if isinstance(found, Ambiguous):
            raise TargetRefused(str(found))
        if isinstance(found, NoRoute):
            event.decision, event.reason = "not_found", Reason.NO_ROUTE
            return self._done(self._parts.responder.not_found(self._askers.asker(head, event)), event)
        event.route = found.route.pattern
        if isinstance(found, MethodNotAllowed):
            event.decision, event.reason = "refused", Reason.METHOD_NOT_ALLOWED
            return self._done(
                self._parts.responder.method_not_allowed(found.allow, self._askers.asker(head, event)), event
            )
        return found.route

    # --- answers ------------------------------------------------------------------------------------------------------

    def _refuse(
        self, decision: Challenge | StepUp | Forbid, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Reply | Awaitable[Admission]:
        event.decision, event.reason = _REASON_BY_KIND[type(decision)], decision.reason
        responder, asked = self._parts.responder, settled.target.forward
        if isinstance(decision, Forbid) and event.subject is not None:
            self._parts.observer.audit(_denied(event))
        if settled.token is not None:
            asker = self._askers.asker(head, event, manner=Manner.PROBLEM)
            return self._done(self._told_bearer(decision, asker), event)
        if isinstance(decision, Forbid):
            # Whoever comes back as somebody else is to find what was refused; what was posted is not done again.
            target = asked if head.method in {b"GET", b"HEAD"} else b"/"
            return self._done(responder.forbid(decision, self._askers.asker(head, event, target=target)), event)
        is_led_by_route = settled.route.on_unauthenticated is OnUnauthenticated.BY_REQUEST
        if is_led_by_route and is_form_post(head):
            return self._keeping(decision, head, settled, event)
        manner = manner_of_stranger(head)
        target = self._askers.page_around(head, settled) if manner is Manner.FRAME else asked
        asker = self._askers.asker(head, event, target=target, manner=manner)
        lead = is_led_by_route and is_navigation(head)
        return self._done(self._led(decision, asker) if lead else self._told(decision, asker), event)

    def _led(self, decision: Challenge | StepUp, asker: Asker) -> Answer:
        """Lead a navigation to the login; a proxy that knows no redirect is told the way beside the refusal."""
        led = self._challenged(decision, asker)
        if self._rules.asked is None or self._rules.asked.strangers is Strangers.LED:
            return led
        location = tuple(pair for pair in led.headers if pair[0] == b"Location")
        told = self._told(decision, asker)
        return replace(told, headers=(*location, *told.headers))

    def _challenged(self, decision: Challenge | StepUp, asker: Asker) -> Answer:
        responder = self._parts.responder
        if isinstance(decision, StepUp):
            return responder.step_up(decision, asker)
        return responder.challenge(decision, asker)

    def _told(self, decision: Challenge | StepUp, asker: Asker) -> Answer:
        responder = self._parts.responder
        return responder.unproved(decision, asker) if isinstance(decision, StepUp) else responder.unauthorized(asker)

    def _told_bearer(self, decision: Challenge | StepUp | Forbid, asker: Asker) -> Answer:
        """Say to a program what its token lacks; it is led nowhere (RFC 6750 §3, RFC 9470 §3)."""
        if not isinstance(decision, Forbid):
            return self._told(decision, asker)
        if decision.reason is Reason.SERVICE_WORKER:
            return self._parts.responder.forbid(decision, asker)
        return self._parts.responder.forbid_bearer(decision, asker)

    # --- forms that wait for a login ----------------------------------------------------------------------------------

    async def _keeping(
        self, decision: Challenge | StepUp, head: RequestHead, settled: Settled, event: RequestEvent
    ) -> Admission:
        """Have a form kept over the login or the step-up that it needs."""
        accepted = settled.accepted(head)

        def asker(kept_id: str | None) -> Asker:
            filled_in_at = self._askers.page_before(head, settled.scheme, settled.host)
            target = filled_in_at if kept_id is None else settled.target.forward
            manner = Manner.FRAME if is_framed(head) else Manner.PAGE
            return self._askers.asker(head, event, target=target, manner=manner, kept_id=kept_id)

        form = LostForm(
            accepted=accepted,
            cookie_value=settled.cookie_value,
            event=event,
            asker=asker,
            lead=partial(self._challenged, decision),
        )
        return await self._closed(self._keeper.admission(form), head, event)

    async def _in_place_of_kept(self, kept_id: str, accepted: Accepted, event: RequestEvent) -> Admission:
        """Send on the form that was kept, when this is the browser's way back from the login; else go on as ever."""
        keeper, head = self._keeper, accepted.head
        kept = await keeper.found(kept_id, accepted)
        if kept is None:
            return await _now(self._at_route(accepted, event))
        admission = await _now(self._judge(head_of_sent(head, kept), event))
        if isinstance(admission, KeepBody):
            # It needs yet another login, or more proof: it waits on, as what it is.
            return admission.lead(kept_id)
        if not isinstance(admission, Forward):
            return admission
        return await keeper.sent(kept_id, kept, admission) or await _now(self._at_route(accepted, event))

    async def _closed(self, asking: Awaitable[Admission], head: RequestHead, event: RequestEvent) -> Admission:
        try:
            return await asking
        except SidegateError as error:
            return self.fault(error, head, event)
        except Exception as error:  # noqa: BLE001 - the outermost frame: closed, never a pass
            return self._defect(error, event)

    def _to_https(self, origin: bytes, accepted: Accepted, event: RequestEvent) -> Reply:
        there = at_host(origin.decode(), accepted.host).encode()
        return self._reply(308, there + accepted.target.forward, event)

    def _reply(self, status: int, location: bytes, event: RequestEvent) -> Reply:
        event.decision, event.reason = "redirect", "https"
        return self._done(self._parts.responder.redirect(status, location, self._askers.asker(None, event)), event)

    def _done(self, answer: Answer, event: RequestEvent) -> Reply:
        event.status = answer.status
        return Reply(answer=answer, event=event)

    def _defect(self, error: Exception, event: RequestEvent) -> Reply:
        self._parts.observer.error("a defect while deciding about a request", fault=repr(error))
        event.decision, event.reason, event.fault = "refused", "defect", type(error).__name__
        return self._done(last_resort(event.request_id), event)

    def _event_again(self, head: RequestHead, settled: Settled) -> RequestEvent:
        """Return the event of a head that was settled before, as :meth:`_event` and the steps to the route leave it."""
        acceptor = self._parts.acceptor
        if settled.given is None:
            settled.given = acceptor.given(head)
        request_id, traceparent = acceptor.ids(settled.given)
        # By position, as in its class: request_id, started_at, method, path, host, route, decision, reason, subject, …
        return RequestEvent(
            request_id,
            self._parts.clock.monotonic(),
            settled.method,
            settled.path,
            settled.host,
            settled.route.pattern,
            "",
            "",
            None,
            None,
            settled.client_address,
            settled.user_agent,
            traceparent,
        )

    def _event(self, head: RequestHead | None) -> RequestEvent:
        started_at = self._parts.clock.monotonic()
        if head is None:
            return RequestEvent(request_id=self._parts.acceptor.fresh_id(), started_at=started_at)
        return RequestEvent(
            request_id=self._parts.acceptor.request_id(head),
            started_at=started_at,
            method=head.method.decode("latin-1"),
            address=head.peer,
            user_agent=(head.value(b"user-agent") or b"")[:256].decode("latin-1"),
        )


def _denied(event: RequestEvent) -> AuditEvent:
    return AuditEvent(
        event="access.denied",
        request_id=event.request_id,
        route=event.route,
        subject=event.subject,
        username=event.username,
        address=event.address,
        user_agent=event.user_agent,
        reason=event.reason,
    )


async def _now(admission: Admission | Awaitable[Admission]) -> Admission:
    return await admission if isinstance(admission, Awaitable) else admission


def _plans_of(route: Route, rules: GateRules) -> tuple[AnswerPlan, AnswerPlan]:
    """Return what is done to the answers of a route: for somebody who is known, and for strangers."""
    mending = None
    if route.strip_prefix:
        upstream_host = rules.upstreams[route.upstream].host.lower()
        mending = PathMending(route.strip_prefix, rules.own_prefix, rules.own_hosts, upstream_host)
    sharing = Sharing.AS_SENT if route.cache is Cache.AS_SENT else Sharing.PRIVATE
    return AnswerPlan(rules.answers, sharing, mending), AnswerPlan(rules.answers, Sharing.AS_SENT, mending)
