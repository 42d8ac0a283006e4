"""The file that the client's secret is written into: made by us alone, readable by its owner alone.

It is never overwritten: a secret that others use already would be lost. A file that holds the very secret is as good
as written, so that the same command can be given twice.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Self

from proxy.core.secret import Secret
from proxy.errors import SidegateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODE: Final = 0o600

_LARGEST_BYTES: Final = 64 * 1024


def held_in(path: Path) -> Secret | None:
    """Return what an existing file holds, without one line break at its end; None when there is no such file.

    Raises:
        SidegateError: it cannot be read, so nobody can say whether it would be lost.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise SidegateError(
            f"--secret-file {path} exists and cannot be read ({_words(fault)}); name a file that does not exist yet"
        ) from fault
    return Secret(text.removesuffix("\n").removesuffix("\r"))


def refuse_to_overwrite(path: Path) -> SidegateError:
    """Return the sentence for a file that holds something else."""
    return SidegateError(
        f"--secret-file {path} exists and holds something else than the client's secret; "
        "nothing is overwritten: name a file that does not exist yet, or take this one away"
    )


class FreshFile:
    """A file that did not exist before; made empty, before anything is changed in Keycloak.

    As a context manager it leaves nothing behind when the secret was never written.
    """

    def __init__(self, path: Path) -> None:
        """Make it.

        Raises:
            SidegateError: it exists (a link counts), or cannot be made.
        """
        self._path = path
        self._is_written = False
        try:
            # O_EXCL follows no link, so nobody who can write to the folder chooses where the secret goes.
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        except FileExistsError as fault:
            raise refuse_to_overwrite(path) from fault
        except OSError as fault:
            raise SidegateError(
                f"--secret-file {path} cannot be made ({_words(fault)}); name a folder that you may write to"
            ) from fault

    def __enter__(self) -> Self:
        """Give the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; take it away when it is empty."""
        os.close(self._descriptor)
        if not self._is_written:
            self._path.unlink(missing_ok=True)

    def write(self, secret: Secret) -> None:
        """Write the secret and a line break.

        Raises:
            SidegateError: the disk is full or gone.
        """
        try:
            os.fchmod(self._descriptor, MODE)  # whatever the umask took away or a folder's default added
            _write_all(self._descriptor, secret.reveal().encode() + b"\n", os.write)
            os.fsync(self._descriptor)
        except OSError as fault:
            raise SidegateError(
                f"the secret could not be written to {self._path} ({_words(fault)}); "
                "it is in Keycloak: run the command again with another --secret-file"
            ) from fault
        self._is_written = True


def _write_all(descriptor: int, content: bytes, write: Callable[[int, bytes], int]) -> None:
    while content:
        content = content[write(descriptor, content) :]


def _words(fault: Exception) -> str:
    return (fault.strerror or type(fault).__name__).lower() if isinstance(fault, OSError) else "it is not text"
