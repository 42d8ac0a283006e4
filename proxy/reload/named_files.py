"""Which files a settings file names, what stands in them now, and in which folders a change of them shows.

A key that names a file ends in ``_file`` or ``_dir``, or is a secret's ``file``; so a new key is found without being
told of here. Left out is what is read whenever it is used: it counts at once, and a service account's token that
changes every hour is no reason to make everything anew.
"""

from __future__ import annotations

import os
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from proxy.settings.secret_source import SecretSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READ_AT_EACH_USE: Final = frozenset({"keycloak", "admin_token", "password"})
"""Keys and sections whose files are read, or looked at, whenever they are needed."""

MOST_LINKS: Final = 40
"""Symbolic links followed from one path: as many as Linux follows (``MAXSYMLINKS``)."""

MOST_FILES: Final = 2000
"""Files of one folder that are looked at, and folders in it; more is a wrong path (a home, a root)."""

_MIB: Final = 1024 * 1024


Stamp = tuple[int | None, ...]
"""What changes when a file is written, replaced or pointed elsewhere; cheap to have."""


def named_files(settings: Iterable[BaseModel]) -> frozenset[Path]:
    """Return the files and folders that are read when sites are made of these settings."""
    return frozenset(path for one in settings for path in _named_by(one))


def _named_by(value: object, key: str = "") -> Iterator[Path]:
    if isinstance(value, SecretSource):
        if value.file is not None:
            yield Path(value.file)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields.keys() - READ_AT_EACH_USE:
            yield from _named_by(getattr(value, name), name)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _named_by(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _named_by(each)
    elif isinstance(value, str) and key.endswith(("_file", "_dir")):
        yield Path(value)


def look(path: Path) -> dict[Path, Stamp]:
    """Return what stands at this path now; a folder is all that lies in it. Never raises."""
    return {file: _stamp(file) for file in _within(path)}


def digest_of(files: Iterable[Path]) -> bytes:
    """Return what tells the contents of these files from all others; never raises."""
    whole = sha256()
    for file in sorted(files):
        whole.update(os.fsencode(file) + b"\0" + _digest_of(file))
    return whole.digest()


def _within(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path]
    for folder, _, names in _walked(path):
        found += (Path(folder, name) for name in names)
        if len(found) >= MOST_FILES:
            break
    return found


def _walked(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    return islice(os.walk(folder), MOST_FILES)


def _stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError as error:
        return (error.errno,)
    # ctime too: a file that may be read at last has changed neither its time nor its size.
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def _digest_of(file: Path) -> bytes:
    try:
        if not file.is_file():
            # Of a folder its files count; a pipe would be waited for.
            return b"" if file.exists() else b"none"
        with file.open("rb") as opened:
            return sha256(opened.read(_MIB)).digest()
    except OSError as error:
        return str(error.errno).encode()


def folders_of(paths: Iterable[Path]) -> frozenset[Path]:
    """Return the folders in which it shows that one of these is written, replaced or pointed elsewhere.

    Beside a file's own folder those of every symbolic link on the way to it: Kubernetes changes a mounted ConfigMap by
    one rename of ``..data``, which is a link in the middle of the path.
    """
    return frozenset(folder for path in paths for folder in _folders_to(path) if folder.is_dir())


def _folders_to(path: Path) -> Iterator[Path]:
    links = 0
    todo = list(reversed(Path(os.path.abspath(path)).parts))  # noqa: PTH100 - resolve() follows the links we look for
    at = Path(todo.pop())
    while todo:
        part = todo.pop()
        if part == "..":
            at = at.parent
            continue
        step = at / part
        if step.is_symlink() and links < MOST_LINKS:
            links += 1
            yield at
            target = step.readlink()
            todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            at = Path(target.anchor) if target.is_absolute() else at
        else:
            at = step
    if at.is_dir():
        yield from (Path(folder) for folder, _, _ in _walked(at))
    yield at.parent
