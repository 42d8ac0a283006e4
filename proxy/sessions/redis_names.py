"""What the keys in Redis are called. No name says anything: session keys are hashes of cookies, persons are HMACs.

After the prefix:

====================  =============================  ==================================================================
``s:<session key>``   string                         the record (``codec``)
``t:<session key>``   string                         Unix time of the last activity
``g:<session key>``   string, sealed                 the tombstone
``h:<session key>``   string, sealed                 as what the session goes on: the cookie of its heir, for 30 s
``i:all:<0-f>``       sorted set of session keys     by the instant at which a session will be over, if nothing happens
``i:sid:<SHA-256>``   sorted set of session keys     by the absolute end; and so the next two
``i:sub:<HMAC>``
``i:user:<HMAC>``
``e:sid:<SHA-256>``   hash of two instants           a provider session that has ended
``e:sub:<HMAC>``      hash of two instants           a person whose logins up to an instant are over
``w:<HMAC>``          hash of two instants           the same of a whole client: its watermark
``j:<SHA-256>``       string                         a spent token id, until when
``a:<SHA-256>``       hash of sealed tabs            the root of an authentication session
``f:<limit>/<place>`` list of instants               sign-ins that failed of late (``redis_throttle``)
``k:<SHA-256>``       hash of two sealed parts       a form that waits for a login
``k:all``             sorted set                     how much all of them take, and when each is forgotten
====================  =============================  ==================================================================

Under several server keys the names of persons are looked up under each, and written under the first.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from proxy.core.session import BySid, BySubject, EverySessionOf, SessionKey

if TYPE_CHECKING:
    from proxy.core.session import SessionsFilter
    from proxy.sessions.codec import RecordSummary
    from proxy.sessions.sealing import Sealer

ROSTER_SHARDS = "0123456789abcdef"
"""First digit of a session key -> its part of the roster of all sessions; several, so that a cluster shares the load
and no sorted set grows beyond what is comfortable (a million sessions: 62,500 each)."""


class RedisNames:
    """The names under one prefix and the keys of one sealer."""

    def __init__(self, prefix: str, sealer: Sealer) -> None:
        """``prefix``: begins every name."""
        self._prefix = prefix
        self._sealer = sealer
        self.record_prefix = f"{prefix}s:".encode()
        self.watermark_prefix = f"{prefix}w:".encode()
        self.ended_prefix = f"{prefix}e:".encode()
        self.every_root = _GLOB.sub(r"\\\g<0>", prefix) + "a:*"

    # --- of one session ----------------------------------------------------------------------------------------------

    def record(self, key: SessionKey) -> str:
        """Return the name of the record."""
        return f"{self._prefix}s:{key}"

    def key_of_record(self, name: bytes) -> SessionKey | None:
        """Return the session whose record has this name, or None when it is no name of a record."""
        if not name.startswith(self.record_prefix):
            return None
        return SessionKey(name[len(self.record_prefix) :].decode(errors="replace"))

    def touch(self, key: SessionKey) -> str:
        """Return the name under which the last activity stands."""
        return f"{self._prefix}t:{key}"

    def tombstone(self, key: SessionKey) -> str:
        """Return the name of the tombstone."""
        return f"{self._prefix}g:{key}"

    def heir(self, key: SessionKey) -> str:
        """Return the name under which stands as what the session goes on."""
        return f"{self._prefix}h:{key}"

    def roster(self, key: SessionKey) -> str:
        """Return the part of the roster that holds this session."""
        return f"{self._prefix}i:all:{key[0]}"

    def rosters(self) -> tuple[str, ...]:
        """Return every part of the roster."""
        return tuple(f"{self._prefix}i:all:{shard}" for shard in ROSTER_SHARDS)

    # --- of many -----------------------------------------------------------------------------------------------------

    def index(self, which: SessionsFilter) -> tuple[str, ...]:
        """Return the names of the index that leads to what ``which`` matches, the one that is written first."""
        if isinstance(which, BySid):
            return (f"{self._prefix}i:sid:{_hash(which.issuer, which.sid)}",)
        if isinstance(which, BySubject):
            return self._of_person("i:sub", which.issuer, which.subject)
        return self._of_person("i:user", which.issuer, which.username)

    def every_index(self, summary: RecordSummary) -> tuple[str, ...]:
        """Return each index in which this session may ever have been entered; the roster aside."""
        return tuple(name for which in summary.filters() for name in self.index(which))

    def marks(self, what: BySid | BySubject | EverySessionOf) -> tuple[str, ...]:
        """Return the names under which the end of ``what`` may stand, the one that is written first."""
        if isinstance(what, BySid):
            return (f"{self._prefix}e:sid:{_hash(what.issuer, what.sid)}",)
        if isinstance(what, BySubject):
            return self._of_person("e:sub", what.issuer, what.subject)
        return self._of_person("w", what.issuer, what.client_id)

    def spent(self, jti: str) -> str:
        """Return the name under which a token id is remembered."""
        return f"{self._prefix}j:{_hash(jti)}"

    def root(self, root_id: str) -> str:
        """Return the name of an authentication session."""
        return f"{self._prefix}a:{_hash(root_id)}"

    def kept(self, kept_id: str) -> str:
        """Return the name of a form that waits for a login."""
        return self.kept_named(self.kept_digest(kept_id))

    def kept_named(self, digest: str) -> str:
        """Return the same by what stands for its id."""
        return f"{self._prefix}k:{digest}"

    def kept_digest(self, kept_id: str) -> str:
        """Return what stands for the id of such a form."""
        return _hash(kept_id)

    def kept_places(self) -> str:
        """Return the name under which stands how much all of them take."""
        return f"{self._prefix}k:all"

    def _of_person(self, kind: str, *who: str) -> tuple[str, ...]:
        text = "\0".join((kind, *who))
        return tuple(f"{self._prefix}{kind}:{digest}" for digest in self._sealer.digests(text))


_GLOB = re.compile(r"[*?\[\]\\]")
"""What a pattern of Redis would not take literally."""


def _hash(*texts: str) -> str:
    return sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()
