"""Programs and servers around Sidegate; what a test starts here is ended here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import pytest_asyncio

from tests.support import ports
from tests.support.legacy_app import LegacyApp
from tests.support.raw_upstream import RawUpstream
from tests.support.sidegate_process import SidegateProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence


class StartSidegate(Protocol):
    """Start one Sidegate and wait until it is ready; with ``wait_for="listening"`` until it answers at all.

    ``wait_for="started"`` does not wait: for a test in whose loop something else must go on.
    """

    def __call__(
        self,
        config: Mapping[str, Any],
        *,
        env: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
        wait_for: str = "ready",
    ) -> SidegateProcess:
        """See the class."""


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return ports.free_port()


@pytest_asyncio.fixture
async def echo_app() -> AsyncIterator[RawUpstream]:
    """An upstream that records bytes and answers as told."""
    upstream = RawUpstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


@pytest.fixture
def legacy_app(tmp_path: Path) -> Iterator[Callable[[str], LegacyApp]]:
    """Start gunicorn with a WSGI app given as ``module:name``; ends with the test."""
    started: list[LegacyApp] = []

    def start(application: str) -> LegacyApp:
        app = LegacyApp(application, tmp_path)
        started.append(app)
        app.wait_until_ready()
        return app

    yield start
    for app in started:
        app.end()


@pytest.fixture
def sidegate_process(tmp_path: Path) -> Iterator[StartSidegate]:
    """Start Sidegate from a configuration given as a mapping; each is ended by SIGTERM and must exit with 0."""
    if not Path(sys.executable).with_name("sidegate").exists():
        pytest.fail("the sidegate command is not installed: make install")
    started: list[SidegateProcess] = []

    def start(
        config: Mapping[str, Any],
        *,
        env: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
        wait_for: str = "ready",
    ) -> SidegateProcess:
        process = SidegateProcess(config, tmp_path, env=env, under=under)
        started.append(process)
        {"ready": process.wait_until_ready, "listening": process.wait_until_listening, "started": _at_once}[wait_for]()
        return process

    yield start
    for process in started:
        process.end()


def _at_once() -> None:
    """Wait for nothing."""
