"""Forms that were sent when the session was gone: kept for the person who sent them, and sent on after the login.

What may be kept and what is sent on are rules of ``core.kept``; here they meet the store of sessions, which says whose
form it is, and the store of kept requests. Nothing is read of a body before both conditions of contract §4 hold.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.core.answer_headers import AnswerToKept
from proxy.core.cookies import kept_cookie_value, session_cookie_value
from proxy.core.kept import (
    MAX_KEPT_BODY,
    Kept,
    KeptRequest,
    NotKept,
    awaited_kept,
    keeping_obstacle,
    kept_of,
    place_of,
)
from proxy.core.session import subject_hash
from proxy.errors import SidegateError, StoreFault
from proxy.ports import Forward, KeepBody, Reply, SendKept

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.answer import Answer
    from proxy.core.cookies import OwnCookies
    from proxy.core.cross_site import AllowedOrigins
    from proxy.core.request import Accepted
    from proxy.core.secret import Secret
    from proxy.gate.authenticate import Authenticator
    from proxy.ports import Clock, KeptRequests, Observer, RequestEvent
    from proxy.respond import Asker, Responder


class KeepingRules(Struct, frozen=True, kw_only=True):
    """What of the settings decides about keeping; see ``gate.rules.GateRules``.

    Attributes:
        obstacle: why no form is ever kept here, or sent on; None when some are.
    """

    own_prefix: bytes
    cookies: OwnCookies
    allowed_origins: AllowedOrigins
    obstacle: NotKept | None = None


class KeepingParts(Struct, frozen=True, kw_only=True):
    """Whom the keeper asks."""

    kept: KeptRequests
    authenticator: Authenticator
    responder: Responder
    observer: Observer
    clock: Clock


class LostForm(Struct, frozen=True, kw_only=True):
    """A form whose sender must sign in, or prove who they are, before it can be decided about.

    Attributes:
        cookie_value: of the session that is gone, or that is not enough; None when the browser sent none.
        asker: who is answered; given an id, with links into a login that ends in sending the form on; given None, with
            links to where the form can be filled in again.
        lead: makes the answer that leads there.
    """

    accepted: Accepted
    cookie_value: Secret | None
    event: RequestEvent
    asker: Callable[[str | None], Asker]
    lead: Callable[[Asker], Answer]


class FormKeeper:
    """See the module."""

    def __init__(self, rules: KeepingRules, parts: KeepingParts) -> None:
        """Keep both."""
        self._rules = rules
        self._parts = parts

    # --- keeping ------------------------------------------------------------------------------------------------------

    async def admission(self, form: LostForm) -> KeepBody | Reply:
        """Say what becomes of a form: its body is read, or its sender is told why not.

        Raises:
            StoreUnavailable: nobody can say whose it is.
        """
        rules = self._rules
        obstacle = rules.obstacle or keeping_obstacle(
            form.accepted, allowed=rules.allowed_origins, prefix=rules.own_prefix
        )
        if obstacle is not None:
            return self._refused(form, obstacle)
        owner = None if form.cookie_value is None else await self._parts.authenticator.owner(form.cookie_value)
        if owner is None:
            return self._refused(form, NotKept.NOBODY)
        kept = kept_of(form.accepted, subject_hash=owner, now=self._parts.clock.now())
        return KeepBody(
            event=form.event,
            owner=owner,
            max_bytes=MAX_KEPT_BODY,
            keep=partial(self._keep, form, kept),
            refuse=partial(self._refused, form),
            lead=partial(self._led, form),
        )

    async def _keep(self, form: LostForm, kept: Kept, body: bytes) -> Reply:
        try:
            kept_id = await self._parts.kept.keep(KeptRequest(kept=kept, body=body))
        except StoreFault as fault:
            self._parts.observer.warning(
                f"a form is not kept: {fault}", reason=fault.reason, request_id=form.event.request_id
            )
            return self._refused(form, NotKept.FULL)
        self._parts.observer.notice(
            "a form is kept until its sender has signed in again", request_id=form.event.request_id, bytes=len(body)
        )
        return self._led(form, kept_id)

    def _led(self, form: LostForm, kept_id: str) -> Reply:
        answer = form.lead(form.asker(kept_id))
        # What comes next is a GET whatever this was (RFC 9110 §15.4.4).
        return _reply(replace(answer, status=303) if answer.status == 302 else answer, form.event)

    def _refused(self, form: LostForm, why: NotKept) -> Reply:
        form.event.reason = f"not_kept_{why}"
        return _reply(self._parts.responder.not_kept(why, form.asker(None)), form.event)

    # --- sending on ---------------------------------------------------------------------------------------------------

    def awaited(self, accepted: Accepted) -> str | None:
        """Return the id of the kept form in whose place this request comes, by what its head says; else None."""
        if self._rules.obstacle is not None:
            return None
        mark = kept_cookie_value(accepted.head, self._rules.cookies)
        return None if mark is None else awaited_kept(mark, accepted)

    async def found(self, kept_id: str, accepted: Accepted) -> Kept | None:
        """Return what is known of the form that waits for this very URL and person; None when there is none any more.

        Another person is not told what they may not post: they asked for a page.

        Raises:
            StoreUnavailable
        """
        kept = await self._parts.kept.peek(kept_id)
        cookie_value = session_cookie_value(accepted.head, self._rules.cookies)
        if kept is None or cookie_value is None or kept.place != place_of(accepted):
            return None
        return kept if await self._parts.authenticator.owner(cookie_value) == kept.subject_hash else None

    async def sent(self, kept_id: str, kept: Kept, forward: Forward) -> SendKept | None:
        """Return the form as it is sent on by this decision; None when it is another person's, or was just taken.

        Raises:
            StoreUnavailable
        """
        session = forward.allow.session
        if session is None or subject_hash(session.identity.issuer, session.identity.subject) != kept.subject_hash:
            return None
        request = await self._parts.kept.take(kept_id)
        if request is None:
            return None
        self._parts.observer.notice("a form that was kept is sent on", request_id=forward.event.request_id)
        forward.event.method = forward.method.decode()
        plan = AnswerToKept(forward.answer.rules, forward.answer.sharing, forward.answer.mending)
        give_back = partial(self._give_back, kept_id, request)
        return SendKept(forward=replace(forward, answer=plan), body=request.body, give_back=give_back)

    async def _give_back(self, kept_id: str, request: KeptRequest) -> None:
        try:
            await self._parts.kept.give_back(kept_id, request)
        except SidegateError as fault:
            self._parts.observer.warning(f"a form that could not be sent on is lost: {fault}", reason=fault.reason)


def _reply(answer: Answer, event: RequestEvent) -> Reply:
    event.status = answer.status
    return Reply(answer=answer, event=event)
