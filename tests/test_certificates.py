"""TLS files that change while we run: laws of ``certificates``."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.certificates import LOOK_EVERY_S, TlsFiles, watch
from proxy.errors import SettingsError
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from pathlib import Path


class Builder:
    """Builds a context, or fails as OpenSSL does; counts."""

    def __init__(self) -> None:
        self.built = 0
        self.fault: OSError | None = None

    def __call__(self) -> ssl.SSLContext:
        if self.fault is not None:
            raise self.fault
        self.built += 1
        return ssl.create_default_context()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tls.crt"
    path.write_text("one")
    return path


def change(file: Path) -> None:
    file.write_text(file.read_text() + "!")


def test_files_that_did_not_change_are_not_read_again(file: Path) -> None:
    build = Builder()
    files = TlsFiles("server.tls", [file], build)

    assert not files.refresh()
    assert build.built == 1


def test_a_change_replaces_the_context(file: Path) -> None:
    files = TlsFiles("upstreams.app.tls", [file], Builder())
    first = files.current()

    change(file)

    assert files.refresh()
    assert files.current() is not first


def test_a_file_that_is_replaced_by_another_of_the_same_size_and_time_is_a_change(file: Path, tmp_path: Path) -> None:
    files = TlsFiles("server.tls", [file], Builder())
    other = tmp_path / "new"
    other.write_text("two")
    status = file.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))

    other.replace(file)

    assert files.refresh()


def test_a_context_in_use_is_kept_and_told_to_adopt(file: Path) -> None:
    adopted: list[ssl.SSLContext] = []
    files = TlsFiles("server.tls", [file], Builder(), adopt=adopted.append)
    first = files.current()

    change(file)
    files.refresh()

    assert files.current() is first
    assert adopted == [first]


def test_files_that_do_not_fit_leave_the_old_in_use_and_are_tried_at_the_next_change(file: Path) -> None:
    build, adopted = Builder(), list[ssl.SSLContext]()
    files = TlsFiles("server.tls", [file], build, adopt=adopted.append)
    build.fault = ssl.SSLError("key values mismatch")
    change(file)

    with pytest.raises(SettingsError, match=r"server\.tls: .*tls\.crt cannot be used .*key values mismatch"):
        files.refresh()
    assert adopted == []
    assert not files.refresh()

    build.fault = None
    change(file)
    assert files.refresh()


def test_files_that_cannot_be_used_at_the_start_are_a_sentence(file: Path) -> None:
    build = Builder()
    build.fault = FileNotFoundError(2, "No such file or directory")

    with pytest.raises(SettingsError, match=r"give PEM files"):
        TlsFiles("server.tls", [file], build)


async def test_the_watch_says_what_became_of_each_change_and_goes_on(file: Path) -> None:
    build, observer = Builder(), RecordingObserver()
    files = TlsFiles("server.tls", [file], build)
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        assert seconds == LOOK_EVERY_S
        looks += 1
        build.fault = ssl.SSLError("bad") if looks == 1 else None
        change(file)
        if looks == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await watch([files], observer, sleep=sleep)

    assert [message for message, _ in observer.errors] == ["changed TLS files are not taken; the old ones stay in use"]
    assert [message for message, _ in observer.warnings] == ["TLS files were read again"]


async def test_without_files_there_is_nothing_to_watch() -> None:
    await watch([], RecordingObserver())
