"""What of a decision follows from the head and the rules alone, so that equal heads need it once.

Kept on the ``RequestHead`` (:meth:`~proxy.core.request.RequestHead.remember`) and gone with it. Neither time nor
anybody's session is in it: whether the session lives, what it may do and that it was used are asked for each request.
Refusals are not kept. Nothing here leads back to the head, or only the garbage collector could free both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.request import Accepted

if TYPE_CHECKING:
    from proxy.core.answer_headers import AnswerPlan
    from proxy.core.headers import AuthorizationField
    from proxy.core.policy import Forbid
    from proxy.core.request import PeerTrust, RequestHead, Scheme
    from proxy.core.request_fields import HeadBlock
    from proxy.core.routing import Route
    from proxy.core.secret import Secret
    from proxy.core.target import RequestTarget


class Outgoing(Struct):
    """What is sent on for such a head, but for what is of one request or one person.

    Attributes:
        head: method, request-target for the upstream, and what ``UpstreamHeaders.of_head`` gave for ``authorization``.
        upgrade: as in ``ports.Forward``.
        plan, plan_for_stranger: what is done to the answer: when somebody is known, and when nobody is.
    """

    head: HeadBlock
    authorization: AuthorizationField
    upgrade: bytes | None
    plan: AnswerPlan
    plan_for_stranger: AnswerPlan


class Settled(Struct):
    """A head that was accepted and met a route.

    Attributes:
        target, client_address, scheme, host, forwarded_for, peer_trust: as in ``core.request.Accepted``.
        method, path, user_agent: as in ``ports.RequestEvent``.
        is_open: whether nobody is asked who they are: a public route, or a preflight that passes.
        cookie_value: the session cookie of a head that is asked.
        refusal: the verdict on another site's request, given when there is such a cookie.
        token: the bearer token of a head that is asked; then no cookie is.
        given: request id and trace context that the head brings along; None until such a head comes again.
        outgoing: None until such a request was allowed.
    """

    target: RequestTarget
    client_address: str
    scheme: Scheme
    host: str
    forwarded_for: tuple[str, ...]
    peer_trust: PeerTrust
    method: str
    path: str
    user_agent: str
    route: Route
    is_open: bool
    cookie_value: Secret | None
    refusal: Forbid | None
    token: Secret | None = None
    given: tuple[str | None, str | None] | None = None
    outgoing: Outgoing | None = None

    def accepted(self, head: RequestHead) -> Accepted:
        """Return what the acceptor would make of an equal head again, without the ids of a request."""
        return Accepted(
            head,
            self.target,
            "",
            "",
            self.client_address,
            self.scheme,
            self.host,
            self.forwarded_for,
            self.peer_trust,
        )
