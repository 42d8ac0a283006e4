"""The legacy app with the examples of docs/ among its public pages, as a company would put them there, and with forms
in which there is something to lose (``form_pages``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.demo.legacy_app import LegacyApp
from tests.support import form_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PLACE = "/static/examples/"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

_legacy_app = LegacyApp()


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    path: str = environ.get("PATH_INFO") or "/"
    if path.startswith(form_pages.PLACE):
        return form_pages.form_pages(environ, start_response)
    example = next((one for one in EXAMPLES.iterdir() if path == PLACE + one.name), None)
    if example is None:
        return _legacy_app(environ, start_response)
    content = example.read_bytes()
    start_response("200 OK", [("Content-Type", TYPES[example.suffix]), ("Content-Length", str(len(content)))])
    return [content]
