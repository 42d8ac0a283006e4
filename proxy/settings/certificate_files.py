"""Which files of the settings may hold certificates, whatever section names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENDINGS: Final = ("cert_file", "ca_file")
"""Of the names of such keys; a test looks for keys of files that have another."""


def certificate_files(section: object, path: str = "") -> Iterator[tuple[str, Path]]:
    """Yield each file that is named below ``section``, after its key, such as ``upstreams.app.tls.ca_file``."""
    for name, value in _members(section):
        key = f"{path}.{name}" if path else name
        if isinstance(value, str) and name.endswith(ENDINGS):
            yield key, Path(value)
        else:
            yield from certificate_files(value, key)


def _members(section: object) -> Iterable[tuple[str, object]]:
    if isinstance(section, BaseModel):
        return ((name, getattr(section, name)) for name in type(section).model_fields)
    return section.items() if isinstance(section, dict) else ()
