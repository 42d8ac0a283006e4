"""What the gate is given: the settings, compiled, and whom it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from proxy.core.answer_headers import AnswerRules
    from proxy.core.cookies import OwnCookies
    from proxy.core.cross_site import AllowedOrigins
    from proxy.core.headers import HeaderRules, UpstreamHeaders
    from proxy.core.routing import RouteTable
    from proxy.core.target import TargetRules
    from proxy.gate.accept import Acceptor
    from proxy.gate.authenticate import Authenticator
    from proxy.gate.verify import ForwardAuthRules
    from proxy.ports import BearerTokens, Clock, ExchangedTokens, IdentityAssertion, KeptRequests, Observer
    from proxy.respond import Responder


class GateRules(Struct, frozen=True, kw_only=True):
    """What the gate holds of the settings, compiled.

    Attributes:
        own_prefix: path of the public URL and ``server.prefix``.
        upstreams: what each upstream gets, by name; every route's upstream is among them.
        https_origin: ``https://host`` to which plain http is redirected, at a wildcard the host of the request; None
            when it is not.
        own_hosts: Host values that are answered: in an app's answer they mean this site.
        site: key of the site whose own pages these are (``ports.OwnPage``).
        forward_auth: by which ``/verify`` is answered; None when it is a page like any other, and 404.
        asked: the same rules, given to the gate that a proxy asks about requests whose connection is not ours.
    """

    routes: RouteTable
    own_prefix: bytes
    target: TargetRules
    headers: HeaderRules
    upstreams: Mapping[str, UpstreamHeaders]
    answers: AnswerRules
    cookies: OwnCookies
    allowed_origins: AllowedOrigins
    https_origin: bytes | None = None
    own_hosts: Container[str] = frozenset()
    site: str = ""
    forward_auth: ForwardAuthRules | None = None
    asked: ForwardAuthRules | None = None


class GateParts(Struct, frozen=True, kw_only=True):
    """Whom the gate asks.

    Attributes:
        assertion: None where the file wants none.
        exchanged: None where no route has ``token_exchange``.
        bearers: None where Authorization is the app's own business (``bearer.enabled``).
    """

    acceptor: Acceptor
    authenticator: Authenticator
    kept: KeptRequests
    responder: Responder
    observer: Observer
    clock: Clock
    assertion: IdentityAssertion | None = None
    exchanged: ExchangedTokens | None = None
    bearers: BearerTokens | None = None
