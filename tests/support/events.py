"""A request that is over, as observers are told of it."""

from __future__ import annotations

from typing import Any

from proxy.ports import RequestEvent


def make_event(**changes: Any) -> RequestEvent:
    """Return an allowed request of Alice's, but for ``changes``."""
    fields: dict[str, Any] = {
        "request_id": "0123456789abcdef0123456789abcdef",
        "started_at": 0.0,
        "method": "GET",
        "path": "/wiki/page",
        "host": "app.example.com",
        "route": "/**",
        "decision": "allow",
        "reason": "authenticated",
        "subject": "f" * 36,
        "username": "alice",
        "address": "192.0.2.1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36",
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00",
        "status": 200,
        "duration_s": 0.004,
        "upstream_s": 0.003,
    }
    return RequestEvent(**{**fields, **changes})
