"""The sites of a process: found by what belongs to them, and exchanged in one step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.request import RequestHead
from proxy.core.routing import compile_access
from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable, SettingsError
from proxy.gate.portals import Portals
from proxy.ports import Forward, Readiness
from proxy.settings.model import Settings
from proxy.settings.portals import SiteSettings
from proxy.site import Site
from proxy.sites import Sites, sites_beside
from tests.support.made_sites import shared_parts, site_file
from tests.support.sessions import ISSUER, make_bearer, make_session
from tests.support.streams import admit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.bearer import Bearer
    from proxy.core.routing import Access
    from proxy.core.session import Session
    from proxy.ports import Admission

COOKIE = Secret("c")


def site(name: str = "", *, generation: int = 0, **file: Any) -> Site:
    """A site that was never started."""
    settings = Settings.model_validate(site_file(**file))
    return Site(SiteSettings(name, settings), shared_parts(), generation=generation)


async def test_a_single_site_is_served_by_its_own_gate() -> None:
    alone = site()

    served = Sites([alone]).served()

    assert served.gatekeeper is alone.gate
    assert list(served.upstreams) == ["app"]
    assert served.own_pages == {"": alone.own_pages}


async def test_every_site_has_places_of_its_own_in_every_generation() -> None:
    wiki, admin = site("wiki", generation=3), site("admin", generation=3)

    served = Sites([wiki, admin]).served()

    assert isinstance(served.gatekeeper, Portals)
    assert set(served.upstreams) == {"wiki#3/app", "admin#3/app"}
    assert set(served.own_pages) == {"wiki#3", "admin#3"}
    assert site("wiki", generation=4).key != wiki.key


async def test_an_upstream_whose_name_looks_like_a_portals_is_not_that_portals() -> None:
    file = {**site_file(), "upstreams": {"admin#0/app": {"url": "http://127.0.0.1:8001"}}}
    top = Site(SiteSettings("", Settings.model_validate(file)), shared_parts())

    served = Sites([top, site("admin")]).served()

    places = {str(options.address) for options in served.upstreams.values()}
    assert len(served.upstreams) == len(places) == 2


async def test_what_opens_sessions_of_another_site_reaches_no_app_of_this_one() -> None:
    public = {"routes": [{"path": "/**", "access": "public"}]}
    wiki = SiteSettings("wiki", Settings.model_validate({**site_file(), **public}))
    admin = given("admin", sessions={"cookie": {"name": "admin", "domain": "example.com"}})
    cookies = (b"Cookie", b"a=1; __Secure-admin=stolen; __Host-admin-login=too; sidegate=ours")
    fields = ((b"Host", b"app.example.com"), cookies)

    def admitted(sites: tuple[SiteSettings, ...]) -> Admission | Awaitable[Admission]:
        gate = Site(wiki, dataclasses.replace(shared_parts(), sites=sites)).gate
        return gate.admit(RequestHead(b"GET", b"/", fields, "203.0.113.7", "https"))

    admission, alone = admitted((wiki, admin)), admitted((wiki,))

    assert isinstance(admission, Forward)
    assert [value for name, value in admission.headers if name == b"Cookie"] == [b"a=1"]
    planted = (b"Set-Cookie", b"__Secure-admin=planted; Domain=example.com")
    assert planted not in admission.answer.apply(200, (planted,))
    assert isinstance(alone, Forward)
    assert planted in alone.answer.apply(200, (planted,)), "nothing is known of cookies that are none of this file's"


async def test_a_session_is_refreshed_by_its_own_site() -> None:
    sites = Sites([site("wiki", keycloak={"client_id": "wiki"}), site("admin", keycloak={"client_id": "admin"})])
    session = dataclasses.replace(make_session(COOKIE), client_id="admin", portal="admin")

    assert sites.of(session) is sites.current[1]


@pytest.mark.parametrize("left", [site_file(keycloak={"client_id": "other"}), site_file(), "portal"])
async def test_a_session_whose_site_is_gone_is_nobodys(left: Any) -> None:
    sites = Sites([site("wiki" if left == "portal" else "", **({} if left == "portal" else left))])
    session: Session = make_session(COOKIE, portal="" if left == "portal" else "gone")

    assert sites.of(session) is None
    assert not sites.ready(session)
    assert await sites.fresh(COOKIE, session) is None


async def test_a_process_that_was_ready_stays_so_when_its_sites_are_exchanged(monkeypatch: Any) -> None:
    former, present = site(), site(generation=1)
    sites = Sites([former])
    monkeypatch.setattr(former.provider, "readiness", lambda: Readiness(is_ready=True))
    assert sites.readiness().is_ready

    assert sites.replace([present]) == (former,)

    assert sites.readiness().is_ready
    assert "waiting" in sites.readiness().detail


async def test_an_exchange_brings_the_refresh_policy_of_the_new_file_to_a_client_that_stays() -> None:
    wiki = site("wiki")
    changed = given("wiki", sessions={"refresh_before_expiry": "7s"})
    present = Site(changed, wiki._shared, generation=1, former=wiki)
    assert present.refresher is wiki.refresher

    _ = Sites([wiki]).replace([present])

    assert wiki.refresher._policy.lead_s == 7.0


async def test_it_is_ready_with_the_first_provider_and_names_the_portal_of_one_that_is_away(monkeypatch: Any) -> None:
    wiki, admin = site("wiki"), site("admin")
    sites = Sites([wiki, admin])
    assert not sites.readiness().is_ready

    monkeypatch.setattr(admin.provider, "readiness", lambda: Readiness(is_ready=True))

    said = sites.readiness()
    assert said.is_ready
    assert said.detail.startswith("wiki: waiting")


def test_sessions_of_tests_are_of_the_sites_issuer() -> None:
    assert site_file()["keycloak"]["issuer"] == ISSUER


async def test_new_sites_go_on_with_the_clients_of_the_old_although_the_provider_is_away() -> None:
    wiki = site("wiki")
    present = Sites([wiki])

    (made,) = await sites_beside(present, [given("wiki", login={"title": "Acme"})], shared=wiki._shared, generation=1)

    assert made.client is wiki.client
    assert made.settings.login.title == "Acme"
    await made.close()


async def test_a_provider_that_the_file_names_anew_must_be_there() -> None:
    """What runs is not given up for what nobody can sign in at."""
    wiki = site("wiki")
    nowhere = {"internal_url": "http://127.0.0.1:1/realms/acme", "timeout": "10ms"}
    closed: list[str] = []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Site, "close", noting(closed))
        with pytest.raises(ProviderUnavailable, match="keycloak of admin: the provider is not there"):
            await sites_beside(
                Sites([wiki]), [given("wiki"), given("admin", keycloak=nowhere)], shared=wiki._shared, generation=1
            )

    assert closed == ["wiki#1", "admin#1"]


async def test_when_one_site_cannot_be_made_there_is_none() -> None:
    wiki = site("wiki")
    closed: list[str] = []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Site, "close", noting(closed))
        with pytest.raises(SettingsError, match="logo"):
            await sites_beside(
                Sites([wiki]),
                [given("wiki"), given("admin", login={"logo_file": "/nowhere/logo.svg"})],
                shared=wiki._shared,
                generation=1,
            )

    assert closed == ["wiki#1"]


def given(name: str, **file: Any) -> SiteSettings:
    return SiteSettings(name, Settings.model_validate(site_file(**file)))


def noting(closed: list[str]) -> Callable[[Site], Awaitable[None]]:
    """Close a site, and remember that."""
    close = Site.close

    async def noted(one: Site) -> None:
        closed.append(one.key)
        await close(one)

    return noted


async def test_what_was_admitted_by_other_rules_is_judged_by_the_present_ones_of_its_own_site() -> None:
    routes = {"routes": [{"path": "/app/**", "access": {"any_role": ["staff"]}}]}
    settings = Settings.model_validate({**site_file(), **routes})
    present = Sites([Site(SiteSettings("", settings), shared_parts())])
    session = make_session(COOKIE)

    def demanded(person: Session | Bearer, path: str = "/app/x") -> Access | None:
        admitted = admit(COOKIE, session=person)
        admitted.event.path, admitted.event.method, admitted.event.host = path, "GET", "app.example.com"
        return present.demanded(admitted)

    assert demanded(session) == demanded(make_bearer(COOKIE)) == compile_access({"any_role": ["staff"]})
    assert demanded(session, "/elsewhere") is None
    # Of a client, a portal, a realm that the file has no more.
    assert demanded(dataclasses.replace(session, client_id="other")) is None
    assert demanded(dataclasses.replace(session, portal="gone")) is None
    assert demanded(dataclasses.replace(session, identity=replace(session.identity, issuer="https://other"))) is None
    assert demanded(make_bearer(COOKIE, client_id="other")) is None


async def test_at_a_host_that_another_site_has_by_name_now_a_wildcards_session_may_have_nothing() -> None:
    apps = site("apps", server={"public_url": "https://*.apps.example.com"})
    one = site("one", server={"public_url": "https://one.apps.example.com"})
    admitted = admit(COOKIE, session=make_session(COOKIE, portal="apps"))
    admitted.event.path, admitted.event.method, admitted.event.host = "/x", "GET", "one.apps.example.com"
    assert Sites([apps]).demanded(admitted) is not None

    assert Sites([apps, one]).demanded(admitted) is None
    assert Sites([one, apps]).demanded(admitted) is None

    present = Sites([apps])
    present.replace([apps, one])
    assert present.demanded(admitted) is None


async def test_who_shows_a_token_may_have_nothing_any_more_where_tokens_count_no_more() -> None:
    present = Sites([site(bearer={"enabled": False})])
    admitted = admit(None, session=make_bearer(COOKIE))
    admitted.event.path, admitted.event.method, admitted.event.host = "/x", "GET", "app.example.com"

    assert present.demanded(admitted) is None


async def test_who_shows_a_token_that_is_for_others_may_have_nothing_when_the_file_names_them_no_more() -> None:
    admitted = admit(None, session=make_bearer(COOKIE, audience=("billing", "api")))
    admitted.event.path, admitted.event.method, admitted.event.host = "/x", "GET", "app.example.com"

    assert Sites([site(keycloak={"audience": ["api"]})]).demanded(admitted) is not None
    assert Sites([site()]).demanded(admitted) is None
