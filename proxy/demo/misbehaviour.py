"""THE FAKE PART: how a test makes the embedded provider lie, stall or break. Nothing happens unless asked for.

Two levers, both counted down by ``times``:

* *faults* change the next answers of an endpoint: ``issuer.misbehaviour.answer(Endpoint.TOKEN, status(500))``;
* *forgeries* change the next tokens of a kind: ``issuer.misbehaviour.forge(TokenKind.ID, claims(nonce="stale"))``.

A fault is any coroutine function of request and handler, a forgery any function from draft to draft; those below are
the usual ones. ``behave()`` takes everything back. What was asked is recorded in ``seen``.
"""

from __future__ import annotations

import asyncio
import enum
import hmac
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web
from msgspec import Struct, field
from msgspec.structs import replace

from proxy.demo.key_ring import Key, RsaKey, compact_jws

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault: TypeAlias = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

#: How many requests are remembered, and how many times "for ever" is.
SEEN_LIMIT: Final = 1000
FOREVER: Final = 2**31


class Endpoint(enum.Enum):
    """The endpoints, by the names that their routes have."""

    DISCOVERY = "discovery"
    JWKS = "jwks"
    TOKEN = "token"  # noqa: S105 - a route, no secret
    AUTHORIZATION = "authorization"
    LOGIN = "login"
    USERINFO = "userinfo"
    INTROSPECTION = "introspection"
    REVOCATION = "revocation"
    END_SESSION = "end_session"
    ACCOUNT = "account"


class TokenKind(enum.Enum):
    """Kinds of tokens, by the ``typ`` that Keycloak writes into their claims."""

    ACCESS = "Bearer"
    ID = "ID"
    REFRESH = "Refresh"
    LOGOUT = "Logout"


class Draft(Struct, frozen=True):
    """A token that is about to be signed."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: Key

    def signed(self) -> str:
        return compact_jws(self.header, self.claims, self.key)


class OpaqueDraft(Draft, frozen=True):
    """A token that says nothing to anybody but the issuer."""

    def signed(self) -> str:
        return secrets.token_urlsafe(32)


Forgery: TypeAlias = Callable[[Draft], Draft]


class SeenRequest(Struct, frozen=True):
    """What one request asked for. Values of repeated parameters: the first."""

    endpoint: Endpoint
    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]


class _Planned(Struct):
    effect: Any
    left: int


class Misbehaviour(Struct):
    """What is to go wrong next; empty at the start."""

    seen: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=SEEN_LIMIT))
    _faults: dict[Endpoint, list[_Planned]] = field(default_factory=dict)
    _forgeries: dict[TokenKind, list[_Planned]] = field(default_factory=dict)

    def answer(self, endpoint: Endpoint, fault: Fault, *, times: int = 1) -> None:
        """Give the next ``times`` answers of the endpoint by the fault; several faults are taken in turn."""
        self._faults.setdefault(endpoint, []).append(_Planned(fault, times))

    def forge(self, kind: TokenKind, forgery: Forgery, *, times: int = 1) -> None:
        """Change the next ``times`` tokens of the kind; several forgeries of one kind are put upon one another."""
        self._forgeries.setdefault(kind, []).append(_Planned(forgery, times))

    def behave(self) -> None:
        """Forget every fault and forgery. Requests that hang must be released by their ``Gate``."""
        self._faults.clear()
        self._forgeries.clear()

    def requests(self, endpoint: Endpoint) -> list[SeenRequest]:
        """What was asked of the endpoint, oldest first."""
        return [request for request in self.seen if request.endpoint is endpoint]

    def take_fault(self, endpoint: Endpoint) -> Fault | None:
        planned = self._faults.get(endpoint)
        if not planned:
            return None
        fault: Fault = planned[0].effect
        _count_down(planned, planned[:1])
        return fault

    def apply_forgeries(self, kind: TokenKind, draft: Draft) -> Draft:
        planned = self._forgeries.get(kind, [])
        for each in planned:
            draft = each.effect(draft)
        _count_down(planned, list(planned))
        return draft


def _count_down(planned: list[_Planned], used: list[_Planned]) -> None:
    for each in used:
        each.left -= 1
    planned[:] = [each for each in planned if each.left > 0]


# Faults -----------------------------------------------------------------------------------------------------------


def status(code: int, body: Mapping[str, Any] | None = None) -> Fault:
    """Answer with the status; a JSON body when one is given, else none."""

    async def fault(_request: web.Request, _handler: Handler) -> web.StreamResponse:
        if body is None:
            return web.Response(status=code)
        return web.json_response(dict(body), status=code)

    return fault


def starting() -> Fault:
    """What Keycloak answers in the two seconds between opening its port and being ready."""

    async def fault(_request: web.Request, _handler: Handler) -> web.StreamResponse:
        text = "Bootstrap in progress. Retry in 1 seconds."
        return web.Response(status=503, text=text, headers={"Retry-After": "1", "Refresh": "1"})

    return fault


def html(code: int = 200) -> Fault:
    """Answer with a page where JSON was expected, as a proxy in between does."""

    async def fault(_request: web.Request, _handler: Handler) -> web.StreamResponse:
        return web.Response(status=code, text="<!doctype html><title>Welcome</title>", content_type="text/html")

    return fault


def raw(body: bytes, content_type: str = "application/json") -> Fault:
    """Answer 200 with these bytes."""

    async def fault(_request: web.Request, _handler: Handler) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type)

    return fault


def edited(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Fault:
    """Do what was asked, then change the members of the JSON answer."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if not isinstance(answer, web.Response) or answer.content_type != "application/json":
            return answer
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
        body = json.dumps(edit(json.loads(answer.text or "{}")))
        return web.Response(status=answer.status, body=body.encode(), headers=headers)

    return fault


