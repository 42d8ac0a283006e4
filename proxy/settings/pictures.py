"""What a file that people see must be: a picture that browsers show, small enough for a login page.

Bytes decide, not the name; ``core.picture`` knows them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proxy.core.picture import LARGEST_PICTURE_BYTES, describe_picture
from proxy.settings.problems import Finding
from proxy.settings.secret_source import reason_of, remedy_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.picture import PictureKind
    from proxy.settings.problems import KeyPath


def picture_findings(path: KeyPath, file: str, kinds: Sequence[PictureKind]) -> Iterator[Finding]:
    """Yield what keeps a file from being shown as a picture of one of these kinds."""
    names = [kind.name for kind in kinds]
    wanted = f"save it as {', '.join(names[:-1])} or {names[-1]}"
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(LARGEST_PICTURE_BYTES + 1)
    except OSError as error:
        yield Finding(path, f"names {file}, which cannot be read ({reason_of(error)})", remedy_for(error))
        return
    except ValueError:
        yield Finding(path, "is no path", "name a file")
        return
    if len(content) > LARGEST_PICTURE_BYTES:
        message = f"names {file}, which is larger than {LARGEST_PICTURE_BYTES // 1024} KiB"
        yield Finding(path, message, "save it smaller; it is on the first page that people see")
        return
    yield from _kind_findings(path, file, content, kinds, wanted)


def _kind_findings(
    path: KeyPath, file: str, content: bytes, kinds: Sequence[PictureKind], wanted: str
) -> Iterator[Finding]:
    try:
        kind = describe_picture(content).kind
    except ValueError as error:
        yield Finding(path, f"names {file}, which is no picture that browsers show ({error})", wanted)
        return
    if kind not in kinds:
        yield Finding(path, f"names {file}, which is {kind.name}", wanted)
