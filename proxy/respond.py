"""The one table from an error or a decision to an HTTP answer.

HTML for people who navigate, ``application/problem+json`` (RFC 9457) for everybody else; always a request id, never an
internal, never a version. A row holds the English that programs get; people read the same in their own language, by ids
of the catalog (``refusal.<words>.title`` and ``.sentence``). An error's own message is for the operator's log alone.
This file writes no socket: it makes :class:`~proxy.core.answer.Answer` values.
"""

from __future__ import annotations

import json
import random
import time
from enum import Enum
from html import escape
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from proxy import errors
from proxy.core.answer import Answer
from proxy.core.policy import Challenge, Forbid, Reason, StepUp
from proxy.core.reload_pace import ReloadPace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.core.kept import NotKept
    from proxy.core.policy import Lack
    from proxy.core.request import Headers
    from proxy.pages.contexts import MissingRight
    from proxy.ports import Pages


class Manner(Enum):
    """How somebody wants to be answered."""

    PAGE = "page"
    """A person who navigates: a redirect or a page."""
    FRAME = "frame"
    """A navigation inside a frame: a login page must not open there."""
    PROBLEM = "problem"
    """A program: problem+json."""


class Asker(Struct, frozen=True, kw_only=True):
    """Who gets the answer.

    Attributes:
        languages: tags, best first.
        login_url: path of the login page with ``return_to``, from this origin.
        start_url: the same of the code flow, for a step-up.
        here: path and query that were asked by GET, judged as ``return_to`` is; empty when nobody can ask for it again.
        language_url: where a language tag is appended to have the page in that language; empty likewise.
        username: shown on the page that forbids; None for a stranger.
    """

    request_id: str
    manner: Manner
    login_url: str
    start_url: str = ""
    languages: tuple[str, ...] = ()
    username: str | None = None
    here: str = ""
    language_url: str = ""


