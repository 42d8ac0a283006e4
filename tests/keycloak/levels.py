"""The realm ``levels``: levels of authentication, made by the admin REST API on the shared server.

``silver`` is the password, ``gold`` a one-time code on top; ``carol`` has one. A login that asks for nothing gives
``silver``, so does a direct grant; ``gold`` is asked for each time anew (its level lasts no longer than the login that
gave it).
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.keycloak.realms import ACME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.keycloak.admin import KeycloakAdmin

LEVELS = "levels"
OTP_SECRET = b"carolotpsecret-0001"
PEOPLE = frozenset({"alice", "bob", "carol"})

SILVER_LASTS_S = 36_000
GOLD_LASTS_S = 0

_FLOW, _FORMS = "levels", "levels-forms"
_STEPS = (
    ("levels-silver", "1", SILVER_LASTS_S, "auth-username-password-form"),
    ("levels-gold", "2", GOLD_LASTS_S, "auth-otp-form"),
)


async def make_levels_realm(admin: KeycloakAdmin) -> None:
    """Make the realm with its flow and people, unless it is there already."""
    realms = await admin.call("GET", "")
    if LEVELS in {realm["realm"] for realm in realms}:
        return
    await admin.call("POST", "", json=_realm())
    await _make_flow(admin)
    attributes = {"acr.loa.map": json.dumps({"silver": 1, "gold": 2})}
    await admin.update_realm(realm=LEVELS, browserFlow=_FLOW, attributes=attributes)


async def make_person_with_code(admin: KeycloakAdmin) -> str:
    """Make somebody with a one-time code (:data:`OTP_SECRET`) and the role ``viewer``; returns the user name."""
    name = f"user-{uuid.uuid4().hex[:10]}"
    carol = next(user for user in _realm()["users"] if user["username"] == "carol")
    code = next(one for one in carol["credentials"] if one["type"] == "otp")
    password = {"type": "password", "value": f"{name}-pw", "temporary": False}
    await admin.create_user(name, realm=LEVELS, realm_roles=("viewer",), credentials=[password, code])
    return name


def _realm() -> dict[str, Any]:
    acme = json.loads(ACME.read_bytes())
    # Without default-roles-<realm> an imported user has no account roles and no offline_access.
    changes: Mapping[str, Any] = {"realmRoles": ["viewer", f"default-roles-{LEVELS}"], "clientRoles": {}, "groups": []}
    users = [{**user, **changes} for user in acme["users"] if user["username"] in PEOPLE]
    return {**acme, "realm": LEVELS, "users": users, "clients": [], "roles": {"realm": acme["roles"]["realm"]}}


async def _make_flow(admin: KeycloakAdmin) -> None:
    path = f"/{LEVELS}/authentication/flows"
    flow = {"alias": _FLOW, "providerId": "basic-flow", "topLevel": True, "builtIn": False}
    await admin.call("POST", path, json=flow)
    await _add(admin, _FLOW, "auth-cookie", "ALTERNATIVE")
    await _add_flow(admin, _FLOW, _FORMS, "ALTERNATIVE")
    for name, level, lasts_s, authenticator in _STEPS:
        await _add_flow(admin, _FORMS, name, "CONDITIONAL")
        condition = await _add(admin, name, "conditional-level-of-authentication", "REQUIRED")
        config = {"loa-condition-level": level, "loa-max-age": str(lasts_s)}
        await admin.call(
            "POST",
            f"/{LEVELS}/authentication/executions/{condition}/config",
            json={"alias": name, "config": config},
        )
        await _add(admin, name, authenticator, "REQUIRED")


async def _add(admin: KeycloakAdmin, flow: str, authenticator: str, requirement: str) -> str:
    path = f"/{LEVELS}/authentication/flows/{flow}/executions/execution"
    made: str = await admin.call("POST", path, json={"provider": authenticator})
    await _require(admin, flow, made, requirement)
    return made


async def _add_flow(admin: KeycloakAdmin, flow: str, alias: str, requirement: str) -> None:
    body = {"alias": alias, "type": "basic-flow", "provider": "registration-page-form"}
    await admin.call("POST", f"/{LEVELS}/authentication/flows/{flow}/executions/flow", json=body)
    executions = await admin.call("GET", f"/{LEVELS}/authentication/flows/{flow}/executions")
    await _require(admin, flow, next(one["id"] for one in executions if one["displayName"] == alias), requirement)


async def _require(admin: KeycloakAdmin, flow: str, execution: str, requirement: str) -> None:
    path = f"/{LEVELS}/authentication/flows/{flow}/executions"
    executions = await admin.call("GET", path)
    found = next(one for one in executions if one["id"] == execution)
    await admin.call("PUT", path, json={**found, "requirement": requirement})
