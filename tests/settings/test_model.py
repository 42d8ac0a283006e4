"""The shape of the file: defaults of the contract, and accidents that must not open a gate."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.routing import compile_access
from proxy.settings.model import AccessConditions, RouteSettings, Settings
from proxy.settings.values import Substituted

SMALLEST: dict[str, Any] = {
    "server": {"public_url": "https://app.example.com/old/"},
    "keycloak": {
        "issuer": "https://sso.example.com/realms/acme",
        "client_id": "legacy-app",
        "client_auth": {"secret": {"env": "CLIENT_SECRET"}},
    },
    "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
}

DEFAULTS = {
    "server.listen": "0.0.0.0:4180",
    "server.hosts": [],
    "server.prefix": "/_sidegate",
    "server.trusted_proxies": [],
    "server.https_redirect": False,
    "server.tls": None,
    "server.max_header_size": "32KiB",
    "server.max_body_size": 0,
    "server.path_case": "sensitive",
    "server.app_reads": {"extensions": False, "front_controllers": []},
    "server.allowed_origins": [],
    "server.timeouts": {"head": "10s", "idle": "75s", "body_idle": "1m"},
    "server.shutdown_grace": "25s",
    "management.listen": "0.0.0.0:4190",
    "keycloak.internal_url": None,
    "keycloak.client_auth.method": "client_secret_basic",
    "keycloak.scopes": ["openid", "profile", "email"],
    "keycloak.auth_params": {},
    "keycloak.claims_from": ["id_token", "access_token"],
    "keycloak.signing_algorithms": ["RS256"],
    "keycloak.timeout": "10s",
    "login.mode": "form",
    "login.landing": "/",
    "login.otp": "optional",
    "login.providers": [],
    "login.registration": False,
    "login.forgot_password": False,
    "login.max_concurrent": 8,
    "login.csrf_lifetime": "30m",
    "sessions.store": "memory",
    "sessions.memory.max_sessions": 100000,
    "sessions.encryption_keys": [],
    "sessions.lifetime": "30d",
    "sessions.idle_timeout": "7d",
    "sessions.max_per_user": 50,
    "sessions.refresh_before_expiry": "1m",
    "sessions.cookie": {"name": "sidegate", "same_site": "Lax", "domain": None, "strip": []},
    "identity_headers.preset": "x-auth",
    "identity_headers.username_claim": "preferred_username",
    "identity_headers.unverified_email": "drop",
    "identity_headers.role_clients": [],
    "identity_headers.set": {},
    "upstreams.app.connect_timeout": "5s",
    "upstreams.app.response_timeout": "1m",
    "upstreams.app.preserve_host": True,
    "upstreams.app.access_token": False,
    "upstreams.app.allow_request_headers": [],
    "keycloak.audience": [],
    "bearer.enabled": True,
    "backchannel.enabled": True,
    "security_headers": True,
    "log": {"level": "info", "format": "json", "sample_2xx": "off"},
}


def smallest_with(**sections: object) -> Settings:
    return Settings.model_validate({**SMALLEST, **sections})


def route(**fields: object) -> RouteSettings:
    return RouteSettings.model_validate({"path": "/x", **fields})


@pytest.mark.parametrize(("key", "default"), DEFAULTS.items())
def test_the_smallest_file_has_the_defaults_of_the_contract(key: str, default: object) -> None:
    value: Any = smallest_with().model_dump(mode="json")
    for part in key.split("."):
        value = value[part]

    assert value == default


@pytest.mark.parametrize("written", [{}, {"routes": []}])
def test_no_routes_are_one_route_for_everything_and_whoever_signed_in(written: dict[str, object]) -> None:
    (only,) = smallest_with(**written).routes

    assert (only.path, only.access, only.methods) == ("/**", "authenticated", None)


def test_a_route_alone_is_as_strict_as_can_be() -> None:
    assert route().model_dump() == {
        "path": "/x",
        "methods": None,
        "access": "authenticated",
        "on_unauthenticated": "login",
        "preflight": "deny",
        "passive": False,
        "upstream": None,
        "strip_prefix": "",
        "headers": {"set": {}, "remove": (), "roles": None, "groups": None},
        "token_exchange": None,
        "csrf": "same_origin",
        "cache": "private",
        "service_worker": False,
        "logout": False,
    }


@pytest.mark.parametrize(
    "access",
    [
        None,
        {},
        [],
        "",
        "everybody",
        {"any_role": None},
        {"any_role": []},
        {"all_roles": []},
        {"any_group": None},
        {"claims": {}},
        {"claims": None},
        {"claims": {"department": []}},
        {"claims": {"department": None}},
        {"any_role": ["admin"], "all_roles": None},
        {"acr": None},
        {"acr": []},
        {"acr": "two words"},
        {"acr": 'quo"te'},
        {"acr": 1},
        {"acr": ["gold"] * 60},
        {"max_age": None},
        {"max_age": "0s"},
        {"max_age": "9s"},
        {"max_age": 300},
    ],
)
def test_an_access_rule_whose_conditions_are_gone_is_an_error_and_no_open_door(access: object) -> None:
    with pytest.raises(ValidationError):
        route(access=access)


def test_conditions_are_kept_as_written() -> None:
    stated = route(access={"any_role": ["viewer", "legacy-app:editor"], "claims": {"department": "it-*"}})

    assert stated.access == AccessConditions(any_role=("viewer", "legacy-app:editor"), claims={"department": ("it-*",)})


@pytest.mark.parametrize(
    "access",
    [
        "public",
        "optional",
        "authenticated",
        {"any_role": ["viewer"]},
        {"all_roles": ["realm:a:b"], "any_group": ["staff"], "claims": {"level": [1, 1.5, True, "it-*"]}},
    ],
)
def test_the_route_table_takes_access_as_it_is_stated(access: object) -> None:
    read = route(access=access).access
    stated = read.model_dump(exclude_unset=True) if isinstance(read, AccessConditions) else read

    assert compile_access(stated) == compile_access(access)


def test_methods_without_a_value_are_an_error_and_not_all_methods() -> None:
    with pytest.raises(ValidationError):
        route(methods=None)
    with pytest.raises(ValidationError):
        route(methods=[])


def test_own_paths_lie_behind_the_path_of_the_public_url() -> None:
    server = smallest_with().server

    assert server.own_prefix == "/old/_sidegate"


def test_the_public_host_is_answered_besides_the_further_ones() -> None:
    server = smallest_with(server={"public_url": "https://App.example.com:8443", "hosts": ["Other.example.com"]}).server

    assert set(server.host_values) == {"app.example.com:8443", "other.example.com"}


def test_the_only_upstream_is_the_upstream_of_a_route_that_names_none() -> None:
    settings = smallest_with(upstreams={"old": {"url": "http://127.0.0.1:1"}})

    assert settings.upstream_of(route()) == "old"
    assert settings.upstream_of(route(upstream="new")) == "new"


def test_a_variable_may_choose_a_word() -> None:
    word = Substituted.of("debug", is_from_environment=True)

    level = smallest_with(log={"level": word}).log.level

    assert level == "debug"
    assert type(level) is str


def test_a_variable_may_hold_the_status() -> None:
    assert route(on_unauthenticated=Substituted.of("401", is_from_environment=True)).on_unauthenticated == 401


def test_values_do_not_change_after_reading() -> None:
    server: Any = smallest_with().server

    with pytest.raises(ValidationError, match="frozen"):
        server.prefix = "/other"


def test_no_error_shows_what_stood_in_the_file() -> None:
    with pytest.raises(ValidationError) as refused:
        smallest_with(keycloak={"client_auth": {"secret": "hunter2"}})

    assert "hunter2" not in str(refused.value)
