"""A question put to the gate in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.explain.command import explain
from proxy.explain.question import Person, Question
from proxy.settings.load import one_site
from tests.gate.conftest import settings_of

if TYPE_CHECKING:
    from proxy.explain.explanation import Explanation
    from proxy.settings.model import Settings

STAFF = {"all_roles": ["admin"], "any_group": ["staff"], "claims": {"department": ["finance", "it-*"]}}
ROUTES: list[dict[str, Any]] = [
    {"path": "/signout", "logout": True},
    {"path": "/api/**", "methods": ["GET"], "on_unauthenticated": 401, "preflight": "pass"},
    {"path": "/admin/**", "access": STAFF, "headers": {"set": {"X-A": "b"}, "remove": ["Accept"]}},
    {"path": "/**", "access": "authenticated", "service_worker": True},
]


def settings_with(**file: Any) -> Settings:
    return settings_of(**file)


def asked(url: str, method: str = "GET", *headers: str, file: dict[str, Any] | None = None, **of: Any) -> Explanation:
    person = None if of.pop("is_anonymous", False) else Person(**of)
    question = Question(method=method, url=url, headers=headers, person=person)
    return explain(one_site(settings_with(**(file or {"routes": ROUTES}))), question)
