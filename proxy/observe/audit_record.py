"""An audit event as bytes and back: what a trail keeps of it. Pure.

What is kept went through the same redaction as the lines of the log, and is bounded: an event has at most
:data:`MAX_RECORD_BYTES`, whatever a visitor called itself.
"""

from __future__ import annotations

import json
from typing import Final

from proxy.observe.redaction import mask_tokens_in_json, shown_fields
from proxy.ports import AuditEvent, AuditRecord

VERSION: Final = 1

MAX_TEXT: Final = 512
"""Characters of one value; names and user agents are shorter (``user_agent_of`` cuts at 256)."""

MAX_DETAILS: Final = 8
"""Members of ``details``."""

MAX_RECORD_BYTES: Final = 160 * 1024
"""What the caps above leave at most: 23 texts, each character escaped to at most 12 bytes. Ordinary events have 400."""

_TEXTS: Final = tuple(name for name in AuditEvent.__struct_fields__ if name not in {"sessions_affected", "details"})


def packed(event: AuditEvent, at: float) -> bytes:
    """Return the event with its time as JSON in ASCII; tokens and secrets are ``***``, long text is cut."""
    texts = {name: _cut(getattr(event, name)) for name in _TEXTS}
    details = {_cut(name): _cut(value) for name, value in [*event.details.items()][:MAX_DETAILS]}
    document: dict[str, object] = {**texts, "sessions_affected": int(event.sessions_affected), "details": details}
    said = {name: value for name, value in shown_fields(document).items() if value not in (None, {})}
    return mask_tokens_in_json(json.dumps({"v": VERSION, "at": at, **said}, separators=(",", ":"))).encode()


def unpacked(raw: bytes) -> AuditRecord | None:
    """Return what :func:`packed` made; None for anything else, a later version too."""
    try:
        document = json.loads(raw)
        if document["v"] != VERSION:
            return None
        details = {str(name): str(value) for name, value in document.get("details", {}).items()}
        texts = {name: str(document[name]) for name in _TEXTS if name in document}
        event = AuditEvent(**texts, sessions_affected=int(document.get("sessions_affected", 0)), details=details)
        return AuditRecord(float(document["at"]), event)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def is_of(username: str | None, event: AuditEvent) -> bool:
    """Say whether the event is this person's, letters compared without case; every event is None's."""
    return username is None or (event.username is not None and event.username.casefold() == username.casefold())


def _cut(value: object) -> object:
    return value[:MAX_TEXT] if isinstance(value, str) else value
