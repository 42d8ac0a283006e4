"""An old web app that knows nothing of login: plain WSGI, four pages, believes the headers that it is given.

It is what Sidegate exists for, so it must not know Sidegate: the link to sign out, and the script of one page, are what
somebody would put into its templates. Nothing of the room is imported; any WSGI server runs it
(``gunicorn proxy.demo.legacy_app:application``).
"""

from __future__ import annotations

from collections import deque
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIGN_OUT: Final = "/_sidegate/logout"
SCRIPT: Final = "/_sidegate/assets/session.js"
#: Notes kept; older ones are forgotten.
NOTES_LIMIT: Final = 100
#: Bytes of a posted form.
BODY_LIMIT: Final = 64 * 1024

STYLE: Final = """
:root{--ink:#22303c;--line:#d5dde5;--accent:#7a4b12}
body{font:16px/1.6 Georgia,serif;margin:0;color:var(--ink);background:#f6f3ec}
header{background:#3b2a14;color:#fff;padding:.8rem 2rem;display:flex;gap:1.5rem;align-items:baseline}
header a{color:#f4dfb8;text-decoration:none}header .who{margin-left:auto}
main{max-width:48rem;margin:2rem auto;padding:1.5rem 2rem;background:#fff;border:1px solid var(--line)}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
td{font-family:ui-monospace,monospace;font-size:.85rem}td{overflow-wrap:anywhere}
textarea{width:100%;box-sizing:border-box;font:inherit}button{font:inherit;padding:.3rem 1rem;margin:.5rem 0}
blockquote{border-left:.25rem solid var(--accent);margin:1rem 0;padding:.1rem 1rem}
"""


class Request:
    """What the pages look at."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO") or "/"

    def header(self, name: str) -> str:
        """The header as text: WSGI hands the bytes over as Latin-1, and they are UTF-8 (PEP 3333)."""
        raw: str = self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return raw.encode("latin-1").decode("utf-8", "replace")

    def headers(self) -> list[tuple[str, str]]:
        names = sorted(name[5:] for name in self.environ if name.startswith("HTTP_"))
        return [(name.replace("_", "-").title(), self.header(name)) for name in names]

    @property
    def roles(self) -> list[str]:
        return [role for role in self.header("X-Auth-Roles").split(",") if role]

    @property
    def who(self) -> str:
        return self.header("X-Auth-Name") or self.header("X-Auth-Username") or "nobody in particular"

    def form(self) -> dict[str, str] | None:
        """The posted fields; None when the body is too large."""
        length = int(self.environ.get("CONTENT_LENGTH") or 0)
        if length > BODY_LIMIT:
            return None
        body: bytes = self.environ["wsgi.input"].read(length)
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


class Answer:
    """Status, headers, body."""

    def __init__(self, status: str, body: str = "", content_type: str = "text/html; charset=utf-8") -> None:
        self.status = status
        self.body = body.encode()
        self.headers = [("Content-Type", content_type), ("Content-Length", str(len(self.body)))]

    def with_header(self, name: str, value: str) -> Answer:
        self.headers.append((name, value))
        return self


class LegacyApp:
    """The app; notes live in memory and are everybody's."""

    def __init__(self) -> None:
        self._notes: deque[tuple[str, str]] = deque(maxlen=NOTES_LIMIT)
        self._lock = Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
    ) -> Iterable[bytes]:
        request = Request(environ)
        answer = self._answer(request)
        start_response(answer.status, answer.headers)
        return [] if request.method == "HEAD" else [answer.body]

    def _answer(self, request: Request) -> Answer:
        pages: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/"): self._who_are_you,
            ("GET", "/notes"): self._show_notes,
            ("POST", "/notes"): self._add_note,
            ("GET", "/admin"): self._admin,
            ("GET", "/session"): self._session,
            ("GET", "/static/style.css"): self._style,
        }
        method = "GET" if request.method == "HEAD" else request.method
        handler = pages.get((method, request.path))
        if handler is not None:
            return handler(request)
        allowed = [known for known, path in pages if path == request.path]
        if allowed:
            return Answer("405 Method Not Allowed", "no\n", "text/plain").with_header("Allow", ", ".join(allowed))
        return Answer("404 Not Found", _page(request, "Not found", "<p>There is no such page.</p>"))

    def _who_are_you(self, request: Request) -> Answer:
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in request.headers())
        content = f"<p>You are <strong>{escape(request.who)}</strong>, say the headers:</p><table>{rows}</table>"
        return Answer("200 OK", _page(request, "Who are you?", content))

    def _show_notes(self, request: Request) -> Answer:
        with self._lock:
            notes = list(self._notes)
        form = (
            '<form method="post" action="/notes"><textarea name="note" rows="3"></textarea><button>Keep</button></form>'
        )
        kept = "".join(f"<blockquote><b>{escape(who)}</b><p>{escape(text)}</p></blockquote>" for who, text in notes)
        return Answer("200 OK", _page(request, "Notes", form + (kept or "<p>No notes yet.</p>")))

    def _add_note(self, request: Request) -> Answer:
        form = request.form()
        if form is None:
            return Answer("413 Content Too Large", "too long\n", "text/plain")
        if form.get("note", "").strip():
            with self._lock:
                self._notes.appendleft((request.who, form["note"].strip()))
        return Answer("303 See Other").with_header("Location", "/notes")

    @staticmethod
    def _admin(request: Request) -> Answer:
        if "admin" not in request.roles:
            return Answer("403 Forbidden", _page(request, "No entry", "<p>This page is for admins.</p>"))
        roles = escape(", ".join(request.roles))
        return Answer("200 OK", _page(request, "Admin", f"<p>Here you may break things. Your roles: {roles}.</p>"))

    @staticmethod
    def _session(request: Request) -> Answer:
        content = (
            f'<script src="{SCRIPT}" defer></script>'
            '<p>Signed in: <strong data-sidegate="user"></strong> <span data-sidegate="logout"></span></p>'
            "<p>This page includes Sidegate's script: it says when the session is about to end, and notices when you "
            "sign out in another tab.</p>"
        )
        return Answer("200 OK", _page(request, "Session", content))

    @staticmethod
    def _style(_request: Request) -> Answer:
        answer = Answer("200 OK", STYLE, "text/css; charset=utf-8")
        return answer.with_header("Cache-Control", "public, max-age=3600")


def _page(request: Request, title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Old Faithful</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/static/style.css"></head>'
        '<body><header><b>Old Faithful</b><a href="/">Who</a><a href="/notes">Notes</a><a href="/admin">Admin</a>'
        '<a href="/session">Session</a>'
        f'<span class="who">{escape(request.who)}</span><a href="{SIGN_OUT}">Sign out</a></header>'
        f"<main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )


application = LegacyApp()
