"""TLS files that are read again when they change: certificates are renewed while we run.

A change is taken whole or not at all: the new files are tried in a context of their own first, and when they do not fit
together the old ones stay in use and the log says so. Contexts towards upstreams are replaced. The listener's context
cannot be replaced under a running server, so the certificate is loaded into it; an authority that is taken out of
``client_ca_file`` is believed until a restart, for OpenSSL can add to a context's authorities but not take away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from proxy.ports import Observer

LOOK_EVERY_S = 5.0
"""How often the files are looked at; a certificate is renewed days before its end, a kubelet needs a minute."""

Stamp = tuple[int, int, int]
"""What changes when a file is written, replaced or pointed elsewhere: inode, time in nanoseconds, size."""


class TlsFiles:
    """A TLS context made of files.

    Attributes:
        context: the newest that could be made.
    """

    def __init__(
        self,
        key: str,
        files: Iterable[Path],
        build: Callable[[], ssl.SSLContext],
        *,
        adopt: Callable[[ssl.SSLContext], None] | None = None,
    ) -> None:
        """Make the first context.

        Args:
            key: of the settings, for sentences.
            files: what ``build`` reads.
            build: raises OSError (``ssl.SSLError`` is one) when the files cannot be used.
            adopt: what is done after a change, with the first context; without it the context is replaced.

        Raises:
            SettingsError: the files cannot be used.
        """
        self._key = key
        self._files = tuple(files)
        self._build = build
        self._adopt = adopt
        self._stamps = self._look()
        self.context = self._made()

    @property
    def names(self) -> str:
        """Return the files for a sentence."""
        return ", ".join(str(file) for file in self._files)

    def current(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        return self.context

    def refresh(self) -> bool:
        """Take the files in again when one has changed; says whether anything did.

        Raises:
            SettingsError: what stands there now cannot be used; the old stays, and the next change is tried again.
        """
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        made = self._made()
        if self._adopt is None:
            self.context = made
        else:
            self._adopt(self.context)
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


async def watch(
    watched: Iterable[TlsFiles], observer: Observer, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Look at the files for ever, and say what became of each change."""
    watched = tuple(watched)
    while watched:
        await sleep(LOOK_EVERY_S)
        for files in watched:
            try:
                if files.refresh():
                    observer.warning("TLS files were read again", files=files.names)
            except SettingsError as error:
                observer.error("changed TLS files are not taken; the old ones stay in use", fault=str(error))
