"""What every test may ask for, and the rule that in CI nothing real is skipped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = [
    "tests.keycloak.fixtures",
    "tests.redis.fixtures",
    "tests.support.fixtures",
    "tests.support.browser_fixtures",
]

# A busy machine is no defect: examples have no deadline of their own, the test has its timeout.
hypothesis.settings.register_profile("sidegate", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sidegate")

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for a real thing, so that nobody forgets it."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := REAL_THINGS.get(fixture):
                item.add_marker(marker)


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
