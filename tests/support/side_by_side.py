"""Which tests run in the same process when several run side by side (``pytest -n 4``).

What needs Keycloak makes three groups, each with a server of its own: most of its time is spent waiting, and one after
the other they would be as long as all the rest. The other tests stay together by file, so that what a file starts is
started once, and the laws are handed out one by one, because they are long and share nothing. Groups follow from where
a test stands: the process that hands them out has collected none. (``--dist loadgroup`` would ask the tests, but groups
nothing with pytest 9.2: pytest-xdist 3.8 writes a group into a node id that is read-only now.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

AT_KEYCLOAK = (
    "tests/container/test_pod.py",
    "tests/deploy/test_compose.py",
    "tests/contracts/test_provider_contract.py",
    "tests/keycloak/",
    "tests/keycloak_setup/test_at_keycloak.py",
    "tests/oidc/test_client_auth_at_keycloak.py",
    "tests/oidc/test_provider_at_keycloak.py",
    "tests/support/test_fixtures.py",
)
"""Where tests stand that share a Keycloak; whoever asks for one elsewhere is told by ``conftest.py``."""

WITH_A_KEYCLOAK_OF_THEIR_OWN = ("tests/browser/", "tests/journeys/")
"""Folders that are long enough for another server, which takes ten seconds of a processor to start."""

KEYCLOAKS = frozenset({"keycloak", *WITH_A_KEYCLOAK_OF_THEIR_OWN})
"""The groups of all of those."""

ONE_BY_ONE = ("tests/laws/",)

LONG = ("tests/conformance/", "tests/laws/", "tests/properties/", "tests/fuzz/", "tests/sessions/test_redis")
"""Handed out early although the tests are few: what begins last should be short."""


def group_of(node_id: str) -> str:
    """Return the group of a test: a folder, a word, its file, or its whole node id."""
    for folder in WITH_A_KEYCLOAK_OF_THEIR_OWN:
        if node_id.startswith(folder):
            return folder
    if node_id.startswith(AT_KEYCLOAK):
        return "keycloak"
    return node_id if node_id.startswith(ONE_BY_ONE) else node_id.partition("::")[0]


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out groups whole to whoever is idle: those with a Keycloak, then what is long, then the largest."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(max(self.workqueue, key=self._urgency), last=False)
        super()._assign_work_unit(node)

    def _urgency(self, group: str) -> tuple[bool, bool, int]:
        return group in KEYCLOAKS, group.startswith(LONG), len(self.workqueue[group])
