"""The realms of the test server: ``acme`` as it stands in config/, and some derived from it by code.

``rotating``: each refresh token may be used once. ``guarded``: three failures lock a user for a minute. ``brief``: SSO
sessions end after seconds. ``hashing``: passwords are hashed as dearly as Keycloak does by itself, and six failures
lock a user for a quarter of an hour.

They are imported once, into the seed: a realm that a test makes costs seconds, and longer on a busy machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ACME = Path(__file__).parents[2] / "config" / "keycloak" / "acme-realm.json"

ROTATION: Mapping[str, object] = {"revokeRefreshToken": True, "refreshTokenMaxReuse": 0}
BRUTE_FORCE_GUARD: Mapping[str, object] = {
    "bruteForceProtected": True,
    "failureFactor": 3,
    "waitIncrementSeconds": 60,
    "maxFailureWaitSeconds": 900,
    "minimumQuickLoginWaitSeconds": 1,
    "quickLoginCheckMilliSeconds": 1,
    "maxDeltaTimeSeconds": 43200,
    "permanentLockout": False,
}
BRIEF_IDLE_S, BRIEF_MAX_S, BRIEF_TOKEN_S = 5, 9, 3
BRIEF: Mapping[str, object] = {
    "ssoSessionIdleTimeout": BRIEF_IDLE_S,
    "ssoSessionMaxLifespan": BRIEF_MAX_S,
    "accessTokenLifespan": BRIEF_TOKEN_S,
    "eventsEnabled": True,
    "enabledEventTypes": ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"],
}
FAILURES_THAT_LOCK = 6
HASHING: Mapping[str, object] = {
    **BRUTE_FORCE_GUARD,
    "passwordPolicy": "",
    "failureFactor": FAILURES_THAT_LOCK,
    "waitIncrementSeconds": 900,
}


def realm_files() -> dict[str, bytes]:
    """File name -> content of everything that is imported."""
    acme = json.loads(ACME.read_bytes())
    rotating = _derived(acme, "rotating", clients=("legacy-app", "other-app", "api-client"), extra=ROTATION)
    guarded = _derived(acme, "guarded", clients=("legacy-app", "api-client"), extra=BRUTE_FORCE_GUARD)
    return {
        "acme-realm.json": ACME.read_bytes(),
        "rotating-realm.json": json.dumps(rotating).encode(),
        "guarded-realm.json": json.dumps(guarded).encode(),
        "brief-realm.json": json.dumps(_derived(acme, "brief", clients=("legacy-app",), extra=BRIEF)).encode(),
        "hashing-realm.json": json.dumps(_derived(acme, "hashing", clients=("legacy-app",), extra=HASHING)).encode(),
    }


def _derived(
    acme: Mapping[str, Any], name: str, *, clients: tuple[str, ...], extra: Mapping[str, object]
) -> dict[str, Any]:
    # Without default-roles-<realm> an imported user has no account roles and no offline_access.
    roles = ["viewer", f"default-roles-{name}"]
    users = [
        {**user, "realmRoles": roles, "clientRoles": {}}
        for user in acme["users"]
        if user["username"] in {"alice", "bob"}
    ]
    chosen = [client for client in acme["clients"] if client["clientId"] in clients]
    return {**acme, "realm": name, "users": users, "clients": chosen, **extra}