class Again(Enum):
    """Who tries again."""

    BY_HAND = "by_hand"
    BY_ITSELF = "by_itself"
    """The page does, as long as what was asked can be asked by GET: something is away and will come back."""


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        code: stable word in problem+json.
        sentence: what happened, and what to do.
        retry_after_s: seconds for ``Retry-After`` (RFC 9110 §10.2.3), or None.
        words: what the catalogs call this row; the code, unless two rows share it.
        challenge: ``WWW-Authenticate`` (RFC 6750 §3); empty where no other credentials would help.
    """

    status: int
    code: str
    title: str
    sentence: str
    retry_after_s: int | None = None
    words: str = ""
    again: Again = Again.BY_HAND
    challenge: bytes = b""

    @property
    def title_id(self) -> str:
        """Return the id of the title in the catalogs."""
        return f"refusal.{self.words or self.code}.title"

    @property
    def sentence_id(self) -> str:
        """Return the id of the sentence in the catalogs."""
        return f"refusal.{self.words or self.code}.sentence"


_ASK_AGAIN = "Please try again in a moment. If it stays so, tell the people who run this site the request id."
_BAD_ADDRESS = "The address of this page is not one that can be answered safely. Check it, or begin at the start page."

_PERMISSIONS = Row(
    status=403,
    code="insufficient_permissions",
    title="You may not open this page",
    sentence="You are signed in, but your account lacks what this page asks for.",
)
_PROVIDER_AWAY = Row(
    status=503,
    code="provider_unavailable",
    title="Signing in is not possible right now",
    sentence="The sign-in service does not answer. Please try again in a moment; nothing of yours is lost.",
    retry_after_s=5,
    again=Again.BY_ITSELF,
)

ROWS: Mapping[type[errors.SidegateError], Row] = {
    errors.SidegateError: Row(status=500, code="error", title="Something went wrong", sentence=_ASK_AGAIN),
    errors.RequestRefused: Row(
        status=400,
        code="request_refused",
        title="Bad request",
        sentence="This request cannot be answered as it was sent.",
    ),
    errors.TargetRefused: Row(status=400, code="target_refused", title="Bad address", sentence=_BAD_ADDRESS),
    errors.TargetTooLong: Row(
        status=414, code="target_too_long", title="Address too long", sentence="The address of this page is too long."
    ),
    errors.HeadTooLarge: Row(
        status=431,
        code="head_too_large",
        title="Too many header fields",
        sentence="The browser sent more header data than we take. Deleting this site's cookies usually helps.",
    ),
    errors.FramingRefused: Row(
        status=400,
        code="framing_refused",
        title="Bad request",
        sentence="This request can be read in more than one way.",
    ),
    errors.HostRefused: Row(
        status=421,
        code="host_refused",
        title="Wrong address",
        sentence="This server does not answer for that host name.",
    ),
    errors.BodyTooLarge: Row(
        status=413, code="body_too_large", title="Too large", sentence="What was sent is larger than this site takes."
    ),
    errors.MethodRefused: Row(
        status=405, code="method_refused", title="Method not allowed", sentence="This method is never passed on."
    ),
    errors.AuthorizationRefused: Row(
        status=400,
        code="authorization_ambiguous",
        title="Bad request",
        sentence="The request has more than one Authorization field; send one.",
    ),
    errors.BearerMalformed: Row(
        status=400,
        code="malformed_bearer",
        title="Bad request",
        sentence="Authorization says Bearer, and what follows is not one token.",
        challenge=b'Bearer realm="sidegate", error="invalid_request"',
    ),
    errors.ClientTooSlow: Row(
        status=408, code="client_too_slow", title="Too slow", sentence="The request did not arrive in time."
    ),
    errors.OriginalRefused: Row(
        status=400,
        code="original_refused",
        title="Bad request",
        sentence="The proxy in front does not say in one way only which request it asks about.",
        words="request_refused",
    ),
    errors.PeerRefused: Row(
        status=403, code="peer_refused", title="Not allowed", sentence="Only the proxy in front may ask this."
    ),
    errors.UpstreamFault: Row(
        status=502, code="upstream_fault", title="The application does not answer", sentence=_ASK_AGAIN
    ),
    errors.UpstreamUnreachable: Row(
        status=502, code="upstream_unreachable", title="The application cannot be reached", sentence=_ASK_AGAIN
    ),
    errors.UpstreamTimeout: Row(
        status=504, code="upstream_timeout", title="The application takes too long", sentence=_ASK_AGAIN
    ),
    errors.UpstreamGarbled: Row(
        status=502, code="upstream_garbled", title="The application's answer cannot be read", sentence=_ASK_AGAIN
    ),
    errors.StoreFault: Row(
        status=503,
        code="store_fault",
        title="Not available right now",
        sentence=_ASK_AGAIN,
        retry_after_s=5,
        again=Again.BY_ITSELF,
    ),
    errors.StoreUnavailable: Row(
        status=503,
        code="store_unavailable",
        title="Not available right now",
        sentence=_ASK_AGAIN,
        retry_after_s=5,
        again=Again.BY_ITSELF,
    ),
    errors.StoreFull: Row(
        status=503,
        code="store_full",
        title="Too many people are signed in",
        sentence="No further sign-in is possible right now. Please try again later.",
        retry_after_s=60,
    ),
    errors.StreamsFull: Row(
        status=503,
        code="streams_full",
        title="Too many connections are open",
        sentence="You are still signed in, but nothing further can be opened right now. Please try again in a moment.",
        retry_after_s=5,
    ),
    errors.ProviderFault: Row(
        status=503,
        code="provider_fault",
        title="Signing in is not possible right now",
        sentence=_ASK_AGAIN,
        retry_after_s=5,
        again=Again.BY_ITSELF,
    ),
    errors.ProviderUnavailable: _PROVIDER_AWAY,
    errors.AnswerLost: _PROVIDER_AWAY,
    errors.GrantUnverified: _PROVIDER_AWAY,
    errors.ClientMisconfigured: Row(
        status=503,
        code="misconfigured",
        title="Signing in is not set up correctly",
        sentence="The sign-in service refuses this site. Tell the people who run it the request id.",
        retry_after_s=60,
    ),
    errors.ExchangeFailed: Row(
        status=502,
        code="token_exchange_failed",
        title="The application cannot be reached",
        sentence=_ASK_AGAIN,
        words="upstream_unreachable",
    ),
    errors.ExchangeRefused: Row(
        status=403,
        code="token_exchange_refused",
        title=_PERMISSIONS.title,
        sentence=_PERMISSIONS.sentence,
        words=_PERMISSIONS.code,
    ),
    errors.TokenRejected: Row(
        status=400,
        code="token_rejected",
        title="Signing in did not work",
        sentence="The sign-in service gave an answer that cannot be trusted. Please sign in again.",
    ),
    errors.BearerRejected: Row(
        status=401,
        code="invalid_token",
        title="The access token does not count",
        sentence="It is expired, revoked, or of another kind, issuer or audience. Get a new one for this service.",
        challenge=b'Bearer realm="sidegate", error="invalid_token"',
    ),
    errors.SessionEnded: Row(
        status=401,
        code="session_ended",
        title="You were signed out",
        sentence="This sign-in has ended. Please sign in again.",
    ),
    errors.RightsLost: _PERMISSIONS,
    errors.LoginFault: Row(
        status=400, code="login_fault", title="Signing in did not work", sentence="Please sign in again."
    ),
    errors.CsrfRejected: Row(
        status=403,
        code="csrf_rejected",
        title="This form is no longer valid",
        sentence="The form was open too long or came from elsewhere. Please use the fresh one.",
    ),
    errors.ForeignForm: Row(
        status=403,
        code="csrf_rejected",
        title="This form came from another site",
        sentence="Nothing was done, as nobody can tell that you wanted it. If you did, begin on this site.",
        words="csrf_foreign",
    ),
    errors.CallbackRejected: Row(
        status=400,
        code="callback_rejected",
        title="Signing in did not work",
        sentence="The answer of the sign-in service does not fit a sign-in begun in this browser. Please begin again.",
    ),
    errors.ProviderDeclined: Row(
        status=400,
        code="provider_declined",
        title="Signing in did not work",
        sentence="The sign-in service did not sign you in. Please begin again.",
    ),
    errors.ProofRefused: Row(
        status=403,
        code="proof_refused",
        title="This page asks for more proof",
        sentence="The sign-in service did not ask you for the stronger or fresher proof of who you are that this page "
        "needs. Nothing has changed for you. Please try again; if it stays so, tell the people who run this site the "
        "request id.",
    ),
    errors.FormRejected: Row(
        status=400,
        code="form_rejected",
        title="Bad request",
        sentence="The form cannot be read. Please fill it in again.",
    ),
    errors.TooManyLogins: Row(
        status=429,
        code="too_many_logins",
        title="Too many sign-ins",
        sentence="Too many sign-ins were begun from your network. Please try again in a few minutes.",
        retry_after_s=60,
    ),
    errors.Throttled: Row(
        status=429,
        code="throttled",
        title="Too many failed sign-ins",
        sentence="Too many sign-ins failed. Please try again in a few minutes.",
        retry_after_s=60,
    ),
    errors.TooManyLogouts: Row(
        status=429,
        code="too_many_logouts",
        title="Too many requests",
        sentence="Too many sign-outs were asked for from your network. Please try again in a moment.",
        retry_after_s=10,
    ),
    errors.Draining: Row(
        status=503,
        code="draining",
        title="Restarting",
        sentence="Please try again in a moment.",
        retry_after_s=1,
        again=Again.BY_ITSELF,
    ),
    errors.ManagementRefused: Row(
        status=403, code="management_refused", title="Not allowed", sentence="This is for operators with their token."
    ),
    errors.SettingsError: Row(status=500, code="error", title="Something went wrong", sentence=_ASK_AGAIN),
}
"""Every error class and its answer; a test holds that none is missing."""

_NO_ROUTE = Row(status=404, code="not_found", title="Not found", sentence="There is no page at this address.")
_METHOD = Row(
    status=405,
    code="method_not_allowed",
    title="Method not allowed",
    sentence="This address does not take this method.",
)
_AUTH_REQUIRED = Row(
    status=401, code="auth_required", title="Please sign in", sentence="This page is for people who are signed in."
)
_PROOF_REQUIRED = Row(
    status=401,
    code="insufficient_user_authentication",
    title="Please prove who you are again",
    sentence="You are signed in, but this page asks for a stronger or fresher proof of who you are.",
)
_FORBIDDEN = {
    Reason.CROSS_SITE: Row(
        status=403,
        code="cross_site_refused",
        title="Refused",
        sentence="This request came from another site and would have acted in your name. Repeat it on the page itself.",
    ),
    Reason.SERVICE_WORKER: Row(
        status=403,
        code="service_worker_refused",
        title="Refused",
        sentence="A script that would stay in the browser cannot be installed beside a login page.",
    ),
}
CHALLENGE = b'Bearer realm="sidegate"'
"""``WWW-Authenticate`` of every 401 (RFC 9110 §15.5.2 wants one)."""

INSUFFICIENT_SCOPE = b'Bearer realm="sidegate", error="insufficient_scope"'
"""``WWW-Authenticate`` of a 403 to who showed a token (RFC 6750 §3.1)."""


def step_up_url(decision: StepUp, asker: Asker) -> str:
    """Return the path that leads to the provider for what the decision asks.

    Whoever writes such an address by hand gains nothing: what comes back is judged by the route anew.
    """
    asked = urlencode(_proof_parameters(decision))
    return f"{asker.start_url}{'&' if '?' in asker.start_url else '?'}{asked}"


def _proof_challenge(decision: StepUp) -> bytes:
    """Return ``WWW-Authenticate`` of RFC 9470 §3; values of ``acr`` have no letter that a quoted string escapes."""
    asked = "".join(f', {name}="{value}"' for name, value in _proof_parameters(decision).items())
    return f'Bearer realm="sidegate", error="insufficient_user_authentication"{asked}'.encode()


def _proof_parameters(decision: StepUp) -> dict[str, str]:
    parameters = {"acr_values": " ".join(decision.acr)} if decision.acr else {}
    # Whole seconds (OIDC Core 1.0 §3.1.2.1); rounded down, so that what comes back is new enough for the route.
    return parameters if decision.max_age_s is None else {**parameters, "max_age": str(int(decision.max_age_s))}


def row_of(error: errors.SidegateError) -> Row:
    """Return the row of the error's class, or of its nearest parent in the tree."""
    return next(ROWS[kind] for kind in type(error).__mro__ if kind in ROWS)


