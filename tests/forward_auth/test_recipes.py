"""What holds of all recipes, also of those whose proxy is not run here: no client says what the app believes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.core.headers import IDENTITY_NAMES, OVERRIDES
from proxy.settings.load import load
from tests.forward_auth.place import RECIPES

if TYPE_CHECKING:
    from pathlib import Path

FOLLOWED = sorted(name.decode() for name in IDENTITY_NAMES | OVERRIDES)
TOLD = ("X-Auth-Subject", "X-Auth-Username", "X-Auth-Email", "X-Auth-Name", "X-Auth-Roles", "X-Auth-Groups", "Cookie",
        "X-Sidegate-Assertion")  # fmt: skip


def recipe(name: str) -> str:
    return (RECIPES / name).read_text("utf-8")


def test_nginx_writes_every_header_that_could_be_a_clients() -> None:
    to_app = recipe("nginx.conf").partition("location / {")[2]
    written = {name.lower() for name in re.findall(r"^ *proxy_set_header ([A-Za-z-]+) ", to_app, re.MULTILINE)}

    assert [name for name in FOLLOWED if name not in written] == []
    assert [name for name in TOLD if name.lower() not in written] == []


def test_nginx_hands_no_browser_what_is_for_the_app_when_a_second_question_is_allowed() -> None:
    named = re.findall(r"location @\w+ \{.*?\n    \}", recipe("nginx.conf"), re.DOTALL)

    assert len(named) == 2
    for place in named:
        hidden = set(re.findall(r"proxy_hide_header ([A-Za-z-]+);", place))
        assert hidden >= {"Cookie", "Authorization", "X-Sidegate-Assertion"}, place


def test_caddy_takes_every_header_out_before_it_asks() -> None:
    before, _, asks = recipe("Caddyfile").partition("forward_auth 127")
    removed = re.findall(r"request_header -([A-Za-z-]+\*?)", before)
    removed = [re.compile(name.lower().replace("*", ".*")) for name in removed]

    assert [name for name in FOLLOWED if not any(one.fullmatch(name) for one in removed)] == []
    copied = re.findall(r"copy_headers (.*)", asks)[0].split()
    assert [name for name in TOLD if name not in copied] == []


def test_traefik_takes_every_header_out_when_the_answer_comes() -> None:
    file: dict[str, Any] = yaml.safe_load(recipe("traefik.yaml"))["http"]
    asks = file["middlewares"]["sidegate"]["forwardAuth"]
    replaced = {name.lower() for name in asks["authResponseHeaders"]}

    assert [name for name in FOLLOWED if name not in replaced] == []
    assert [name for name in TOLD if name.lower() not in replaced] == []
    assert asks["trustForwardHeader"] is False
    assert file["routers"]["app"]["middlewares"][-1] == "sidegate"


def test_envoy_tells_of_no_other_request_and_fails_closed() -> None:
    manager = yaml.safe_load(recipe("envoy.yaml"))["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    config = manager[0]["typed_config"]
    asks = config["http_filters"][0]["typed_config"]
    passed = [one.get("exact") or one["prefix"] for one in asks["allowed_headers"]["patterns"]]
    upstream = asks["http_service"]["authorization_response"]["allowed_upstream_headers"]["patterns"]

    assert {"cookie", "origin", "sec-", "x-forwarded-proto"} <= set(passed)
    assert not any(re.match("x-(original|forwarded-(method|uri|host)|auth)", name) for name in passed)
    assert {name.lower() for name in TOLD if not name.startswith("X-Auth-")} <= {one.get("exact") for one in upstream}
    assert any(one.get("prefix") == "x-auth-" for one in upstream)
    assert (asks["failure_mode_allow"], config["use_remote_address"]) == (False, True)
    assert config["common_http_protocol_options"]["headers_with_underscores_action"] == "DROP_HEADER"


@pytest.mark.parametrize("file", sorted(RECIPES.iterdir()), ids=lambda file: file.name)
def test_the_other_half_is_a_file_that_sidegate_takes(file: Path, tmp_path: Path) -> None:
    half = "\n".join(re.findall(r"^#   (.*)$", file.read_text("utf-8"), re.MULTILINE))
    rest = "keycloak: {issuer: https://sso.example.com/realms/a, client_id: app, client_auth: {secret: {value: s}}}"
    settings = tmp_path / "sidegate.yaml"
    settings.write_text(f"{half}\n{rest}\nupstreams: {{app: {{url: http://127.0.0.1:8000}}}}\n", "utf-8")

    loaded = load(settings)

    assert [str(one) for one in loaded.problems if "secret" not in str(one)] == []


def test_ingress_nginx_asks_about_the_app_alone_and_writes_every_header_that_could_be_a_clients() -> None:
    overlay = RECIPES.parents[2] / "deploy" / "k8s" / "overlays" / "forward-auth" / "ingress.yaml"
    app, own, question = yaml.safe_load_all(overlay.read_text("utf-8"))
    says = {key.partition("/")[2]: value for key, value in app["metadata"]["annotations"].items()}
    written = {name.strip().lower() for name in says["auth-response-headers"].split(",")}

    assert [name for name in FOLLOWED if name not in written | {"proxy"}] == [], (
        "nginx of the ingress drops Proxy itself"
    )
    assert [name for name in TOLD if name.lower() not in written] == []
    assert says["auth-method"] == "GET"
    assert "annotations" not in own["metadata"]
    assert question["data"] == {"X-Forwarded-Method": "", "X-Forwarded-Host": "", "X-Forwarded-Uri": ""}
