"""A person's devices: their live sessions at this site, each under an id that says nothing (``session_ids``)."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy import keys
from proxy.core.session import BySubject
from proxy.web.options import OPTIONS
from proxy.web.session_ids import SessionIds
from proxy.web.user_agents import Words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiohttp import web

    from proxy.core.session import Session, SessionSummary
    from proxy.pages.contexts import DeviceLine

MAX_SHOWN: Final = 200
"""Devices on one page; ``sessions.max_per_user`` is 50 unless somebody lifts it. The longest unused are left out."""


class Device(Struct, frozen=True):
    """One live session of the person who asks."""

    id: str
    is_current: bool
    session: SessionSummary


async def devices_of(request: web.Request, session: Session) -> tuple[Device, ...]:
    """Return the devices of the person whose session this is: this one first, then by last use.

    Only sessions of the same portal, issuer, subject and client: nobody else's are ever looked at.

    Raises:
        StoreUnavailable
    """
    ids = SessionIds(request.app[OPTIONS].server_key)
    found = await request.app[keys.SESSIONS].find(BySubject(session.identity.issuer, session.identity.subject))
    devices = (Device(ids.id_of(one.key), one.key == session.key, one) for one in found if _is_here(one, session))
    return tuple(sorted(devices, key=lambda device: (not device.is_current, -device.session.last_seen_at)))


def device_with(device_id: str, devices: Iterable[Device]) -> Device | None:
    """Return the device with this id; every one is compared, each in constant time."""
    matching = [device for device in devices if hmac.compare_digest(device.id, device_id)]
    return matching[0] if matching else None


def _is_here(found: SessionSummary, session: Session) -> bool:
    where = (found.portal, found.client_id)
    return where == (session.portal, session.client_id) and found.subject == session.identity.subject


# --- as it is shown --------------------------------------------------------------------------------------------------


async def as_json(devices: Sequence[Device]) -> list[dict[str, object]]:
    """Return the members of contract §3; instants are Unix seconds."""
    shown = devices[:MAX_SHOWN]
    words = await _words_of(shown)
    return [_members(device, words[device.session.user_agent]) for device in shown]


def _members(device: Device, words: Words) -> dict[str, object]:
    session = device.session
    return {
        "id": device.id,
        "current": device.is_current,
        "created_at": int(session.created_at),
        "last_seen": int(session.last_seen_at),
        "expires_at": int(session.expires_at),
        "user_agent": session.user_agent,
        "browser": words.browser,
        "system": words.system,
        "address": session.address,
    }


async def as_lines(request: web.Request, devices: Sequence[Device]) -> list[DeviceLine]:
    """Return what the page shows."""
    shown, options, now = devices[:MAX_SHOWN], request.app[OPTIONS], request.app[keys.CLOCK].now()
    words = await _words_of(shown)
    return [
        {
            "is_current": device.is_current,
            "action": options.path(f"sessions/{device.id}/end"),
            "browser": words[device.session.user_agent].browser,
            "system": words[device.session.user_agent].system,
            "user_agent": device.session.user_agent,
            "address": device.session.address,
            "moments": [
                ("devices.created", _moment(device.session.created_at), device.session.created_at - now),
                ("devices.last_seen", _moment(device.session.last_seen_at), device.session.last_seen_at - now),
                ("devices.expires", _moment(device.session.expires_at), device.session.expires_at - now),
            ],
        }
        for device in shown
    ]


async def _words_of(devices: Iterable[Device]) -> dict[str, Words]:
    return await words_of(device.session.user_agent for device in devices)


def _moment(at: float) -> str:
    """Return an instant as HTML's ``datetime`` takes it (RFC 3339)."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
