"""One site: wired of one Settings, and let go of whole."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.errors import SidegateError
from proxy.settings.load import SiteSettings
from proxy.settings.model import Settings
from proxy.settings.signing_keys import make_signing_key
from proxy.site import Site
from tests.support.made_sites import SERVER_KEY, shared_parts, site_file
from tests.support.sessions import make_session


def site(**file: Any) -> Site:
    return Site(SiteSettings("", Settings.model_validate(site_file(**file))), shared_parts())


def test_its_forms_are_sealed_with_the_keys_of_the_process_so_that_they_outlive_it() -> None:
    first, second = site(), site()

    assert first.web_options.server_key == second.web_options.server_key == SERVER_KEY


async def test_the_tokens_of_apps_are_let_go_with_their_session_while_it_serves_and_an_old_site_hears_no_more() -> None:
    shared = shared_parts()
    file = site_file(keycloak={"internal_url": "http://127.0.0.1:1/realms/acme", "timeout": "10ms"})
    started = Site(SiteSettings("", Settings.model_validate(file)), shared)
    session = make_session(Secret("a" * 43))
    kept = started._exchanges._kept

    await started.start()
    kept.put(session.key, {}, 1)
    shared.live.session_ended(session.key, EndCause.LOGOUT)
    assert kept == {}

    await started.close()
    assert shared.live._hearers == []


async def test_its_own_pages_answer_once_it_has_started() -> None:
    started = site(keycloak={"internal_url": "http://127.0.0.1:1/realms/acme", "timeout": "10ms"})
    with pytest.raises(SidegateError):
        await started.own_pages.open()

    await started.start()
    await started.until_ready()
    connection = await started.own_pages.open()

    assert connection.is_usable
    await started.close()
    await started.close()
    with pytest.raises(SidegateError):
        await started.own_pages.open()


async def test_what_the_file_wants_signed_is_signed_and_its_keys_are_shown() -> None:
    assertion = {"audience": "app", "signing_key": {"value": make_signing_key()}}
    signing = site(identity_headers={"assertion": assertion})
    silent = site()

    def paths(one: Site) -> set[str]:
        return {route.resource.canonical for route in one._own_application().router.routes() if route.resource}

    assert paths(signing) - paths(silent) == {"/_sidegate/jwks"}
    assert signing.gate._parts.assertion is not None
    assert (silent.gate._parts.assertion, silent.gate._parts.exchanged is None) == (None, False)
