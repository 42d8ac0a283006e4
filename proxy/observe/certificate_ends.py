"""When certificates end: of each file the first end in it, read anew when the file changes.

For ``certificate_expires_timestamp_seconds``. A file that cannot be read now, or holds no certificate, has no end here:
whoever uses it says so, and the metric must not.

===========  ==============  ====================================
structure    cap             at the cap
===========  ==============  ====================================
files        those asked     what nobody asks for is forgotten
===========  ==============  ====================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
"""Of a file that is looked into; a bundle of all public authorities has a fifth of it."""

Stamp = tuple[int, int, int]


class CertificateEnds:
    """Remember what each file said, until it changes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._known: dict[Path, tuple[Stamp, float | None]] = {}

    def of(self, files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, str, float]]:
        """Yield key, file and end (Unix seconds) of each file with certificates; ``files``: keys of the settings."""
        asked: dict[Path, tuple[Stamp, float | None]] = {}
        for key, file in files:
            stamp = _stamp(file)
            if stamp is None:
                continue
            known = self._known.get(file)
            asked[file] = known if known is not None and known[0] == stamp else (stamp, _first_end(file))
            end = asked[file][1]
            if end is not None:
                yield key, str(file), end
        self._known = asked


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _first_end(file: Path) -> float | None:
    """Return the first end of the certificates in a PEM file: of a chain, whichever breaks first."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - a hundredth of a second, and seldom

    try:
        with file.open("rb") as opened:
            certificates = load_pem_x509_certificates(opened.read(MAX_BYTES))
    except (OSError, ValueError):
        return None
    return min(certificate.not_valid_after_utc.timestamp() for certificate in certificates)
