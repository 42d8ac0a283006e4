"""The observer of one of several sites: what it says has the portal's name beside it, figures stay those of all.

A class of its own, so that a process with one site is asked nothing. Lines of requests have the host as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

if TYPE_CHECKING:
    from proxy.ports import AuditEvent, Observer


class PortalObserver:
    """``ports.Observer`` of a portal, in front of that of the process."""

    def __init__(self, observer: Observer, portal: str) -> None:
        """Say everything to ``observer``."""
        self._portal = portal
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        """Pass on what is said as it is: figures, and the line of each request."""
        return getattr(self._observer, name)

    def audit(self, event: AuditEvent) -> None:
        """Something happened to a session of this portal."""
        self._observer.audit(replace(event, details={**event.details, "portal": self._portal}))

    def notice(self, message: str, **fields: str | float) -> None:
        """Say something about this portal."""
        self._observer.notice(message, **{**fields, "portal": self._portal})

    def warning(self, message: str, **fields: str | float) -> None:
        """The same, for the operator to know."""
        self._observer.warning(message, **{**fields, "portal": self._portal})

    def error(self, message: str, **fields: str | float) -> None:
        """The same, for the operator to mend."""
        self._observer.error(message, **{**fields, "portal": self._portal})


def observer_of(portal: str, observer: Observer) -> Observer:
    """Return who is told of a site: with a name the observer of that portal, else that of the process itself."""
    return cast("Observer", PortalObserver(observer, portal)) if portal else observer
