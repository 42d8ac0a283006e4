"""Which roles and groups of a person the app behind a route hears of (``headers.roles``, ``headers.groups``).

Narrowing is about what is *said*, never about what is decided: ``core.policy`` sees the whole person. It holds for the
identity fields and for the assertion of the route alike, so that an app cannot read in one what the other leaves out.
What a template of the operator takes from the claims by name is sent as it stands there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy.core.claims import ClaimPattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.identity import Identity


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a route names; None is all, () is none.

    Attributes:
        roles: canonical names as in ``Identity.roles``; ``*`` stands for any text.
        groups: full paths; one that does not begin with ``/`` is read with one.
    """

    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    _roles: tuple[ClaimPattern, ...] | None = field(init=False, repr=False, compare=False)
    _groups: tuple[ClaimPattern, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the patterns."""
        object.__setattr__(self, "_roles", _compiled(self.roles))
        groups = None if self.groups is None else [one if one.startswith("/") else f"/{one}" for one in self.groups]
        object.__setattr__(self, "_groups", _compiled(groups))

    def narrowed(self, identity: Identity) -> Identity:
        """Return the person as the app may know them; the same value when nothing is left out."""
        roles, groups = _named(identity.roles, self._roles), _named(identity.groups, self._groups)
        if len(roles) == len(identity.roles) and len(groups) == len(identity.groups):
            return identity
        return replace(identity, roles=roles, groups=groups)


def _compiled(names: Iterable[str] | None) -> tuple[ClaimPattern, ...] | None:
    return None if names is None else tuple(map(ClaimPattern, names))


def _named(names: frozenset[str], patterns: tuple[ClaimPattern, ...] | None) -> frozenset[str]:
    if patterns is None:
        return names
    return frozenset(name for name in names if any(pattern.matches(name) for pattern in patterns))


EVERYTHING = Narrowing()
"""What a route says that names neither."""
