"""A file as far as it could be understood: what the checks look at.

Below all of them, so that each of their files knows it and none knows another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.settings.model import Settings
    from proxy.settings.problems import KeyPath


class Draft(Struct, frozen=True):
    """A file as far as it could be understood.

    Attributes:
        settings: typed; where a key was wrong, a default or a placeholder stands.
        data: as it was written, ``${NAME}`` replaced.
    """

    settings: Settings
    data: dict[str, object]

    def written(self, path: KeyPath) -> object:
        """Return what the file says at ``path``, or None."""
        value: object = self.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value
