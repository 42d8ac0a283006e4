"""TLS files that are read again when they change: certificates are renewed while we run.

A change is taken whole or not at all: when the new files do not fit together, the old ones stay in use. A context is
replaced and never loaded into: OpenSSL can add to the authorities of one, but not take away. Who looks when is the
business of ``reload``, or of whoever is about to connect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable
    from pathlib import Path

Stamp = tuple[int, int, int]
"""What changes when a file is written, replaced or pointed elsewhere: inode, time in nanoseconds, size."""


class TlsFiles:
    """A TLS context made of files.

    Attributes:
        context: the newest that could be made.
    """

    def __init__(self, key: str, files: Iterable[Path], build: Callable[[], ssl.SSLContext]) -> None:
        """Make the first context.

        Args:
            key: of the settings, for sentences.
            files: what ``build`` reads.
            build: raises OSError (``ssl.SSLError`` is one) when the files cannot be used.

        Raises:
            SettingsError: the files cannot be used.
        """
        self._key = key
        self._files = tuple(files)
        self._build = build
        self._stamps = self._look()
        self.context = self._made()

    @property
    def names(self) -> str:
        """Return the files for a sentence."""
        return ", ".join(str(file) for file in self._files)

    def current(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        return self.context

    def has_changed(self) -> bool:
        """Say whether something else stands there than what the context was made of."""
        return self._look() != self._stamps

    def prepared(self) -> Callable[[], None]:
        """Make another context, and return what takes it in use.

        Raises:
            SettingsError: what stands there now cannot be used.
        """
        stamps, made = self._look(), self._made()

        def take() -> None:
            self._stamps, self.context = stamps, made

        return take

    def refresh(self) -> bool:
        """Take the files in again when one has changed; says whether anything did.

        Raises:
            SettingsError: what stands there now cannot be used; the old stays, and the next change is tried again.
        """
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self.context = self._made()
        return True

    def _made(self) -> ssl.SSLContext:
        try:
            return self._build()
        except OSError as error:
            raise SettingsError(
                f"{self._key}: {self.names} cannot be used ({error}); "
                "give PEM files that belong together and that this process may read"
            ) from error

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
