"""The licences of what is installed with Sidegate, as ``docs/licences.md`` lists them: from the lock, no network.

Names and versions are those of ``requirements.lock``; what a package says of its licence is read where it is installed.
``python -m tests.support.licences > docs/licences.md`` writes the file anew.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements.lock"
DOCUMENT: Final = ROOT / "docs" / "licences.md"

_ELSEWHERE: Final = {"async-timeout": "Apache-2.0"}
"""What other Pythons or systems need, and this one may not have installed."""

_OF_CLASSIFIER: Final = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}

_ENTRY: Final = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)(?: ; (.*?))?\s*\\?$", re.MULTILINE)

_HEAD: Final = """\
# Licences

Sidegate installs these libraries and no others (its extras bring more); `requirements.lock` pins each by its hash.
The table is made from that lock by `make licences`, and a test fails when it is out of date.
An SPDX expression is the package's own word; without one, it is what its classifiers say.

| library | version | licence |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of the lock; ``marker`` says which Pythons and systems need it, and is empty for all."""

    name: str
    version: str
    marker: str


def locked() -> list[Locked]:
    """Return every entry, in the order of the lock."""
    return [Locked(name, version, marker or "") for name, version, marker in _ENTRY.findall(LOCK.read_text("utf-8"))]


def licence_of(name: str) -> str:
    """Return what a package says of its licence.

    Raises:
        LookupError: it is not installed here, and nobody wrote down what it says elsewhere.
    """
    try:
        said = metadata(name)
    except PackageNotFoundError:
        if name not in _ELSEWHERE:
            raise LookupError(f"{name} is not installed here; write its licence into {__name__}._ELSEWHERE") from None
        return _ELSEWHERE[name]
    return said["License-Expression"] or _by_classifiers(said) or said["License"] or "unknown"


def _by_classifiers(said: PackageMetadata) -> str:
    named = (one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or () if one.startswith("License :: "))
    return " OR ".join(sorted({_OF_CLASSIFIER.get(one, one) for one in named}))


def document() -> str:
    """Return the text of the file."""
    rows = (f"| {one.name} | {one.version}{_where(one)} | {licence_of(one.name)} |\n" for one in locked())
    return _HEAD + "".join(rows)


def _where(entry: Locked) -> str:
    return f" (where `{entry.marker}`)" if entry.marker else ""


if __name__ == "__main__":
    sys.stdout.write(document())
