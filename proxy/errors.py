"""Every error of Sidegate, in one tree; this file knows no HTTP (``respond.py`` maps each to an answer).

::

    SidegateError
    ├── RequestRefused               the client's bytes cannot be served as they are
    │   ├── TargetRefused            the request target breaks the law of the target
    │   ├── TargetTooLong
    │   ├── HeadTooLarge             too many or too large header fields
    │   ├── FramingRefused           two parsers could read this request in two ways
    │   ├── HostRefused              a Host that we do not answer for
    │   ├── BodyTooLarge
    │   ├── MethodRefused            CONNECT, TRACE, PRI, or a method with small letters
    │   ├── AuthorizationRefused     two Authorization fields
    │   │   └── BearerMalformed      one that says Bearer, without a token behind it
    │   ├── ClientTooSlow            head or body did not arrive in time
    │   ├── OriginalRefused          a proxy asks about a request and does not say in one way only about which
    │   └── PeerRefused              whoever asks so is not in ``server.trusted_proxies``
    ├── UpstreamFault
    │   ├── UpstreamUnreachable
    │   ├── UpstreamTimeout
    │   └── UpstreamGarbled          the upstream's answer cannot be read in one way only
    ├── StoreFault
    │   ├── StoreUnavailable
    │   └── StoreFull                at the cap a new login is refused, nobody is put out
    ├── StreamsFull                  at the cap a new stream is refused, none is cut off
    ├── ProviderFault
    │   ├── ProviderUnavailable      away, slow, or answering nonsense
    │   │   ├── AnswerLost           the connection broke after the request was sent
    │   │   └── GrantUnverified      tokens came, and what they are verified with did not
    │   ├── ClientMisconfigured      the provider refuses *us*: never the user's fault
    │   └── ExchangeFailed           no token for the app could be had
    ├── ExchangeRefused              the provider gives this person no token for the app
    ├── TokenRejected                a token that fails a rule; ``reason`` names it
    ├── BearerRejected               the same of the token of an API client
    ├── SessionEnded                 what has ended stays ended
    ├── RightsLost                   the session lives on, without the right to the route
    ├── LoginFault
    │   ├── CsrfRejected
    │   │   └── ForeignForm          another site posted the form
    │   ├── CallbackRejected         state, nonce or iss
    │   │   ├── ProviderDeclined     the provider's own error (OIDC Core 1.0 §3.1.2.6)
    │   │   └── ProofRefused         the provider did not ask for the proof that the page needs (step-up)
    │   ├── FormRejected             a body that is not the form
    │   ├── TooManyLogins            one address has begun more logins than it may have open
    │   └── Throttled                too many failed sign-ins; ``retry_after_s`` says when there may be another
    ├── TooManyLogouts               one address names more sessions to end than are looked up
    ├── Draining                     the process is shutting down
    ├── ManagementRefused            the management API does not do what it is asked
    └── SettingsError                the file is wrong; carries every problem

Each message is a sentence for the operator's log. What the visitor sees comes from ``respond.py`` alone.
"""

from __future__ import annotations


class SidegateError(Exception):
    """Base of all. ``reason`` is a stable word for logs, metrics and problem+json."""

    reason = "error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        """Keep the sentence; ``reason`` overrides the class's own word when there are several."""
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class RequestRefused(SidegateError):
    """The request cannot be served as it was sent."""

    reason = "request_refused"


class TargetRefused(RequestRefused):
    """The request target breaks the law of the target; the message names the reading and the routes."""

    reason = "target_refused"


class TargetTooLong(RequestRefused):
    """The request line is longer than we read."""

    reason = "target_too_long"


class HeadTooLarge(RequestRefused):
    """Header fields too many or too large."""

    reason = "head_too_large"


class FramingRefused(RequestRefused):
    """Two parsers could read this request in two ways (RFC 9112 §6, §11.2)."""

    reason = "framing_refused"


class HostRefused(RequestRefused):
    """The Host is not one that we answer for (RFC 9110 §15.5.20)."""

    reason = "host_refused"


class BodyTooLarge(RequestRefused):
    """The body exceeds ``server.max_body_size``."""

    reason = "body_too_large"


class MethodRefused(RequestRefused):
    """CONNECT, TRACE, or a method that is no token."""

    reason = "method_refused"


class AuthorizationRefused(RequestRefused):
    """More than one Authorization field: nobody can say which counts."""

    reason = "authorization_ambiguous"


class BearerMalformed(AuthorizationRefused):
    """The Authorization field says Bearer, and what follows is not one token (RFC 6750 §2.1)."""

    reason = "malformed_bearer"


class ClientTooSlow(RequestRefused):
    """The head or the body did not arrive in time."""

    reason = "client_too_slow"


class OriginalRefused(RequestRefused):
    """A proxy asks about a request (``/verify``) and does not tell it whole, once, and from the one source."""

    reason = "original_refused"


class PeerRefused(RequestRefused):
    """Only peers in ``server.trusted_proxies`` may ask about the requests of others."""

    reason = "peer_refused"


