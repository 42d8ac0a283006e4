"""``sidegate doctor`` at a real Keycloak, with a Sidegate that runs: all is well, then one thing after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from proxy.cli import main
from proxy.doctor.finding import Diagnosis, Finding, Group, Place, Verdict
from proxy.doctor.report import lines
from tests.journeys.house import sid_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.journeys.house import House

Found = dict[str, tuple[str, str, str]]

README = Path(__file__).parents[2] / "README.md"


class Doctor:
    """Called to one house, by an operator who may see everything."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.folder = house, folder

    def calls(self, *arguments: str, **changes: Mapping[str, Any]) -> tuple[int, Found]:
        """Look with a file that differs so from the house's; exit code, and what was found by group and check."""
        exit_code, document = self.documents(*arguments, **changes)
        return exit_code, {
            f"{one['group']}: {one['check']}": (one["verdict"], one["sentence"], one["remedy"] or "")
            for one in document["findings"]
        }

    def documents(self, *arguments: str, **changes: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return exit code and document."""
        file = json.loads(json.dumps(self.house.sidegate.config))
        for section, keys in changes.items():
            file[section] = {**file.get(section, {}), **keys}
        path = self.folder / "sidegate.yaml"
        path.write_text(yaml.safe_dump(file))
        result = CliRunner().invoke(
            main,
            ["doctor", "-c", str(path), "--json", *arguments],
            env={"SIDEGATE_ADMIN_PASSWORD": "admin", "SIDEGATE_USER_PASSWORD": "alice-pw"},
        )
        assert result.stderr == ""
        for secret in (self.house.client.secret, "alice-pw", "eyJ"):
            assert secret not in result.stdout
        return result.exit_code, dict(json.loads(result.stdout))

    def sees_everything(self, **changes: Mapping[str, Any]) -> tuple[int, Found]:
        """Look with an administrator's account and with alice's."""
        return self.calls("--admin-url", self.house.keycloak.base_url, "--user", "alice", **changes)


@pytest.fixture
def doctor(house: House, tmp_path: Path) -> Doctor:
    return Doctor(house, tmp_path)


def bad(found: Found) -> dict[str, str]:
    return {name: verdict for name, (verdict, _, _) in found.items() if verdict != "ok"}


def mend(house: House, **changes: Any) -> None:
    wait_for(house.keycloak.admin.update_client(house.client, **changes))


def test_a_house_that_is_well_has_no_failure_and_nothing_stays_of_the_test_login(house: House, doctor: Doctor) -> None:
    exit_code, found = doctor.sees_everything()

    # The client of the tests has no admin URL, and a fresh realm does not let sessions live as long as the file says.
    assert bad(found) == {"registration: admin URL": "warn", "login: sessions": "warn"}
    assert exit_code == 0
    for check in (
        "login: clock",
        "public: public URL",
        "public: back-channel",
        "client: PKCE",
        "registration: back-channel",
    ):
        assert found[check][0] == "ok"
    assert found["login: roles"][1].startswith("editor")
    assert sid_of(house, "alice") == []


def test_the_sample_of_the_readme_is_what_a_real_run_prints(house: House, doctor: Doctor) -> None:
    _, _, rest = README.read_text("utf-8").partition("$ sidegate doctor -c sidegate.yaml\n")
    sample = rest.partition("```")[0]
    mend(house, directAccessGrantsEnabled=False, attributes={"pkce.code.challenge.method": ""})
    try:
        _, document = doctor.documents()
    finally:
        mend(house, directAccessGrantsEnabled=True, attributes={"pkce.code.challenge.method": "S256"})

    printed = "\n".join(lines(_as_in_readme(house, document)))

    assert sample == printed.lstrip("\n") + "\n"


def _as_in_readme(house: House, document: dict[str, Any]) -> Diagnosis:
    """What was found of Keycloak and the client, with the addresses of the README's file."""
    names = {
        house.keycloak.base_url: "https://sso.example.com",
        house.url: "https://app.example.com",
        house.client.client_id: "legacy-app",
    }

    def renamed(text: str) -> str:
        for own, shown in names.items():
            text = text.replace(own, shown)
        return re.sub(r"\(\d+ ms\)", "(12 ms)", text)

    titles = {"keycloak": "Keycloak https://sso.example.com/realms/acme", "client": "Client legacy-app"}
    groups = tuple(
        Group(
            name,
            title,
            tuple(
                Finding(one["check"], Verdict(one["verdict"]), renamed(one["sentence"]), renamed(one["remedy"] or ""))
                for one in document["findings"]
                if one["group"] == name
            ),
            tuple(renamed(one["sentence"]) for one in document["not_looked_at"] if one["group"] == name),
        )
        for name, title in titles.items()
    )
    setup = "sidegate keycloak-setup -c sidegate.yaml --admin-url https://sso.example.com"
    return Diagnosis("sidegate.yaml", (Place(None, "https://app.example.com", groups, setup),))


def test_what_is_wrong_with_a_client_is_found_where_it_is(house: House, doctor: Doctor) -> None:
    right = house.url + "/_sidegate/callback"
    mend(
        house,
        directAccessGrantsEnabled=False,
        frontchannelLogout=True,
        redirectUris=["https://elsewhere.example/*"],
        attributes={
            "pkce.code.challenge.method": "",
            "post.logout.redirect.uris": "https://elsewhere.example/",
            "backchannel.logout.url": "",
        },
    )
    try:
        exit_code, found = doctor.sees_everything()
        mend(house, redirectUris=[right])
        _, without_pkce = doctor.calls()
    finally:
        mend(
            house,
            directAccessGrantsEnabled=True,
            frontchannelLogout=False,
            redirectUris=[right],
            attributes={
                "pkce.code.challenge.method": "S256",
                "post.logout.redirect.uris": f"{house.url}/_sidegate/logged-out",
                "backchannel.logout.url": f"{house.url}/_sidegate/backchannel-logout",
            },
        )

    assert exit_code == 1
    assert bad(found) == {
        "client: password grant": "fail",
        "client: redirect URI": "fail",
        "client: post-logout URI": "fail",
        "registration: front-channel": "fail",
        "registration: back-channel": "fail",
        "registration: admin URL": "warn",
        "registration: client": found["registration: client"][0],
        "login: login": "fail",
    }
    assert "Direct access grants" in found["client: password grant"][2]
    assert "Valid redirect URIs" in found["client: redirect URI"][2]
    assert "Front channel logout" in found["registration: front-channel"][1]
    assert bad(without_pkce)["client: PKCE"] == "warn"
    assert doctor.calls()[0] == 0


def test_a_wrong_secret_a_wrong_issuer_and_a_keycloak_that_is_away_are_told_apart(house: House, doctor: Doctor) -> None:
    wrong_secret = {"client_auth": {"secret": {"value": "not-the-secret"}}}
    wrong_client = {**wrong_secret, "client_id": "nobody"}
    other_name = {"issuer": house.keycloak.issuer().replace("127.0.0.1", "localhost")}
    behind = {"issuer": "https://sso.example.test/realms/acme", "internal_url": house.keycloak.issuer()}

    refused, unknown = (doctor.calls(keycloak=changes)[1] for changes in (wrong_secret, wrong_client))
    renamed, hidden = (doctor.calls(keycloak=changes)[1] for changes in (other_name, behind))
    nowhere = doctor.calls(keycloak={"issuer": house.keycloak.issuer("acne")})[1]

    assert refused["client: credentials"][0] == unknown["client: credentials"][0] == "fail"
    assert "Credentials → Client Secret" in refused["client: credentials"][2]
    assert "no client nobody" in unknown["client: credentials"][1]
    # This Keycloak has no fixed name: its issuer follows the address by which it is asked.
    assert renamed["keycloak: issuer"][0] == "ok"
    assert hidden["keycloak: internal issuer"][0] == "fail"
    assert "--hostname" in hidden["keycloak: internal issuer"][2]
    assert nowhere["keycloak: discovery"][0] == "fail"
    assert "the realm's name" in nowhere["keycloak: discovery"][2]
