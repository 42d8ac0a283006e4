"""All looks side by side: one order, whatever waits for what, and nothing of one site in another's lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.demo.clients import Client
from proxy.doctor import command
from proxy.doctor.command import Orders, document_text, examine
from proxy.doctor.person import TriedAccount
from proxy.errors import SidegateError
from proxy.keycloak_setup.admin_api import Administrator
from proxy.settings.portals import SiteSettings
from proxy.settings.problems import Level, Problem
from tests.doctor.conftest import SECRET, settings_with
from tests.support.ports import free_port

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from proxy.doctor.finding import Diagnosis
    from proxy.doctor.provider import KnownProvider
    from proxy.doctor.visit import Visit
    from proxy.settings.model import Settings

pytestmark = pytest.mark.usefixtures("no_proxy")


def gone() -> str:
    return f"http://127.0.0.1:{free_port()}"


async def examined(issuer: str, *portals: str, orders: Orders | None = None, **file: Any) -> Diagnosis:
    settings = settings_with(issuer, server={"public_url": gone()}, upstreams={"app": {"url": gone()}}, **file)
    sites = [SiteSettings(name, settings) for name in portals or ("",)]
    return await command._examined(sites, orders or Orders(file="sidegate.yaml"))


def groups(diagnosis: Diagnosis, place: int = 0) -> list[str]:
    return [group.name for group in diagnosis.places[place].groups]


EVERY_GROUP = ["file", "names", "keycloak", "client", "registration", "login", "store", "upstreams", "public"]


async def test_every_group_comes_in_the_same_order(issuer: Issuer) -> None:
    diagnosis = await examined(issuer.url)

    assert groups(diagnosis) == EVERY_GROUP
    assert all(SECRET not in one.sentence + one.remedy for one in diagnosis.findings)


async def test_what_belongs_to_the_process_is_looked_at_once(issuer: Issuer) -> None:
    diagnosis = await examined(issuer.url, "main", "admin")

    assert [place.portal for place in diagnosis.places] == ["main", "admin"]
    assert groups(diagnosis) == EVERY_GROUP
    assert groups(diagnosis, 1) == [name for name in EVERY_GROUP if name not in {"file", "store"}]


async def test_a_wildcard_is_looked_at_under_each_of_its_names(issuer: Issuer) -> None:
    def settings(*hosts: str) -> Settings:
        server = {"public_url": "http://*.apps.test", "hosts": ["*.apps.test", *hosts]}
        return settings_with(issuer.url, server=server, upstreams={"app": {"url": gone()}})

    named = await command._examined([SiteSettings("", settings("a.apps.test", "b.apps.test"))], Orders(file="f"))
    nameless = await command._examined([SiteSettings("", settings())], Orders(file="f"))

    assert [place.public_url for place in named.places] == ["http://a.apps.test", "http://b.apps.test"]
    (public,) = nameless.places[0].groups[-1].findings
    assert (str(public.verdict), public.remedy) == ("warn", "name each app in hosts beside the wildcard")
    assert [one.check for one in nameless.places[0].groups[3].findings] == ["credentials", "password grant"]


async def test_passwords_are_wanted_where_another_site_of_the_client_has_the_form(issuer: Issuer) -> None:
    form = settings_with(issuer.url, server={"public_url": gone()})
    redirect = settings_with(issuer.url, server={"public_url": gone()}, login={"mode": "redirect"})
    other = settings_with(issuer.url, keycloak={"client_id": "other"})

    shared = await command._examined([SiteSettings("a", redirect), SiteSettings("b", form)], Orders(file="f"))
    alone = await command._examined([SiteSettings("a", redirect), SiteSettings("b", other)], Orders(file="f"))

    grants = [one.places[0].groups[3].findings[1] for one in (shared, alone)]
    assert [(one.check, str(one.verdict)) for one in grants] == [("password grant", "ok"), ("password grant", "warn")]


async def test_without_discovery_the_client_is_not_looked_at_and_that_is_said() -> None:
    diagnosis = await examined(f"{gone()}/realms/acme")

    client = diagnosis.places[0].groups[3]
    assert groups(diagnosis)[2:5] == ["keycloak", "client", "store"]
    assert client.findings == ()
    assert "without discovery" in client.not_looked_at[0]


async def test_what_nobody_asked_for_is_said_with_how_to_ask(issuer: Issuer) -> None:
    unseen = [one for group in (await examined(issuer.url)).places[0].groups for one in group.not_looked_at]

    assert len(unseen) == 2
    assert "--admin-url" in unseen[0]
    assert "--user NAME" in unseen[1]


async def test_a_clock_that_nobody_tells_is_said_to_be_unseen(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = command.look_at_provider

    async def timeless(visit: Visit) -> KnownProvider:
        return replace(await real(visit), says_time=False)

    monkeypatch.setattr(command, "look_at_provider", timeless)

    assert "the clock" in (await examined(issuer.url)).places[0].groups[2].not_looked_at[0]


async def test_a_test_login_is_tried_where_the_form_takes_passwords(issuer: Issuer) -> None:
    issuer.register_client(Client(client_id="app", secret=SECRET))
    orders = Orders(file="sidegate.yaml", account=TriedAccount("alice", Secret("alice-pw")))

    form = await examined(issuer.url, orders=orders)
    redirect = await examined(issuer.url, orders=orders, login={"mode": "redirect"})

    assert form.places[0].groups[5].title == "Test login of alice"
    assert form.places[0].groups[5].findings[0].sentence.startswith("alice signs in")
    assert "only a browser can sign in" in redirect.places[0].groups[5].not_looked_at[0]


async def test_an_administrator_is_asked_and_the_rest_goes_on_without_one(issuer: Issuer) -> None:
    who = Administrator(base_url=gone(), realm="master", username="root", password=Secret("pw-of-root"))

    diagnosis = await examined(issuer.url, orders=Orders(file="sidegate.yaml", administrator=who))

    registration = diagnosis.places[0].groups[4]
    assert [str(one.verdict) for one in registration.findings] == ["fail"]
    assert f"--admin-url {who.base_url}" in diagnosis.places[0].setup
    assert "pw-of-root" not in repr(diagnosis)


async def test_problems_of_secrets_and_files_stand_where_the_file_is_looked_at(issuer: Issuer) -> None:
    problem = Problem("sidegate.yaml", 3, 7, "server.tls.cert_file", "cannot be read", "give a PEM file", Level.ERROR)

    diagnosis = await examined(issuer.url, orders=Orders(file="sidegate.yaml", problems=(problem,)))

    (found,) = diagnosis.places[0].groups[0].findings
    assert (str(found.verdict), found.sentence, found.remedy) == (
        "fail",
        "line 3, server.tls.cert_file: cannot be read",
        "give a PEM file",
    )


async def test_a_file_that_cannot_be_used_ends_one_site_and_not_the_others(issuer: Issuer, tmp_path: Any) -> None:
    bad = settings_with(issuer.url, keycloak={"ca_file": str(tmp_path / "gone")})
    good = settings_with(issuer.url)

    diagnosis = await command._examined([SiteSettings("a", bad), SiteSettings("b", good)], Orders(file="f"))

    assert groups(diagnosis) == ["file"]
    assert len(groups(diagnosis, 1)) > 3


async def test_the_document_is_json(issuer: Issuer) -> None:
    made = json.loads(document_text(await examined(issuer.url)))

    assert made["verdict"] == "fail"
    assert {"portal": None, "group": "keycloak", "check": "issuer"}.items() <= made["findings"][3].items()


def test_whoever_stops_it_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_examined", stopped)

    with pytest.raises(SidegateError, match="stopped"):
        examine((), Orders(file="sidegate.yaml"))
