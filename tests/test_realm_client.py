"""The client at a realm goes on while sites are exchanged: laws of ``realm_client``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.settings.model import Settings
from proxy.settings.portals import SiteSettings
from proxy.site import Site
from tests.support.made_sites import shared_parts, site_file

if TYPE_CHECKING:
    from proxy.realm_client import RealmClient


def settings(**file: Any) -> Settings:
    return Settings.model_validate(site_file(**file))


class Ends:
    """Notes which providers were let go of."""

    def __init__(self, client: RealmClient) -> None:
        self.closed = 0
        self._close = client.provider.close
        client.provider.close = self.close  # type: ignore[method-assign]

    async def close(self) -> None:
        self.closed += 1
        await self._close()


def site(former: Site | None = None, **file: Any) -> Site:
    shared = shared_parts() if former is None else former._shared
    return Site(SiteSettings("", settings(**file)), shared, former=former)


def test_a_file_that_says_nothing_else_of_the_realm_has_the_same_client() -> None:
    first = site()

    second = site(first, login={"title": "Acme"}, server={"path_case": "ignore"})

    assert second.client is first.client
    assert second.refresher is first.refresher


def test_a_file_that_says_anything_else_of_it_has_another() -> None:
    first = site()

    for changed in (
        {"keycloak": {"client_id": "other"}},
        {"keycloak": {"timeout": "3s"}},
        {"keycloak": {"claims_from": ["access_token"]}},
        {"identity_headers": {"username_claim": "email"}},
    ):
        assert site(first, **changed).client is not first.client


async def test_the_last_site_that_leaves_lets_go_of_it() -> None:
    first = site(keycloak={"timeout": "10ms"})
    second = site(first, keycloak={"timeout": "10ms"})
    ends = Ends(first.client)
    await first.start()
    await second.start()

    await first.close()
    assert ends.closed == 0

    await second.close()
    assert ends.closed == 1


async def test_a_site_that_was_never_served_takes_nothing_along() -> None:
    first = site(keycloak={"timeout": "10ms"})
    ends = Ends(first.client)
    await first.start()

    await site(first, keycloak={"timeout": "10ms"}).close()

    assert ends.closed == 0
    await first.close()


async def test_tokens_are_refreshed_by_the_policy_of_who_has_taken_over() -> None:
    first = site()
    second = site(first, sessions={"refresh_before_expiry": "7s"})
    assert first.refresher._policy.lead_s == 60.0

    second.take_over()

    assert first.refresher._policy.lead_s == 7.0
