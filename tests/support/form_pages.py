"""Pages of an old app that a person has something to lose on: forms with much in them, and a frameset."""

from __future__ import annotations

from email import message_from_bytes
from hashlib import sha256
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PLACE = "/forms/"

_SAVED: dict[str, list[str]] = {}
_LOCK = Lock()

_FORM = """
<form method="post" action="/forms/save?draft=1&amp;to=a%20b" enctype="{enctype}">
<label>Report <textarea name="report" rows="5"></textarea></label>
<label>Place <input name="place"></label>
{file}
<button>Hand in</button></form>
"""
_FILE = '<label>Picture <input type="file" name="picture"></label>'
_FRAMESET = """
<!doctype html><html><head><title>Old frames</title></head>
<frameset cols="30%,70%"><frame name="menu" src="/forms/menu"><frame name="content" src="/forms/inner"></frameset>
</html>
"""
_MENU = """
<p><a href="/forms/inner?n=2" target="content">Second page</a></p>
<p><a href="/signout" target="content">Leave</a></p>
<form method="post" action="/signout" target="_top"><button>Leave at once</button></form>
"""


def form_pages(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """Serve what lies below :data:`PLACE`."""
    who: str = environ.get("HTTP_X_AUTH_USERNAME", "nobody")
    method, name = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PLACE)
    if (method, name) == ("POST", "save"):
        content = _save(environ, who)
    else:
        content = {
            "new": _FORM.format(enctype="multipart/form-data", file=_FILE),
            "plain": _FORM.format(enctype="application/x-www-form-urlencoded", file=""),
            "save": "<h1>Nothing handed in</h1>",
            "count": f"<p id='count'>{len(_SAVED.get(who, []))}</p>",
            "frameset": _FRAMESET,
            "menu": _MENU,
            "inner": f"<h1>Inner page</h1><p>{escape(environ.get('QUERY_STRING', ''))}</p>",
        }[name]
    body = (
        content if content.lstrip().startswith("<!doctype") else f"<!doctype html><title>x</title>{content}"
    ).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def _save(environ: dict[str, Any], who: str) -> str:
    """Take a form, and say of each part what arrived; an answer that is no redirect, so that it can be loaded again."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    head = f"Content-Type: {environ['CONTENT_TYPE']}\r\n\r\n".encode()
    message = message_from_bytes(head + body)
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    digests = [sha256(part).hexdigest() for part in parts if isinstance(part, bytes)]
    with _LOCK:
        _SAVED.setdefault(who, []).append(environ["CONTENT_TYPE"])
        count = len(_SAVED[who])
    asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
    lines = "".join(f"<li>{digest}</li>" for digest in digests)
    return f"<h1>Handed in</h1><p id='who'>{escape(who)} {count}</p><p id='asked'>{escape(asked)}</p><ul>{lines}</ul>"
