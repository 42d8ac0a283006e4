"""A session as bytes for a shared store, and back.

A record is three things one after the other:

=========================  ============================================================================================
header, in clear           format (1 byte), version of the session (4), length of the next part (4), big-endian
summary, sealed            who, when, where from: what lists, logouts and sweeps need; opens with the server key
rest, sealed               tokens, and all else that the provider told of the person; opens with server key *and* cookie
=========================  ============================================================================================

So a dump of the store says nothing, and a dump with the server key still yields no token, e-mail or role. The header is
sealed along (as associated data, with the store key), so no part can be taken for that of another session or version.
The version is in clear, because the store itself must compare it when a session is replaced.

What cannot be read is no session (:class:`Unreadable` says why), never an exception: a record of a future format lies
there during each upgrade, one under a key long gone after each rotation.
"""

from __future__ import annotations

import json
import struct
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import (
    BySid,
    BySubject,
    ByUsername,
    LoginOrigin,
    Persistence,
    Session,
    SessionKey,
    SessionSummary,
    session_key,
)
from proxy.core.tokens import TokenSet
from proxy.sessions.sealing import OVERHEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.session import SessionsFilter
    from proxy.sessions.sealing import Sealer

FORMAT: Final = 1
"""Raised when an older Sidegate could not read what a newer one writes."""

_HEADER: Final = struct.Struct(">BII")
_VERSION_BYTES: Final = 5
"""Format and version: what two records of the same session differ in."""


class Unreadable(StrEnum):
    """Why a record is no session."""

    TRUNCATED = "truncated"
    OTHER_FORMAT = "other_format"
    NOT_OURS = "unknown_key_or_changed"
    GARBLED = "garbled"


class RecordSummary(Struct, frozen=True):
    """What of a session can be read without its cookie; the names are those of ``Session`` and ``Identity``."""

    key: SessionKey
    version: int
    client_id: str
    issuer: str
    subject: str
    username: str | None
    sid: str | None
    issued_at: float
    created_at: float
    expires_at: float
    idle_timeout_s: float
    user_agent: str
    address: str
    origin: str = LoginOrigin.FORM
    portal: str = ""

    def listed(self, last_seen_at: float) -> SessionSummary:
        """Return it as lists have it."""
        return SessionSummary(
            key=self.key,
            client_id=self.client_id,
            subject=self.subject,
            username=self.username,
            sid=self.sid,
            created_at=self.created_at,
            last_seen_at=last_seen_at,
            expires_at=self.expires_at,
            user_agent=self.user_agent,
            address=self.address,
            portal=self.portal,
        )

    def filters(self) -> Iterator[SessionsFilter]:
        """Yield every filter that finds this session."""
        yield BySubject(self.issuer, self.subject)
        if self.username is not None:
            yield ByUsername(self.issuer, self.username)
        if self.sid is not None:
            yield BySid(self.issuer, self.sid)


def summary_of(session: Session) -> RecordSummary:
    """Return what of ``session`` is read without its cookie."""
    return RecordSummary(
        key=session.key,
        version=session.version,
        client_id=session.client_id,
        issuer=session.identity.issuer,
        subject=session.identity.subject,
        username=session.identity.username,
        sid=session.sid,
        issued_at=session.issued_at,
        created_at=session.created_at,
        expires_at=session.expires_at,
        idle_timeout_s=session.idle_timeout_s,
        user_agent=session.user_agent,
        address=session.address,
        origin=session.origin,
        portal=session.portal,
    )


class SessionCodec:
    """Records under the keys of one :class:`Sealer`."""

    def __init__(self, sealer: Sealer) -> None:
        """The sealer's first key seals, all open."""
        self._sealer = sealer

    def encode(self, cookie_value: Secret, session: Session) -> bytes:
        """Return the record of ``session``.

        Raises:
            ValueError: the key is not that of the cookie: nobody could ever open it.
        """
        if session.key != session_key(cookie_value):
            raise ValueError("the session's key is not that of its cookie")
        summary, rest = _to_bytes(_summary_values(session)), _to_bytes(_rest_values(session))
        header = _HEADER.pack(FORMAT, session.version, len(summary) + OVERHEAD_BYTES)
        bound = self._sealer.bound_to(cookie_value)
        return b"".join(
            (
                header,
                self._sealer.seal(summary, associated_data=_place(b"summary", header, session.key)),
                bound.seal(rest, associated_data=_place(b"rest", header, session.key)),
            )
        )

    def decode(self, cookie_value: Secret, record: bytes) -> Session | Unreadable:
        """Return the session of this cookie; never raises."""
        summary = self.decode_summary(session_key(cookie_value), record)
        return summary if isinstance(summary, Unreadable) else self.complete(summary, cookie_value, record)

    def complete(self, summary: RecordSummary, cookie_value: Secret, record: bytes) -> Session | Unreadable:
        """Return the session of which ``summary`` was read from ``record`` before; never raises."""
        header, _, sealed = _parts(record)
        place = _place(b"rest", header, summary.key)
        opened = self._sealer.bound_to(cookie_value).open(sealed, associated_data=place)
        if opened is None:
            return Unreadable.NOT_OURS
        try:
            return _session(summary, json.loads(opened))
        except (ValueError, TypeError, KeyError):
            return Unreadable.GARBLED

    def decode_summary(self, key: SessionKey, record: bytes) -> RecordSummary | Unreadable:
        """Return what can be read without the cookie; never raises."""
        if len(record) < _HEADER.size:
            return Unreadable.TRUNCATED
        if record[0] != FORMAT:
            return Unreadable.OTHER_FORMAT
        header, sealed, _ = _parts(record)
        opened = self._sealer.open(sealed, associated_data=_place(b"summary", header, key))
        if opened is None:
            return Unreadable.NOT_OURS
        try:
            return RecordSummary(key=key, version=_HEADER.unpack(header)[1], **json.loads(opened))
        except (ValueError, TypeError):
            return Unreadable.GARBLED


