"""The legacy app, asked as a WSGI server asks."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from proxy.demo.legacy_app import BODY_LIMIT, NOTES_LIMIT, LegacyApp


@pytest.fixture
def app() -> LegacyApp:
    return LegacyApp()


def ask(
    app: LegacyApp, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str
) -> tuple[str, Any, str]:
    """Status, headers and body; ``headers`` as CGI names, their values as the bytes that a gateway sends."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "CONTENT_LENGTH": str(len(body))}
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    environ |= {name: value.encode().decode("latin-1") for name, value in headers.items()}
    started: list[Any] = []

    def start_response(status: str, answered: list[tuple[str, str]], _error: object = None) -> Any:
        started.extend((status, dict(answered)))
        return lambda _data: None

    answer = validator(app)(environ, start_response)
    try:
        text = b"".join(answer).decode()
    finally:
        answer.close()  # type: ignore[attr-defined]
    return started[0], started[1], text


def test_it_says_who_the_headers_say_you_are(app: LegacyApp) -> None:
    status, _, text = ask(app, HTTP_X_AUTH_USERNAME="alice", HTTP_X_AUTH_NAME="Alïce Liddell", HTTP_X_AUTH_ROLES="a,b")

    assert status == "200 OK"
    assert "<strong>Alïce Liddell</strong>" in text
    assert "<th>X-Auth-Roles</th><td>a,b</td>" in text
    assert 'href="/_sidegate/logout"' in text


def test_it_escapes_what_it_is_told(app: LegacyApp) -> None:
    _, _, text = ask(app, HTTP_X_AUTH_NAME="<script>", HTTP_USER_AGENT="<script>")
    ask(app, "/notes", "POST", b"note=%3Cscript%3E", HTTP_X_AUTH_USERNAME="<script>")

    assert "<script>" not in text
    assert "<script>" not in ask(app, "/notes")[2]


def test_a_note_is_kept_under_the_name_of_its_writer(app: LegacyApp) -> None:
    status, headers, _ = ask(app, "/notes", "POST", b"note=buy+milk", HTTP_X_AUTH_USERNAME="alice")

    assert (status, headers["Location"]) == ("303 See Other", "/notes")
    assert "<b>alice</b><p>buy milk</p>" in ask(app, "/notes")[2]


def test_the_notes_are_bounded_and_so_is_the_form(app: LegacyApp) -> None:
    for number in range(NOTES_LIMIT + 5):
        ask(app, "/notes", "POST", b"note=n%d" % number)

    assert ask(app, "/notes")[2].count("<blockquote>") == NOTES_LIMIT
    assert ask(app, "/notes", "POST", b"x" * (BODY_LIMIT + 1))[0].startswith("413")


def test_one_page_has_a_place_for_what_a_script_of_the_gate_shows(app: LegacyApp) -> None:
    status, _, text = ask(app, "/session")

    assert status == "200 OK"
    assert '<script src="/_sidegate/assets/session.js" defer></script>' in text
    assert 'data-sidegate="user"' in text
    assert 'data-sidegate="logout"' in text


@pytest.mark.parametrize(
    ("roles", "status"),
    [("admin", "200 OK"), ("viewer,admin", "200 OK"), ("viewer", "403 Forbidden"), ("administrator", "403 Forbidden")],
)
def test_the_admin_page_believes_the_roles(app: LegacyApp, roles: str, status: str) -> None:
    assert ask(app, "/admin", HTTP_X_AUTH_ROLES=roles)[0] == status


def test_the_style_sheet_is_served_and_what_is_not_there_is_not(app: LegacyApp) -> None:
    assert ask(app, "/static/style.css")[1]["Content-Type"] == "text/css; charset=utf-8"
    assert ask(app, "/nothing")[0] == "404 Not Found"
    assert ask(app, "/notes", "DELETE")[1]["Allow"] == "GET, POST"


def test_head_has_no_body(app: LegacyApp) -> None:
    status, headers, text = ask(app, "/", "HEAD")

    assert (status, text) == ("200 OK", "")
    assert int(headers["Content-Length"]) > 0
