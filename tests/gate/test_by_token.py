"""Requests with a bearer token: the same rules, headers and audit as for a session, and never a mixture of both."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured, ProviderUnavailable, SidegateError, StoreUnavailable, TokenRejected
from proxy.ports import NotCached, Reply
from tests.gate.conftest import GateInHand, header
from tests.support.clocks import START
from tests.support.sessions import make_bearer

if TYPE_CHECKING:
    from proxy.core.bearer import Bearer

TOKEN = Secret("header.payload.signature")
SHOWN = (b"Authorization", b"Bearer " + TOKEN.reveal().encode())
FOREIGN = (b"Origin", b"https://evil.example")
ROUTES = [
    {"path": "/public", "access": "public"},
    {"path": "/optional", "access": "optional"},
    {"path": "/admin", "access": {"all_roles": ["admin"], "any_group": ["/staff"]}},
    {"path": "/gold", "access": {"acr": "gold", "max_age": "5m"}},
    {"path": "/preflight", "access": "authenticated", "preflight": "pass"},
    {"path": "/signout", "logout": True},
    {"path": "/**", "access": "authenticated"},
]


class BearersInHand:
    """``ports.BearerTokens`` (fake): what is ``known`` is known at once, what is ``valid`` after it was asked for."""

    def __init__(self) -> None:
        self.known: dict[Secret, Bearer] = {}
        self.valid: dict[Secret, Bearer] = {}
        self.fault: SidegateError = TokenRejected("the signature is not the provider's", reason="wrong_signature")
        self.asked: list[tuple[str, str]] = []
        self.on_verified: Any = lambda: None

    def at_once(self, token: Secret) -> Bearer | NotCached:
        return self.known.get(token, NotCached.NOT_CACHED)

    async def verified(self, token: Secret, *, peer: str) -> Bearer:
        self.asked.append((token.reveal(), peer))
        self.on_verified()
        if token not in self.valid:
            raise self.fault
        return self.valid[token]


class Door(GateInHand):
    """A gate that verifies tokens."""

    def __init__(self, **file: Any) -> None:
        self.tokens = BearersInHand()
        super().__init__(bearers=self.tokens, **{"routes": ROUTES, **file})

    def shows(self, *roles: str, groups: tuple[str, ...] = (), **changes: Any) -> Bearer:
        bearer = make_bearer(TOKEN, **changes)
        identity = replace(bearer.identity, roles=frozenset(roles), groups=frozenset(groups))
        self.tokens.known[TOKEN] = self.tokens.valid[TOKEN] = replace(bearer, identity=identity)
        return self.tokens.known[TOKEN]


@pytest.fixture
def door() -> Door:
    return Door()


def code(reply: Reply) -> str:
    found: str = json.loads(reply.answer.body)["code"]
    return found


# --- who shows a token is who the token says -------------------------------------------------------------------------


async def test_a_token_gives_the_app_the_same_headers_as_a_session_and_is_passed_on(door: Door) -> None:
    bearer = door.shows("viewer", groups=("/staff",))
    forward = await door.forwarded(b"/x", SHOWN)
    fields = dict(forward.headers)

    assert (fields[b"X-Auth-Subject"], fields[b"X-Auth-Username"]) == (b"alice-id", b"alice")
    assert (fields[b"X-Auth-Roles"], fields[b"X-Auth-Groups"]) == (b"viewer", b"/staff")
    assert fields[b"Authorization"] == SHOWN[1]
    assert (forward.allow.bearer, forward.allow.session, forward.cookie_value) == (bearer, None, None)
    assert (forward.event.decision, forward.event.reason) == ("allow", "authenticated")
    assert (forward.event.subject, forward.event.username) == ("alice-id", "alice")
    assert door.tokens.asked == []


async def test_a_token_that_is_not_known_is_verified_for_the_client_who_shows_it(door: Door) -> None:
    door.shows()
    door.tokens.known.clear()

    await door.forwarded(b"/x", SHOWN, peer="198.51.100.9")

    assert door.tokens.asked == [(TOKEN.reveal(), "198.51.100.9")]


async def test_the_token_stays_where_the_app_is_sent_the_sessions(door: Door) -> None:
    door = Door(upstreams={"app": {"url": "http://127.0.0.1:8000", "access_token": True}})
    door.shows()

    fields = [value for name, value in (await door.forwarded(b"/x", SHOWN)).headers if name == b"Authorization"]

    assert fields == [SHOWN[1]]


async def test_beside_a_token_no_cookie_counts(door: Door) -> None:
    cookie = await door.signed_in("admin", subject="bob-id")
    door.shows()

    forward = await door.forwarded(b"/x", SHOWN, cookie)
    refused = await door.refused(b"/admin", SHOWN, cookie)

    assert dict(forward.headers)[b"X-Auth-Subject"] == b"alice-id"
    assert b"Cookie" not in dict(forward.headers)
    assert refused.answer.status == 403
    assert "load" not in door.store.calls


async def test_a_token_that_does_not_count_never_falls_back_to_the_cookie(door: Door) -> None:
    cookie = await door.signed_in()

    refused = await door.refused(b"/x", SHOWN, cookie)

    assert (refused.answer.status, code(refused)) == (401, "invalid_token")


@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
async def test_a_request_with_a_token_needs_no_origin_of_ours(door: Door, method: bytes) -> None:
    cookie = await door.signed_in()
    door.shows()

    site = (b"Sec-Fetch-Site", b"cross-site")
    assert (await door.forwarded(b"/x", SHOWN, cookie, FOREIGN, site, method=method)).allow.bearer is not None
    assert (await door.refused(b"/x", cookie, FOREIGN, site, method=method)).answer.status == 403


async def test_a_websocket_may_be_opened_by_a_token(door: Door) -> None:
    door.shows()
    handshake = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))

    assert (await door.forwarded(b"/ws", SHOWN, FOREIGN, *handshake)).upgrade == b"websocket"


# --- a token that does not count -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [b"/x", b"/optional", b"/admin", b"/gold"])
async def test_a_token_that_does_not_count_is_401_wherever_somebody_is_asked_for(door: Door, target: bytes) -> None:
    refused = await door.refused(target, SHOWN)

    assert refused.answer.status == 401
    assert header(refused, b"www-authenticate") == b'Bearer realm="sidegate", error="invalid_token"'
    assert header(refused, b"cache-control") == b"no-store"
    assert (refused.event.decision, refused.event.reason) == ("refused", "wrong_signature")
    assert TOKEN.reveal().encode() not in refused.answer.body


@pytest.mark.parametrize("accept", [b"text/html", b"application/json"])
async def test_who_shows_a_token_is_never_led_to_a_login(door: Door, accept: bytes) -> None:
    navigation = ((b"Accept", accept), (b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"document"))
    form = (b"Content-Type", b"application/x-www-form-urlencoded")

    assert (await door.refused(b"/x", SHOWN, *navigation)).answer.status == 401
    door.shows()
    assert (await door.refused(b"/gold", SHOWN, *navigation)).answer.status == 401
    assert (await door.refused(b"/gold", SHOWN, *navigation, form, method=b"POST")).answer.status == 401


@pytest.mark.parametrize("target", [b"/public", b"/public?access_token=x"])
async def test_on_public_routes_any_token_passes_untouched(door: Door, target: bytes) -> None:
    forward = await door.forwarded(target, SHOWN)

    assert dict(forward.headers)[b"Authorization"] == SHOWN[1]
    assert (forward.allow.person, door.tokens.asked) == (None, [])


async def test_a_preflight_that_passes_is_asked_for_no_token(door: Door) -> None:
    asks = ((b"Origin", b"https://a.example"), (b"Access-Control-Request-Method", b"GET"))

    assert (await door.forwarded(b"/preflight", SHOWN, *asks, method=b"OPTIONS")).allow.person is None


@pytest.mark.parametrize("value", [b"Bearer", b"Bearer a b", b"Bearer a,b", b"bearer\tabc", b"Bearer abc\x80"])
@pytest.mark.parametrize("target", [b"/x", b"/optional"])
async def test_a_bearer_field_without_one_token_is_400(door: Door, target: bytes, value: bytes) -> None:
    cookie = await door.signed_in()

    refused = await door.refused(target, (b"Authorization", value), cookie)

    assert (refused.answer.status, code(refused)) == (400, "malformed_bearer")
    assert header(refused, b"www-authenticate") == b'Bearer realm="sidegate", error="invalid_request"'


async def test_two_authorizations_are_400(door: Door) -> None:
    door.shows()

    assert (await door.refused(b"/x", SHOWN, (b"authorization", b"Basic YTpi"))).answer.status == 400


@pytest.mark.parametrize("value", [b"Basic YTpi", b"Negotiate YII=", b"DPoP abc"])
async def test_other_schemes_pass_untouched_beside_the_cookie(door: Door, value: bytes) -> None:
    cookie = await door.signed_in()

    forward = await door.forwarded(b"/x", (b"Authorization", value), cookie)

    assert dict(forward.headers)[b"Authorization"] == value
    assert forward.allow.session is not None


async def test_a_token_in_query_or_body_is_none(door: Door) -> None:
    door.shows()
    form = (b"Content-Type", b"application/x-www-form-urlencoded")

    for target in (b"/x?access_token=" + TOKEN.reveal().encode(), b"/x"):
        assert (await door.refused(target, form)).answer.status == 401
    assert door.tokens.asked == []


async def test_where_tokens_are_the_apps_own_business_they_pass_untouched() -> None:
    gate = GateInHand(routes=ROUTES)
    cookie = await gate.signed_in(subject="bob-id")

    forward = await gate.forwarded(b"/x", SHOWN, cookie)

    assert (dict(forward.headers)[b"X-Auth-Subject"], forward.allow.bearer) == (b"bob-id", None)
    assert (await gate.refused(b"/x", SHOWN)).answer.status == 401


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (StoreUnavailable("away"), 503),
        (ProviderUnavailable("away"), 503),
        (ClientMisconfigured("our secret is wrong"), 503),
    ],
)
@pytest.mark.parametrize("target", [b"/x", b"/optional"])
async def test_what_nobody_can_say_is_503_and_never_a_pass(
    door: Door, target: bytes, fault: SidegateError, status: int
) -> None:
    door.tokens.fault = fault

    assert (await door.refused(target, SHOWN)).answer.status == status


@pytest.mark.parametrize("target", [b"/x", b"/optional"])
async def test_a_token_that_ran_out_while_it_was_verified_is_401_on_optional_routes_too(
    door: Door, target: bytes
) -> None:
    door.shows(expires_at=START + 1)
    door.tokens.known.clear()
    door.tokens.on_verified = lambda: door.clock.advance(1)

    refused = await door.refused(target, SHOWN)

    assert (refused.answer.status, refused.event.reason) == (401, "expired")


# --- rights ----------------------------------------------------------------------------------------------------------


async def test_a_token_without_the_right_is_403_and_written_down(door: Door) -> None:
    door.shows("viewer")

    refused = await door.refused(b"/admin", SHOWN)

    assert header(refused, b"www-authenticate") == b'Bearer realm="sidegate", error="insufficient_scope"'
    document = json.loads(refused.answer.body)
    assert (refused.answer.status, document["code"]) == (403, "insufficient_permissions")
    assert (document["required_roles"], document["user_roles"]) == (["admin"], ["viewer"])
    (denied,) = [event for event in door.observer.audits if event.event == "access.denied"]
    assert (denied.subject, denied.username, denied.route, denied.reason) == (
        "alice-id",
        "alice",
        "/admin",
        "role_missing",
    )
    assert denied.request_id == refused.event.request_id


async def test_a_session_without_the_right_is_written_down_too_and_strangers_are_not(door: Door) -> None:
    cookie = await door.signed_in("viewer")

    assert (await door.refused(b"/admin", cookie)).answer.status == 403
    assert (await door.refused(b"/admin")).answer.status == 401
    assert (await door.refused(b"/x", cookie, FOREIGN, method=b"POST")).answer.status == 403

    denied = [event.reason for event in door.observer.audits if event.event == "access.denied"]
    assert denied == ["role_missing"]


async def test_a_token_with_the_right_passes(door: Door) -> None:
    door.shows("admin", groups=("/staff",))

    assert (await door.forwarded(b"/admin", SHOWN)).event.reason == "conditions_met"


async def test_a_token_of_a_weaker_or_older_proof_is_told_what_would_do(door: Door) -> None:
    door.shows(acr="silver", authenticated_at=START)

    refused = await door.refused(b"/gold", SHOWN)

    challenge = header(refused, b"www-authenticate")
    assert (refused.answer.status, code(refused)) == (401, "insufficient_user_authentication")
    assert challenge is not None
    assert challenge.startswith(b'Bearer realm="sidegate", error="insufficient_user_authentication"')
    assert b'acr_values="gold"' in challenge
    door.shows(acr="gold", authenticated_at=START)
    assert (await door.forwarded(b"/gold", SHOWN)).event.reason == "conditions_met"
    door.shows(acr="gold")
    assert (await door.refused(b"/gold", SHOWN)).event.reason == "authentication_too_old"


# --- equal heads -----------------------------------------------------------------------------------------------------


async def test_an_equal_head_is_asked_for_its_token_each_time(door: Door) -> None:
    door.shows("viewer")
    head = RequestHead(
        method=b"GET", target=b"/x", headers=((b"Host", b"app.example.com"), SHOWN), peer="203.0.113.7", scheme="https"
    )
    first = door.gate.admit(head)
    assert not isinstance(first, Awaitable)

    door.tokens.known.clear()
    door.tokens.valid.clear()
    again = door.gate.admit(head)

    assert isinstance(again, Awaitable)
    reply = await again
    assert isinstance(reply, Reply)
    assert reply.answer.status == 401


async def test_the_answer_to_a_token_is_nobody_elses(door: Door) -> None:
    door.shows()

    plan = (await door.forwarded(b"/x", SHOWN)).answer
    headers = dict(plan.apply(200, ((b"Cache-Control", b"public, s-maxage=60"),)))

    assert b"private" in headers[b"Cache-Control"]
    assert b"public" not in headers[b"Cache-Control"]
    assert headers[b"Vary"] == b"Cookie, Authorization"