def version_prefix(version: int) -> bytes:
    """Return how the record of a session of this version begins, and that of no other version."""
    return _HEADER.pack(FORMAT, version, 0)[:_VERSION_BYTES]


# --- inside ----------------------------------------------------------------------------------------------------------


def _parts(record: bytes) -> tuple[bytes, bytes, bytes]:
    header = record[: _HEADER.size]
    end = _HEADER.size + _HEADER.unpack(header)[2]
    return header, record[_HEADER.size : end], record[end:]


def _place(part: bytes, header: bytes, key: SessionKey) -> bytes:
    return b"\0".join((part, header, key.encode()))


def _to_bytes(values: dict[str, Any]) -> bytes:
    # ASCII, because claims may hold lone surrogates, which JSON can say and UTF-8 cannot.
    return json.dumps(values, separators=(",", ":")).encode()


def _summary_values(session: Session) -> dict[str, Any]:
    summary = summary_of(session)
    # Without portals records are as they always were, so that a replica of before can read them during an upgrade.
    left_out = {"key", "version"} if session.portal else {"key", "version", "portal"}
    return {name: getattr(summary, name) for name in RecordSummary.__struct_fields__ if name not in left_out}


def _rest_values(session: Session) -> dict[str, Any]:
    return {
        "identity": _identity_values(session.identity),
        "tokens": _tokens_values(session.tokens),
        "origin": session.origin.value,
        "authenticated_at": session.authenticated_at,
        "acr": session.acr,
        "persistence": session.persistence.value,
        "notes": dict(session.notes),
    }


def _session(summary: RecordSummary, rest: dict[str, Any]) -> Session:
    return Session(
        key=summary.key,
        client_id=summary.client_id,
        identity=_identity(summary, rest["identity"]),
        tokens=_tokens(rest["tokens"]),
        sid=summary.sid,
        origin=LoginOrigin(rest["origin"]),
        issued_at=summary.issued_at,
        authenticated_at=rest["authenticated_at"],
        acr=rest["acr"],
        created_at=summary.created_at,
        expires_at=summary.expires_at,
        idle_timeout_s=summary.idle_timeout_s,
        persistence=Persistence(rest["persistence"]),
        user_agent=summary.user_agent,
        address=summary.address,
        notes=rest["notes"],
        version=summary.version,
        portal=summary.portal,
    )


def _identity_values(identity: Identity) -> dict[str, Any]:
    return {
        "name": identity.name,
        "email": identity.email,
        "email_is_verified": identity.email_is_verified,
        "roles": sorted(identity.roles),
        "groups": sorted(identity.groups),
        "claims": dict(identity.claims),
    }


def _identity(summary: RecordSummary, values: dict[str, Any]) -> Identity:
    return Identity(
        issuer=summary.issuer,
        subject=summary.subject,
        username=summary.username,
        name=values["name"],
        email=values["email"],
        email_is_verified=values["email_is_verified"],
        roles=frozenset(values["roles"]),
        groups=frozenset(values["groups"]),
        claims=values["claims"],
    )


def _tokens_values(tokens: TokenSet) -> dict[str, Any]:
    return {
        "access_token": tokens.access_token.reveal(),
        "refresh_token": None if tokens.refresh_token is None else tokens.refresh_token.reveal(),
        "id_token": None if tokens.id_token is None else tokens.id_token.reveal(),
        "obtained_at": tokens.obtained_at,
        "access_expires_at": tokens.access_expires_at,
        "refresh_expires_at": tokens.refresh_expires_at,
        "is_final": tokens.is_final,
    }


def _tokens(values: dict[str, Any]) -> TokenSet:
    return TokenSet(
        access_token=Secret(values["access_token"]),
        refresh_token=_secret(values["refresh_token"]),
        id_token=_secret(values["id_token"]),
        obtained_at=values["obtained_at"],
        access_expires_at=values["access_expires_at"],
        refresh_expires_at=values["refresh_expires_at"],
        is_final=values["is_final"],
    )


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)
