"""The JSON Schema, the example and the smallest file: all say the same as the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.settings import schema
from proxy.settings.load import load
from proxy.settings.problems import KeyPath, key_text

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).parents[2] / "config"
LEAVES = {
    ("keycloak", "client_auth", "secret"),
    ("keycloak", "client_auth", "private_key"),
    ("identity_headers", "assertion", "signing_key"),
    ("management", "admin_token"),
    ("sessions", "encryption_keys"),
    ("sessions", "redis", "password"),
    ("tracing", "headers", "*"),
}
"""Secrets: whoever writes one chooses one of three keys."""


def uncommented(text: str) -> str:
    """Return the example with the keys that need a file of the reader's."""
    return re.sub(r"^( *)#(?=(?:- )?\w+:)", r"\1", text, flags=re.MULTILINE)


def paths_of_model(path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield every key of the model; any name of a mapping is ``*``, any index is 0."""
    for key in schema.keys_at(path):
        below = (*path, key)
        yield below
        if below in LEAVES:
            continue
        for step in (0, "*"):
            if schema.keys_at((*below, step)) and not schema.keys_at(below) and (*below, step) not in LEAVES:
                yield from paths_of_model((*below, step))
        yield from paths_of_model(below)


def paths_of_data(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield every key of a file in the same way; names chosen by the writer are ``*``."""
    if isinstance(data, list):
        for item in data:
            yield from paths_of_data(item, (*path, 0))
        return
    for key, value in data.items():
        below = (*path, key if key in schema.keys_at(path) else "*")
        if below[-1] != "*":
            yield below
        if isinstance(value, dict | list) and below not in LEAVES and is_section(below):
            yield from paths_of_data(value, below)


def is_section(path: KeyPath) -> bool:
    return any(schema.keys_at((*path, *step)) for step in ((), (0,), ("*",)))


def test_the_schema_in_the_repository_is_the_one_of_the_model() -> None:
    written = (CONFIG / "sidegate.schema.json").read_text()

    assert written == schema.schema_text(), "run: sidegate schema > config/sidegate.schema.json"


def test_each_key_is_described_and_each_duration_says_so() -> None:
    described = schema.schema()
    for definition in (described, *described["$defs"].values()):
        for key, fragment in definition["properties"].items():
            words = (
                fragment.get("description") or described["$defs"][fragment["$ref"].rpartition("/")[2]]["description"]
            )
            assert words.endswith((".", ")")), key
            assert "default" not in fragment or fragment["default"] is not None


def test_durations_and_addresses_have_defaults_as_the_file_writes_them() -> None:
    definitions = schema.schema()["$defs"]

    assert definitions["TimeoutSettings"]["properties"]["idle"]["default"] == "75s"
    assert definitions["ServerSettings"]["properties"]["max_header_size"]["default"] == "32KiB"
    assert definitions["ManagementSettings"]["properties"]["listen"]["default"] == "0.0.0.0:4190"


@pytest.mark.parametrize(
    ("path", "example"),
    [
        (("server", "public_url"), "https://app.example.com"),
        (("server", "timeouts", "head"), "10s"),
        (("routes", 3, "access", "any_role"), "[viewer, legacy-app:editor]"),
        (("keycloak", "client_auth", "secret"), "{file: /run/secrets/client}"),
        (("identity_headers", "set"), '{X-Department: "{claims.department}"}'),
        (("login", "registration"), "false"),
        (("upstreams", "any", "url"), "http://127.0.0.1:8000"),
        (("server", "nonsense"), None),
        (("server", "tls"), None),
    ],
)
def test_a_key_has_an_example_on_one_line_of_yaml(path: KeyPath, example: str | None) -> None:
    assert schema.example_at(path) == example


def test_keys_are_known_at_every_depth() -> None:
    assert schema.keys_at(("log",)) == ("level", "format", "sample_2xx")
    assert schema.keys_at(("routes", 7, "headers")) == ("set", "remove", "roles", "groups")
    assert schema.keys_at(("routes", 7, "access")) == (
        *("any_role", "all_roles", "any_group", "claims"),
        *("acr", "max_age"),
    )
    assert schema.keys_at(("server", "listen")) == ()
    assert schema.parents_of("client_id") == ("keycloak",)


def test_the_example_holds_every_key_of_the_model_and_no_other() -> None:
    data = yaml.safe_load(uncommented((CONFIG / "sidegate.example.yaml").read_text()))

    assert set(map(key_text, paths_of_data(data))) == set(map(key_text, paths_of_model()))


def test_the_example_explains_each_key_that_has_a_value() -> None:
    explained_depths: dict[int, bool] = {}
    for line in uncommented((CONFIG / "sidegate.example.yaml").read_text()).splitlines():
        depth, key = len(line) - len(line.lstrip(" -")), re.match(r"[ -]*([\w-]+): *([^#\s]?)", line)
        if key is None:
            continue
        above = any(explained_depths.get(outer, False) for outer in range(depth))
        explained_depths[depth] = "#" in line
        assert "#" in line or above or not key[2], f"no word about {line.strip()}"


def test_the_example_can_be_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "x")

    assert load(CONFIG / "sidegate.example.yaml").problems == ()