class Responder:
    """Make answers; one for the process."""

    def __init__(
        self,
        pages: Pages,
        *,
        everywhere: Headers = (),
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Keep the renderer; ``everywhere`` are fields of every answer (Strict-Transport-Security)."""
        self._pages = pages
        self._everywhere = everywhere
        self._monotonic = monotonic
        self._chance = chance
        self._pace = ReloadPace()

    def error(self, error: errors.SidegateError, asker: Asker) -> Answer:
        """Answer for a fault; the error's message is not shown."""
        row = row_of(error)
        return self._answer(row, asker, extra=((b"WWW-Authenticate", row.challenge),) if row.challenge else ())

    def challenge(self, _decision: Challenge, asker: Asker) -> Answer:
        """Send a navigation to the login page; tell a program, or a frame, with 401 (contract §4)."""
        if asker.manner is Manner.PAGE:
            location = asker.login_url.encode()
            return Answer(302, ((b"Location", location), *self._common(asker)))
        return self.unauthorized(asker)

    def unauthorized(self, asker: Asker) -> Answer:
        """Answer 401 whoever asks: routes with ``on_unauthenticated: 401``, frames, programs, WebSocket handshakes."""
        extra = ((b"WWW-Authenticate", CHALLENGE),)
        return self._answer(_AUTH_REQUIRED, asker, extra=extra, members={"login_url": asker.login_url})

    def step_up(self, decision: StepUp, asker: Asker) -> Answer:
        """Send a navigation to the provider for more proof; tell a program, or a frame, with 401 (contract §4)."""
        if asker.manner is Manner.PAGE:
            return self.redirect(302, step_up_url(decision, asker).encode(), asker)
        return self.unproved(decision, asker)

    def unproved(self, decision: StepUp, asker: Asker) -> Answer:
        """Answer 401 whoever asks, and say what would do (RFC 9470 §3)."""
        url = step_up_url(decision, asker)
        extra = ((b"WWW-Authenticate", _proof_challenge(decision)),)
        return self._answer(_PROOF_REQUIRED, replace(asker, login_url=url), extra=extra, members={"login_url": url})

    def not_kept(self, why: NotKept, asker: Asker) -> Answer:
        """Tell a person that the form they just sent is not kept, and why: they can go back to it now."""
        context = {"why": why.value, "continue_url": asker.login_url, "request_id": asker.request_id}
        answer = self._page(401, "not_kept", context, asker)
        return replace(answer, headers=((b"WWW-Authenticate", CHALLENGE), *answer.headers))

    def logout_in_frame(self, question: str, asker: Asker) -> Answer:
        """Lead out of a frame to the page that asks whether to sign out; ``question`` is its path."""
        context = {
            "status": 200,
            "title": "frame_logout.heading",
            "sentence": "frame_logout.sentence",
            "request_id": asker.request_id,
            "login_url": question,
        }
        return self._page(200, "frame_logout", context, asker)

    def forbid(self, decision: Forbid, asker: Asker) -> Answer:
        """Say what is missing: to a person on a page, to a program in members."""
        return self._forbidden(decision, asker, ())

    def forbid_bearer(self, decision: Forbid, asker: Asker) -> Answer:
        """Say to who showed a token what it lacks (RFC 6750 §3.1)."""
        return self._forbidden(decision, asker, ((b"WWW-Authenticate", INSUFFICIENT_SCOPE),))

    def _forbidden(self, decision: Forbid, asker: Asker, extra: Headers) -> Answer:
        row = _FORBIDDEN.get(decision.reason, _PERMISSIONS)
        members: dict[str, object] = {}
        if row is _PERMISSIONS:
            members = {"required_roles": list(decision.required_roles), "user_roles": list(decision.user_roles)}
        return self._answer(row, asker, extra=extra, members=members, missing=decision.missing)

    def not_found(self, asker: Asker) -> Answer:
        """Answer for a path that no route takes."""
        return self._answer(_NO_ROUTE, asker)

    def method_not_allowed(self, allow: tuple[str, ...], asker: Asker) -> Answer:
        """Answer with ``Allow`` (RFC 9110 §15.5.6)."""
        return self._answer(_METHOD, asker, extra=((b"Allow", ", ".join(allow).encode()),))

    def redirect(self, status: int, location: bytes, asker: Asker) -> Answer:
        """Send elsewhere."""
        return Answer(status, ((b"Location", location), *self._common(asker)))

    def _answer(
        self,
        row: Row,
        asker: Asker,
        *,
        extra: Headers = (),
        members: Mapping[str, object] | None = None,
        missing: tuple[Lack, ...] = (),
    ) -> Answer:
        headers = (*extra, *self._common(asker))
        if asker.manner is Manner.PROBLEM:
            return _problem(row, asker, (*headers, *_retry_after(row.retry_after_s)), members or {})
        name, again_in_s = _page_name(row, asker), self._again_in_s(row, asker)
        context = {
            "status": row.status,
            "title": row.title_id,
            "sentence": row.sentence_id,
            "request_id": asker.request_id,
            "login_url": asker.login_url,
            "username": asker.username,
            "missing": [_missing_right(lack) for lack in missing],
            "here": asker.here,
            "again_in_s": again_in_s,
        }
        body = self._pages.render(name, languages=asker.languages, context=context, language_url=asker.language_url)
        language = (b"Content-Language", self._pages.language(asker.languages).encode())
        retry = _retry_after(row.retry_after_s) if again_in_s is None else _refresh(again_in_s)
        return Answer(row.status, (*headers, *retry, language, *self._pages.headers(name)), body)

    def _page(self, status: int, name: str, context: Mapping[str, object], asker: Asker) -> Answer:
        """Draw a page that no row of the table stands for."""
        body = self._pages.render(name, languages=asker.languages, context=context, language_url=asker.language_url)
        language = (b"Content-Language", self._pages.language(asker.languages).encode())
        return Answer(status, (*self._common(asker), language, *self._pages.headers(name)), body)

    def _again_in_s(self, row: Row, asker: Asker) -> int | None:
        """Return after how many seconds the page asks again by itself, None when a person decides."""
        if row.again is Again.BY_HAND or not asker.here:
            return None
        return ceil(self._pace.delay_s(self._monotonic(), self._chance()))

    def _common(self, asker: Asker) -> Headers:
        # no-store on every answer of ours: what is refused now may be allowed after a login.
        return (
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"X-Request-ID", asker.request_id.encode()),
            *self._everywhere,
        )


