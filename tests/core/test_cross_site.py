"""What a browser says of itself, and what another site may not do with our cookie."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.core.cross_site import (
    AllowedOrigins,
    cross_site_verdict,
    is_framed,
    is_navigation,
    is_prefetch,
    is_websocket,
    preflight_method,
    service_worker_verdict,
    wants_html,
)
from proxy.core.policy import Reason
from proxy.core.request import Accepted, RequestHead
from proxy.core.routing import AUTHENTICATED, PUBLIC, Csrf, Route, ServiceWorker
from proxy.core.target import TargetRules, parse_target

ROUTE = Route(pattern="/**", access=AUTHENTICATED)
OPEN_ROUTE = Route(pattern="/**", access=AUTHENTICATED, csrf=Csrf.OFF)
ALLOWED = AllowedOrigins(frozenset({b"https://app.example.com", b"https://partner.example"}))
HANDSHAKE = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}


def head(method: str = "GET", version: bytes = b"1.1", **fields: str) -> RequestHead:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
    return RequestHead(method.encode(), b"/", ((b"Host", b"app.example.com"), *pairs), "10.0.0.1", "http", version)


def accepted(request: RequestHead) -> Accepted:
    return Accepted(
        head=request,
        target=parse_target(request.target, rules=TargetRules()),
        request_id="r",
        traceparent="t",
        client_address="10.0.0.1",
        scheme="https",
        host="app.example.com",
        forwarded_for=(),
    )


def is_refused(request: RequestHead, route: Route = ROUTE) -> bool:
    verdict = cross_site_verdict(accepted(request), route, allowed=ALLOWED)
    assert verdict is None or verdict.reason is Reason.CROSS_SITE
    return verdict is not None


class TestCrossSite:
    @pytest.mark.parametrize(
        "fields",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "SAME-ORIGIN"},
            {"Sec_Fetch_Site": ""},
            {"Origin": "null"},
            {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
            {"Origin": "null", "Sec_Fetch_Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "http://app.example.com"},
            {"Origin": "https://app.example.com:8443"},
            {"Origin": "https://app.example.com.evil.example"},
            {"Origin": "https://other.example.com", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "https://app.example.com", "Sec_Fetch_Site": "cross-site"},
            {"Origin": ""},
        ],
    )
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "post"])
    def test_an_unsafe_method_of_another_site_is_refused(self, method: str, fields: dict[str, str]) -> None:
        assert is_refused(head(method, **fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "none"},
            {"Origin": "https://app.example.com"},
            {"Origin": "https://app.example.com", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "https://partner.example", "Sec_Fetch_Site": "cross-site"},
        ],
    )
    def test_our_own_pages_allowed_origins_and_scripts_may(self, fields: dict[str, str]) -> None:
        assert not is_refused(head("POST", **fields))

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_a_safe_method_may_come_from_anywhere(self, method: str) -> None:
        assert not is_refused(head(method, Origin="https://evil.example", Sec_Fetch_Site="cross-site"))

    @pytest.mark.parametrize("fields", [HANDSHAKE, {"Upgrade": "h2c, WebSocket"}])
    def test_a_websocket_of_another_site_is_refused(self, fields: dict[str, str]) -> None:
        assert is_refused(head(Origin="https://evil.example", **fields))
        assert not is_refused(head(Origin="https://app.example.com", **fields))

    def test_a_route_can_switch_it_off(self) -> None:
        assert not is_refused(head("POST", Origin="https://evil.example"), OPEN_ROUTE)

    def test_of_two_origins_both_must_be_ours(self) -> None:
        fields = ((b"Origin", b"https://app.example.com"), (b"origin", b"https://evil.example"))

        assert is_refused(RequestHead(b"POST", b"/", fields, "10.0.0.1", "http"))
        assert is_refused(RequestHead(b"POST", b"/", fields[::-1], "10.0.0.1", "http"))

    def test_the_host_that_was_asked_is_own_even_when_it_is_not_the_public_one(self) -> None:
        request = accepted(head("POST", Origin="https://app.example.com", Sec_Fetch_Site="same-origin"))

        assert cross_site_verdict(request, ROUTE, allowed=AllowedOrigins(frozenset())) is None


class TestServiceWorker:
    def test_its_script_is_refused_on_public_routes_too(self) -> None:
        verdict = service_worker_verdict(head(Service_Worker="script"), Route(pattern="/**", access=PUBLIC))

        assert verdict is not None
        assert verdict.reason is Reason.SERVICE_WORKER

    def test_a_route_may_allow_it(self) -> None:
        route = Route(pattern="/**", access=PUBLIC, service_worker=ServiceWorker.ALLOWED)

        assert service_worker_verdict(head(Service_Worker="script"), route) is None
        assert service_worker_verdict(head(), ROUTE) is None


class TestNavigation:
    @pytest.mark.parametrize(
        "request_head",
        [
            head(Sec_Fetch_Mode="navigate"),
            head("HEAD", Sec_Fetch_Mode="navigate", Accept="*/*"),
            head(Accept="text/html,application/xhtml+xml;q=0.9"),
            head(Accept="image/png, TEXT/HTML ; q=0.1"),
        ],
    )
    def test_a_person_who_waits_for_a_page_navigates(self, request_head: RequestHead) -> None:
        assert is_navigation(request_head)

    @pytest.mark.parametrize(
        "request_head",
        [
            head(),
            head(Accept="*/*"),
            head(Accept="text/html;q=0"),
            head(Accept="application/json"),
            head(Accept="text/htmlx"),
            head("POST", Sec_Fetch_Mode="navigate", Accept="text/html"),
            head(Sec_Fetch_Mode="cors", Accept="text/html"),
            head(Sec_Fetch_Mode="navigate", Sec_Purpose="prefetch;prerender"),
            head(Sec_Fetch_Mode="websocket", Accept="text/html", **HANDSHAKE),
            head(Accept="text/html", **HANDSHAKE),
        ],
    )
    def test_everything_else_does_not(self, request_head: RequestHead) -> None:
        assert not is_navigation(request_head)

    def test_a_prefetch_is_known_by_either_name(self) -> None:
        assert is_prefetch(head(Sec_Purpose="prefetch"))
        assert is_prefetch(head(Purpose="prefetch"))
        assert not is_prefetch(head(Sec_Fetch_Mode="navigate"))

    def test_html_must_be_named(self) -> None:
        assert wants_html(head(Accept="text/html;charset=utf-8"))
        assert not wants_html(head(Accept="text/*, */*"))
        assert not wants_html(head(Accept="text/html; q=0.000"))

    def test_a_frame_is_known_by_its_destination(self) -> None:
        assert is_framed(head(Sec_Fetch_Dest="iframe"))
        assert not is_framed(head(Sec_Fetch_Dest="document"))


class TestWebSocket:
    def test_a_handshake_is_a_get_with_both_fields(self) -> None:
        assert is_websocket(head(**HANDSHAKE))
        assert is_websocket(head(Connection="UPGRADE", Upgrade="WebSocket"))

    @pytest.mark.parametrize(
        "request_head",
        [
            head(Upgrade="websocket"),
            head(Connection="Upgrade"),
            head(Connection="Upgrade", Upgrade="h2c"),
            head(Connection="Upgraded", Upgrade="websocket"),
            head("POST", **HANDSHAKE),
            head(version=b"1.0", **HANDSHAKE),
        ],
    )
    def test_less_is_none(self, request_head: RequestHead) -> None:
        assert not is_websocket(request_head)


class TestPreflight:
    def test_a_preflight_names_the_method_to_come(self) -> None:
        assert preflight_method(head("OPTIONS", Origin="https://x", Access_Control_Request_Method="PUT")) == b"PUT"

    @pytest.mark.parametrize(
        "request_head",
        [
            head("OPTIONS"),
            head("OPTIONS", Origin="https://x"),
            head("OPTIONS", Access_Control_Request_Method="PUT"),
            head("GET", Origin="https://x", Access_Control_Request_Method="PUT"),
        ],
    )
    def test_less_is_an_ordinary_request(self, request_head: RequestHead) -> None:
        assert preflight_method(request_head) is None


def test_at_a_wildcard_the_origin_of_the_requests_own_host_is_ours_and_no_others() -> None:
    allowed = AllowedOrigins(frozenset(), scheme_here="https")
    by_http = replace(accepted(head("POST")), scheme="http", host="a.apps.example.com")

    assert allowed.have(b"https://a.apps.example.com", by_http)
    assert not allowed.have(b"https://b.apps.example.com", by_http)
    assert not AllowedOrigins(frozenset()).have(b"https://a.apps.example.com", by_http)
