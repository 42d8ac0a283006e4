"""Which keys need a restart: laws of ``reload.restart_only``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.reload.restart_only import RESTART_ONLY, applicable
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from tests.support.made_sites import site_file

if TYPE_CHECKING:
    from proxy.settings.portals import SiteSettings

KEYS = {"encryption_keys": [{"value": "A" * 43}]}
TLS = {"cert_file": "/c.crt", "key_file": "/c.key"}


def sites(**file: Any) -> tuple[SiteSettings, ...]:
    return one_site(Settings.model_validate(site_file(**file)))


def waiting(running: tuple[SiteSettings, ...], wanted: tuple[SiteSettings, ...]) -> tuple[str, ...]:
    found = applicable(running, wanted)
    # What is told to wait is what runs on; and whoever is asked again with what runs has nothing to say.
    assert applicable(running, found.sites).waiting == ()
    return found.waiting


def test_a_file_that_changes_no_such_key_is_applied_as_it_is() -> None:
    wanted = sites(
        login={"title": "Acme"},
        keycloak={"client_id": "other"},
        sessions={"lifetime": "1d", "max_per_user": 3, "memory": {"max_sessions": 7}},
        server={"public_url": "https://new.example.com", "max_body_size": "1MiB"},
        log={"level": "debug"},
    )

    found = applicable(sites(), wanted)

    assert (found.waiting, found.sites) == ((), wanted)


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("server.listen", {"server": {"listen": "127.0.0.1:1"}}),
        ("server.tls", {"server": {"tls": TLS}}),
        ("management.listen", {"management": {"listen": "127.0.0.1:1"}}),
        ("management.api_listen", {"management": {"api_listen": "127.0.0.1:1"}}),
        ("sessions.store", {"sessions": {"store": "redis", **KEYS}}),
        ("audit.keep", {"audit": {"keep": "1d"}}),
        ("log.format", {"log": {"format": "console"}}),
        ("log.sample_2xx", {"log": {"sample_2xx": "10/s"}}),
        ("tracing", {"tracing": {"otlp_endpoint": "http://collector:4318"}}),
    ],
)
def test_a_key_that_is_opened_once_waits_and_the_rest_of_the_file_does_not(key: str, file: dict[str, Any]) -> None:
    file["login"] = {"title": "Acme"}

    found = applicable(sites(), sites(**file))

    assert found.waiting == (key,)
    assert found.sites[0].settings.login.title == "Acme"
    assert waiting(sites(), sites(**file)) == (key,)
    assert key in RESTART_ONLY


def test_another_certificate_file_needs_no_restart() -> None:
    wanted = sites(server={"tls": {**TLS, "cert_file": "/new.crt"}})

    assert applicable(sites(server={"tls": TLS}), wanted).sites == wanted


def test_another_redis_waits_where_sessions_are_in_redis_and_means_nothing_where_they_are_not() -> None:
    redis = {"store": "redis", **KEYS}
    other = {"redis": {"url": "redis://other:6379/0"}}

    assert waiting(sites(sessions=redis), sites(sessions={**redis, **other})) == ("sessions.redis",)
    assert waiting(sites(), sites(sessions=other)) == ()


def test_new_keys_of_sessions_in_redis_need_no_restart() -> None:
    rotated = {"store": "redis", "encryption_keys": [{"value": "B" * 43}, {"value": "A" * 43}]}

    assert waiting(sites(sessions={"store": "redis", **KEYS}), sites(sessions=rotated)) == ()


def test_another_store_waits_with_the_keys_that_belong_to_it() -> None:
    """What runs in Redis must not lose the keys that open it because the next start is to be without."""
    running = sites(sessions={"store": "redis", **KEYS})

    found = applicable(running, sites(sessions={"store": "memory", "lifetime": "1d"}))

    kept = found.sites[0].settings.sessions
    assert (kept.store, len(kept.encryption_keys), kept.lifetime) == ("redis", 1, 86400.0)


def test_what_waits_waits_in_every_site() -> None:
    (one,) = sites(server={"listen": "127.0.0.1:1"})

    found = applicable(sites(), (one, one._replace(name="admin")))

    assert [site.settings.server.listen for site in found.sites] == [sites()[0].settings.server.listen] * 2
    assert [site.name for site in found.sites] == ["", "admin"]
