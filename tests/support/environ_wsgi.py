"""A WSGI app that says as JSON what a legacy app is told: WSGI folds ``_`` and ``-``, as real ones do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with method, path, query, body and the header variables.

    ``/cookies`` sets a few cookies too; ``/moved`` leads to the start, as an app does that believes it lives there.
    """
    length = int(environ.get("CONTENT_LENGTH") or 0)
    said = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "body": environ["wsgi.input"].read(length).decode("latin-1"),
        "headers": {name: value for name, value in environ.items() if name.startswith("HTTP_")},
    }
    fields = [("Content-Type", "application/json")]
    if environ["PATH_INFO"] == "/cookies":
        fields += [
            ("Set-Cookie", "theirs=1"),
            ("Set-Cookie", "sidegate=forged"),
            ("Cache-Control", "public, s-maxage=9"),
        ]
    if environ["PATH_INFO"] == "/moved":
        fields += [("Location", "/?from=moved"), ("Set-Cookie", "theirs=1; Path=/; HttpOnly")]
    start_response("302 Found" if environ["PATH_INFO"] == "/moved" else "200 OK", fields)
    return [json.dumps(said).encode()]
