"""What a file says at a path, as far as it says anything there."""

from __future__ import annotations

import pytest

from proxy.settings.draft import Draft
from tests.gate.conftest import settings_of

DRAFT = Draft(settings_of(), {"routes": [{"path": "/x"}], "server": {"hosts": None}, "log": 5})


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("routes", 0, "path"), "/x"),
        (("routes", 0), {"path": "/x"}),
        (("routes", 1, "path"), None),
        (("routes", "path"), None),
        (("server", "hosts"), None),
        (("server", "hosts", 0), None),
        (("log", "level"), None),
        (("no", "such", "key"), None),
        ((), {"routes": [{"path": "/x"}], "server": {"hosts": None}, "log": 5}),
    ],
)
def test_what_is_written_at_a_path(path: tuple[str | int, ...], written: object) -> None:
    assert DRAFT.written(path) == written
