"""Which files a file names, and in which folders their changes show: laws of ``reload.named_files``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from proxy.reload.named_files import MOST_FILES, digest_of, folders_of, look, named_files
from proxy.settings.model import Settings
from tests.support.made_sites import site_file


def named(**file: Any) -> set[str]:
    return {str(path) for path in named_files([Settings.model_validate(site_file(**file))])}


def test_a_file_of_everyday_kind_names_none() -> None:
    assert named() == set()


def test_certificates_keys_pictures_and_templates_are_named_wherever_they_stand() -> None:
    found = named(
        server={"tls": {"cert_file": "/c.crt", "key_file": "/c.key", "client_ca_file": "/clients.crt"}},
        login={"logo_file": "/logo.svg", "icon_file": "/icon.svg", "templates_dir": "/templates"},
        sessions={"encryption_keys": [{"file": "/new"}, {"file": "/old"}], "redis": {"tls": {"ca_file": "/redis.crt"}}},
        upstreams={"app": {"url": "https://app.internal", "tls": {"ca_file": "/app.crt"}}},
    )

    assert found == {
        *("/c.crt", "/c.key", "/clients.crt", "/logo.svg", "/icon.svg", "/templates"),
        *("/new", "/old", "/redis.crt", "/app.crt"),
    }


def test_what_is_read_whenever_it_is_used_is_no_reason_to_make_everything_anew() -> None:
    found = named(
        keycloak={"ca_file": "/sso.crt", "client_auth": {"secret": {"file": "/client"}}},
        management={"admin_token": {"file": "/token"}},
        sessions={"redis": {"password": {"file": "/redis-password"}}},
    )

    assert found == set()


def test_every_key_of_the_file_that_ends_like_a_file_is_found_or_read_whenever_it_is_used() -> None:
    text = (Path(__file__).parents[2] / "config" / "sidegate.schema.json").read_text("utf-8")

    names = {part.split('"')[1] for part in text.splitlines() if part.strip().startswith('"') and '_file"' in part}

    # Should another name for a path come up (key_path, certificate), named_files must learn of it.
    assert {"cert_file", "key_file", "ca_file", "logo_file"} <= names
    assert not [line for line in text.splitlines() if line.strip().startswith('"') and '_path": {' in line]


def test_a_look_tells_a_file_from_another_of_the_same_size_and_time(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    other.write_text("two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    before = look(file)

    other.replace(file)

    assert look(file) != before


def test_a_touch_changes_the_look_and_not_the_contents(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    before = look(file)

    os.utime(file, ns=(1, 1))

    assert look(file) != before
    assert digest_of(look(file)) == digest_of(before)


def test_a_file_that_is_not_there_is_something_else_than_an_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    absent = digest_of(look(file))

    file.touch()

    assert digest_of(look(file)) != absent


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert digest_of(look(tmp_path / "pipe")) == digest_of(look(tmp_path / "pipe"))


def test_of_a_folder_everything_in_it_counts_and_no_more_than_its_cap(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    before = digest_of(look(tmp_path))

    (tmp_path / "inner" / "page.html").write_text("one")

    assert digest_of(look(tmp_path)) != before
    assert MOST_FILES < 10_000


@pytest.fixture
def config_map(tmp_path: Path) -> Path:
    """A folder as a kubelet mounts a ConfigMap: the file is a link by way of ``..data``, which is a link itself."""
    mount = tmp_path / "mount"
    (mount / "..2026_01").mkdir(parents=True)
    (mount / "..2026_01" / "sidegate.yaml").write_text("one")
    (mount / "..data").symlink_to("..2026_01")
    (mount / "sidegate.yaml").symlink_to("..data/sidegate.yaml")
    return mount


def test_the_folder_in_which_a_mounted_config_map_is_swapped_is_watched(config_map: Path) -> None:
    assert folders_of([config_map / "sidegate.yaml"]) == {config_map, config_map / "..2026_01"}


def test_a_swap_of_a_config_map_is_seen(config_map: Path) -> None:
    before = look(config_map / "sidegate.yaml")
    (config_map / "..2026_02").mkdir()
    (config_map / "..2026_02" / "sidegate.yaml").write_text("one")

    (config_map / "..data_tmp").symlink_to("..2026_02")
    (config_map / "..data_tmp").replace(config_map / "..data")

    assert look(config_map / "sidegate.yaml") != before


def test_a_link_to_another_place_has_both_folders_watched(tmp_path: Path) -> None:
    for name in ("live", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "archive" / "tls1.crt").touch()
    (tmp_path / "live" / "tls.crt").symlink_to(tmp_path / "archive" / "tls1.crt")

    assert folders_of([tmp_path / "live" / "tls.crt"]) == {tmp_path / "live", tmp_path / "archive"}


def test_a_link_that_leads_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert folders_of([tmp_path / "a"]) == {tmp_path}


def test_a_folder_that_is_not_there_is_not_watched(tmp_path: Path) -> None:
    assert folders_of([tmp_path / "none" / "tls.crt"]) == set()


def test_of_templates_every_folder_is_watched(tmp_path: Path) -> None:
    (tmp_path / "templates" / "locales").mkdir(parents=True)

    assert folders_of([tmp_path / "templates"]) >= {tmp_path / "templates", tmp_path / "templates" / "locales"}


def test_of_a_folder_with_folders_without_number_only_some_are_looked_at(tmp_path: Path) -> None:
    """A wrong path, a home or a root, must not be walked through every five seconds."""
    for number in range(MOST_FILES + 50):
        (tmp_path / f"{number}").mkdir()

    assert len(folders_of([tmp_path])) <= MOST_FILES + 1
