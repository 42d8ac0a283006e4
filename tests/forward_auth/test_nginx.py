"""A real nginx with our recipe: it lets pass what ``run`` in front would, with what ``run`` would tell the app."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forward_auth.place import Answer, Place, place, start_nginx
from tests.fuzz.nginx import nginx_command
from tests.support.hypothesis_profile import MORE

if TYPE_CHECKING:
    from collections.abc import Iterator

Field = tuple[str, str]

NAVIGATES = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none"), ("Accept", "text/html"))
IDENTITY = ("X-Auth-Subject", "X-Auth-Username", "X-Auth-Email", "X-Auth-Name", "X-Auth-Roles", "X-Auth-Groups")
NEVER = (
    "X-Auth-Request-User", "X-Forwarded-User", "Remote-User", "X-Sidegate-Assertion", "X-Original-URL",
    "X-Original-URI", "X-Rewrite-URL", "X-HTTP-Method-Override", "Proxy",
)  # fmt: skip


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    command = nginx_command()
    if command is None:
        pytest.skip("nginx is not here")
    folder = tmp_path_factory.mktemp("nginx")
    with place(folder, {"source": "x-original", "on_unauthenticated": 401}, partial(start_nginx, command)) as made:
        yield made


def same(seen: Answer, expected: Answer, behind: Place) -> None:
    """What a browser gets is what it would get of ``run``, Location as a whole URL, and the app is told the same."""
    assert seen.status == expected.status, (seen, expected)
    if seen.status == 200 and expected.headers and _is_of_app(expected):
        assert _is_of_app(seen)
        for name in (*IDENTITY, *NEVER, "Cookie", "Authorization", "X-Debug"):
            assert seen.app_has(name) == expected.app_has(name), name
        assert (seen.told["method"], seen.told["target"]) == (expected.told["method"], expected.told["target"])
        return
    locations = [value.removeprefix(behind.url) for value in seen.values("location")]
    assert locations == expected.values("location")
    if seen.status == 401:
        assert set(seen.values("www-authenticate")) == set(expected.values("www-authenticate"))
    if seen.status in {401, 403}:
        assert seen.values("content-type") == expected.values("content-type")


def _is_of_app(answer: Answer) -> bool:
    return answer.body.startswith(b'{"method"')


def test_a_person_is_led_to_the_login_and_the_app_is_told_who_she_is(behind: Place) -> None:
    stranger = behind.ask("GET", "/app/a?b=1", *NAVIGATES)
    program = behind.ask("GET", "/app/a")
    alice = behind.ask("GET", "/app/a%2Fb?b=1&c", behind.cookie_of("alice"), ("X-Auth-Roles", "root"))
    bob = behind.ask("GET", "/admin/users", behind.cookie_of("bob"), *NAVIGATES)

    assert stranger.status == 302
    assert stranger.values("location") == [behind.url + "/_sidegate/login?return_to=/app/a%3Fb%3D1"]
    assert program.status == 401
    assert b'"login_url": "/_sidegate/login?return_to=/app/a"' in program.body
    assert alice.app_has("X-Auth-Username") == ["alice"]
    assert [roles.startswith("admin,") for roles in alice.app_has("X-Auth-Roles")] == [True]
    assert (alice.app_has("X-Auth-Email"), alice.app_has("Cookie")) == (["alice@example.com"], ["theirs=1"])
    assert alice.told["target"] == "/app/a%2Fb?b=1&c"
    assert bob.status == 403
    assert b"admin" in bob.body, "the page says which role is missing"


def test_a_body_reaches_the_app_and_a_form_of_a_stranger_is_answered_by_a_page(behind: Place) -> None:
    form = (("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "0"))
    posted = behind.ask("POST", "/app/save", *form, behind.cookie_of("alice"), ("Origin", behind.url))
    lost = behind.ask("POST", "/app/save", *form, *NAVIGATES[::2], ("Sec-Fetch-Site", "same-origin"))

    assert (posted.status, posted.told["method"]) == (200, "POST")
    assert lost.status == 401
    assert b"forms cannot be kept here" in lost.body


def test_the_question_itself_is_not_for_browsers(behind: Place) -> None:
    told = (("X-Original-Method", "GET"), ("X-Original-URL", behind.url + "/app/a"), ("X-Original-URI", "/app/a"))

    answers = [
        behind.ask("GET", target, behind.cookie_of("alice"), *told)
        for target in (
            "/_sidegate/verify",
            "/_sidegate/./verify",
            "/_sidegate/%76erify",
            "/_sidegate/verify/path/app/a",
        )
    ]

    assert [answer.status for answer in answers] == [404, 404, 404, 400]
    assert not any(answer.values("x-auth-username") for answer in answers)


def test_a_websocket_opens_for_our_own_pages_alone(behind: Place) -> None:
    handshake = (
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), behind.cookie_of("alice"),
    )  # fmt: skip

    own = behind.ask("GET", "/app/ws", *handshake, ("Origin", behind.url))
    foreign = behind.ask("GET", "/app/ws", *handshake, ("Origin", "https://evil.example"))

    assert (own.status, foreign.status) == (101, 403)


def test_the_apps_own_logout_link_leads_to_our_page_with_what_was_posted(behind: Place) -> None:
    cookie = behind.cookie_of("bob")

    posted = behind.ask("POST", "/signout", cookie, ("Origin", behind.url), ("Content-Length", "0"))
    asked = behind.ask("GET", "/signout", cookie, *NAVIGATES)
    framed = behind.ask("GET", "/signout", cookie, *NAVIGATES, ("Sec-Fetch-Dest", "iframe"))

    assert (posted.status, posted.values("location")) == (307, [behind.url + "/_sidegate/logout/app"])
    assert (asked.status, asked.values("location")) == (303, [behind.url + "/_sidegate/logout"])
    assert framed.status == 403
    assert b"/_sidegate/logout" in framed.body, "the page that leads out of the frame, not the app"


FORGED = [
    ("X-Original-URI", "/static/a"), ("X-Original-URL", "http://127.0.0.1/static/a"), ("X-Original-Method", "GET"),
    ("X-Forwarded-Uri", "/static/a"), ("X-Forwarded-Method", "GET"), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "10.0.0.1"), ("Forwarded", "host=evil.example;proto=https"),
    ("X-Auth-Username", "root"), ("X-Auth-Roles", "admin"), ("X_Auth_Roles", "admin"), ("x-auth-email", "r@x"),
    ("Remote-User", "root"), ("X-Forwarded-User", "root"), ("X-Auth-Request-User", "root"),
    ("X-HTTP-Method-Override", "DELETE"), ("X-Rewrite-URL", "/static/a"), ("Proxy", "http://evil"),
    ("X-Sidegate-Assertion", "e30"), ("X-Forwarded-Port", "1"), ("X_Original_URI", "/static/a"),
    ("Sidegate-Request-Id", "x"), ("X-Request-ID", "forged"), ("Connection", "close, X-Auth-Roles, Cookie"),
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED, ids=lambda pair: pair[0])
def test_nothing_that_a_client_forges_reaches_the_app_or_decides(behind: Place, forged: tuple[str, str]) -> None:
    stranger = behind.ask("GET", "/static/a", forged)
    bob = behind.ask("GET", "/app/a", forged, behind.cookie_of("bob"))
    refused = [behind.ask("GET", "/app/a", forged), behind.ask("POST", "/admin/a", forged, behind.cookie_of("bob"))]

    assert [stranger.app_has(name) for name in (*IDENTITY, *NEVER)] == [[]] * len((*IDENTITY, *NEVER))
    assert [bob.app_has(name) for name in NEVER] == [[]] * len(NEVER)
    assert (bob.app_has("X-Auth-Username"), bob.app_has("X-Auth-Email")) == (["bob"], [])
    assert "admin" not in bob.app_has("X-Auth-Roles")[0]
    assert (bob.app_has("X-Forwarded-For"), bob.app_has("X-Forwarded-Host")) == (["127.0.0.1"], [behind.host])
    assert [answer.status for answer in refused] == [401, 403]


PATHS = st.lists(
    st.sampled_from([
        "/", "app", "static", "admin", "api", "maybe", "_sidegate", "login", "a", "..", ".", "%2e%2e", "%2F", "%61",
        ";x", "A", "\\", "?", "b=1", "%C3%A4", "\xe4", ":", "%", "%00", "%3F", "#", "//",
    ]),
    max_size=6,
).map(lambda parts: "/" + "".join(parts))  # fmt: skip
METHODS = st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND", "DELETE"])
OF_BROWSER = st.lists(
    st.sampled_from([
        ("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html"), ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Purpose", "prefetch"),
        ("Service-Worker", "script"), ("X-Debug", "1"), ("Authorization", "Basic eDp5"), ("Content-Type", "text/csv"),
        ("Origin", "null"), ("Access-Control-Request-Method", "PUT"),
    ]),
    max_size=3, unique_by=lambda pair: pair[0],
)  # fmt: skip


USERS = st.sampled_from([None, "alice", "bob"])


@settings(max_examples=100 * MORE)
@given(asked=st.tuples(METHODS, PATHS), sent=OF_BROWSER, user=USERS, forged=st.lists(st.sampled_from(FORGED[:-1])))
def test_nginx_lets_pass_what_run_would_and_no_header_of_a_client_changes_it(
    behind: Place, asked: tuple[str, str], sent: list[Field], user: str | None, forged: list[Field]
) -> None:
    sent = [*sent, ("Content-Length", "0")] if asked[0] in {"POST", "PUT"} else sent
    sent = [*sent, behind.cookie_of(user)] if user else sent

    seen = behind.ask(*asked, *sent, *forged)
    expected = behind.ask_sidegate(*asked, *sent)

    if expected.status == 400:
        # What nobody can read for certain, nginx refuses itself, or reads and answers as what it is.
        assert not _is_of_app(seen), (seen, expected)
        assert seen.status in {302, 400, 401, 403, 404, 405}
    else:
        same(seen, expected, behind)
