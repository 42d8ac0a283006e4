"""A provider that a test leads by the hand: it answers a refresh when it is told to, and as it is told to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.core.tokens import Grant, GrantRefusal
from tests.support.sessions import make_grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.session import Session

RefreshAnswer = Grant | GrantRefusal | Exception


class HandLedProvider:
    """The part of ``proxy.ports.Provider`` that a refresher uses.

    ``answers`` are given one after the other; when none is left, ``answer_for`` makes one from the session. While
    :meth:`hold` is in force no answer leaves. ``refreshed`` holds the refresh token of each call: a real provider that
    rotates ends the login when one comes twice.
    """

    def __init__(self, answer_for: Callable[[Session], RefreshAnswer] = make_grant) -> None:
        """Begin by answering at once."""
        self.answer_for = answer_for
        self.answers: list[RefreshAnswer] = []
        self.refreshed: list[str] = []
        self.ended: list[str] = []
        self.end_session_fault: Exception | None = None
        self.most_at_once = 0
        self._at_once = 0
        self._go = asyncio.Event()
        self._go.set()

    def hold(self) -> None:
        """Let no answer leave."""
        self._go.clear()

    def let_go(self) -> None:
        """Let the answers leave."""
        self._go.set()

    async def refresh(self, session: Session) -> Grant | GrantRefusal:
        """Answer as told."""
        assert session.tokens.refresh_token is not None
        self.refreshed.append(session.tokens.refresh_token.reveal())
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self._go.wait()
        finally:
            self._at_once -= 1
        answer = self.answers.pop(0) if self.answers else self.answer_for(session)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def end_session(self, tokens_of: Session) -> None:
        """Remember which refresh token was ended."""
        if self.end_session_fault is not None:
            raise self.end_session_fault
        assert tokens_of.tokens.refresh_token is not None
        self.ended.append(tokens_of.tokens.refresh_token.reveal())
