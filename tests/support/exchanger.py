"""A provider of which only token exchange is asked: it gives another token each time, or what a test says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.core.secret import Secret
from proxy.core.tokens import ExchangedToken, ExchangeRefusal
from proxy.errors import SidegateError

if TYPE_CHECKING:
    from tests.support.clocks import FakeClock


class ExchangerInHand:
    """What of a ``ports.Provider`` exchanges tokens (fake).

    ``asked`` holds what it was asked; it answers when ``gate`` is open, which it is at first.
    """

    def __init__(self, clock: FakeClock) -> None:
        """Begin with nothing asked."""
        self.clock = clock
        self.life_s = 300.0
        self.answer: ExchangeRefusal | SidegateError | None = None
        self.asked: list[tuple[str, str, str | None]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def exchange(
        self, subject_token: Secret, *, audience: str, scope: str | None
    ) -> ExchangedToken | ExchangeRefusal:
        self.asked.append((subject_token.reveal(), audience, scope))
        token = Secret(f"for-{audience}-{len(self.asked)}")
        await self.gate.wait()
        if isinstance(self.answer, SidegateError):
            raise self.answer
        if self.answer is not None:
            return self.answer
        return ExchangedToken(access_token=token, expires_at=self.clock.now() + self.life_s)
