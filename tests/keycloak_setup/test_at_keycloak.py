"""The command and a real Keycloak: from an empty realm to a login in one command, and with the least of rights."""

from __future__ import annotations

import stat
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import wait_for
from tests.oidc.test_client_assertion import pem
from tests.support.legacy_app import LegacyApp
from tests.support.ports import free_port
from tests.support.sidegate_process import SidegateProcess
from tests.support.throw_away_cluster import throw_away_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.keycloak.server import KeycloakServer

PREFIX = "/_sidegate"


@pytest.fixture(scope="module")
def realm(keycloak: KeycloakServer) -> Iterator[str]:
    """A realm as it comes out of the box, with one person in one group, and an administrator of its clients alone."""
    name = f"empty-{uuid.uuid4().hex[:8]}"
    wait_for(_make_realm(keycloak, name))
    yield name
    wait_for(keycloak.admin.call("DELETE", f"/{name}"))


async def _make_realm(keycloak: KeycloakServer, name: str) -> None:
    admin = keycloak.admin
    cheap = "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)"
    await admin.call("POST", "", json={"realm": name, "enabled": True, "sslRequired": "none", "passwordPolicy": cheap})
    await admin.call("POST", f"/{name}/roles", json={"name": "viewer"})
    await admin.call("POST", f"/{name}/groups", json={"name": "staff"})
    await admin.create_user("alice", realm=name, realm_roles=("viewer",), groups=["/staff"])
    clerk = await admin.create_user("clerk", realm=name)
    management = await admin.find_client("realm-management", realm=name)
    role = await admin.call("GET", f"/{name}/clients/{management.uuid}/roles/manage-clients")
    await admin.call("POST", f"/{name}/users/{clerk}/role-mappings/clients/{management.uuid}", json=[role])


class Desk:
    """An operator with one file."""

    def __init__(self, keycloak: KeycloakServer, realm: str, folder: Path, **changes: Any) -> None:
        self.keycloak, self.realm, self.folder = keycloak, realm, folder
        self.client_id = f"setup-{uuid.uuid4().hex[:8]}"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.secret_file = folder / "client-secret"
        self.settings: dict[str, Any] = {
            "server": {"listen": f"127.0.0.1:{port}", "public_url": self.url},
            "keycloak": {
                "issuer": keycloak.issuer(realm),
                "client_id": self.client_id,
                "client_auth": {"secret": {"file": str(self.secret_file)}},
                **changes,
            },
            "upstreams": {"app": {"url": "http://127.0.0.1:9"}},
            "routes": [{"path": "/**", "access": {"all_roles": ["viewer"], "any_group": ["/staff"]}}],
        }

    def set_up(self, *arguments: str, answer: str = "", password: str = "clerk-pw") -> Result:
        """Give the command as the administrator who may manage clients and nothing else."""
        file = self.folder / "sidegate.yaml"
        file.write_text(yaml.safe_dump(self.settings))
        who = ["--admin-user", "clerk", "--admin-realm", self.realm]
        return CliRunner().invoke(
            main,
            ["keycloak-setup", "-c", str(file), "--admin-url", self.keycloak.base_url, *who, *arguments],
            input=answer,
            env={"SIDEGATE_ADMIN_PASSWORD": password},
        )

    def client(self) -> dict[str, Any]:
        """The client as Keycloak has it."""
        found = wait_for(self.keycloak.admin.call("GET", f"/{self.realm}/clients", params={"clientId": self.client_id}))
        return {name: _in_order(value) for name, value in found[0].items()}

    def mangle(self, **changes: Any) -> None:
        """Somebody else's hands."""
        path = f"/{self.realm}/clients/{self.client()['id']}"
        wait_for(self.keycloak.admin.call("PUT", path, json={"clientId": self.client_id, **changes}))


