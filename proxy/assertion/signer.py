"""What is signed about somebody, and for how long it serves; implements ``ports.IdentityAssertion``.

One assertion serves the requests of a person to routes that narrow alike until half of its lifetime is over, so ``jti``
names the assertion and not the request. It says what the identity fields say: the same roles, narrowed by the route.
A list that is too long is cut at its end, in alphabetical order, and the assertion says so itself (``truncated``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
from msgspec import Struct

from proxy.core.headers import is_sendable
from proxy.core.hosts import at_host
from proxy.core.session import NEVER
from proxy.core.weighed import Weighed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from proxy.assertion.key_ring import KeyRing, SigningKey
    from proxy.core.bearer import Bearer
    from proxy.core.headers import HeaderRules
    from proxy.core.identity import Identity
    from proxy.core.narrowing import Narrowing
    from proxy.core.session import Session, SessionKey
    from proxy.ports import Observer

MAX_LIST_BYTES = 2048
"""Bytes of one list as JSON: two lists and the rest make a field of less than 8190 bytes, which Apache and gunicorn
take at most, for base64 makes three bytes four."""

MAX_TEXT_BYTES = 256
"""Bytes of a name or address as JSON; a longer one is not said, nor is one that no header could say."""

MAX_KEPT = 10_000
MAX_KEPT_BYTES = 32 * 1024 * 1024
"""Assertions that are kept, and bytes of them with the identities they are about; above, the oldest goes and is signed
again when asked for."""

_JTI_BYTES = 12


class AssertionRules(Struct, frozen=True, kw_only=True):
    """``identity_headers.assertion``.

    Attributes:
        issuer: our public URL; for a wildcard the host of each request stands in its place.
        lifetime_s: seconds between ``iat`` and ``exp``, at most.
        headers: which roles are sent, and whether an e-mail address is.
    """

    issuer: str
    audience: str
    lifetime_s: float
    headers: HeaderRules


class _Kept(Struct):
    """An assertion, what it was about, and the keys that were there when it was signed."""

    keys: tuple[SigningKey, ...]
    identity: Identity
    proof: tuple[str | None, float]
    signed: bytes
    renewed_at: float


class AssertionSigner:
    """See the module."""

    def __init__(
        self, rules: AssertionRules, ring: KeyRing, *, random_bytes: Callable[[int], bytes], observer: Observer
    ) -> None:
        """Begin with nothing kept."""
        self._rules = rules
        self._ring = ring
        self._random_bytes = random_bytes
        self._observer = observer
        self._kept: Weighed[tuple[SessionKey, Narrowing, str], _Kept] = Weighed(entries=MAX_KEPT, in_all=MAX_KEPT_BYTES)

    def signed(self, person: Session | Bearer, narrowing: Narrowing, *, host: str, now: float) -> bytes:
        """Return a compact JWS about this person; see ``ports.IdentityAssertion.signed``."""
        issuer, keys = at_host(self._rules.issuer, host), self._ring.current()
        key = (person.key, narrowing, issuer)
        kept = self._kept.get(key)
        if (
            kept is not None
            and now < kept.renewed_at
            and kept.identity is person.identity
            and kept.proof == (person.acr, person.authenticated_at)
            and kept.keys is keys
        ):
            return kept.signed
        payload = self._payload(person, narrowing.narrowed(person.identity), now)
        signed = jwt.encode(
            {"iss": issuer, **payload}, keys[0].private, algorithm="ES256", headers={"kid": keys[0].key_id}
        ).encode()
        proof, renewed_at = (person.acr, person.authenticated_at), now + self._rules.lifetime_s / 2
        self._kept.put(key, _Kept(keys, person.identity, proof, signed, renewed_at), len(signed) + person.weight)
        return signed

    def key_set(self) -> Mapping[str, object]:
        """Return the public keys by which it is verified."""
        return self._ring.key_set()

    def _payload(self, person: Session | Bearer, identity: Identity, now: float) -> dict[str, Any]:
        """Return the claims (RFC 7519 §4.1); those of a person by the names of OIDC Core 1.0 §5.1."""
        rules, issued_at = self._rules, int(now)
        said: dict[str, Any] = {
            "aud": rules.audience,
            "sub": identity.subject,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": min(issued_at + int(rules.lifetime_s), int(person.expires_at)),
            "jti": self._random_bytes(_JTI_BYTES).hex(),
        }
        texts = {
            "preferred_username": identity.username,
            "name": identity.name,
            "email": rules.headers.email_sent(identity),
            "acr": person.acr,
        }
        said |= {
            name: text for name, text in texts.items() if text and is_sendable(text) and _size(text) <= MAX_TEXT_BYTES
        }
        if person.authenticated_at != NEVER:
            said["auth_time"] = int(person.authenticated_at)
        return said | self._lists(identity)

    def _lists(self, identity: Identity) -> dict[str, Any]:
        whole = {"roles": self._rules.headers.roles_sent(identity), "groups": sorted(identity.groups)}
        said: dict[str, Any] = {name: _fitting(entries) for name, entries in whole.items()}
        truncated = [name for name, entries in whole.items() if len(said[name]) < len(entries)]
        for name in truncated:
            self._observer.warning(
                "an assertion is incomplete", detail=f"{name}: more than {MAX_LIST_BYTES} bytes; the rest is left out"
            )
            self._observer.identity_truncated(f"assertion {name}")
        return {**said, "truncated": truncated} if truncated else said


def _fitting(entries: Iterable[str]) -> list[str]:
    """Return the first entries that have room together."""
    fitting: list[str] = []
    left = MAX_LIST_BYTES
    for entry in entries:
        left -= _size(entry) + 1
        if left < 0:
            break
        fitting.append(entry)
    return fitting


def _size(text: str) -> int:
    """Return the bytes of a text as JSON, which escapes what is not ASCII."""
    return len(json.dumps(text))
