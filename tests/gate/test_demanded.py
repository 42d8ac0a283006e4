"""What a request that was admitted before is judged by after a reload: laws of ``gate.demanded``."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.routing import AUTHENTICATED, PUBLIC, Access, compile_access
from proxy.ports import RequestEvent
from proxy.settings.model import Settings
from proxy.settings.portals import SiteSettings
from proxy.site import Site
from tests.support.made_sites import shared_parts, site_file

ROUTES = [
    {"path": "/open/**", "access": "public"},
    {"path": "/admin/**", "methods": ["GET"], "access": {"any_role": ["admin"]}},
    {"path": "/signout", "logout": True},
    {"path": "/app/**"},
]


def demanded(path: str, *, method: str = "GET", host: str = "app.example.com", **file: Any) -> Access | None:
    settings = Settings.model_validate({**site_file(**file), "routes": ROUTES})
    gate = Site(SiteSettings("", settings), shared_parts()).gate
    return gate.demanded(RequestEvent(request_id="r", started_at=0.0, method=method, path=path, host=host))


@pytest.mark.parametrize(
    ("path", "access"),
    [
        ("/open/x", PUBLIC),
        ("/app/x%20y", AUTHENTICATED),
        ("/admin", compile_access({"any_role": ["admin"]})),
    ],
)
def test_what_the_route_says_now_is_demanded(path: str, access: Access) -> None:
    assert demanded(path) == access


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/elsewhere", {}),
        ("/app/x", {"host": "other.example.com"}),
        ("/admin/x", {"method": "POST"}),
        ("/_sidegate/status", {}),
        ("/open/..%2fadmin", {}),
        ("/signout", {}),
        ("/app/x", {"server": {"prefix": "/app"}}),
        ("/app/x", {"server": {"prefix": "/APP"}}),
    ],
)
def test_what_reaches_no_app_any_more_is_demanded_of_nobody(path: str, changes: dict[str, Any]) -> None:
    assert demanded(path, **changes) is None
