"""What is wrong with a settings file, as values.

A parser raises :class:`ValueRefused`; it knows neither file nor key. A check makes a :class:`Finding`; it knows the
key. Only ``load.py`` knows the line and makes the :class:`Problem` that people read.

Each message is two halves: what is wrong, and what to write instead.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and indexes of sequences, from the top of the file."""


class Level(StrEnum):
    """Whether the file can be used all the same."""

    ERROR = "error"
    WARNING = "warning"


class ValueRefused(ValueError):
    """One value is not what its key takes.

    A ``ValueError``, because that is what pydantic lets a validator raise.
    """

    def __init__(self, message: str, remedy: str) -> None:
        """Keep both halves of the sentence; neither repeats a value that may be secret."""
        super().__init__(f"{message}; {remedy}")
        self.message = message
        self.remedy = remedy


class Finding(Struct, frozen=True):
    """Something wrong at a key.

    Attributes:
        path: the key to blame.
        depends_on: further keys that the judgement rests on; when one of them is wrong itself, the finding is void.
    """

    path: KeyPath
    message: str
    remedy: str
    level: Level = Level.ERROR
    depends_on: tuple[KeyPath, ...] = ()


class Problem(Struct, frozen=True):
    """Something wrong in a file, where a person can go and look.

    Attributes:
        line: from 1; 0 when it is about the file as a whole (it is missing, it is a directory).
        column: from 1; 0 likewise.
        key_path: ``routes[0].access``; empty when there is no key to blame.
    """

    file: str
    line: int
    column: int
    key_path: str
    message: str
    remedy: str
    level: Level

    def __str__(self) -> str:
        """Return ``FILE:LINE:COL  key.path: what is wrong; what to write instead``."""
        place = f"{self.file}:{self.line}:{self.column} " if self.line else f"{self.file}:"
        key = f" {self.key_path}:" if self.key_path else ""
        warning = " warning:" if self.level is Level.WARNING else ""
        return f"{place}{key}{warning} {self.message}; {self.remedy}"


def key_text(path: KeyPath) -> str:
    """Return a key path as people write it: ``routes[0].access``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
