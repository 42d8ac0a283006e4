"""Settings of the smallest file, with whatever a test says otherwise."""

from __future__ import annotations

from typing import Any

from proxy.settings.model import Settings


def settings(**file: Any) -> Settings:
    keycloak = {
        "issuer": "https://sso.example.com/realms/acme",
        "client_id": "legacy-app",
        "client_auth": {"secret": {"value": "s"}},
        **file.pop("keycloak", {}),
    }
    return Settings.model_validate(
        {
            "server": {"public_url": "https://app.example.com/sub", **file.pop("server", {})},
            "keycloak": keycloak,
            "upstreams": file.pop("upstreams", {"app": {"url": "http://127.0.0.1:8000"}}),
            **file,
        }
    )