def _missing_right(lack: Lack) -> MissingRight:
    return {"kind": lack.kind.value, "any_of": lack.any_of, "attribute": lack.attribute}


_HELPED_BY_A_LOGIN = (_AUTH_REQUIRED, _PROOF_REQUIRED)
"""Rows whose page leads to the login; in a frame it opens the whole window."""


def _page_name(row: Row, asker: Asker) -> str:
    if row in _HELPED_BY_A_LOGIN:
        return "frame" if asker.manner is Manner.FRAME else "callback_failed"
    if row is _PERMISSIONS:
        return "forbidden"
    return "unavailable" if row.again is Again.BY_ITSELF and asker.here else "error"


def _retry_after(seconds: int | None) -> Headers:
    return () if seconds is None else ((b"Retry-After", str(seconds).encode()),)


def _refresh(seconds: int) -> Headers:
    """Return the fields by which a browser asks for the same page again, without script, and programs know when.

    ``Refresh`` names no address: it is the one that was asked, by GET (HTML Living Standard, "shared declarative
    refresh steps").
    """
    return ((b"Refresh", str(seconds).encode()), *_retry_after(seconds))


def _problem(row: Row, asker: Asker, headers: Headers, members: Mapping[str, object]) -> Answer:
    document = {
        "type": "about:blank",
        "title": row.title,
        "status": row.status,
        "detail": row.sentence,
        "code": row.code,
        "request_id": asker.request_id,
        **members,
    }
    body = json.dumps(document, ensure_ascii=False).encode()
    return Answer(row.status, ((b"Content-Type", b"application/problem+json"), *headers), body)


def last_resort(request_id: str) -> Answer:
    """Answer 500 without a template: for the outermost frame, when rendering itself failed."""
    body = f"<!doctype html><title>Error</title><p>Something went wrong. Request {escape(request_id)}.".encode()
    return Answer(
        500,
        (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Cache-Control", b"no-store"),
            (b"Content-Security-Policy", b"default-src 'none'"),
            (b"X-Request-ID", request_id.encode()),
        ),
        body,
    )