def without_members(*names: str) -> Fault:
    """Do what was asked, but leave members of the JSON answer out: ``without_members("expires_in")``."""
    return edited(lambda body: {name: value for name, value in body.items() if name not in names})


def with_members(**members: Any) -> Fault:
    """Do what was asked, but set members of the JSON answer: ``with_members(issuer="https://evil.test")``."""
    return edited(lambda body: {**body, **members})


def dropped() -> Fault:
    """Close the connection without an answer, before anything was done."""

    async def fault(request: web.Request, _handler: Handler) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    return fault


def answer_lost() -> Fault:
    """Do what was asked, then close the connection: a refresh token is spent and nobody learns of the new one."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return answer

    return fault


class Gate(Struct):
    """A request that hangs until the test lets it go: ``arrived`` says that it is there, ``release`` lets it on."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self._released.set()

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The fault itself: ``issuer.misbehaviour.answer(Endpoint.TOKEN, gate := Gate())``."""
        self.arrived.set()
        await self._released.wait()
        return await handler(request)


# Forgeries --------------------------------------------------------------------------------------------------------


def claims(**changed: Any) -> Forgery:
    """Set claims."""
    return lambda draft: replace(draft, claims={**draft.claims, **changed})


def without_claims(*names: str) -> Forgery:
    """Leave claims out."""
    return lambda draft: replace(
        draft, claims={name: value for name, value in draft.claims.items() if name not in names}
    )


def header(**changed: Any) -> Forgery:
    """Set header members: ``header(kid="unknown")``, ``header(typ="at+jwt")``."""
    return lambda draft: replace(draft, header={**draft.header, **changed})


def without_header(*names: str) -> Forgery:
    """Leave header members out."""
    return lambda draft: replace(
        draft, header={name: value for name, value in draft.header.items() if name not in names}
    )


def unsigned() -> Forgery:
    """``alg`` none, empty signature."""
    return lambda draft: replace(draft, header={**draft.header, "alg": "none"}, key=None)


def signed_by(key: RsaKey) -> Forgery:
    """Signed by a key that is not the issuer's, under the ``kid`` of the issuer's."""
    return lambda draft: replace(draft, key=key.private)


def signed_with(algorithm: str, key: Key) -> Forgery:
    """Signed by another algorithm: ``signed_with("PS256", issuer.keys.current.private)``."""
    return lambda draft: replace(draft, header={**draft.header, "alg": algorithm}, key=key)


def hmac_with_public_key(key: RsaKey) -> Forgery:
    """The classic confusion: HS256, the public key taken for the secret."""
    return signed_with("HS256", key.public_pem())


def broken_signature() -> Forgery:
    """The right header and claims, and a signature of noise."""
    return signed_with("RS256", _NOISE)


def opaque() -> Forgery:
    """Not a JWT at all; the issuer still knows it (RFC 6749 §1.4 leaves the form open)."""
    return lambda draft: OpaqueDraft(draft.header, draft.claims, draft.key)


class _Noise:
    """Stands where a private key should be; signs anything with 256 bytes of nothing."""

    @staticmethod
    def sign(message: bytes, *_padding_and_hash: object) -> bytes:
        return hmac.digest(b"noise", message, "sha256") * 8


_NOISE: Final = _Noise()