def _in_order(value: Any) -> Any:
    """What is a set for Keycloak comes in any order."""
    return sorted(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value


@pytest.fixture
def desk(keycloak: KeycloakServer, realm: str, tmp_path: Path) -> Desk:
    return Desk(keycloak, realm, tmp_path)


def test_one_command_leads_from_an_empty_realm_to_a_working_login(desk: Desk) -> None:
    first = desk.set_up("--yes", "--secret-file", str(desk.secret_file))

    assert (first.exit_code, first.stderr) == (0, "")
    assert stat.S_IMODE(desk.secret_file.stat().st_mode) == 0o600
    secret = desk.secret_file.read_text().strip()
    assert len(secret) > 30
    assert secret not in first.stdout
    told = _sign_in(desk)
    assert told["HTTP_X_AUTH_USERNAME"] == "alice"
    assert told["HTTP_X_AUTH_GROUPS"] == "/staff"
    assert "viewer" in told["HTTP_X_AUTH_ROLES"].split(",")

    made = desk.client()
    again = desk.set_up("--secret-file", str(desk.secret_file))

    assert (again.exit_code, again.stderr) == (0, "")
    assert "nothing to do" in again.stdout
    assert desk.client() == made


def _sign_in(desk: Desk) -> dict[str, Any]:
    """Start the app and Sidegate, sign in by the form, sign out; returns what the app was told."""
    app = LegacyApp("tests.support.environ_wsgi:application", desk.folder)
    desk.settings["upstreams"]["app"]["url"] = app.url
    sidegate = SidegateProcess(desk.settings, desk.folder)
    try:
        app.wait_until_ready()
        sidegate.wait_until_ready()
        browser = WebBrowser()
        page = browser.get(f"{desk.url}{PREFIX}/login", Accept="text/html")
        form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
        assert browser.post(page.form_action, form, Accept="text/html", Origin=desk.url).status == 303
        told = browser.get(f"{desk.url}/who", Accept="text/html").json
    finally:
        sidegate.end()
        app.end()
    assert isinstance(told, dict)
    return dict(told["headers"])


def test_a_mangled_client_is_mended_and_what_others_set_is_kept(desk: Desk) -> None:
    desk.set_up("--yes")
    right = desk.client()
    foreign = {"redirectUris": sorted([*right["redirectUris"], "https://b.example/*"]), "description": "ours"}
    mangled = {
        "frontchannelLogout": True,
        "directAccessGrantsEnabled": False,
        "adminUrl": "",
        "attributes": {
            "backchannel.logout.url": "https://elsewhere.example/",
            "backchannel.logout.session.required": "false",
            "pkce.code.challenge.method": "",
            "post.logout.redirect.uris": "https://b.example/bye",
            "access.token.lifespan": "120",
        },
    }
    desk.mangle(**foreign, **mangled)

    shown = desk.set_up("--dry-run")
    declined = desk.set_up(answer="n\n")
    untouched = desk.client()
    agreed = desk.set_up(answer="y\n")

    assert [shown.exit_code, declined.exit_code, agreed.exit_code] == [0, 1, 0]
    assert "7 changes; --dry-run changes nothing" in shown.stdout
    assert "https://b.example/* has a wildcard" in shown.stdout
    assert untouched["frontchannelLogout"] is True
    client = desk.client()
    assert {name: client[name] for name in foreign} == foreign
    assert client["attributes"]["access.token.lifespan"] == "120"
    assert client["attributes"]["post.logout.redirect.uris"] == (
        f"https://b.example/bye##{desk.url}{PREFIX}/logged-out"
    )
    for name in ("frontchannelLogout", "directAccessGrantsEnabled", "adminUrl", "protocolMappers"):
        assert client[name] == right[name]
    for name in ("backchannel.logout.url", "backchannel.logout.session.required", "pkce.code.challenge.method"):
        assert client["attributes"][name] == right["attributes"][name]


def test_a_client_for_redirects_with_offline_sessions_and_an_audience(
    keycloak: KeycloakServer, realm: str, tmp_path: Path
) -> None:
    desk = Desk(keycloak, realm, tmp_path, offline_access=True, claims_from=["id_token"])
    desk.settings["login"] = {"mode": "redirect"}
    desk.secret_file.write_text("a-secret-of-the-file\n")

    done = desk.set_up("--yes", "--audience", "account")

    assert (done.exit_code, done.stderr) == (0, "")
    client = desk.client()
    assert client["directAccessGrantsEnabled"] is False
    assert client["secret"] == "a-secret-of-the-file"
    assert "offline_access" in client["optionalClientScopes"]
    names = {mapper["name"] for mapper in client["protocolMappers"]}
    assert names == {"groups", "realm roles", f"roles of {desk.client_id}", "audience account"}
    specimen = _specimen_id_token(desk)
    assert specimen["groups"] == ["/staff"]
    assert "viewer" in specimen["realm_access"]["roles"]


def test_a_client_that_signs_is_set_up_and_signs_people_in(desk: Desk) -> None:
    key_file = desk.folder / "client.key"
    key_file.write_text(pem("P-256").reveal())
    signing = {"method": "private_key_jwt", "private_key": {"file": str(key_file)}, "key_id": "thumbprint"}
    desk.settings["keycloak"]["client_auth"] = signing
    desk.settings["routes"] = [
        {"path": "/other/**", "token_exchange": {"audience": "account"}},
        *desk.settings["routes"],
    ]

    done = desk.set_up("--yes")

    assert (done.exit_code, done.stderr) == (0, "")
    assert _sign_in(desk)["HTTP_X_AUTH_USERNAME"] == "alice"
    assert desk.client()["attributes"]["standard.token.exchange.enabled"] == "true"
    assert "nothing to do" in desk.set_up("--yes").stdout
    desk.mangle(clientAuthenticatorType="client-secret", attributes={"use.jwks.string": "false"})
    mended = desk.set_up("--yes").stdout
    assert "Credentials → Client Authenticator" in mended
    assert "Credentials → Keys → JWKS" in mended
    assert "PRIVATE" not in str(desk.client())


def test_a_pod_without_any_secret_is_set_up_and_signs_people_in(desk: Desk) -> None:
    token_file = desk.folder / "token"
    desk.settings["keycloak"]["client_auth"] = {"method": "kubernetes_service_account", "token_file": str(token_file)}
    with throw_away_cluster() as cluster:
        token_file.write_text(cluster.token("default:legacy-app", desk.keycloak.issuer(desk.realm)))
        trust = {"alias": "kubernetes", "providerId": "kubernetes", "enabled": True, "config": {"issuer": cluster.url}}
        instances = f"/{desk.realm}/identity-provider/instances"
        wait_for(desk.keycloak.admin.call("POST", instances, json=trust))

        done = desk.set_up("--yes")

        assert (done.exit_code, done.stderr) == (0, "")
        assert _sign_in(desk)["HTTP_X_AUTH_USERNAME"] == "alice"
        assert desk.client()["attributes"]["jwt.credential.sub"] == "system:serviceaccount:default:legacy-app"
        wait_for(desk.keycloak.admin.call("DELETE", f"{instances}/kubernetes"))


def test_a_client_with_a_certificate_and_one_with_a_service_account_are_set_up(desk: Desk) -> None:
    issued = desk.keycloak.authority.issue("app of the setup")
    shown = {"method": "tls_client_auth", "cert_file": str(issued.cert_file), "key_file": str(issued.key_file)}
    desk.settings["keycloak"]["client_auth"] = shown
    desk.settings["keycloak"]["issuer"] = f"{desk.keycloak.https_url}/realms/{desk.realm}"
    by_certificate = desk.set_up("--yes")
    client = desk.client()
    desk.settings["keycloak"]["client_auth"] = {"method": "kubernetes_service_account"}

    by_account = desk.set_up("--yes", "--service-account", "default/legacy-app")

    assert (by_certificate.exit_code, by_account.exit_code) == (0, 0), by_certificate.stderr + by_account.stderr
    assert (client["clientAuthenticatorType"], client["attributes"]["x509.subjectdn"]) == (
        "client-x509",
        issued.subject,
    )
    assert "--https-client-auth=request" in " ".join(by_certificate.stdout.split())
    client = desk.client()
    assert client["clientAuthenticatorType"] == "federated-jwt"
    assert client["attributes"]["jwt.credential.issuer"] == "kubernetes"
    assert client["attributes"]["jwt.credential.sub"] == "system:serviceaccount:default:legacy-app"
    assert "sees no identity provider kubernetes" in " ".join(by_account.stdout.split())
    assert "nothing to do" in desk.set_up("--service-account", "default/legacy-app").stdout


def _specimen_id_token(desk: Desk) -> dict[str, Any]:
    """An ID token as alice would get it."""
    client = desk.client()["id"]

    async def fetch() -> Any:
        admin = desk.keycloak.admin
        who = await admin.user_id("alice", realm=desk.realm)
        path = f"/{desk.realm}/clients/{client}/evaluate-scopes/generate-example-id-token"
        return await admin.call("GET", path, params={"userId": who, "scope": "openid"})

    return dict(wait_for(fetch()))


@pytest.mark.parametrize(
    ("arguments", "password", "sentence"),
    [
        ((), "wrong", "Keycloak refuses clerk in realm"),
        (("--admin-user", "alice"), "alice-pw", "alice may not manage the clients of realm"),
        (("--admin-realm", "nowhere"), "clerk-pw", "has no realm nowhere; name with --admin-realm"),
    ],
)
def test_a_refusal_is_one_sentence(desk: Desk, arguments: tuple[str, ...], password: str, sentence: str) -> None:
    done = desk.set_up(*arguments, password=password)

    assert (done.exit_code, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert password not in done.stderr.replace("alice", "")


def test_a_realm_that_is_not_there_is_one_sentence(desk: Desk) -> None:
    desk.settings["keycloak"]["issuer"] = desk.keycloak.issuer("acne")

    done = desk.set_up()

    assert done.exit_code == 1
    assert "has no realm acne; check keycloak.issuer, or --admin-url" in done.stderr
