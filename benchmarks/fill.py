"""Put sessions into a Redis as Sidegate would: ``python -m benchmarks.fill PORT KEY FIRST NUMBER``.

Valid records under the server key KEY with their activity and all their index entries, written in bulk, because a
million sign-ins would take a day. Each is a person of their own; the tokens are short, to spare memory.
"""

from __future__ import annotations

import base64
import sys
import time
from typing import TYPE_CHECKING

import redis

from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin, Session, session_key
from proxy.core.tokens import TokenSet
from proxy.sessions.codec import SessionCodec, summary_of
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.sealing import Sealer

if TYPE_CHECKING:
    from redis.client import Pipeline

PREFIX = "sidegate:"
BATCH = 500
LIFETIME_S = 30 * 86400
IDLE_S = 7 * 86400


class Filler:
    """Writes sessions made at one instant."""

    def __init__(self, server_key: bytes, now: float) -> None:
        """``now``: Unix seconds."""
        sealer = Sealer((server_key,))
        self._codec = SessionCodec(sealer)
        self._names = RedisNames(PREFIX, sealer)
        self._now = now

    def add(self, to: Pipeline, number: int) -> None:
        """Write the session of this number."""
        cookie = Secret(base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("="))
        session = self._session(cookie, number)
        name, last_s = str(session.key), int(session.expires_at)
        to.set(self._names.record(session.key), self._codec.encode(cookie, session), exat=last_s)
        to.set(self._names.touch(session.key), repr(self._now), exat=last_s)
        to.zadd(self._names.roster(session.key), {name: self._now + IDLE_S})
        for index in self._names.every_index(summary_of(session)):
            to.zadd(index, {name: session.expires_at})
            to.expireat(index, last_s)

    def _session(self, cookie: Secret, number: int) -> Session:
        tokens = TokenSet(
            access_token=Secret(f"access-{number}"),
            refresh_token=Secret(f"refresh-{number}"),
            id_token=Secret(f"id-{number}"),
            obtained_at=self._now,
            access_expires_at=self._now + 3600,
            refresh_expires_at=self._now + 7200,
        )
        return Session(
            key=session_key(cookie),
            client_id="filled",
            identity=Identity(issuer="http://issuer.test", subject=f"subject-{number}", username=f"person-{number}"),
            tokens=tokens,
            sid=f"sid-{number}",
            origin=LoginOrigin.CODE,
            issued_at=self._now,
            authenticated_at=self._now,
            acr=None,
            created_at=self._now,
            expires_at=self._now + LIFETIME_S,
            idle_timeout_s=IDLE_S,
        )


def main(port: int, server_key: bytes, numbers: range) -> None:
    """Write them all."""
    filler = Filler(server_key, time.time())
    with redis.Redis(port=port) as client:
        for first in range(numbers.start, numbers.stop, BATCH):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(first, min(first + BATCH, numbers.stop)):
                    filler.add(pipeline, number)
                pipeline.execute()


if __name__ == "__main__":
    _, port, key, first, number = sys.argv
    main(
        int(port),
        base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)),
        range(int(first), int(first) + int(number)),
    )
