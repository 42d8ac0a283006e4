"""The command from start to end, with a Keycloak that keeps what it is sent."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.errors import SettingsError, SidegateError
from proxy.keycloak_setup import command
from proxy.keycloak_setup.admin_api import Administrator
from proxy.keycloak_setup.command import Consent, Setup, parse_admin_url, set_up, set_up_all
from proxy.keycloak_setup.difference import AddMapper, AssignScope, MendMapper
from proxy.keycloak_setup.state import ClientState, Mapper, Scope, parse_mappers
from proxy.settings.portals import SiteSettings
from tests.keycloak_setup.test_needs import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from proxy.keycloak_setup.difference import Edit

ADMINISTRATOR = Administrator(
    base_url="http://127.0.0.1:8080", realm="master", username="admin", password=Secret("pw-of-admin")
)


class Realm:
    """Keeps one client as Keycloak does: a PUT is a merge."""

    def __init__(self) -> None:
        self.members: dict[str, Any] | None = None
        self.mappers: tuple[Mapper, ...] = ()
        self.generated: Secret | None = Secret("made-by-keycloak")
        self.stubborn: frozenset[str] = frozenset()
        self.fault: SidegateError | None = None

    async def look(self, client_id: str, scopes: object) -> ClientState:
        defaults = tuple(Scope(name, name) for name in ("profile", "email"))
        if self.members is None:
            return ClientState(uuid=None, defaults=defaults)
        members = dict(self.members)
        return ClientState(
            uuid="u", members=members, mappers=self.mappers, defaults=defaults, secret=await self.secret("u")
        )

    async def secret(self, uuid: str) -> Secret | None:
        return (self.members or {}).get("secret", self.generated)

    async def make_secret(self, uuid: str) -> Secret:
        return Secret("made-anew")

    async def create(self, representation: Mapping[str, object]) -> None:
        self.members = {}
        await self.update("u", representation)

    async def update(self, uuid: str, representation: Mapping[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        assert self.members is not None
        taken = {name: value for name, value in representation.items() if name not in self.stubborn}
        attributes = {**self.members.get("attributes", {}), **taken.pop("attributes", {})}
        self.members = {**self.members, **taken, "attributes": attributes}

    async def edit(self, uuid: str, edit: Edit) -> None:
        match edit:
            case AddMapper():
                self.mappers += parse_mappers(
                    [{"id": edit.name, "name": edit.name, "protocolMapper": edit.kind, "config": dict(edit.config)}]
                )
            case MendMapper(mapper=mapper):
                others = tuple(one for one in self.mappers if one != mapper)
                self.mappers = (*others, replace(mapper, config=edit.config))
            case AssignScope():
                raise AssertionError


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    """A realm without the client, which every run finds."""
    made = Realm()

    @asynccontextmanager
    async def find(_work: object) -> AsyncIterator[Realm]:
        yield made

    monkeypatch.setattr(command._Work, "_api", find)
    return made


def run(*, answer: bool = True, consent: Consent = Consent.ASK, **changes: Any) -> int:
    secret_file, audiences = changes.pop("secret_file", None), changes.pop("audiences", ())
    keycloak = {"client_auth": {"secret": {"file": "/nowhere"}}, **changes}
    setup = Setup(administrator=ADMINISTRATOR, consent=consent, secret_file=secret_file, audiences=audiences)
    return set_up(settings(keycloak=keycloak), setup, agree=lambda question: answer)


def test_a_client_is_made_and_the_second_run_has_nothing_to_do(
    realm: Realm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    first = capsys.readouterr().out
    made = copy.deepcopy(realm.members)
    assert run(answer=False) == 0
    second = capsys.readouterr().out

    assert first.splitlines()[:2] == [
        "Client app in realm acme at http://127.0.0.1:8080", "is not there yet; it would be made with:"
    ]  # fmt: skip
    assert "done: 11 changes" in first
    assert "is as the file needs it; nothing to do" in second
    assert realm.members == made


def test_who_says_no_changes_nothing(realm: Realm, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(answer=False, secret_file=tmp_path / "s") == 1

    assert realm.members is None
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.endswith("nothing was changed\n")


def test_a_dry_run_asks_nobody_and_changes_nothing(
    realm: Realm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(answer=True, consent=Consent.ONLY_SHOW, secret_file=tmp_path / "s") == 0

    assert realm.members is None
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.endswith("11 changes; --dry-run changes nothing\n")


def test_yes_asks_nobody(realm: Realm) -> None:
    assert run(answer=False, consent=Consent.GIVEN) == 0

    assert realm.members is not None


def test_settings_and_mappers_of_others_are_kept(realm: Realm, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert realm.members is not None
    foreign = Mapper("x", "colour", "oidc-hardcoded-claim-mapper", {"claim.name": "colour"})
    realm.mappers += (foreign,)
    realm.members["description"] = "ours"
    realm.members["attributes"]["access.token.lifespan"] = "30"
    realm.members["frontchannelLogout"] = True
    capsys.readouterr()

    assert run() == 0

    assert realm.members["frontchannelLogout"] is False
    assert realm.members["description"] == "ours"
    assert realm.members["attributes"]["access.token.lifespan"] == "30"
    assert foreign in realm.mappers
    assert "done: 1 change;" in capsys.readouterr().out


# --- the secret ------------------------------------------------------------------------------------------------------


def test_the_secret_goes_into_the_file_and_nowhere_else(
    realm: Realm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "s"

    codes = [run(secret_file=path), run(secret_file=path)]

    assert codes == [0, 0]
    assert path.read_text() == "made-by-keycloak\n"
    out = capsys.readouterr()
    assert "made-by-keycloak" not in out.out + out.err
    assert f"{path} holds the client's secret already" in out.out


def test_the_secret_of_the_file_is_given_to_keycloak_and_never_shown(
    realm: Realm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(client_auth={"secret": {"value": "from-the-file"}}) == 0

    assert realm.members is not None
    assert realm.members["secret"] == Secret("from-the-file")
    assert "from-the-file" not in capsys.readouterr().out


def test_a_file_with_something_else_keeps_everything_as_it_is(realm: Realm, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("old")

    with pytest.raises(SidegateError, match="nothing is overwritten"):
        run(secret_file=path)

    assert (realm.members, path.read_text()) == (None, "old")


def test_a_file_that_cannot_be_made_keeps_keycloak_as_it_is(realm: Realm, tmp_path: Path) -> None:
    with pytest.raises(SidegateError, match="cannot be made"):
        run(secret_file=tmp_path / "no" / "s")

    assert realm.members is None


def test_no_file_is_left_when_keycloak_refuses(realm: Realm, tmp_path: Path) -> None:
    realm.fault = SidegateError("no")

    with pytest.raises(SidegateError, match="no"):
        run(secret_file=tmp_path / "s")

    assert list(tmp_path.iterdir()) == []


def test_a_client_without_one_has_a_secret_made(realm: Realm, tmp_path: Path) -> None:
    realm.generated = None

    run(secret_file=tmp_path / "s")

    assert (tmp_path / "s").read_text() == "made-anew\n"


def test_a_public_client_has_no_secret_to_write(realm: Realm, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has no secret"):
        run(client_auth={"method": "none"}, secret_file=tmp_path / "s")


def test_where_the_secret_is_to_be_had_is_said(realm: Realm, capsys: pytest.CaptureFixture[str]) -> None:
    run()

    out = capsys.readouterr().out
    assert "--secret-file PATH writes it into a file" in out
    assert "cannot be read here" in " ".join(out.split())


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_policy_that_changes_what_was_sent_is_noticed(realm: Realm) -> None:
    realm.stubborn = frozenset({"frontchannelLogout", "adminUrl"})

    with pytest.raises(SidegateError, match=r"still differs \(Access settings → Admin URL\); look at Realm settings"):
        run()


def test_an_audience_is_asked_for_by_name(realm: Realm) -> None:
    run(audiences=("api",))

    assert "audience api" in [mapper.name for mapper in realm.mappers]


def test_a_password_in_the_clear_is_warned_of(realm: Realm, capsys: pytest.CaptureFixture[str]) -> None:
    far = Setup(
        administrator=dataclasses.replace(ADMINISTRATOR, base_url="http://sso.example"), consent=Consent.ONLY_SHOW
    )

    run(consent=Consent.ONLY_SHOW)
    assert capsys.readouterr().err == ""
    set_up(settings(), far, agree=lambda _question: False)

    assert "the password can be read on its way" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://sso.example.com", "https://sso.example.com"),
        ("https://sso.example.com/", "https://sso.example.com"),
        ("http://sso:8080/auth/", "http://sso:8080/auth"),
    ],
)
def test_an_admin_url_is_what_stands_before_realms_and_admin(given: str, base: str) -> None:
    assert parse_admin_url(given) == base


@pytest.mark.parametrize(
    "given",
    [
        "sso.example.com", "ftp://sso", "https://", "https://sso:x", "https://sso/?a", "https://root:pw@sso", "https://[",
        "https://sso/admin", "https://sso/admin/", "https://sso/admin/master/console", "https://sso/realms/acme",
    ],
)  # fmt: skip
def test_another_admin_url_is_a_sentence_that_does_not_repeat_it(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^--admin-url takes ") as refused:
        parse_admin_url(given)

    assert "root:pw" not in str(refused.value)


class TestSeveralSites:
    """The clients of a file with portals, one after the other."""

    @staticmethod
    def site(name: str, client_id: str, **server: Any) -> SiteSettings:
        url = {"public_url": f"https://{name}.example.com", **server}
        return SiteSettings(name, settings(server=url, keycloak={"client_id": client_id}))

    @staticmethod
    def set_up(*sites: SiteSettings, secret_file: Path | None = None, **consent: Consent) -> int:
        setup = Setup(administrator=ADMINISTRATOR, secret_file=secret_file, **consent)
        return set_up_all(sites, setup, agree=lambda _question: True)

    def test_each_portal_has_its_heading(self, realm: Realm, capsys: pytest.CaptureFixture[str]) -> None:
        sites = (self.site("wiki", "one"), self.site("admin", "two"))

        assert self.set_up(*sites, consent=Consent.ONLY_SHOW) == 0

        headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("===", "Client"))]
        assert [heading.partition(" in realm")[0] for heading in headings] == [
            *("=== portal wiki", "Client one"),
            *("=== portal admin", "Client two"),
        ]

    def test_a_single_site_is_set_up_without_one(self, realm: Realm, capsys: pytest.CaptureFixture[str]) -> None:
        self.set_up(SiteSettings("", settings()), consent=Consent.ONLY_SHOW)

        assert "===" not in capsys.readouterr().out

    def test_one_file_does_not_hold_the_secrets_of_several(self, realm: Realm, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="choose one with --portal NAME"):
            self.set_up(self.site("wiki", "one"), self.site("admin", "two"), secret_file=tmp_path / "secret")

        assert realm.members is None

    def test_two_portals_of_one_client_do_not_undo_each_other(self, realm: Realm) -> None:
        sites = (self.site("wiki", "one"), self.site("admin", "one"))
        self.set_up(*sites)
        made = copy.deepcopy(realm.members)

        self.set_up(*sites)

        assert realm.members == made
        assert made is not None
        assert set(made["redirectUris"]) == {
            "https://wiki.example.com/_sidegate/callback",
            "https://admin.example.com/_sidegate/callback",
        }

    def test_names_beside_a_wildcard_are_registered_and_a_wildcard_alone_is_a_sentence(self, realm: Realm) -> None:
        apps = {"public_url": "https://*.apps.example.com"}
        self.set_up(self.site("apps", "apps", **apps, hosts=["*.apps.example.com", "a.apps.example.com", "else"]))

        assert realm.members is not None
        assert realm.members["redirectUris"] == ["https://a.apps.example.com/_sidegate/callback"]
        with pytest.raises(SidegateError, match=r"Keycloak takes no wildcard in a host such as \*\.apps"):
            self.set_up(self.site("apps", "apps", **apps, hosts=["*.apps.example.com"]))
