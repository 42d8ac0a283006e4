"""A WSGI app of three lines, for the test of the fixture that serves one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say which user the environment names."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [f"<h1>Hello {environ.get('HTTP_X_AUTH_USERNAME', 'stranger')}</h1>".encode()]
