"""What every test may ask for, the rule that in CI nothing real is skipped, and who may run beside whom.

``make test`` runs two processes side by side (``pytest -n 2 --dist loadgroup``) and then, by themselves, the tests that
measure time or fill the machine (``ALONE`` in the Makefile). Side by side, all that needs Keycloak is one group and so
shares one server; what needs Redis is another; the rest stays together by file, so that a file's own servers are
started once. Each test is independent of the others and of their order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = [
    "tests.support.hypothesis_profile",
    "tests.keycloak.fixtures",
    "tests.redis.fixtures",
    "tests.support.fixtures",
    "tests.support.browser_fixtures",
]

TESTS = Path(__file__).parent

REAL_THINGS = {
    "keycloak": "keycloak",
    "browser": "browser",
    "browser_page": "browser",
    "nginx": "nginx",
    "redis_server": "redis",
    "redis_sentinel": "redis",
    "redis_cluster": "redis",
    "redis_tls": "redis",
}
"""Fixture -> marker of the tests that use it."""


SHARED = {"keycloak": "keycloak", "redis": "redis"}
"""Marker -> group; the first that a test has decides."""

BY_THEMSELVES = frozenset({"laws"})
"""Folders of which each test is a group: they are long and share nothing."""

REDIS_BY_PARAMETER = frozenset({"test_session_store_contract.py", "test_authentication_store_contract.py"})
"""Files that ask for Redis only in some of their tests, and count these: all of them stay together."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test that asks for a real thing, so that nobody forgets it; say who runs beside whom."""
    if not os.environ.get("SIDEGATE_TEST_FULL"):
        _leave_out(config, items, "full")
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := REAL_THINGS.get(fixture):
                item.add_marker(marker)
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _leave_out(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    """Deselect, which is no skip: of what is skipped CI must be told."""
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(marker)])
    items[:] = [item for item in items if not item.get_closest_marker(marker)]


def _folder(item: pytest.Item) -> str:
    inside = item.path.relative_to(TESTS).parts
    return inside[0] if len(inside) > 1 else ""


def _group(item: pytest.Item) -> str:
    for marker, group in SHARED.items():
        if item.get_closest_marker(marker):
            return group
    if item.path.name in REDIS_BY_PARAMETER:
        return "redis"
    return item.name if _folder(item) in BY_THEMSELVES else item.path.relative_to(TESTS).as_posix()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test of a real thing is a failure: else the suite could pass without Keycloak."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _must_run(item):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


def _must_run(item: pytest.Item) -> bool:
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    return in_ci and any(item.get_closest_marker(marker) for marker in REAL_THINGS.values())
