"""Autobahn's testsuite through the front door, its own echo server behind.

The ordinary run takes some cases of each kind; ``SIDEGATE_TEST_FULL=1`` takes all 517 of kinds 1-7, 9, 10, 12 and 13,
which needs up to an hour, nearly all of it for compressing (12 and 13). Without an interpreter of Python 2.7 it is
skipped, in CI too: no current machine has one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.streams.door import IS_FULL, settings
from tests.support import autobahn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures import StartSidegate

ALL = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*")
SOME = (
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.1.*", "6.4.*", "6.6.*", "7.*", "9.1.1", "9.2.1", "9.5.1", "9.6.1", "10.*"),
    *("12.1.1", "13.1.1"),
)
"""Those of compression send a thousand messages each, so a few stand for all."""

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}


@pytest.mark.slow
@pytest.mark.timeout(5500)
def test_no_case_fails_that_the_echo_server_passes_alone(sidegate_process: StartSidegate, tmp_path: Path) -> None:
    interpreter = autobahn.python27()
    if interpreter is None:
        pytest.skip("Autobahn's testsuite needs Python 2.7: name one in SIDEGATE_TEST_PYTHON27")
    program = autobahn.wstest(interpreter)
    with autobahn.echo_server(program, tmp_path) as url:
        # The echo server answers for its own port only.
        upstreams = {"app": {"url": url, "preserve_host": False}}
        process = sidegate_process(settings("", upstreams=upstreams), wait_for="listening")

        found = autobahn.verdicts(
            program,
            tmp_path,
            process.url.replace("http", "ws", 1) + "/",
            cases=ALL if IS_FULL else SOME,
            timeout_s=5400 if IS_FULL else 100,
        )

    print(f"{len(found)} cases: {dict(Counter(one['behavior'] for one in found.values()))}")
    assert len(found) >= (517 if IS_FULL else 120)
    assert {number: one for number, one in found.items() if one["behavior"] not in PASSED} == {}
    assert {number: one for number, one in found.items() if one["behaviorClose"] not in PASSED} == {}
