"""What the app of a route is told of a person: as much as the route says, signed where it wants proof, with a token of
its own where it has one; and where its answers say that it lives.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from msgspec.structs import replace

from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import BySid, EndCause
from proxy.core.tokens import ExchangeRefusal
from proxy.errors import ProviderUnavailable
from proxy.settings.signing_keys import make_signing_key, parse_signing_keys
from tests.gate.conftest import GateInHand, header
from tests.gate.test_by_token import Door
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from proxy.core.session import Session
    from proxy.ports import Forward

KEY = make_signing_key()
ASSERTION = {"identity_headers": {"assertion": {"audience": "app", "signing_key": {"value": KEY}}}}
FIELD = b"X-Sidegate-Assertion"
COOKIE = Secret("a" * 43)
HTML = (b"Accept", b"text/html")
EXCHANGED = {"path": "/billing/**", "token_exchange": {"audience": "billing", "scope": "read"}}
ALICE = Identity(
    issuer=ISSUER,
    subject="alice-id",
    username="alice",
    roles=frozenset({"viewer", "legacy-app:editor", "legacy-app:admin"}),
    groups=frozenset({"/staff", "/board"}),
)


def sent(forward: Forward, name: bytes) -> list[str]:
    """Return the values of a field, whatever its spelling."""
    folded = name.lower().replace(b"_", b"-")
    return [value.decode() for key, value in forward.headers if key.lower().replace(b"_", b"-") == folded]


def said(forward: Forward) -> dict[str, Any]:
    """Verify the one assertion and return what it says."""
    (assertion,) = sent(forward, FIELD)
    options: Any = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False)
    return jwt.decode(assertion, parse_signing_keys(KEY)[0].public_key(), ["ES256"], audience="app", options=options)


async def alice(hand: GateInHand, identity: Identity = ALICE) -> tuple[Session, tuple[bytes, bytes]]:
    session = dataclasses.replace(make_session(COOKIE), identity=identity)
    await hand.store.create(COOKIE, session)
    return session, (b"Cookie", b"__Host-sidegate=" + COOKIE.reveal().encode())


# --- less of it ------------------------------------------------------------------------------------------------------


async def test_a_route_that_narrows_tells_less_and_others_all() -> None:
    hand = GateInHand(
        **ASSERTION,
        routes=[
            {"path": "/old/**", "headers": {"roles": ["legacy-app:*"], "groups": []}},
            {"path": "/wiki/**", "headers": {"roles": ["viewer"]}},
            {"path": "/**"},
        ],
    )
    _, cookie = await alice(hand)

    for _ in range(2):  # the second time from what is kept
        old, wiki, rest = [await hand.forwarded(path, cookie) for path in (b"/old/x", b"/wiki/x", b"/x")]
        assert sent(old, b"X-Auth-Roles") == ["legacy-app:admin,legacy-app:editor"]
        assert (sent(old, b"X-Auth-Groups"), sent(wiki, b"X-Auth-Groups")) == ([], ["/board,/staff"])
        assert (said(old)["roles"], said(old)["groups"]) == (["legacy-app:admin", "legacy-app:editor"], [])
        assert sent(wiki, b"X-Auth-Roles") == said(wiki)["roles"] == ["viewer"]
        assert sent(rest, b"X-Auth-Roles") == ["legacy-app:admin,legacy-app:editor,viewer"]
        assert said(rest)["groups"] == ["/board", "/staff"]


async def test_what_an_app_is_not_told_still_counts_for_the_decision() -> None:
    hand = GateInHand(routes=[{"path": "/**", "access": {"all_roles": ["viewer"]}, "headers": {"roles": []}}])
    _, cookie = await alice(hand)

    assert sent(await hand.forwarded(b"/", cookie), b"X-Auth-Roles") == []


async def test_a_narrowing_follows_the_session(make_gate: type[GateInHand]) -> None:
    hand = make_gate(routes=[{"path": "/**", "headers": {"roles": ["legacy-app:*"]}}])
    session, cookie = await alice(hand)
    await hand.forwarded(b"/", cookie)
    changed = dataclasses.replace(session, identity=replace(ALICE, roles=frozenset({"legacy-app:reader"})))
    await hand.store.replace(COOKIE, changed)

    assert sent(await hand.forwarded(b"/", cookie), b"X-Auth-Roles") == ["legacy-app:reader"]


async def test_a_list_that_is_too_long_is_cut_alike_each_time_counted_and_told() -> None:
    hand = GateInHand()
    _, cookie = await alice(hand, replace(ALICE, roles=frozenset(f"role-{n:04}" for n in range(1000))))

    first, second = [await hand.forwarded(path, cookie) for path in (b"/a", b"/b")]

    assert sent(first, b"X-Auth-Roles") == sent(second, b"X-Auth-Roles")
    assert sent(first, b"X-Auth-Roles")[0].startswith("role-0000,role-0001,")
    assert hand.observer.truncated == ["X-Auth-Roles"]
    assert [message for message, _ in hand.observer.warnings] == ["an identity header is incomplete"]


# --- proof -----------------------------------------------------------------------------------------------------------


async def test_who_is_signed_in_is_said_with_proof() -> None:
    hand = GateInHand(**ASSERTION)
    _, cookie = await alice(hand)

    claims = said(await hand.forwarded(b"/", cookie))

    assert (claims["iss"], claims["sub"], claims["preferred_username"]) == (
        "https://app.example.com",
        "alice-id",
        "alice",
    )


@pytest.mark.parametrize("spelling", [FIELD, b"x_sidegate_assertion", b"X_Sidegate-ASSERTION"])
@pytest.mark.parametrize("access", ["public", "optional", "authenticated"])
@pytest.mark.parametrize("is_configured", [True, False])
async def test_no_spelling_of_a_clients_own_assertion_passes_on_any_route(
    spelling: bytes, access: str, *, is_configured: bool
) -> None:
    hand = GateInHand(routes=[{"path": "/**", "access": access}], **(ASSERTION if is_configured else {}))
    _, cookie = await alice(hand)

    forward = await hand.forwarded(b"/", cookie, (spelling, b"forged"), (b"Connection", spelling))

    assert "forged" not in sent(forward, FIELD)
    assert len(sent(forward, FIELD)) == (is_configured and access != "public")


async def test_strangers_and_preflights_and_public_pages_have_no_assertion() -> None:
    hand = GateInHand(
        **ASSERTION,
        routes=[
            {"path": "/open/**", "access": "public"},
            {"path": "/api/**", "preflight": "pass"},
            {"path": "/**", "access": "optional"},
        ],
    )
    _, cookie = await alice(hand)
    preflight = ((b"Origin", b"https://else.example"), (b"Access-Control-Request-Method", b"GET"))

    forwards = [
        await hand.forwarded(b"/open/x", cookie),
        await hand.forwarded(b"/x"),
        await hand.forwarded(b"/api/x", cookie, *preflight, method=b"OPTIONS"),
    ]

    assert [sent(forward, FIELD) for forward in forwards] == [[], [], []]


async def test_a_name_of_its_own_is_removed_from_clients_too() -> None:
    named = {"assertion": {**ASSERTION["identity_headers"]["assertion"], "header": "X-Proof"}}
    hand = GateInHand(identity_headers=named, routes=[{"path": "/**", "access": "optional"}])
    _, cookie = await alice(hand)

    stranger = await hand.forwarded(b"/", (b"x_proof", b"forged"), (FIELD, b"forged"))
    person = await hand.forwarded(b"/", cookie, (b"x_proof", b"forged"))

    assert (sent(stranger, b"X-Proof"), sent(stranger, FIELD)) == ([], [])
    assert len(sent(person, b"X-Proof")) == 1
    assert "forged" not in sent(person, b"X-Proof")


async def test_a_route_can_do_without_it() -> None:
    hand = GateInHand(**ASSERTION, routes=[{"path": "/**", "headers": {"remove": ["x_sidegate_assertion"]}}])
    _, cookie = await alice(hand)

    assert sent(await hand.forwarded(b"/", cookie), FIELD) == []


# --- a token of its own ----------------------------------------------------------------------------------------------


async def test_the_app_of_the_route_gets_its_own_token_and_no_other_app_does() -> None:
    hand = GateInHand(routes=[EXCHANGED, {"path": "/**"}])
    _, cookie = await alice(hand)
    basic = (b"authorization", b"Basic eDp5")

    first, second = [await hand.forwarded(path, cookie, basic) for path in (b"/billing/a", b"/billing/b")]
    rest = await hand.forwarded(b"/x", cookie, basic)

    assert sent(first, b"Authorization") == sent(second, b"Authorization") == ["Bearer for-billing-1"]
    assert sent(rest, b"Authorization") == ["Basic eDp5"]
    assert hand.exchanger.asked == [("access-1", "billing", "read")]
    assert sent(first, b"X-Auth-Subject") == ["alice-id"]


async def test_it_is_sent_instead_of_the_persons_own() -> None:
    hand = GateInHand(
        upstreams={"app": {"url": "http://127.0.0.1:8000", "access_token": True}}, routes=[EXCHANGED, {"path": "/**"}]
    )
    _, cookie = await alice(hand)

    assert sent(await hand.forwarded(b"/x", cookie), b"Authorization") == ["Bearer access-1"]
    assert sent(await hand.forwarded(b"/billing/x", cookie), b"Authorization") == ["Bearer for-billing-1"]
    assert sent(await hand.forwarded(b"/x", cookie), b"Authorization") == ["Bearer access-1"]


async def test_a_websocket_opens_with_the_token_of_its_app() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    _, cookie = await alice(hand)
    handshake = (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
        (b"Origin", b"https://app.example.com"),
    )

    forward = await hand.forwarded(b"/billing/feed", cookie, *handshake)

    assert (forward.upgrade, sent(forward, b"Authorization")) == (b"websocket", ["Bearer for-billing-1"])


async def test_a_bearer_is_exchanged_and_its_own_token_stays_behind() -> None:
    door = Door(**ASSERTION, routes=[EXCHANGED, {"path": "/**"}])
    token = door.shows("viewer").access_token.reveal()
    shown = (b"Authorization", b"Bearer " + token.encode())

    exchanged, passed = [await door.forwarded(path, shown) for path in (b"/billing/x", b"/x")]

    assert sent(exchanged, b"Authorization") == ["Bearer for-billing-1"]
    assert sent(passed, b"Authorization") == [f"Bearer {token}"]
    assert door.exchanger.asked == [(token, "billing", "read")]
    assert (said(exchanged)["roles"], "auth_time" in said(exchanged)) == (["viewer"], False)


async def test_who_is_refused_a_token_is_refused_the_page() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    hand.exchanger.answer = ExchangeRefusal.INVALID_TARGET
    _, cookie = await alice(hand)

    page = await hand.refused(b"/billing/x", cookie, HTML)
    program = await hand.refused(b"/billing/x", cookie)

    assert (page.answer.status, page.event.reason) == (403, "token_exchange_refused")
    assert b"You may not open this page" in page.answer.body
    assert b'"code": "token_exchange_refused"' in program.answer.body
    assert (page.event.decision, page.event.fault) == (
        "forbid",
        "the provider gives no token for billing: invalid_target",
    )
    denied = hand.observer.audits[0]
    assert (denied.event, denied.username, denied.reason) == ("access.denied", "alice", "token_exchange_refused")


async def test_a_provider_that_is_away_is_502_and_the_own_token_does_not_go_instead() -> None:
    hand = GateInHand(upstreams={"app": {"url": "http://127.0.0.1:8000", "access_token": True}}, routes=[EXCHANGED])
    hand.exchanger.answer = ProviderUnavailable("no answer within 10 s")
    _, cookie = await alice(hand)

    reply = await hand.refused(b"/billing/x", cookie)

    assert (reply.answer.status, reply.event.reason) == (502, "token_exchange_failed")
    assert header(reply, b"cache-control") == b"no-store"
    assert b'"code": "token_exchange_failed"' in reply.answer.body
    assert reply.event.fault == "no token for billing could be had: no answer within 10 s"


async def test_strangers_have_nothing_to_exchange() -> None:
    hand = GateInHand(routes=[{**EXCHANGED, "access": "optional"}])

    assert sent(await hand.forwarded(b"/billing/x"), b"Authorization") == []
    assert hand.exchanger.asked == []


async def test_nothing_is_exchanged_for_who_may_not_open_the_page() -> None:
    hand = GateInHand(routes=[{**EXCHANGED, "access": {"all_roles": ["clerk"]}}])
    _, cookie = await alice(hand)

    assert (await hand.refused(b"/billing/x", cookie)).answer.status == 403
    assert hand.exchanger.asked == []


async def test_a_session_that_ends_while_a_token_is_on_its_way_does_not_pass() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    session, cookie = await alice(hand)
    hand.exchanger.gate.clear()
    admission = hand.gate.admit(hand.head(b"/billing/x", cookie))
    assert not hasattr(admission, "event"), "it waits"

    async def log_out() -> None:
        await hand.store.delete_matching(BySid(ISSUER, session.sid or ""), EndCause.BACKCHANNEL)
        hand.exchanger.gate.set()

    await log_out()
    reply = await admission  # type: ignore[misc]

    assert (reply.event.decision, reply.answer.status) == ("challenge", 401)


async def test_a_session_that_ended_takes_its_tokens_along() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    session, cookie = await alice(hand)
    await hand.forwarded(b"/billing/x", cookie)

    await hand.store.delete(session.key, EndCause.LOGOUT)

    assert hand.exchanges._kept == {}


async def test_a_refreshed_session_gets_a_new_token() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    session, cookie = await alice(hand)
    await hand.forwarded(b"/billing/x", cookie)
    await hand.store.replace(COOKIE, session)

    assert sent(await hand.forwarded(b"/billing/x", cookie), b"Authorization") == ["Bearer for-billing-2"]


async def test_a_token_of_no_life_at_all_serves_the_request_that_waited_for_it() -> None:
    hand = GateInHand(routes=[EXCHANGED])
    hand.exchanger.life_s = 0
    _, cookie = await alice(hand)

    assert sent(await hand.forwarded(b"/billing/x", cookie), b"Authorization") == ["Bearer for-billing-1"]


# --- below a prefix --------------------------------------------------------------------------------------------------


async def test_an_app_at_the_root_lives_below_the_prefix_that_is_stripped() -> None:
    hand = GateInHand(
        upstreams={"app": {"url": "http://127.0.0.1:8000"}, "wiki": {"url": "http://wiki.internal:80"}},
        routes=[
            {"path": "/old/**", "upstream": "wiki", "strip_prefix": "/old", "access": "optional"},
            {"path": "/**", "upstream": "app"},
        ],
    )
    _, cookie = await alice(hand)
    told = (
        (b"Location", b"http://wiki.internal/login?next=/"),
        (b"Content-Location", b"https://app.example.com/x"),
        (b"Set-Cookie", b"wiki=1; Path=/; HttpOnly"),
        (b"Set-Cookie", b"__Host-sidegate=forged; Path=/"),
        (b"Refresh", b"5; url=/x"),
    )

    for forward in [await hand.forwarded(b"/old/page", cookie), await hand.forwarded(b"/old/page")]:
        answer = forward.answer.apply(302, told)
        assert forward.target == b"/page"
        assert (b"Location", b"/old/login?next=/") in answer
        assert (b"Content-Location", b"https://app.example.com/old/x") in answer
        assert [value for name, value in answer if name == b"Set-Cookie"] == [b"wiki=1; Path=/old; HttpOnly"]
        assert (b"Refresh", b"5; url=/old/x") in answer

    elsewhere = (await hand.forwarded(b"/page", cookie)).answer.apply(302, told)
    assert (b"Location", b"http://wiki.internal/login?next=/") in elsewhere
    assert (b"Set-Cookie", b"wiki=1; Path=/; HttpOnly") in elsewhere
