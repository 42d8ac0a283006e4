"""What is heavy is imported when somebody needs it: a start by a default file waits for none of it.

``sidegate run`` is started as a person would, and stopped where it says that it serves: what it imported until then is
what every start pays for, in time and in memory. A new row says who needs a module, and when.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.ports import free_port

DEFAULT = """\
server: {{listen: "127.0.0.1:{0}", public_url: "http://127.0.0.1:{0}"}}
management: {{listen: "127.0.0.1:{1}", api_listen: "127.0.0.1:{2}"}}
keycloak:
  issuer: http://127.0.0.1:{3}/realms/acme
  client_id: legacy-app
  client_auth: {{secret: {{value: a-secret-of-thirty-two-characters}}}}
upstreams: {{app: {{url: "http://127.0.0.1:{3}"}}}}
"""

LATE = {
    "cryptography": "signatures, as jwt; proxy.sessions.sealing; the ends of certificates, at a scrape",
    "jwt": "signatures: with the first token that is verified, or the first assertion that is made",
    "redis": "sessions.store: redis",
    "hiredis": "sessions.store: redis",
    "opentelemetry": "tracing",
    "requests": "tracing: what its exporter sends with",
    "jinja2": "the first page of our own",
    "babel": "a language that does not come with us",
    "limits": "the first attempt to sign in",
    "ua_parser": "the first list of devices",
    "proxy.assertion": "identity_headers.assertion",
    "proxy.core.id_token": "the first to sign in, or whose session is refreshed",
    "proxy.core.picture": "login.logo_file, login.icon_file; the first page of our own",
    "proxy.demo": "the command demo",
    "proxy.doctor": "the command doctor",
    "proxy.explain": "the command explain",
    "proxy.keycloak_setup": "the command keycloak-setup",
    "proxy.observe.tracing": "tracing",
    "proxy.observe.tracing_options": "tracing",
    "proxy.oidc.client_assertion": "client_auth.method: private_key_jwt and its like",
    "proxy.oidc.person_calls": "the first to sign in, whose session is refreshed or whose token is asked about",
    "proxy.pages.render": "the first page of our own",
    "proxy.redis_stores": "sessions.store: redis",
    "proxy.sessions.redis": "sessions.store: redis",
    "proxy.sessions.sealing": "sessions.store: redis; the first page of our own",
    "proxy.settings.reference": "the command schema",
    "proxy.settings.signing_keys": "identity_headers.assertion, and the command keygen",
    "watchfiles": "a change of a file: looked out for once it serves",
    "anyio": "watchfiles",
    "proxy.page_slices": "the first page of our own",
    "proxy.redis_slices": "sessions.store: redis",
    "proxy.web.administration": "the first question to the management API",
    "proxy.web.application": "the first page of our own",
    "proxy.web.device_list": "the first list of devices",
    "proxy.web.options": "the first page of our own",
}
"""Module -> who needs it, and when."""

STARTED = """\
import gc, json, os, ssl, sys

said = sys.stderr.write

def until_it_serves(text):
    said(text)
    if "serving" in text:
        from aiohttp import connector
        made = [it for it in vars(connector).values() if isinstance(it, ssl.SSLContext)]
        held = {
            "modules": sorted(sys.modules),
            "authorities": sum(context.cert_store_stats()["x509"] for context in made),
            "collects": gc.isenabled(),
            "frozen": gc.get_freeze_count(),
        }
        with open(sys.argv[2], "w") as file:
            json.dump(held, file)
        os._exit(0)

sys.stderr.write = until_it_serves
from proxy.cli import main
main(["run", "-c", sys.argv[1]])
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process holds at the moment when it says that it serves."""
    folder = tmp_path_factory.mktemp("started")
    file, held_file = folder / "sidegate.yaml", folder / "held.json"
    file.write_text(DEFAULT.format(*(free_port() for _ in range(4))))
    command = [sys.executable, "-c", STARTED, str(file), str(held_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    held: dict[str, Any] = json.loads(held_file.read_text())
    return held


@pytest.mark.parametrize("module", LATE)
def test_a_start_by_a_default_file_does_not_wait_for(started: dict[str, Any], module: str) -> None:
    assert module not in started["modules"], f"needed by: {LATE[module]}"


def test_what_a_start_needs_is_seen_to_be_there(started: dict[str, Any]) -> None:
    assert {"aiohttp.web", "proxy.app", "proxy.gate.handler", "proxy.sessions.memory"} <= set(started["modules"])


def test_a_started_process_trusts_nobody_by_aiohttps_own_contexts(started: dict[str, Any]) -> None:
    assert started["authorities"] == 0


def test_a_started_process_collects_garbage_again_and_never_looks_at_what_stays(started: dict[str, Any]) -> None:
    assert started["collects"]
    assert started["frozen"] > 10_000
