"""Which tests run in the same process when several run side by side (``pytest -n 2``).

All that needs Keycloak is one group and so shares one server; the other tests stay together by file, so that what a
file starts is started once, and the laws are handed out one by one, because they are long and share nothing. Groups
follow from where a test stands: the process that hands them out has collected none. (``--dist loadgroup`` would ask
the tests, but groups nothing with pytest 9.2: pytest-xdist 3.8 writes a group into a node id that is read-only now.)
"""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

KEYCLOAK = "keycloak"
AT_KEYCLOAK = (
    "tests/browser/",
    "tests/contracts/test_provider_contract.py",
    "tests/journeys/",
    "tests/keycloak/",
    "tests/oidc/test_provider_at_keycloak.py",
    "tests/support/test_fixtures.py",
)
"""Where the tests stand that share one Keycloak; whoever asks for it elsewhere is told by ``conftest.py``."""

ONE_BY_ONE = ("tests/laws/",)


def group_of(node_id: str) -> str:
    """Return the group of a test: a word, its file, or its whole node id."""
    if node_id.startswith(AT_KEYCLOAK):
        return KEYCLOAK
    return node_id if node_id.startswith(ONE_BY_ONE) else node_id.partition("::")[0]


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out groups whole, the largest first, to whoever is idle."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
