"""What every test may ask for, the rule that in CI nothing real is skipped, and who may run beside whom.

``make test`` runs four processes side by side (``support/side_by_side.py`` says which test goes where) and then, by
themselves, the tests that measure time or fill the machine (``ALONE`` in the Makefile). Each test is independent of the
others and of their order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.side_by_side import KEYCLOAKS, SideBySide, group_of

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = [
    "tests.support.hypothesis_profile",
    "tests.keycloak.fixtures",
    "tests.redis.fixtures",
    "tests.support.fixtures",
    "tests.support.browser_fixtures",
    "tests.judges.fetched",
]

REAL_THINGS = {
    "keycloak": "keycloak",
    "browser": "browser",
    "browser_page": "browser",
    "nginx": "nginx",
    "node_modules": "node",
    "redis_server": "redis",
    "redis_sentinel": "redis",
    "redis_cluster": "redis",
    "redis_tls": "redis",
}
"""Fixture -> marker of the tests that use it."""


STARTS_ITS_OWN_KEYCLOAK = "tests/faults/"
"""Runs alone, so that it has nobody to share with."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SideBySide:
    """Hand out the tests as ``side_by_side`` says."""
    return SideBySide(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test that asks for a real thing, so that nobody forgets it."""
    if not os.environ.get("SIDEGATE_TEST_FULL"):
        _leave_out(config, items, "full")
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := REAL_THINGS.get(fixture):
                item.add_marker(marker)
        _must_share_keycloak(item)


def _leave_out(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    """Deselect, which is no skip: of what is skipped CI must be told."""
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(marker)])
    items[:] = [item for item in items if not item.get_closest_marker(marker)]


def _must_share_keycloak(item: pytest.Item) -> None:
    """Raise pytest.UsageError where one more Keycloak would be started than there are groups for."""
    asks = item.get_closest_marker("keycloak") is not None and not item.nodeid.startswith(STARTS_ITS_OWN_KEYCLOAK)
    if asks and group_of(item.nodeid) not in KEYCLOAKS:
        msg = f"{item.nodeid} needs Keycloak: name its place in AT_KEYCLOAK of tests/support/side_by_side.py"
        raise pytest.UsageError(msg)


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
