"""A real Caddy with our recipe, where one is installed: who may pass, what the app is told, what no client can add."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.forward_auth.place import Place, place, start_caddy

if TYPE_CHECKING:
    from collections.abc import Iterator

NAVIGATES = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none"), ("Accept", "text/html"))
FORGED = (
    ("X-Auth-Roles", "admin"), ("Remote-User", "root"), ("X-Forwarded-User", "root"), ("X-Auth-Request-User", "root"),
    ("X-Forwarded-Uri", "/static/a"), ("X-Forwarded-Method", "GET"), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"), ("X-Original-URI", "/static/a"), ("X-Original-URL", "https://evil.example/static"),
    ("X-HTTP-Method-Override", "DELETE"), ("X-Rewrite-URL", "/static/a"), ("X-Sidegate-Assertion", "e30"),
    ("Forwarded", "host=evil.example"), ("Proxy", "http://evil"), ("X-Forwarded-Port", "1"),
)  # fmt: skip


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    command = shutil.which("caddy")
    if command is None:
        pytest.skip("caddy is not here: apt-get install caddy")
    folder = tmp_path_factory.mktemp("caddy")
    with place(folder, {"source": "x-forwarded", "on_unauthenticated": 302}, partial(start_caddy, command)) as made:
        yield made


def test_a_person_is_led_to_the_login_and_the_app_is_told_who_she_is(behind: Place) -> None:
    stranger = behind.ask("GET", "/app/a?b=1", *NAVIGATES)
    program = behind.ask("GET", "/app/a")
    alice = behind.ask("GET", "/app/a%2Fb?b=1&c", behind.cookie_of("alice"))
    bob = behind.ask("POST", "/admin/users", behind.cookie_of("bob"), ("Content-Length", "0"))
    posted = behind.ask("POST", "/app/save", behind.cookie_of("bob"), ("Content-Length", "0"))

    assert (stranger.status, program.status, bob.status) == (302, 401, 403)
    assert stranger.values("location") == [behind.url + "/_sidegate/login?return_to=/app/a%3Fb%3D1"]
    assert b'"login_url": "/_sidegate/login?return_to=/app/a"' in program.body
    assert (alice.app_has("X-Auth-Username"), alice.app_has("Cookie")) == (["alice"], ["theirs=1"])
    assert alice.told["target"] == "/app/a%2Fb?b=1&c"
    assert (posted.status, posted.told["method"]) == (200, "POST")


@pytest.mark.parametrize("forged", FORGED, ids=lambda pair: pair[0])
def test_nothing_that_a_client_forges_reaches_the_app_or_decides(behind: Place, forged: tuple[str, str]) -> None:
    stranger = behind.ask("GET", "/static/a", forged)
    bob = behind.ask("GET", "/app/a", forged, behind.cookie_of("bob"))
    refused = [behind.ask("GET", "/app/a", forged), behind.ask("POST", "/admin/a", forged, behind.cookie_of("bob"))]

    for name, value in FORGED:
        assert value not in stranger.app_has(name), name
        assert value not in bob.app_has(name), name
    assert (bob.app_has("X-Auth-Username"), "admin" in bob.app_has("X-Auth-Roles")[0]) == (["bob"], False)
    assert [answer.status for answer in refused] == [401, 403]


def test_a_header_that_an_app_could_take_for_ours_is_refused(behind: Place) -> None:
    answer = behind.ask("GET", "/app/a", ("X_Auth_Roles", "admin"), behind.cookie_of("bob"))

    assert answer.status == 400


def test_the_question_itself_is_not_for_browsers_and_odd_paths_never_reach_the_app(behind: Place) -> None:
    told = (("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/app/a"), behind.cookie_of("alice"))
    targets = ("/_sidegate/verify", "/_sidegate/./verify", "/_sidegate//verify", "/_sidegate/%76erify",
               "/static/../app/a", "/static/%2e%2e/app/a", "//static/a", "/static/..%2Fapp")  # fmt: skip

    answers = [behind.ask("GET", target, *told) for target in targets]

    assert all(answer.status in {400, 404} for answer in answers), [answer.status for answer in answers]
    assert not any(answer.values("x-auth-username") for answer in answers)


def test_a_websocket_opens_for_our_own_pages_alone(behind: Place) -> None:
    handshake = (
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), behind.cookie_of("alice"),
    )  # fmt: skip

    own = behind.ask("GET", "/app/ws", *handshake, ("Origin", behind.url))
    foreign = behind.ask("GET", "/app/ws", *handshake, ("Origin", "https://evil.example"))

    assert (own.status, foreign.status) == (101, 403)
