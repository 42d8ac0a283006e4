"""One site: wired of one Settings, and let go of whole."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import SidegateError
from proxy.settings.load import SiteSettings
from proxy.settings.model import Settings
from proxy.site import Site
from tests.support.made_sites import SERVER_KEY, shared_parts, site_file


def site(**file: Any) -> Site:
    return Site(SiteSettings("", Settings.model_validate(site_file(**file))), shared_parts())


def test_its_forms_are_sealed_with_the_keys_of_the_process_so_that_they_outlive_it() -> None:
    first, second = site(), site()

    assert first.web_options.server_key == second.web_options.server_key == SERVER_KEY


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