class UpstreamFault(SidegateError):
    """The app behind us did not answer as an HTTP server should."""

    reason = "upstream_fault"


class UpstreamUnreachable(UpstreamFault):
    """No connection to the upstream, or it closed before an answer."""

    reason = "upstream_unreachable"


class UpstreamTimeout(UpstreamFault):
    """Connect or response head took longer than configured."""

    reason = "upstream_timeout"


class UpstreamGarbled(UpstreamFault):
    """The upstream's answer is no single unambiguous HTTP message."""

    reason = "upstream_garbled"


class StoreFault(SidegateError):
    """The session store cannot do what is asked. Never a deletion, never a pass."""

    reason = "store_fault"


class StoreUnavailable(StoreFault):
    """The store is away or answers with an error."""

    reason = "store_unavailable"


class StoreFull(StoreFault):
    """The store is at its cap: a new login is refused, nobody is put out."""

    reason = "store_full"


class StreamsFull(SidegateError):
    """As many streams of sessions are open as one process keeps account of; one that nobody could end is not opened."""

    reason = "streams_full"


class ProviderFault(SidegateError):
    """The identity provider did not do its part."""

    reason = "provider_fault"


class ProviderUnavailable(ProviderFault):
    """The identity provider is away, slow or answers nonsense; try again later."""

    reason = "provider_unavailable"


class AnswerLost(ProviderUnavailable):
    """The connection broke after the request was sent: nobody knows whether the provider did what it asked."""

    reason = "answer_lost"


class GrantUnverified(ProviderUnavailable):
    """A refresh gave tokens, but keys or userinfo cannot be had to verify them: the next try goes on with them."""

    reason = "grant_unverified"


class ClientMisconfigured(ProviderFault):
    """The identity provider refuses *this client*: wrong secret, grant not allowed, wrong redirect URI."""

    reason = "misconfigured"


class ExchangeFailed(ProviderFault):
    """The token that the app of a route is to get could not be had (``token_exchange``); it is sent no other."""

    reason = "token_exchange_failed"


class ExchangeRefused(SidegateError):
    """The provider gives this person no token for the app of a route (``token_exchange``)."""

    reason = "token_exchange_refused"


class TokenRejected(SidegateError):
    """A token fails a rule of its standard; ``reason`` names the rule (``wrong_issuer``, ``expired``, …)."""

    reason = "token_rejected"


class BearerRejected(SidegateError):
    """The bearer token of a request does not count; ``reason`` is that of :class:`TokenRejected`."""

    reason = "invalid_token"


class SessionEnded(SidegateError):
    """The session, or the tokens it would be made of, belong to a login that has ended."""

    reason = "session_ended"


class RightsLost(SidegateError):
    """The session changed while the app answered, and has no longer the right to the route."""

    reason = "rights_lost"


class LoginFault(SidegateError):
    """A step of signing in is wrong."""

    reason = "login_fault"


class CsrfRejected(LoginFault):
    """The form's token is missing, foreign or expired."""

    reason = "csrf_rejected"


class ForeignForm(CsrfRejected):
    """The form was posted by a page of another site."""

    reason = "csrf_foreign"


class CallbackRejected(LoginFault):
    """The answer of the authorization endpoint cannot be trusted (OIDC Core 1.0 §3.1.2.7, RFC 9207)."""

    reason = "callback_rejected"


class ProviderDeclined(CallbackRejected):
    """The provider says that it did not sign the person in (OIDC Core 1.0 §3.1.2.6, RFC 6749 §4.1.2.1)."""

    reason = "provider_declined"


class ProofRefused(CallbackRejected):
    """The provider signed the person in, but not as strongly or as lately as was asked; ``reason`` says which."""

    reason = "proof_refused"


class FormRejected(LoginFault):
    """The body is not the form that this endpoint takes."""

    reason = "form_rejected"


class TooManyLogins(LoginFault):
    """One address has begun more logins than it may have open; each is a record that a stranger's GET made."""

    reason = "too_many_logins"


class Throttled(LoginFault):
    """Too many sign-ins failed of late; the provider is not asked.

    Attributes:
        limit: which one holds: ``user``, ``address`` or ``known_browser``.
        retry_after_s: whole seconds until a try may pass.
    """

    reason = "throttled"

    def __init__(self, message: str, *, limit: str = "user", retry_after_s: int = 1) -> None:
        """Keep which limit holds, and for how long."""
        super().__init__(message, reason=f"throttled_{limit}")
        self.limit = limit
        self.retry_after_s = retry_after_s


class TooManyLogouts(SidegateError):
    """One address names more sessions to end than are looked up for somebody who proves nothing."""

    reason = "too_many_logouts"


class Draining(SidegateError):
    """The process is shutting down and takes no new work."""

    reason = "draining"


class ManagementRefused(SidegateError):
    """The management API does not do what it is asked; ``reason`` says why: no token, a wrong one, nothing kept."""

    reason = "management_refused"


class SettingsError(SidegateError):
    """The settings file is wrong; the message names each problem on a line of its own."""

    reason = "settings_error"
