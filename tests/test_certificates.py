"""TLS files that change while we run: laws of ``certificates``."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.certificates import TlsFiles
from proxy.errors import SettingsError

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


def test_what_is_prepared_counts_once_it_is_taken(file: Path) -> None:
    files = TlsFiles("server.tls", [file], Builder())
    first = files.current()
    change(file)
    assert files.has_changed()

    take = files.prepared()

    assert files.current() is first
    take()
    assert files.current() is not first
    assert not files.has_changed()


def test_what_cannot_be_prepared_leaves_the_old_and_is_still_a_change(file: Path) -> None:
    build = Builder()
    files = TlsFiles("server.tls", [file], build)
    change(file)
    build.fault = ssl.SSLError("bad")

    with pytest.raises(SettingsError):
        files.prepared()

    assert files.has_changed()


def test_files_that_do_not_fit_leave_the_old_in_use_and_are_tried_at_the_next_change(file: Path) -> None:
    build = Builder()
    files = TlsFiles("server.tls", [file], build)
    first = files.current()
    build.fault = ssl.SSLError("key values mismatch")
    change(file)

    with pytest.raises(SettingsError, match=r"server\.tls: .*tls\.crt cannot be used .*key values mismatch"):
        files.refresh()
    assert files.current() is first
    assert not files.refresh()

    build.fault = None
    change(file)
    assert files.refresh()


def test_files_that_cannot_be_used_at_the_start_are_a_sentence(file: Path) -> None:
    build = Builder()
    build.fault = FileNotFoundError(2, "No such file or directory")

    with pytest.raises(SettingsError, match=r"give PEM files"):
        TlsFiles("server.tls", [file], build)
