"""Say once, after the first login of a process, how long sessions can really last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy.core.lifetime import observed_lifetime

if TYPE_CHECKING:
    from proxy.core.lifetime import SessionPlan
    from proxy.core.tokens import TokenSet
    from proxy.ports import Observer


class FirstLogin:
    """Waits for the first tokens."""

    def __init__(self, plan: SessionPlan, observer: Observer) -> None:
        """Begin with none seen."""
        self._plan = plan
        self._observer = observer
        self._was_seen = False

    def seen(self, tokens: TokenSet) -> None:
        """Hear of the tokens of a login."""
        if self._was_seen:
            return
        self._was_seen = True
        self._observer.notice(observed_lifetime(self._plan, tokens))


FIRST_LOGIN: web.AppKey[FirstLogin] = web.AppKey("first_login", FirstLogin)
