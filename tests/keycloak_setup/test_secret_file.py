"""The secret goes into a file of our own making, or nowhere."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.errors import SidegateError
from proxy.keycloak_setup.secret_file import FreshFile, held_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_its_owner_alone_may_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with FreshFile(tmp_path / "s") as file:
            file.write(Secret("topsecret"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert held_in(tmp_path / "s") == Secret("topsecret")


def test_a_file_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("old")

    with pytest.raises(SidegateError, match="nothing is overwritten"):
        FreshFile(tmp_path / "s")

    assert (tmp_path / "s").read_text() == "old"


def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SidegateError, match="nothing is overwritten"):
        FreshFile(tmp_path / "s")

    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_left_when_no_secret_came(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), FreshFile(tmp_path / "s"):
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SidegateError, match=r"cannot be made \(no such file or directory\); name a folder"):
        FreshFile(tmp_path / "no" / "s")


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    assert held_in(tmp_path / "none") is None
    (tmp_path / "s").write_bytes(b"\xff")

    for path in (tmp_path, tmp_path / "s"):
        with pytest.raises(SidegateError, match="name a file that does not exist yet"):
            held_in(path)
