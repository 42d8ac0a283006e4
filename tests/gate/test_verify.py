"""Another proxy asks about a request: the answer is what the gate would decide about it, and nothing else is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.headers import fold
from proxy.core.kept import Kept, KeptRequest, Place, kept_mark
from proxy.core.request import RequestHead
from proxy.core.session import subject_hash
from proxy.ports import Forward, KeepBody, OwnPage, Reply, SendKept
from tests.gate.conftest import HTML, GateInHand, header
from tests.support.hypothesis_profile import MORE
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from proxy.ports import Admission

PROXY = "10.0.0.5"
ORIGIN = b"https://app.example.com"
HOST = b"app.example.com"
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
ROUTES = [
    {"path": "/static/**", "access": "public"},
    {"path": "/maybe", "access": "optional"},
    {"path": "/signout", "logout": True},
    {"path": "/admin/**", "access": {"all_roles": ["admin"]}},
    {"path": "/gold", "access": {"acr": "gold"}},
    {"path": "/api/**", "methods": ["GET"], "access": "authenticated", "on_unauthenticated": 401},
    {"path": "/cors/**", "access": "authenticated", "preflight": "pass"},
    {"path": "/area/**", "headers": {"set": {"X-Area": "main"}, "remove": ["X-Debug"]}},
    {"path": "/app/**", "access": "authenticated"},
]

Fields = tuple[tuple[bytes, bytes], ...]


def make(source: str = "x-forwarded", **file: Any) -> GateInHand:
    """A gate beside a proxy on 10.0.0.5."""
    asked = {"source": source, **file.pop("forward_auth", {})}
    server = {"trusted_proxies": ["10.0.0.0/8"], **file.pop("server", {})}
    return GateInHand(**{"routes": ROUTES, **file, "server": server, "forward_auth": asked})


def told(
    source: str, target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET", host: bytes = HOST
) -> tuple[bytes, Fields, bytes]:
    """Target, fields and method of a question as the proxies of this source ask it."""
    if source == "path":
        return b"/_sidegate/verify/path" + target, ((b"Host", host), (b"X-Forwarded-Proto", b"https"), *headers), method
    if source == "x-original":
        url = b"https://" + host + target
        fields: Fields = ((b"X-Original-Method", method), (b"X-Original-URL", url), (b"X-Original-URI", target))
    else:
        fields = (
            (b"X-Forwarded-Method", method),
            (b"X-Forwarded-Proto", b"https"),
            (b"X-Forwarded-Host", host),
            (b"X-Forwarded-Uri", target),
        )
    return b"/_sidegate/verify", ((b"Host", b"sidegate:4180"), *fields, *headers), b"GET"


async def ask(
    gate: GateInHand, source: str, target: bytes, *headers: tuple[bytes, bytes], peer: str = PROXY, **named: Any
) -> Reply:
    question, fields, method = told(source, target, *headers, **named)
    reply = await gate.admit(question, *fields, method=method, peer=peer)
    assert isinstance(reply, Reply), reply
    return reply


@cache
def led(source: str) -> GateInHand:
    """One gate for many requests; its proxy passes redirects on."""
    return make(source, forward_auth={"on_unauthenticated": 302})


SOURCES = pytest.mark.parametrize("source", ["x-forwarded", "x-original", "path"])

# --- what it says


@SOURCES
async def test_whoever_may_pass_is_200_with_the_fields_that_the_app_is_told(source: str) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer", "admin")

    reply = await ask(gate, source, b"/admin/users?x=%2F", cookie)

    assert (reply.answer.status, reply.answer.body) == (200, b"")
    assert header(reply, b"x-auth-username") == b"alice"
    assert header(reply, b"x-auth-roles") == b"admin,viewer"
    assert header(reply, b"cache-control") == b"no-store"
    assert header(reply, b"x-request-id") == reply.event.request_id.encode()
    assert (reply.event.method, reply.event.path, reply.event.route) == ("GET", "/admin/users", "/admin/**")
    assert (reply.event.decision, reply.event.status) == ("allow", 200)


@SOURCES
async def test_a_stranger_on_a_public_route_is_200_and_nobody(source: str) -> None:
    gate = make(source)

    reply = await ask(gate, source, b"/static/a.css", (b"X-Auth-Username", b"admin"), (b"Remote-User", b"admin"))

    assert reply.answer.status == 200
    assert {name for name, _ in reply.answer.headers} <= {
        b"Cache-Control", b"X-Request-ID", b"X-Envoy-Auth-Headers-To-Remove"
    }  # fmt: skip


async def test_a_navigation_of_a_stranger_is_401_with_the_way_to_the_login_of_the_original() -> None:
    gate = make("x-original")

    reply = await ask(gate, "x-original", b"/app/a?b=1", NAVIGATES, HTML)

    assert reply.answer.status == 401
    assert header(reply, b"location") == ORIGIN + b"/_sidegate/login?return_to=/app/a%3Fb%3D1"
    assert header(reply, b"www-authenticate") is not None
    assert header(reply, b"cache-control") == b"no-store"


async def test_a_navigation_is_redirected_where_the_proxy_passes_that_on() -> None:
    gate = make(forward_auth={"on_unauthenticated": 302})

    reply = await ask(gate, "x-forwarded", b"/app/a", NAVIGATES, HTML)

    assert reply.answer.status == 302
    assert header(reply, b"location") == ORIGIN + b"/_sidegate/login?return_to=/app/a"


@pytest.mark.parametrize("status", [401, 302])
async def test_a_program_is_told_401_without_a_way_for_browsers(status: int) -> None:
    gate = make(forward_auth={"on_unauthenticated": status})

    replies = [await ask(gate, "x-forwarded", b"/app/a"), await ask(gate, "x-forwarded", b"/api/a", NAVIGATES, HTML)]

    assert [reply.answer.status for reply in replies] == [401, 401]
    assert [header(reply, b"location") for reply in replies] == [None, None]
    assert b'"login_url": "/_sidegate/login?return_to=/app/a"' in replies[0].answer.body


async def test_a_frame_is_answered_by_its_page_and_never_led() -> None:
    gate = make()

    reply = await ask(gate, "x-forwarded", b"/app/a", NAVIGATES, HTML, (b"Sec-Fetch-Dest", b"iframe"))

    assert (reply.answer.status, header(reply, b"location")) == (401, None)
    assert b"<html" in reply.answer.body


@pytest.mark.parametrize(("status", "expected"), [(401, 401), (302, 302)])
async def test_a_step_up_leads_to_the_provider_and_back_to_the_original(status: int, expected: int) -> None:
    gate = make(forward_auth={"on_unauthenticated": status})
    cookie = await gate.signed_in("viewer")

    reply = await ask(gate, "x-forwarded", b"/gold", cookie, NAVIGATES, HTML)

    assert reply.answer.status == expected
    assert header(reply, b"location") == ORIGIN + b"/_sidegate/start?return_to=/gold&acr_values=gold"
    assert reply.event.decision == "step_up"


async def test_wrong_rights_are_403_with_what_is_missing() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")

    reply = await ask(gate, "x-forwarded", b"/admin/users", cookie)

    assert reply.answer.status == 403
    assert b'"required_roles": ["admin"]' in reply.answer.body


async def test_a_form_cannot_be_kept_and_its_sender_is_told_so_on_a_page() -> None:
    gate = make()
    posted = (
        (b"Content-Type", b"application/x-www-form-urlencoded"), NAVIGATES, HTML, (b"Sec-Fetch-Site", b"same-origin")
    )  # fmt: skip

    reply = await ask(gate, "x-forwarded", b"/app/save", *posted, method=b"POST")

    assert reply.answer.status == 401
    assert b"forms cannot be kept here" in reply.answer.body
    assert reply.event.reason == "not_kept_no_body"


async def test_a_form_that_waits_is_not_sent_on_by_a_question() -> None:
    gate = make()
    name, value = await gate.signed_in("viewer")
    place = Place(scheme="https", host="app.example.com", target=b"/app/save")
    kept = Kept(place=place, subject_hash=subject_hash(ISSUER, "alice-id"), headers=(), kept_at=gate.clock.now())
    kept_id = await gate.kept.keep(KeptRequest(kept=kept, body=b"a=1"))
    mark = b"; __Host-sidegate-kept=" + kept_mark(kept_id, place).encode()

    reply = await ask(gate, "x-forwarded", b"/app/save", (name, value + mark), NAVIGATES, HTML)

    assert (reply.answer.status, reply.event.method) == (200, "GET")
    assert await gate.kept.peek(kept_id) == kept


async def test_the_apps_own_logout_link_leads_the_browser_to_our_page_with_what_it_posted() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")

    posted = await ask(gate, "x-forwarded", b"/signout", cookie, method=b"POST")
    asked = await ask(gate, "x-forwarded", b"/signout", cookie, NAVIGATES)

    assert (posted.answer.status, header(posted, b"location")) == (307, ORIGIN + b"/_sidegate/logout/app")
    assert header(posted, b"cache-control") == b"no-store"
    assert (asked.answer.status, header(asked, b"location")) == (303, ORIGIN + b"/_sidegate/logout")


async def test_a_page_of_ours_is_never_a_200_for_the_proxy_would_take_it_for_a_leave() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    framed = (NAVIGATES, HTML, (b"Sec-Fetch-Dest", b"iframe"))

    for method in (b"GET", b"POST"):
        reply = await ask(gate, "x-forwarded", b"/signout", cookie, *framed, method=method)
        assert (reply.answer.status, reply.event.status) == (403, 403)
        assert b"/_sidegate/logout" in reply.answer.body


async def test_http_is_redirected_to_https_by_the_scheme_of_the_original() -> None:
    gate = make("x-original", server={"https_redirect": True})
    fields = (
        (b"Host", b"sidegate"),
        (b"X-Original-Method", b"GET"),
        (b"X-Original-URL", b"http://app.example.com/app/a?b"),
        (b"X-Original-URI", b"/app/a?b"),
    )

    reply = await gate.refused(b"/_sidegate/verify", *fields, peer=PROXY)

    assert (reply.answer.status, header(reply, b"location")) == (308, ORIGIN + b"/app/a?b")


async def test_a_store_that_is_away_is_503() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    gate.store.away = {"load"}

    reply = await ask(gate, "x-forwarded", b"/app/a", cookie)

    assert reply.answer.status == 503


async def test_a_session_that_must_be_refreshed_first_is_awaited() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    gate.refresher.is_fresh = False

    reply = await ask(gate, "x-forwarded", b"/app/a", cookie)

    assert gate.refresher.calls == ["fresh"]
    assert reply.answer.status == 401, "the refresh brought nothing"


async def test_it_counts_as_activity() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    gate.clock.advance(6 * 86400)
    await ask(gate, "x-forwarded", b"/app/a", cookie)
    gate.clock.advance(6 * 86400)

    assert (await ask(gate, "x-forwarded", b"/app/a", cookie)).answer.status == 200


async def test_an_equal_question_is_read_once_and_decided_anew() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    question, fields, _ = told("x-forwarded", b"/app/a", cookie)
    head = RequestHead(b"GET", question, fields, PROXY, "https")

    first = gate.gate.admit(head)
    gate.clock.advance(40 * 86400)
    again = gate.gate.admit(head)
    second = await again if isinstance(again, Awaitable) else again

    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert (first.answer.status, second.answer.status) == (200, 401)


# --- what the app must not see


async def test_our_cookies_are_taken_out_of_what_the_app_gets() -> None:
    gate = make()
    name, value = await gate.signed_in("viewer")

    reply = await ask(gate, "x-forwarded", b"/app/a", (name, b"a=1; " + value), (b"cookie", b"b=2"))
    alone = await ask(gate, "x-forwarded", b"/app/a", (name, value))

    assert [value for name, value in reply.answer.headers if name.lower() == b"cookie"] == [b"a=1; b=2"]
    assert header(alone, b"cookie") is None


async def test_what_connection_names_between_the_proxy_and_us_is_not_the_apps_business() -> None:
    gate = make()
    name, value = await gate.signed_in("viewer")

    reply = await ask(gate, "x-forwarded", b"/app/a", (name, b"a=1; " + value), (b"Connection", b"close, Cookie"))

    assert header(reply, b"cookie") == b"a=1"


async def test_what_routes_set_and_remove_is_said_as_the_app_would_get_it() -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    sent = ((b"X-Area", b"mine"), (b"X-Debug", b"1"))

    there = await ask(gate, "x-forwarded", b"/area/a", cookie, *sent)
    elsewhere = await ask(gate, "x-forwarded", b"/app/a", cookie, *sent)

    assert (header(there, b"x-area"), header(there, b"x-debug")) == (b"main", None)
    assert (header(elsewhere, b"x-area"), header(elsewhere, b"x-debug")) == (b"mine", b"1")


async def test_the_access_token_stands_in_the_place_of_the_clients_authorization() -> None:
    app = {"url": "http://127.0.0.1:8000", "access_token": True}
    gate, without = make(upstreams={"app": app}), make()
    basic = (b"Authorization", b"Basic eDp5")
    cookie, same = await gate.signed_in("viewer"), await without.signed_in("viewer")

    replaced = await ask(gate, "x-forwarded", b"/app/a", cookie, basic)
    passed = await ask(gate, "x-forwarded", b"/static/a", basic)
    unsaid = await ask(without, "x-forwarded", b"/app/a", same, basic)

    assert (header(replaced, b"authorization") or b"").startswith(b"Bearer ")
    assert header(passed, b"authorization") == basic[1]
    assert header(unsaid, b"authorization") is None


async def test_an_exchanged_token_stands_in_the_place_of_the_clients_authorization() -> None:
    gate = make(routes=[{"path": "/billing/**", "token_exchange": {"audience": "billing"}}])
    cookie = await gate.signed_in("viewer")

    answer = await ask(gate, "x-forwarded", b"/billing/a", cookie, (b"Authorization", b"Basic eDp5"))

    assert header(answer, b"authorization") == b"Bearer for-billing-1"


async def test_envoy_is_told_what_to_take_out_of_the_original() -> None:
    gate = make("path")
    cookie = await gate.signed_in("viewer")

    reply = await ask(gate, "path", b"/app/a", cookie)
    removed = set((header(reply, b"x-envoy-auth-headers-to-remove") or b"").split(b","))

    assert {b"remote-user", b"x-auth-request-user", b"x-http-method-override", b"x-original-url", b"cookie"} <= removed
    assert not removed & {fold(name) for name, _ in reply.answer.headers}


@pytest.mark.parametrize("name", [b"X_Auth_Roles", b"x.auth.username", b"X-Forwarded_Uri", b"X_Forwarded_For",
                                  b"X_HTTP_Method_Override", b"X_Area"])  # fmt: skip
async def test_a_field_that_reads_like_ours_in_another_spelling_is_400_for_the_proxy_would_pass_it(name: bytes) -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")

    assert (await ask(gate, "x-forwarded", b"/app/a", cookie, (name, b"admin"))).answer.status == 400
    assert (await ask(gate, "x-forwarded", b"/app/a", cookie, (b"X_Mine", b"1"))).answer.status == 200


# --- who may ask, and how


async def test_without_the_block_it_is_a_page_like_any_other() -> None:
    gate = GateInHand(server={"trusted_proxies": ["10.0.0.0/8"]})
    question, fields, _ = told("x-forwarded", b"/app/a")

    admission = await gate.admit(question, *fields[1:], peer=PROXY)

    assert isinstance(admission, OwnPage), "where nothing is found"


@SOURCES
async def test_only_a_trusted_peer_may_ask(source: str) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    for peer in ("203.0.113.7", ""):
        reply = await ask(gate, source, b"/app/a", cookie, peer=peer)
        assert (reply.answer.status, reply.event.reason) == (403, "peer_refused")


@SOURCES
@pytest.mark.parametrize("target", [b"/_sidegate/login", b"/_sidegate/verify", b"/_sidegate", b"/%5fsidegate/login",
                                    b"/_sidegate/assets/x.css"])  # fmt: skip
async def test_an_original_under_our_prefix_never_passes(source: str, target: bytes) -> None:
    gate = make(source, routes=[{"path": "/**", "access": "public"}])

    assert (await ask(gate, source, target)).answer.status == 400


@SOURCES
async def test_nothing_of_the_set_may_be_missing_doubled_or_empty(source: str) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")
    question, fields, method = told(source, b"/app/a", cookie)
    names = [name for name, _ in fields if name.lower().startswith((b"x-forwarded", b"x-original"))]
    names += [b"Host"] if source == "path" else []

    for broken in names:
        others = tuple(pair for pair in fields if pair[0] != broken)
        one = next(pair for pair in fields if pair[0] == broken)
        for instead in ((), (one, one), ((broken, b""),), ((broken, one[1] + b", x"),)):
            head = RequestHead(method, question, (*others, *instead), PROXY, "https")
            reply = gate.gate.admit(head)
            assert isinstance(reply, Reply)
            assert reply.answer.status in {400, 405}, (broken, instead)


@SOURCES
@pytest.mark.parametrize("name", [b"X-Original-URL", b"x-original-uri", b"X-Original-Method", b"X-Forwarded-Uri",
                                  b"X-Forwarded-Method", b"x-forwarded-host"])  # fmt: skip
async def test_a_field_of_another_set_or_a_second_one_is_400(source: str, name: bytes) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    reply = await ask(gate, source, b"/app/a", cookie, (name, b"/static/a"))

    assert (reply.answer.status, reply.event.reason) == (400, "original_refused")


@SOURCES
@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"", 400), (b"*", 400), (b"https://app.example.com/static/a", 400), (b"static/a", 400),
        (b"/static/../app/a", 400), (b"/static/%2e%2e/app", 400), (b"/static/..;/app", 400), (b"/app/a#b", 400),
        (b"/app/%zz", 400), (b"/app/\x01", 400), (b"//static/a", 400), (b"/static/%2F..%2Fapp", 400),
        (b"/nowhere", 404), (b"/app/\xc3\xa4", 200), (b"/app/%C3%A4", 200), (b"/app/a%2Fb", 200),
    ],
)  # fmt: skip
async def test_the_target_of_the_original_is_under_the_same_law(source: str, target: bytes, status: int) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    assert (await ask(gate, source, target, cookie)).answer.status == status


@SOURCES
@pytest.mark.parametrize(
    ("method", "status"),
    [(b"get", 405), (b"CONNECT", 405), (b"TRACE", 405), (b"PRI", 405), (b"GET POST", 400), (b"G\xc3T", 400),
     (b"PROPFIND", 200), (b"M-SEARCH", 200)],
)  # fmt: skip
async def test_odd_methods_are_refused_as_at_the_front_door(source: str, method: bytes, status: int) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    assert (await ask(gate, source, b"/app/a", cookie, method=method)).answer.status == status


@SOURCES
@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
async def test_a_method_that_no_route_takes_is_405_with_those_that_are(source: str, method: bytes) -> None:
    reply = await ask(make(source), source, b"/api/a", method=method)

    assert (reply.answer.status, header(reply, b"allow")) == (405, b"GET, HEAD")


@SOURCES
@pytest.mark.parametrize(("host", "status"), [(b"evil.example.com", 421), (b"app.example.com:444", 421),
                                              (b"a@app.example.com", 400), (b"APP.example.com:443", 200)])  # fmt: skip
async def test_a_host_that_is_not_ours_is_refused(source: str, host: bytes, status: int) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    assert (await ask(gate, source, b"/app/a", cookie, host=host)).answer.status == status


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        (b"https://app.example.com/static/a", b"/app/a"),
        (b"https://app.example.com/app/a?x", b"/app/a"),
        (b"https://app.example.com", b"/"),
        (b"ftp://app.example.com/app/a", b"/app/a"),
        (b"/app/a", b"/app/a"),
        (b"https:///app/a", b"/app/a"),
    ],
)
async def test_the_url_and_the_uri_of_nginx_must_agree(url: bytes, uri: bytes) -> None:
    gate = make("x-original")
    cookie = await gate.signed_in("viewer")
    fields = ((b"Host", b"x"), (b"X-Original-Method", b"GET"), (b"X-Original-URL", url), (b"X-Original-URI", uri))

    reply = await gate.refused(b"/_sidegate/verify", *fields, cookie, peer=PROXY)

    assert reply.answer.status == 400


@pytest.mark.parametrize("source", ["x-forwarded", "x-original"])
async def test_the_query_of_the_original_may_stand_behind_the_address(source: str) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")
    question, fields, _ = told(source, b"/app/a?b=1?", cookie)

    replies = [await gate.refused(question + rest, *fields, peer=PROXY) for rest in (b"", b"?", b"?b=1?", b"?b=1")]

    assert [reply.answer.status for reply in replies] == [200, 200, 200, 400]


@pytest.mark.parametrize("rest", [b"?allowed_groups=admin", b"/path/app/a", b"/", b"?b"])
async def test_nothing_may_follow_the_address_where_fields_tell_the_original(rest: bytes) -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    question, fields, _ = told("x-forwarded", b"/app/a", cookie)

    reply = await gate.refused(question + rest, *fields, peer=PROXY)

    assert (reply.answer.status, reply.event.reason) == (400, "original_refused")


@pytest.mark.parametrize("question", [b"/_sidegate/%76erify", b"/_sidegate//verify", b"/_sidegate/Verify",
                                      b"/_sidegate/verifyx", b"/_sidegate/verify;a"])  # fmt: skip
async def test_no_other_spelling_of_the_address_is_answered(question: bytes) -> None:
    gate = make()
    cookie = await gate.signed_in("viewer")
    _, fields, _ = told("x-forwarded", b"/app/a", cookie, host=HOST)

    admission = await gate.admit(question, *fields, peer=PROXY)

    assert isinstance(admission, Reply | OwnPage)
    assert not (isinstance(admission, Reply) and admission.answer.status == 200)
    assert admission.event.reason != "original_refused", "it is no question"


@pytest.mark.parametrize(("said", "status"), [(b"https", 200), (b"WSS", 200), (b"http", 308), (b"ws", 308),
                                              (b"gopher", 400), (b"https,http", 400)])  # fmt: skip
async def test_the_scheme_is_http_or_https_also_by_its_name_for_websockets(said: bytes, status: int) -> None:
    gate = make("path", server={"https_redirect": True})
    cookie = await gate.signed_in("viewer")
    fields = ((b"Host", HOST), (b"X-Forwarded-Proto", said), cookie)

    assert (await gate.refused(b"/_sidegate/verify/path/app/a", *fields, peer=PROXY)).answer.status == status


# --- other sites


@SOURCES
@pytest.mark.parametrize(("site", "status"), [(b"cross-site", 403), (b"same-site", 403), (b"same-origin", 200)])
async def test_what_another_site_sends_is_refused_by_the_words_of_the_browser(
    source: str, site: bytes, status: int
) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")

    reply = await ask(gate, source, b"/app/a", cookie, (b"Sec-Fetch-Site", site), method=b"POST")

    assert reply.answer.status == status


@SOURCES
@pytest.mark.parametrize("upgrade", [(), ((b"Upgrade", b"websocket"),),
                                     ((b"Upgrade", b"websocket"), (b"Connection", b"close"))])  # fmt: skip
async def test_a_websocket_is_known_also_where_the_proxy_drops_upgrade(source: str, upgrade: Fields) -> None:
    gate = make(source)
    cookie = await gate.signed_in("viewer")
    handshake = (cookie, *upgrade, (b"Sec-WebSocket-Key", b"eA=="), (b"Sec-WebSocket-Version", b"13"))

    foreign = await ask(gate, source, b"/app/ws", *handshake, (b"Origin", b"https://evil.example"))
    own = await ask(gate, source, b"/app/ws", *handshake, (b"Origin", ORIGIN))
    stranger = await ask(gate, source, b"/app/ws", *handshake[1:], (b"Origin", ORIGIN), NAVIGATES, HTML)

    assert (foreign.answer.status, own.answer.status) == (403, 200)
    assert (stranger.answer.status, header(stranger, b"location")) == (401, None)


async def test_a_preflight_passes_where_the_route_says_so() -> None:
    gate = make()
    preflight = ((b"Origin", b"https://other.example"), (b"Access-Control-Request-Method", b"PUT"))

    there = await ask(gate, "x-forwarded", b"/cors/a", *preflight, method=b"OPTIONS")
    elsewhere = await ask(gate, "x-forwarded", b"/app/a", *preflight, method=b"OPTIONS")

    assert (there.answer.status, elsewhere.answer.status) == (200, 401)


# --- for every request

PATHS = st.lists(
    st.sampled_from([b"/", b"app", b"static", b"admin", b"api", b"signout", b"gold", b"_sidegate", b"login", b"a",
                     b"..", b"%2e%2e", b"%2F", b"%61", b";x", b"A", b"\\", b"?", b"b=1", b"#", b"%", b"\xc3\xa4",
                     b":", b"."]),
    max_size=6,
).map(lambda parts: b"/" + b"".join(parts))  # fmt: skip
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"TRACE", b"PROPFIND"])
OF_CLIENT = st.lists(
    st.sampled_from([
        NAVIGATES, HTML, (b"Sec-Fetch-Site", b"cross-site"), (b"Sec-Fetch-Site", b"same-origin"),
        (b"Origin", b"https://evil.example"), (b"Origin", ORIGIN), (b"Upgrade", b"websocket"),
        (b"Sec-Fetch-Dest", b"iframe"), (b"Sec-Purpose", b"prefetch"), (b"Service-Worker", b"script"),
        (b"Access-Control-Request-Method", b"PUT"), (b"X-Auth-Roles", b"admin"), (b"Remote-User", b"admin"),
        (b"X-HTTP-Method-Override", b"DELETE"), (b"Authorization", b"Basic eDp5"), (b"X-Debug", b"1"),
        (b"Cookie", b"a=1"), (b"Content-Type", b"application/x-www-form-urlencoded"), (b"X-Forwarded-For", b"9.9.9.9"),
    ]),
    max_size=4, unique=True,
)  # fmt: skip


def outcome(admission: Admission) -> tuple[int, dict[bytes, bytes] | None]:
    """Status, and what the app is told of the person; a form that would be kept is one that is not."""
    if isinstance(admission, Forward):
        told = {fold(name): value for name, value in admission.headers if fold(name).startswith((b"x-auth", b"x-area"))}
        return 200, told
    assert not isinstance(admission, SendKept)
    if admission.event.route == "/_sidegate/**":
        return 400, None
    if isinstance(admission, KeepBody):
        return 401, None
    if isinstance(admission, OwnPage):
        return 307, None
    assert isinstance(admission, Reply)
    return admission.answer.status if admission.answer.status >= 300 else 403, None


@SOURCES
@settings(max_examples=100 * MORE)
@given(target=PATHS, method=METHODS, sent=OF_CLIENT, role=st.sampled_from([None, "viewer", "admin"]))
def test_a_question_is_decided_as_the_request_itself_would_be(
    source: str, target: bytes, method: bytes, sent: list[tuple[bytes, bytes]], role: str | None
) -> None:
    async def both() -> tuple[Admission, Reply]:
        gate = led(source)
        fields = [*sent, await gate.signed_in(role)] if role else sent
        way = ((b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Host", HOST), (b"Connection", b"Upgrade"))
        itself = await gate.admit(target, *way, *fields, method=method, peer=PROXY)
        return itself, await ask(gate, source, target, *fields, method=method)

    itself, answer = asyncio.run(both())

    status, told_to_app = outcome(itself)
    assert answer.answer.status == status, quote(target)
    if told_to_app is not None:
        said = {fold(name): value for name, value in answer.answer.headers}
        assert {name: value for name, value in said.items() if name.startswith((b"x-auth", b"x-area"))} == told_to_app
