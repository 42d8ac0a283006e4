"""Every key under which something hangs in an aiohttp application or request, with its type.

Only what handlers of several files need; a value whose type belongs to ``web`` has its key beside that type, because
imports run from ``web`` to here and not back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.ports import (
    AuthenticationStore,
    Caller,
    Clock,
    KeptRequests,
    Observer,
    Pages,
    Provider,
    Refresher,
    SessionStore,
    Throttle,
)
from proxy.tasks import TaskOwner

Sleep = Callable[[float], Awaitable[None]]
"""``asyncio.sleep`` or a fake; seconds."""

RandomBytes = Callable[[int], bytes]
"""``secrets.token_bytes`` or a fake."""

SESSIONS: web.AppKey[SessionStore] = web.AppKey("sessions", SessionStore)
AUTHENTICATIONS: web.AppKey[AuthenticationStore] = web.AppKey("authentications", AuthenticationStore)
KEPT: web.AppKey[KeptRequests] = web.AppKey("kept", KeptRequests)
PROVIDER: web.AppKey[Provider] = web.AppKey("provider", Provider)
REFRESHER: web.AppKey[Refresher] = web.AppKey("refresher", Refresher)
OBSERVER: web.AppKey[Observer] = web.AppKey("observer", Observer)
PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)
CLOCK: web.AppKey[Clock] = web.AppKey("clock", Clock)
THROTTLE: web.AppKey[Throttle] = web.AppKey("throttle", Throttle)
TASKS: web.AppKey[TaskOwner] = web.AppKey("tasks", TaskOwner)
SLEEP: web.AppKey[Sleep] = web.AppKey("sleep")
RANDOM_BYTES: web.AppKey[RandomBytes] = web.AppKey("random_bytes")

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