def test_the_example_with_each_key_lacks_only_the_files_of_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(uncommented((CONFIG / "sidegate.example.yaml").read_text()))

    # Each way to prove who we are stands there, and a file has one.
    ways = [problem for problem in load(path).errors if "is never used with method" in problem.message]
    others = [problem for problem in load(path).errors if problem not in ways]
    keys = ("private_key", "key_id", "cert_file", "key_file", "token_file")
    assert [problem.key_path for problem in ways] == [f"keycloak.client_auth.{key}" for key in keys]
    assert [problem.key_path for problem in others] == [
        "server.tls.cert_file",
        "server.tls.key_file",
        "server.tls.client_ca_file",
        "management.admin_token.file",
        "keycloak.ca_file",
        "login.logo_file",
        "login.icon_file",
        "login.templates_dir",
        "sessions.redis.password.file",
        "sessions.encryption_keys[0].file",
        "identity_headers.assertion.signing_key.file",
        "upstreams.app.tls.ca_file",
        "upstreams.app.tls.cert_file",
        "upstreams.app.tls.key_file",
        "tracing.headers.Authorization.file",
        "tracing.ca_file",
    ]
    assert all("cannot be read" in problem.message for problem in others)


def test_the_smallest_file_is_short_and_fits_the_realm_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDEGATE_CLIENT_SECRET", raising=False)
    path = CONFIG / "sidegate.minimal.yaml"
    realm = json.loads((CONFIG / "keycloak" / "acme-realm.json").read_text())
    secrets = {client["clientId"]: client.get("secret") for client in realm["clients"]}

    settings = load(path).settings

    assert settings is not None
    assert settings.keycloak.issuer.endswith(f"/realms/{realm['realm']}")
    assert settings.keycloak.client_auth.secret is not None
    assert settings.keycloak.client_auth.secret.read().reveal() == secrets[settings.keycloak.client_id]
    assert len([line for line in path.read_text().splitlines() if not line.startswith("#")]) <= 10


def test_the_smallest_file_takes_the_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDEGATE_CLIENT_SECRET", "another")

    loaded = load(CONFIG / "sidegate.minimal.yaml")

    assert loaded.problems == ()


def test_a_portal_may_have_every_key_but_those_of_the_process_and_must_have_none() -> None:
    definitions = schema.schema()["$defs"]
    portal = definitions["PortalSettings"]

    assert set(portal["properties"]) == {"name", "hosts", *schema.keys_at(())} - {
        *("management", "log", "audit", "tracing", "portals"),
    }
    assert portal["additionalProperties"] is False
    assert portal["required"] == ["name", "hosts"]
    assert "listen" not in definitions["ServerSettingsOfPortal"]["properties"]
    assert "public_url" in definitions["ServerSettingsOfPortal"]["properties"]
    assert "required" not in definitions["KeycloakSettingsOfPortal"]
