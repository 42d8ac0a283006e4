"""The way of a request through the gate, without a socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy.core.policy import Allow
from proxy.core.request import RequestHead
from proxy.core.session import session_key
from proxy.errors import FramingRefused, ProviderUnavailable, UpstreamTimeout
from proxy.ports import OwnPage, RequestEvent
from proxy.sessions.memory import MemorySessionStore
from tests.gate.conftest import HOST, HTML, GateInHand, header

if TYPE_CHECKING:
    from proxy.ports import Reply

ROUTES = [
    {"path": "/static/**", "access": "public"},
    {"path": "/maybe/**", "access": "optional"},
    {"path": "/admin/**", "access": {"any_role": ["admin"]}},
    {"path": "/api/**", "methods": ["GET"], "access": "authenticated", "on_unauthenticated": 401},
    {"path": "/cors/**", "access": "authenticated", "preflight": "pass"},
    {"path": "/poll", "access": "authenticated", "passive": True},
    {"path": "/app/**", "access": "authenticated"},
]


@pytest.fixture
def gate() -> GateInHand:
    return GateInHand(routes=ROUTES)


def problem(reply: Reply) -> dict[str, object]:
    assert header(reply, b"content-type") == b"application/problem+json"
    document = json.loads(reply.answer.body)
    assert isinstance(document, dict)
    return document


async def test_a_stranger_who_navigates_is_led_to_the_login_page_and_back(gate: GateInHand) -> None:
    reply = await gate.refused(b"/app/a?b=c&d", HTML)

    assert reply.answer.status == 302
    assert header(reply, b"location") == b"/_sidegate/login?return_to=/app/a%3Fb%3Dc%26d"
    assert header(reply, b"cache-control") == b"no-store"


async def test_a_stranger_who_is_a_program_gets_401_with_a_login_url(gate: GateInHand) -> None:
    reply = await gate.refused(b"/app/a", (b"Accept", b"application/json"))

    assert reply.answer.status == 401
    assert header(reply, b"www-authenticate")
    document = problem(reply)
    assert document["code"] == "auth_required"
    assert document["login_url"] == "/_sidegate/login?return_to=/app/a"
    assert document["request_id"] == reply.event.request_id


async def test_sec_fetch_mode_decides_before_accept(gate: GateInHand) -> None:
    fetch = await gate.refused(b"/app/a", HTML, (b"Sec-Fetch-Mode", b"cors"))
    navigation = await gate.refused(b"/app/a", (b"Sec-Fetch-Mode", b"navigate"))

    assert fetch.answer.status == 401
    assert navigation.answer.status == 302


async def test_a_websocket_handshake_and_a_prefetch_get_401(gate: GateInHand) -> None:
    handshake = await gate.refused(
        b"/app/ws", HTML, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13")
    )
    prefetch = await gate.refused(b"/app/a", HTML, (b"Sec-Purpose", b"prefetch"), (b"Sec-Fetch-Mode", b"navigate"))

    assert handshake.answer.status == 401
    assert prefetch.answer.status == 401


async def test_a_login_page_does_not_open_in_a_frame(gate: GateInHand) -> None:
    reply = await gate.refused(b"/app/a", HTML, (b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"iframe"))

    assert reply.answer.status == 401
    assert b'target="_top"' in reply.answer.body
    assert b"frame-ancestors 'self'" in (header(reply, b"content-security-policy") or b"")


async def test_a_route_may_answer_401_to_everybody_without_a_session(gate: GateInHand) -> None:
    assert (await gate.refused(b"/api/x", HTML)).answer.status == 401


async def test_a_live_session_passes_with_its_identity(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    forward = await gate.forwarded(b"/app/a?x=1", cookie, (b"Accept", b"*/*"))

    assert isinstance(forward.allow, Allow)
    assert forward.target == b"/app/a?x=1"
    assert (b"X-Auth-Subject", b"alice-id") in forward.headers
    assert (b"X-Auth-Roles", b"viewer") in forward.headers
    assert not any(name.lower() == b"cookie" for name, _ in forward.headers)
    assert forward.allow.session is not None
    assert forward.cookie_value is not None
    assert session_key(forward.cookie_value) == forward.allow.session.key


async def test_a_cached_session_is_decided_without_an_await(gate: GateInHand) -> None:
    cookie = await gate.signed_in()

    admission = gate.gate.admit(
        RequestHead(method=b"GET", target=b"/app/a", headers=(HOST, cookie), peer="", scheme="https")
    )

    assert not hasattr(admission, "__await__")


@pytest.mark.parametrize("name", [b"X-Auth-Roles", b"x_auth_roles", b"X-AUTH_Subject", b"Remote-User", b"remote_user"])
@pytest.mark.parametrize("target", [b"/static/x", b"/maybe/x", b"/app/x"])
async def test_no_spelling_of_an_identity_header_passes_on_any_route(
    gate: GateInHand, target: bytes, name: bytes
) -> None:
    cookie = await gate.signed_in("viewer")

    forward = await gate.forwarded(target, cookie, (name, b"forged"), (b"Connection", b"X-Auth-Roles"))

    assert b"forged" not in dict(forward.headers).values()
    if target == b"/app/x":
        assert (b"X-Auth-Roles", b"viewer") in forward.headers


@pytest.mark.parametrize("bound", ["_entries", "_in_all"])
async def test_the_rendered_identities_that_are_kept_are_bounded_in_number_and_in_bytes(
    gate: GateInHand, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    rendered = gate.gate._rendered
    cookies = [await gate.signed_in("viewer", subject=f"user-{number}") for number in range(5)]
    _ = await gate.forwarded(b"/app/x", cookies[0])
    monkeypatch.setattr(rendered, bound, 2 if bound == "_entries" else 2 * rendered.weight)

    for cookie in cookies:
        assert (b"X-Auth-Roles", b"viewer") in (await gate.forwarded(b"/app/x", cookie)).headers

    assert len(rendered) == 2


async def test_a_role_that_cannot_be_sent_is_left_out_and_logged_once(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer", "a,b")

    for _ in range(3):
        forward = await gate.forwarded(b"/app/x", cookie)

    assert (b"X-Auth-Roles", b"viewer") in forward.headers
    assert len(gate.observer.warnings) == 1


async def test_a_public_route_looks_no_session_up_and_sends_no_identity(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")
    gate.store.go_away()

    forward = await gate.forwarded(b"/static/app.css", cookie)

    assert gate.store.calls == ["create"]
    assert (forward.allow.session, forward.cookie_value) == (None, None)
    assert not any(name.startswith(b"X-Auth") for name, _ in forward.headers)


async def test_an_optional_route_sends_the_identity_when_there_is_one(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    known, stranger = await gate.forwarded(b"/maybe/x", cookie), await gate.forwarded(b"/maybe/x")

    assert (b"X-Auth-Roles", b"viewer") in known.headers
    assert not any(name.startswith(b"X-Auth") for name, _ in stranger.headers)


async def test_wrong_rights_are_told_with_what_is_missing(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    page = await gate.refused(b"/admin/x", cookie, HTML)
    document = problem(await gate.refused(b"/admin/x", cookie))

    assert page.answer.status == 403
    assert b"admin" in page.answer.body
    assert document["code"] == "insufficient_permissions"
    assert document["required_roles"] == ["admin"]
    assert document["user_roles"] == ["viewer"]


async def test_who_signs_in_as_somebody_else_comes_back_to_what_was_refused(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    page = await gate.refused(b"/admin/x?y=1", cookie, HTML)

    assert b"/_sidegate/logout?return_to=" in page.answer.body
    assert b"admin/x" in page.answer.body


async def test_a_refusal_is_said_in_the_language_of_the_browser_or_of_the_choice_that_is_kept(gate: GateInHand) -> None:
    name, value = await gate.signed_in("viewer")

    spanish = await gate.refused(b"/admin/x", (name, value), HTML, (b"Accept-Language", b"it, es;q=0.5"))
    kept = (name, value + b"; __Host-sidegate-language=fr")
    french = await gate.refused(b"/admin/x", kept, HTML, (b"Accept-Language", b"es"))

    assert (header(spanish, b"content-language"), header(french, b"content-language")) == (b"es", b"fr")
    assert "El rol <code>admin</code>" in spanish.answer.body.decode()
    assert "rôle <code>admin</code>" in french.answer.body.decode()


async def test_a_refusal_can_be_had_in_another_language_unless_it_answers_what_was_sent(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    asked = await gate.refused(b"/admin/x?y=1&z=%C3%A4", cookie, HTML)
    sent = await gate.refused(b"/admin/x?y=1", cookie, HTML, method=b"POST")

    link = b'href="/_sidegate/language?return_to=/admin/x%3Fy%3D1%26z%3D%25C3%25A4&amp;ui_locales=de"'
    assert link in asked.answer.body
    assert (sent.answer.status, b"ui_locales" in sent.answer.body) == (403, False)


async def test_a_page_whose_store_is_away_comes_back_by_itself_and_a_form_does_not(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")
    gate.store.go_away()

    asked = await gate.refused(b"/admin/x?y=1", cookie, HTML)
    sent = await gate.refused(b"/admin/x", cookie, HTML, method=b"POST")
    program = await gate.refused(b"/admin/x", cookie)

    assert [reply.answer.status for reply in (asked, sent, program)] == [503, 503, 503]
    assert header(asked, b"refresh") == header(asked, b"retry-after") is not None
    assert b'href="/admin/x?y=1"' in asked.answer.body
    assert (header(sent, b"refresh"), header(program, b"refresh")) == (None, None)


async def test_a_path_without_a_route_is_404_and_a_method_without_one_405(gate: GateInHand) -> None:
    cookie = await gate.signed_in()

    missing = await gate.refused(b"/nowhere", cookie)
    method = await gate.refused(b"/api/x", cookie, method=b"DELETE")

    assert missing.answer.status == 404
    assert method.answer.status == 405
    assert header(method, b"allow") == b"GET, HEAD"


@pytest.mark.parametrize(
    "target",
    [
        b"/static/..;/admin/x",
        b"/static/%2e%2e/admin",
        b"/%61dmin/x%00",
        b"/static/x#y",
        b"/static\x00",
        b"//admin/x/..",
        b"*",
    ],
)
async def test_a_target_that_an_app_could_read_in_two_ways_is_400_for_everybody(
    gate: GateInHand, target: bytes
) -> None:
    cookie = await gate.signed_in("admin")

    assert (await gate.refused(target)).answer.status == 400
    assert (await gate.refused(target, cookie)).answer.status == 400


async def test_a_reading_that_meets_another_rule_is_400_and_the_log_names_both(gate: GateInHand) -> None:
    reply = await gate.refused(b"/static/..%5cadmin")

    assert reply.answer.status == 400
    assert b"admin" not in reply.answer.body


@pytest.mark.parametrize(
    "target", [b"/%5fsidegate/login", b"/x/..;/_sidegate", b"//_sidegate/login", b"/_SIDEGATE/login"]
)
async def test_no_reading_of_our_own_paths_reaches_the_app(gate: GateInHand, target: bytes) -> None:
    cookie = await gate.signed_in()

    assert (await gate.refused(target, cookie)).answer.status == 400


@pytest.mark.parametrize("target", [b"/old/_sidegate/login", b"/old/%5fsidegate/login", b"/old/_sidegate"])
async def test_what_a_stripped_prefix_uncovers_is_no_path_of_ours_either(target: bytes) -> None:
    gate = GateInHand(routes=[{"path": "/old/**", "access": "public", "strip_prefix": "/old"}])

    assert (await gate.forwarded(b"/old/x?y")).target == b"/x?y"
    assert (await gate.refused(target)).answer.status == 400


async def test_own_pages_get_a_fresh_head(gate: GateInHand) -> None:
    cookie = await gate.signed_in()

    admission = await gate.admit(
        b"/_sidegate/status",
        (b"Cookie", cookie[1] + b"; theirs=1"),
        (b"X-Custom", b"x"),
        (b"Sidegate-Address", b"10.0.0.1"),
        (b"Authorization", b"Basic x"),
    )

    assert isinstance(admission, OwnPage)
    fields = dict(admission.headers)
    assert fields[b"Cookie"] == cookie[1]
    assert fields[b"sidegate-address"] == b"203.0.113.7"
    assert {b"X-Custom", b"Authorization", b"Sidegate-Address"}.isdisjoint(fields)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
async def test_an_unsafe_method_from_another_site_is_refused(gate: GateInHand, site: bytes) -> None:
    cookie = await gate.signed_in()

    by_site = await gate.refused(b"/app/x", cookie, (b"Sec-Fetch-Site", site), method=b"POST")
    by_origin = await gate.refused(b"/app/x", cookie, (b"Origin", b"https://evil.example"), method=b"POST")
    own = await gate.forwarded(
        b"/app/x", cookie, (b"Origin", b"https://app.example.com"), (b"Sec-Fetch-Site", b"same-origin"), method=b"POST"
    )

    assert by_site.answer.status == by_origin.answer.status == 403
    assert own.method == b"POST"


async def test_a_service_worker_cannot_be_installed_beside_the_login_page(gate: GateInHand) -> None:
    assert (await gate.refused(b"/static/sw.js", (b"Service-Worker", b"script"))).answer.status == 403


async def test_a_preflight_passes_without_identity_where_the_route_says_so(gate: GateInHand) -> None:
    asks = ((b"Origin", b"https://other.example"), (b"Access-Control-Request-Method", b"PUT"))
    cookie = await gate.signed_in("viewer")

    passed = await gate.forwarded(b"/cors/x", cookie, *asks, method=b"OPTIONS")
    refused = await gate.refused(b"/app/x", *asks, method=b"OPTIONS")

    assert not any(name.startswith(b"X-Auth") for name, _ in passed.headers)
    assert refused.answer.status == 401


async def test_a_session_of_another_client_is_no_session(gate: GateInHand) -> None:
    cookie = await gate.signed_in(client_id="other-app")

    assert (await gate.refused(b"/app/x", cookie, HTML)).answer.status == 302


async def test_two_session_cookies_count_for_none(gate: GateInHand) -> None:
    cookie = await gate.signed_in()

    assert (await gate.refused(b"/app/x", (b"Cookie", cookie[1] + b"; " + cookie[1]))).answer.status == 401


async def test_a_store_that_is_away_is_503_and_never_a_pass(gate: GateInHand) -> None:
    cookie = await gate.signed_in("admin")
    gate.store.go_away()

    for target in (b"/app/x", b"/maybe/x"):
        reply = await gate.refused(target, cookie)
        assert reply.answer.status == 503
        assert header(reply, b"retry-after")

    gate.store.come_back()
    assert (await gate.forwarded(b"/app/x", cookie)).allow.session


async def test_a_token_that_is_over_while_the_provider_is_away_is_503_and_the_session_lives(gate: GateInHand) -> None:
    cookie = await gate.signed_in()
    gate.refresher.is_fresh = False
    gate.refresher.outcome = ProviderUnavailable("away")

    assert (await gate.refused(b"/app/x", cookie)).answer.status == 503

    gate.refresher.is_fresh = True
    assert (await gate.forwarded(b"/app/x", cookie)).allow.session


async def test_a_session_that_the_provider_ended_is_none(gate: GateInHand) -> None:
    cookie = await gate.signed_in()
    gate.refresher.is_fresh = False

    assert (await gate.refused(b"/app/x", cookie)).answer.status == 401
    assert gate.observer.refresh_waits


async def test_a_defect_of_ours_is_500_and_never_a_pass(gate: GateInHand, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = await gate.signed_in()
    monkeypatch.setattr(gate.store, "cached", lambda _value: 1 / 0)

    reply = await gate.refused(b"/app/x", cookie)

    assert reply.answer.status == 500
    assert b"ZeroDivision" not in reply.answer.body
    assert gate.observer.errors


async def test_activity_counts_but_not_on_passive_routes(gate: GateInHand) -> None:
    cookie = await gate.signed_in()
    store = gate.store.inner
    assert isinstance(store, MemorySessionStore)

    gate.clock.advance(3600)
    await gate.forwarded(b"/poll", cookie)
    await gate.forwarded(b"/static/x", cookie)
    passive = (await store.find())[0].last_seen_at
    await gate.forwarded(b"/app/x", cookie)
    active = (await store.find())[0].last_seen_at

    assert active - passive == 3600


async def test_a_foreign_host_is_421_and_names_no_internal() -> None:
    gate = GateInHand()

    reply = await gate.refused(b"/", (b"Host", b"evil.example"), HTML)

    assert reply.answer.status == 421
    assert b"public_url" not in reply.answer.body


async def test_plain_http_is_redirected_when_the_file_says_so() -> None:
    gate = GateInHand(server={"https_redirect": True})

    admission = gate.gate.admit(
        RequestHead(method=b"GET", target=b"/a?b", headers=(HOST,), peer="203.0.113.7", scheme="http")
    )

    assert not hasattr(admission, "__await__")
    assert admission.answer.status == 308
    assert header(admission, b"location") == b"https://app.example.com/a?b"


async def test_a_fault_of_the_upstream_is_answered_by_accept(gate: GateInHand) -> None:
    forward = await gate.forwarded(b"/app/x", await gate.signed_in())
    head = RequestHead(method=b"GET", target=b"/app/x", headers=(HOST, HTML), peer="", scheme="https")

    reply = gate.gate.fault(UpstreamTimeout("127.0.0.1:8000 took 60 s"), head, forward.event)

    assert reply.answer.status == 504
    assert b"127.0.0.1" not in reply.answer.body
    assert reply.event.request_id.encode() in reply.answer.body
    assert reply.event.fault == "127.0.0.1:8000 took 60 s"


async def test_bytes_that_are_no_request_are_answered_too(gate: GateInHand) -> None:
    reply = gate.gate.fault(UpstreamTimeout("x"), None, None)

    assert reply.answer.status == 504
    assert header(reply, b"x-request-id")


async def test_a_head_that_could_not_be_read_is_logged_with_who_sent_it(gate: GateInHand) -> None:
    unread = RequestHead(b"", b"", (), "203.0.113.7", "https")

    reply = gate.gate.fault(FramingRefused("two lengths"), unread, None)

    assert reply.answer.status == 400
    assert reply.event.address == "203.0.113.7"


async def test_the_event_of_a_request_holds_no_query(gate: GateInHand) -> None:
    event: RequestEvent = (await gate.forwarded(b"/app/x?code=secret", await gate.signed_in())).event

    gate.clock.advance(0.25)
    gate.gate.finished(event)

    assert gate.observer.requests == [event]
    assert event.path == "/app/x"
    assert event.route == "/app/**"
    assert event.subject == "alice-id"
    assert event.decision == "allow"
    assert event.duration_s == pytest.approx(0.25)


async def test_an_app_that_is_sent_the_token_is_sent_no_dead_one(make_gate: type[GateInHand]) -> None:
    urls = {"told": {"url": "http://127.0.0.1:8000", "access_token": True}, "plain": {"url": "http://127.0.0.1:8001"}}
    routes = [{"path": "/plain", "upstream": "plain"}, {"path": "/**", "upstream": "told"}]
    gate = make_gate(upstreams=urls, routes=routes)
    cookie = await gate.signed_in()
    gate.clock.advance(299)
    assert b"Bearer access-1" in dict((await gate.forwarded(b"/", cookie)).headers)[b"Authorization"]
    gate.clock.advance(1)

    refused = await gate.refused(b"/", cookie)

    assert (refused.answer.status, refused.event.reason) == (503, "provider_unavailable")
    await gate.forwarded(b"/plain", cookie)


# --- the app's own logout link

SIGNOUT = [{"path": "/signout", "logout": True}, {"path": "/**", "access": "authenticated"}]
NAVIGATES = (HTML, (b"Sec-Fetch-Mode", b"navigate"))


async def test_a_post_to_the_app_s_logout_link_goes_to_our_own_page_and_never_to_the_app() -> None:
    gate = GateInHand(routes=SIGNOUT)
    cookie = await gate.signed_in()

    admission = await gate.admit(b"/signout?x=1", cookie, *NAVIGATES, method=b"POST")

    assert isinstance(admission, OwnPage)
    assert (admission.method, admission.target) == (b"POST", b"/_sidegate/logout/app")
    assert (b"Cookie", cookie[1]) in admission.headers
    assert (admission.event.route, admission.event.reason) == ("/signout", "logout")


@pytest.mark.parametrize(
    ("referer", "location"),
    [
        (None, b"/_sidegate/logout"),
        (b"https://app.example.com/inbox?page=2", b"/_sidegate/logout?return_to=/inbox%3Fpage%3D2"),
        (b"https://evil.example/inbox", b"/_sidegate/logout"),
    ],
)
async def test_a_get_of_the_app_s_logout_link_leads_to_the_question(referer: bytes | None, location: bytes) -> None:
    gate = GateInHand(routes=SIGNOUT)
    fields = NAVIGATES if referer is None else (*NAVIGATES, (b"Referer", referer))

    for cookie in ((), (await gate.signed_in(),)):
        reply = await gate.refused(b"/signout", *cookie, *fields)
        assert reply.answer.status == 303
        assert header(reply, b"location") == location


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_in_a_frame_the_app_s_logout_link_leads_out_of_it(method: bytes) -> None:
    gate = GateInHand(routes=SIGNOUT)

    reply = await gate.refused(
        b"/signout", await gate.signed_in(), *NAVIGATES, (b"Sec-Fetch-Dest", b"frame"), method=method
    )

    assert reply.answer.status == 200
    assert b'href="/_sidegate/logout" target="_top"' in reply.answer.body
    assert b"frame-ancestors 'self'" in (header(reply, b"content-security-policy") or b"")


async def test_other_methods_are_no_logout() -> None:
    gate = GateInHand(routes=SIGNOUT)

    reply = await gate.refused(b"/signout", await gate.signed_in(), method=b"DELETE")

    assert reply.answer.status == 405
    assert header(reply, b"allow") == b"GET, HEAD, POST"


# --- frames


@pytest.mark.parametrize(
    ("fields", "return_to"),
    [
        (((b"Sec-Fetch-Dest", b"iframe"), (b"Referer", b"https://app.example.com/whole?a=1")), b"/whole%3Fa%3D1"),
        (((b"Sec-Fetch-Dest", b"frame"), (b"Referer", b"https://app.example.com/whole")), b"/whole"),
    ],
)
async def test_who_signs_in_out_of_a_frame_comes_back_to_the_whole_page(
    gate: GateInHand, fields: tuple[tuple[bytes, bytes], ...], return_to: bytes
) -> None:
    reply = await gate.refused(b"/app/inner", *NAVIGATES, *fields)

    assert b'href="/_sidegate/login?return_to=' + return_to + b'"' in reply.answer.body


@pytest.mark.parametrize(
    "fields",
    [
        ((b"Sec-Fetch-Dest", b"iframe"),),
        ((b"Sec-Fetch-Dest", b"iframe"), (b"Referer", b"https://evil.example/whole")),
        ((b"Sec-Fetch-Dest", b"frame"), (b"Sec-Fetch-User", b"?1"), (b"Referer", b"https://app.example.com/menu")),
    ],
)
async def test_where_nobody_knows_the_whole_page_it_is_the_start(
    gate: GateInHand, fields: tuple[tuple[bytes, bytes], ...]
) -> None:
    reply = await gate.refused(b"/app/inner", *NAVIGATES, *fields)

    assert b'href="/_sidegate/login" target="_top"' in reply.answer.body
