"""The real server of the tests does what other tests lean on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest

if TYPE_CHECKING:
    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer
    from tests.support.raw_upstream import RawUpstream


async def test_a_user_logs_in_by_the_password_grant(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.create_client(_name(), "http://127.0.0.1:1")

    tokens = await _login(keycloak, client, "alice")

    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert claims["iss"] == keycloak.issuer()
    assert claims["aud"] == client.client_id
    assert claims["preferred_username"] == "alice"
    assert claims["groups"] == ["/staff"]


@pytest.mark.parametrize("realm", ["acme", "rotating", "guarded", "brief", "hashing"])
async def test_every_realm_is_there(keycloak: KeycloakServer, realm: str) -> None:
    legacy_app = await keycloak.admin.find_client("legacy-app", realm=realm)

    tokens = await _login(keycloak, legacy_app, "bob")

    assert jwt.decode(tokens["access_token"], options={"verify_signature": False})["iss"] == keycloak.issuer(realm)


async def test_a_refresh_token_of_the_rotating_realm_works_once(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.find_client("legacy-app", realm="rotating")
    first = (await _login(keycloak, client, "alice"))["refresh_token"]

    statuses = [await _refresh_status(keycloak, client, first) for _ in range(2)]

    assert statuses == [200, 400]


async def test_the_guarded_realm_locks_after_three_failures(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.find_client("legacy-app", realm="guarded")
    user_id = await keycloak.admin.create_user(_name(), realm="guarded")
    username = (await keycloak.admin.call("GET", f"/guarded/users/{user_id}"))["username"]

    for _ in range(3):
        status, _body = await _grant(keycloak, client, username, "wrong")
        assert status == 400
    # The count lags behind the answers.
    async with asyncio.timeout(10):
        while not (await keycloak.admin.brute_force_status(user_id))["disabled"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    locked, _body = await _grant(keycloak, client, username, f"{username}-pw")
    await keycloak.admin.unlock_user(user_id)
    unlocked, _body = await _grant(keycloak, client, username, f"{username}-pw")

    assert (locked, unlocked) == (400, 200)


async def test_an_ended_session_is_told_to_the_clients_own_url(keycloak: KeycloakServer, echo_app: RawUpstream) -> None:
    echo_app.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    client = await keycloak.admin.create_client(_name(), echo_app.url)
    sid = (await _login(keycloak, client, "alice"))["session_state"]

    await keycloak.admin.delete_session(sid)

    request = await asyncio.wait_for(echo_app.request(), 5)
    token = request.body.decode().removeprefix("logout_token=")
    assert request.request_line == b"POST /_sidegate/backchannel-logout HTTP/1.1"
    assert jwt.decode(token, options={"verify_signature": False})["sid"] == sid


async def test_a_logout_of_a_user_ends_every_session(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.create_client(_name(), "http://127.0.0.1:1")
    username = _name()
    user_id = await keycloak.admin.create_user(username, realm_roles=("editor",))
    tokens = [await _login(keycloak, client, username) for _ in range(2)]
    assert len(await keycloak.admin.sessions(user_id)) == 2

    await keycloak.admin.logout_user(user_id)

    assert await keycloak.admin.sessions(user_id) == []
    assert [await _refresh_status(keycloak, client, one["refresh_token"]) for one in tokens] == [400, 400]


async def test_a_disabled_user_and_a_required_action_refuse_the_password_grant(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.create_client(_name(), "http://127.0.0.1:1")
    username = _name()
    user_id = await keycloak.admin.create_user(username)

    await keycloak.admin.disable_user(user_id)
    disabled = await _grant(keycloak, client, username, f"{username}-pw")
    await keycloak.admin.enable_user(user_id)
    await keycloak.admin.set_required_actions(user_id, "UPDATE_PASSWORD")
    must_act = await _grant(keycloak, client, username, f"{username}-pw")

    assert disabled[1]["error_description"] == "Account disabled"
    assert must_act[1]["error_description"] == "Account is not fully set up"


async def test_a_rotated_key_signs_the_next_token_and_a_deleted_one_no_more(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.create_client(_name(), "http://127.0.0.1:1")
    before = jwt.get_unverified_header((await _login(keycloak, client, "alice"))["id_token"])["kid"]

    key = await keycloak.admin.rotate_key()
    during = jwt.get_unverified_header((await _login(keycloak, client, "alice"))["id_token"])["kid"]
    await keycloak.admin.delete_key(key)
    after = jwt.get_unverified_header((await _login(keycloak, client, "alice"))["id_token"])["kid"]

    assert during != before
    assert after == before


@pytest.mark.full
async def test_sessions_survive_a_restart_with_other_options(keycloak: KeycloakServer) -> None:
    client = await keycloak.admin.create_client(_name(), "http://127.0.0.1:1")
    tokens = await _login(keycloak, client, "alice")

    keycloak.restart_with("--hostname=http://sso.example.test", "--hostname-backchannel-dynamic=true")
    public = await _discovered_issuer(keycloak)
    keycloak.restart_with()

    assert public == "http://sso.example.test/realms/acme"
    assert await _discovered_issuer(keycloak) == keycloak.issuer()
    assert await _refresh_status(keycloak, client, tokens["refresh_token"]) == 200


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_program_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from tests.support.processes import Program\n"
        "print(Program(['sleep', '300'], log=pathlib.Path(sys.argv[1])).pid, flush=True); time.sleep(300)"
    )
    run = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    # Only once it runs has it asked the kernel to be told of its parent's death.
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/comm").read_text("utf-8") != "sleep\n" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _lives(child)

    run.kill()
    run.communicate()

    deadline = time.monotonic() + 5
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(child)


def _name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - a file of the kernel
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _login(keycloak: KeycloakServer, client: Client, username: str) -> dict[str, Any]:
    status, body = await _grant(keycloak, client, username, f"{username}-pw")
    assert status == 200, body
    return body


async def _grant(keycloak: KeycloakServer, client: Client, username: str, password: str) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": "password", "username": username, "password": password, "scope": "openid"}
    return await _token(keycloak, client, form)


async def _refresh_status(keycloak: KeycloakServer, client: Client, refresh_token: str) -> int:
    status, _body = await _token(keycloak, client, {"grant_type": "refresh_token", "refresh_token": refresh_token})
    return status


async def _token(keycloak: KeycloakServer, client: Client, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    url = f"{keycloak.issuer(client.realm)}/protocol/openid-connect/token"
    own = {"client_id": client.client_id, "client_secret": client.secret}
    async with aiohttp.ClientSession() as http, http.post(url, data=form | own) as answer:
        return answer.status, await answer.json()


async def _discovered_issuer(keycloak: KeycloakServer) -> str:
    url = f"{keycloak.issuer()}/.well-known/openid-configuration"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        issuer: str = (await answer.json())["issuer"]
        return issuer
