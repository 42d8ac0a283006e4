"""From the file to the options of the own pages: no key may be lost on the way."""

from __future__ import annotations

from proxy import page_slices, slices
from proxy.core.throttle import Rate
from proxy.web.options import Feature, LoginMode
from tests.support.made_settings import settings


def test_our_own_answers_demand_https_where_the_public_url_has_it() -> None:
    over_http = settings(server={"public_url": "http://127.0.0.1:4180"})

    assert slices.everywhere(settings())[0][0] == b"Strict-Transport-Security"
    assert page_slices.web_options(settings()).strict_transport_security is Feature.ON
    for off in (over_http, settings(security_headers=False)):
        assert slices.everywhere(off) == ()
        assert page_slices.web_options(off).strict_transport_security is Feature.OFF


def test_the_path_of_the_public_url_precedes_the_prefix() -> None:
    rules = slices.gate_rules(settings())

    assert rules.own_prefix == b"/sub/_sidegate"
    assert page_slices.web_options(settings()).own_path == "/sub/_sidegate"
    assert slices.look(settings()).own_path == "/sub/_sidegate"


def test_the_own_pages_get_every_key() -> None:
    options = page_slices.web_options(
        settings(
            login={
                "mode": "redirect",
                "landing": "/home",
                "registration": True,
                "remember_me": False,
                "csrf_lifetime": "5m",
                "max_concurrent": 3,
            },
            sessions={"lifetime": "10d", "idle_timeout": "1d"},
            backchannel={"enabled": False},
        )
    )

    assert (options.login.mode, options.login.landing) == (LoginMode.REDIRECT, "/home")
    assert (options.login.registration, options.login.remember_me) == (Feature.ON, Feature.OFF)
    assert (options.login.csrf_lifetime_s, options.login.max_concurrent) == (300.0, 3)
    assert (options.sessions.lifetime_s, options.sessions.idle_timeout_s) == (864_000.0, 86_400.0)
    assert options.backchannel is Feature.OFF
    assert len(options.server_key) == 32


def test_offline_access_is_asked_in_both_ways_of_signing_in_and_once() -> None:
    given = settings(keycloak={"offline_access": True})
    twice = settings(keycloak={"offline_access": True, "scopes": ["openid", "offline_access"]})

    assert slices.provider_options(given).scopes == page_slices.web_options(given).scopes
    assert slices.provider_options(given).scopes == ("openid", "profile", "email", "offline_access")
    assert slices.provider_options(twice).scopes == ("openid", "offline_access")
    assert "offline_access" not in slices.provider_options(settings()).scopes
    assert "offline_access" in page_slices.web_options(given).plan.scopes


def test_how_many_sign_ins_may_fail() -> None:
    issuer = settings().keycloak.issuer
    usual = page_slices.throttle_rules(settings())
    off = page_slices.throttle_rules(settings(login={"throttle": {"per_user": "off", "per_address": 0}}))
    own = page_slices.throttle_rules(settings(login={"throttle": {"per_user": "3/1h"}}))

    assert (usual.issuer, usual.per_user, usual.per_address) == (issuer, Rate(5, 300), Rate(30, 300))
    assert (off.per_user, off.per_address) == (None, None)
    assert (own.per_user, own.per_address) == (Rate(3, 3600), Rate(30, 300))


def test_browsers_stay_known_under_every_key() -> None:
    keys = [{"value": letter * 43} for letter in "ABC"]

    options = page_slices.web_options(settings(sessions={"encryption_keys": keys}))

    assert (len(options.older_keys), options.server_key in options.older_keys) == (2, False)


def test_the_first_session_key_seals_and_all_are_known() -> None:
    given = settings(sessions={"encryption_keys": [{"value": "A" * 43}, {"value": "B" * 42 + "A"}]})

    keys = slices.encryption_keys(given)

    assert keys[0] == bytes(32)
    assert page_slices.web_options(given).server_key == keys[0]
    assert len(keys) == 2


def test_ids_of_sessions_are_the_same_for_people_and_operators() -> None:
    options = page_slices.web_options(settings())

    site = page_slices.managed_site(options)
    assert (site.issuer, site.client_id, site.server_key) == (options.issuer, options.client_id, options.server_key)


def test_what_one_portal_seals_no_other_opens() -> None:
    keys = (b"k" * 32, b"o" * 32)
    options = {name: page_slices.web_options(settings(), portal=name, keys=keys) for name in ("", "wiki", "admin")}

    assert options[""].server_key == keys[0]
    assert (
        len({one.server_key for one in options.values()} | {key for one in options.values() for key in one.older_keys})
        == 6
    )
    assert page_slices.web_options(settings(), portal="wiki", keys=keys).server_key == options["wiki"].server_key
