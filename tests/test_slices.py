"""From the file to the rooms' options: no key may be lost on the way."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from proxy import slices
from proxy.core.authentication import OfClient
from proxy.core.headers import AccessTokenField, HostField, Preset
from proxy.core.narrowing import EVERYTHING, Narrowing
from proxy.core.routing import (
    Activity,
    Cache,
    Conditions,
    Csrf,
    OnUnauthenticated,
    PathCase,
    Preflight,
    ServiceWorker,
    TokenExchange,
)
from proxy.core.secret import Secret
from proxy.core.target import Extensions
from proxy.errors import ClientMisconfigured, SettingsError
from proxy.forward.options import TcpAddress, UnixAddress
from proxy.gate.verify import ForwardAuthRules, Source, Strangers
from proxy.management_client import ApiAddress
from proxy.observe.request_sample import LineRate
from proxy.oidc.client_assertion import ClientSecretJwt, PrivateKeyJwt, ServiceAccountToken
from proxy.oidc.client_auth import ClientSecretBasic, ClientSecretPost, NoClientSecret
from proxy.ports import UpstreamPlace
from proxy.settings.signing_keys import make_signing_key
from tests.support.clocks import FakeClock
from tests.support.made_settings import settings
from tests.support.observers import RecordingObserver


def test_the_client_of_the_file_is_the_one_whose_logins_go_on() -> None:
    served = (OfClient("https://sso.example.com/realms/acme", "legacy-app"),)

    assert slices.served_clients(settings()) == served


def test_a_route_keeps_everything_that_the_file_says() -> None:
    route = slices.route_table(
        settings(
            routes=[
                {
                    "path": "/old/**",
                    "methods": ["GET"],
                    "access": {"any_role": ["admin"]},
                    "on_unauthenticated": 401,
                    "preflight": "pass",
                    "passive": True,
                    "strip_prefix": "/old",
                    "headers": {"set": {"X-Area": "old"}, "remove": ["X_Debug", "X.Trace"]},
                    "csrf": "off",
                    "cache": "as_sent",
                    "service_worker": True,
                }
            ]
        )
    ).routes[0]

    assert (route.pattern, route.methods, route.upstream) == ("/old/**", ("GET",), "app")
    assert isinstance(route.access, Conditions)
    assert route.on_unauthenticated is OnUnauthenticated.UNAUTHORIZED
    assert route.preflight is Preflight.PASS
    assert route.activity is Activity.PASSIVE
    assert route.strip_prefix == b"/old"
    assert route.header_remove == {b"x-debug", b"x-trace"}
    assert [(template.field_name, template.text) for template in route.header_set] == [(b"X-Area", "old")]
    assert (route.csrf, route.cache, route.service_worker) == (Csrf.OFF, Cache.AS_SENT, ServiceWorker.ALLOWED)


def test_service_workers_are_refused_only_beside_a_login_page_of_ours() -> None:
    form = slices.route_table(settings()).routes[0]
    redirect = slices.route_table(settings(login={"mode": "redirect"})).routes[0]

    assert form.service_worker is ServiceWorker.REFUSED
    assert redirect.service_worker is ServiceWorker.ALLOWED


def test_what_is_believed_and_answered() -> None:
    rules = slices.accept_rules(
        settings(
            server={
                "hosts": ["other.example"],
                "trusted_proxies": ["10.0.0.0/8"],
                "app_reads": {"extensions": True, "front_controllers": ["index.php"]},
            }
        )
    )

    assert set(rules.hosts) == {"app.example.com", "other.example"}
    assert str(rules.trusted_proxies[0]) == "10.0.0.0/8"
    assert rules.target.extensions is Extensions.REMOVED
    assert rules.target.front_controllers == ("index.php",)


def test_origins_and_redirect() -> None:
    rules = slices.gate_rules(
        settings(server={"allowed_origins": ["https://portal.example"], "https_redirect": True, "path_case": "ignore"})
    )

    assert rules.allowed_origins.origins == {b"https://app.example.com", b"https://portal.example"}
    assert rules.https_origin == b"https://app.example.com"
    assert rules.routes.path_case is PathCase.IGNORE


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://legacy:80", b"legacy"), ("http://[::1]:8000", b"[::1]:8000"), ("unix:/run/app.sock", b"localhost")],
)
def test_the_host_of_an_upstream(url: str, host: bytes) -> None:
    upstream = slices.gate_rules(settings(upstreams={"app": {"url": url, "preserve_host": False}})).upstreams["app"]

    assert upstream.host == host
    assert upstream.host_field is HostField.OF_UPSTREAM
    assert upstream.access_token_field is AccessTokenField.WITHHELD


def test_addresses_and_time_limits_of_upstreams() -> None:
    given = settings(
        upstreams={
            "app": {"url": "https://legacy:8443", "connect_timeout": "1s", "response_timeout": "2s"},
            "two": {"url": "unix:/run/app.sock"},
        },
        routes=[{"path": "/**", "upstream": "app"}],
    )
    tls = slices.upstream_tls(given)
    options = slices.upstream_options(given, tls)

    assert options["app"].address == TcpAddress("legacy", 8443)
    assert options["app"].tls is not None
    assert options["app"].tls() is tls["app"].context
    assert tls["app"].context.verify_mode is ssl.CERT_REQUIRED
    assert options["two"].tls is None
    assert (options["app"].connect_timeout_s, options["app"].response_timeout_s) == (1.0, 2.0)
    assert options["two"].address == UnixAddress("/run/app.sock")


def test_limits_of_the_listener() -> None:
    options = slices.forward_options(
        settings(
            server={
                "max_header_size": "8KiB",
                "max_body_size": "1MiB",
                "timeouts": {"head": "1s", "idle": "2s", "body_idle": "3s"},
            }
        ),
        None,
        descriptors=1024,
    )

    assert (options.limits.head_bytes, options.max_body_size) == (8192, 1 << 20)
    assert (options.head_timeout_s, options.idle_timeout_s, options.body_idle_timeout_s) == (1.0, 2.0, 3.0)


def test_clients_leave_descriptors_for_upstreams_and_have_a_cap_of_their_own() -> None:
    few = slices.forward_options(settings(), None, descriptors=1024)
    many = slices.forward_options(settings(), None, descriptors=1 << 20)

    assert (few.max_connections, many.max_connections) == (768, 20_000)


def test_a_certificate_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "x.pem"
    file.write_text("no certificate")

    with pytest.raises(SettingsError, match=r"server\.tls"):
        slices.server_tls(settings(server={"tls": {"cert_file": str(file), "key_file": str(file)}}))
    with pytest.raises(SettingsError, match=r"upstreams\.app\.tls"):
        slices.upstream_tls(settings(upstreams={"app": {"url": "https://h", "tls": {"ca_file": str(file)}}}))


def test_the_provider_gets_every_key() -> None:
    options = slices.provider_options(
        settings(
            keycloak={
                "internal_url": "http://keycloak:8080/realms/acme",
                "endpoints": {"userinfo": "https://sso.example.com/me", "introspection": "https://sso.example.com/i"},
                "client_auth": {"method": "client_secret_post", "secret": {"value": "s"}},
                "scopes": ["openid"],
                "claims_from": ["userinfo"],
                "signing_algorithms": ["ES256"],
                "timeout": "3s",
            },
            identity_headers={"username_claim": "email"},
        )
    )

    assert options.internal_url == "http://keycloak:8080/realms/acme"
    assert options.endpoints.userinfo == "https://sso.example.com/me"
    assert options.endpoints.introspection == "https://sso.example.com/i"
    assert isinstance(options.authentication, ClientSecretPost)
    assert (options.scopes, options.claims_from) == (("openid",), ("userinfo",))
    assert options.signing_algorithms == {"ES256"}
    assert (options.username_claim, options.timeout_s) == ("email", 3.0)


def test_a_public_client_has_no_secret() -> None:
    options = slices.provider_options(settings(keycloak={"client_auth": {"method": "none"}}))

    assert isinstance(options.authentication, NoClientSecret)


@pytest.mark.parametrize(
    ("client_auth", "method"),
    [
        ({"secret": {"value": "s"}}, ClientSecretBasic),
        ({"method": "client_secret_jwt", "secret": {"value": "s" * 32}}, ClientSecretJwt),
        ({"method": "private_key_jwt", "private_key": {"env": "KEY"}, "key_id": "k"}, PrivateKeyJwt),
        ({"method": "kubernetes_service_account"}, ServiceAccountToken),
        ({"method": "tls_client_auth", "cert_file": "a.crt", "key_file": "a.key"}, NoClientSecret),
    ],
)
def test_each_method_of_client_authentication_is_wired(client_auth: dict[str, Any], method: type) -> None:
    options = slices.provider_options(settings(keycloak={"client_auth": client_auth}))

    assert type(options.authentication) is method
    shown = None if options.certificate is None else options.certificate.cert_file
    assert shown == (Path("a.crt") if "cert_file" in client_auth else None)


def test_the_token_of_the_pod_is_read_where_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    client_auth = {"method": "kubernetes_service_account", "token_file": str(file)}
    method = slices.provider_options(settings(keycloak={"client_auth": client_auth})).authentication

    assert method.credentials(audience="").form["client_assertion"] == "one"
    file.unlink()
    with pytest.raises(ClientMisconfigured, match=r"keycloak\.client_auth\.token_file"):
        method.credentials(audience="")


def test_a_secret_file_is_read_again_and_its_loss_is_our_fault_not_the_users(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("one\n")
    options = slices.provider_options(settings(keycloak={"client_auth": {"secret": {"file": str(file)}}}))
    read = options.authentication.secret  # type: ignore[attr-defined] # the protocol does not name it

    assert read() == Secret("one")
    file.write_text("two\n")
    assert read() == Secret("two")
    file.unlink()
    with pytest.raises(ClientMisconfigured):
        read()


def test_access_tokens_count_for_our_client_and_the_audiences_of_the_file() -> None:
    rules = slices.bearer_rules(settings(identity_headers={"username_claim": "email"}))

    assert rules is not None
    assert (rules.identity.issuer, rules.identity.client_id) == (settings().keycloak.issuer, "legacy-app")
    assert (rules.identity.username_claim, rules.audiences) == ("email", frozenset())


def test_access_tokens_are_the_apps_own_business_where_the_file_says_so() -> None:
    assert slices.bearer_rules(settings(bearer={"enabled": False})) is None


def test_the_pages_get_every_key_of_the_look() -> None:
    given = settings(
        login={
            "title": "Acme",
            "description": "Staff only.",
            "logo_file": "logo.svg",
            "icon_file": "icon.ico",
            "theme": {"accent": "#0F766E"},
            "templates_dir": "templates",
        }
    )

    look = slices.look(given)
    assert (look.title, look.description, look.accent) == ("Acme", "Staff only.", "#0f766e")
    assert (look.logo_file, look.icon_file) == (Path("logo.svg"), Path("icon.ico"))
    assert look.templates_dir == Path("templates")
    assert slices.look(settings()).accent is None


def test_identity_headers_and_cookies() -> None:
    rules = slices.gate_rules(
        settings(
            identity_headers={
                "preset": "remote",
                "set": {"X-Department": "{claims.department}"},
                "role_clients": ["billing"],
                "unverified_email": "send",
            },
            sessions={"cookie": {"name": "acme", "strip": ["KEYCLOAK_IDENTITY"]}},
        )
    )

    assert rules.headers.preset is Preset.REMOTE
    assert [template.field_name for template in rules.headers.templates] == [b"X-Department"]
    assert rules.headers.role_clients == ("billing",)
    assert rules.cookies.session == b"__Host-acme"
    assert rules.headers.without_own_cookies(b"a=1; KEYCLOAK_IDENTITY=x; __Host-acme=y") == b"a=1"


def test_limits_of_the_store_and_the_refresh() -> None:
    sessions = {"memory": {"max_sessions": 5}, "max_per_user": 2, "refresh_before_expiry": "30s", "outage_grace": "5m"}
    given = settings(sessions=sessions)

    limits = slices.memory_limits(given)
    assert (limits.max_sessions, limits.max_per_user) == (5, 2)
    policy = slices.refresh_policy(given)
    assert (policy.lead_s, policy.outage_grace_s) == (30.0, 300.0)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:4191", ApiAddress("http://127.0.0.1:4191")),
        ("0.0.0.0:4191", ApiAddress("http://127.0.0.1:4191")),
        ("[::]:4191", ApiAddress("http://[::1]:4191")),
        ("[2001:db8::1]:80", ApiAddress("http://[2001:db8::1]:80")),
        ("api.internal:80", ApiAddress("http://api.internal:80")),
        ("unix:/run/api.sock", ApiAddress("http://localhost", unix_path="/run/api.sock")),
    ],
)
def test_our_own_commands_reach_the_api_where_it_listens(listen: str, address: ApiAddress) -> None:
    assert slices.api_address(settings(management={"api_listen": listen})) == address


def test_the_token_of_the_api_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    read = slices.admin_token(settings(management={"admin_token": {"file": str(file)}}))

    assert read() == Secret("old")
    file.write_text("new")
    assert read() == Secret("new")
    file.unlink()
    with pytest.raises(SettingsError):
        read()
    assert slices.admin_token(settings())() is None


def test_what_the_app_of_a_route_is_told() -> None:
    routes = slices.route_table(
        settings(
            routes=[
                {"path": "/a", "headers": {"roles": ["viewer"], "groups": []}},
                {"path": "/b", "token_exchange": {"audience": "billing", "scope": "  a   b "}},
                {"path": "/**"},
            ]
        )
    ).routes

    assert routes[0].narrowing == Narrowing(roles=("viewer",), groups=())
    assert routes[1].token_exchange == TokenExchange(audience="billing", scope="a b")
    assert (routes[2].narrowing is EVERYTHING, routes[2].token_exchange) == (True, None)


def test_the_hosts_that_mean_this_site_in_an_apps_answer() -> None:
    rules = slices.gate_rules(settings(server={"public_url": "https://App.example.com", "hosts": ["inner:8080"]}))

    assert [host in rules.own_hosts for host in ("app.example.com", "inner:8080", "else")] == [True, True, False]


def test_who_signs_what_an_app_is_told() -> None:
    observer = RecordingObserver()
    given = {"header": "X-Proof", "audience": "app", "signing_key": {"value": make_signing_key()}}
    signed = settings(identity_headers={"assertion": given})

    assertion = slices.identity_assertion(signed, clock=FakeClock(), observer=observer)

    assert assertion is not None
    assert len(cast("list[object]", assertion.key_set()["keys"])) == 1
    assert b"x-proof" in slices.gate_rules(signed).headers.identity_names
    assert slices.gate_rules(signed).headers.assertion_field == b"X-Proof"
    assert slices.identity_assertion(settings(), clock=FakeClock(), observer=observer) is None


def test_lines_are_left_out_where_the_file_says_how_many_are_written() -> None:
    assert slices.log_sample(settings()) is None
    assert slices.log_sample(settings(log={"sample_2xx": "100/10s"})) == LineRate(100, 10.0)


def test_traces_go_where_the_file_says_with_secrets_as_they_are_now(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    assert slices.tracing_options(settings()) is None
    options = slices.tracing_options(
        settings(
            tracing={
                "otlp_endpoint": "http://collector:4318/",
                "sampling_ratio": 0.1,
                "headers": {"Authorization": {"file": str(file)}},
            }
        )
    )

    assert options is not None
    assert (options.endpoint, options.service_name, options.ratio) == (
        "http://collector:4318/v1/traces",
        "sidegate",
        0.1,
    )
    assert options.headers() == {"Authorization": "old"}
    file.write_text("new")
    assert options.headers() == {"Authorization": "new"}


def test_an_upstream_has_a_place_in_traces_by_the_key_that_the_gate_gives_it() -> None:
    one = settings(upstreams={"app": {"url": "https://app.internal"}, "b": {"url": "unix:/run/b"}}, routes=[
        {"path": "/**", "upstream": "app"}])  # fmt: skip

    places = slices.upstream_places(one, site="admin")
    assert places == {
        slices.upstream_key("admin", "app"): UpstreamPlace("app", "app.internal", 443),
        slices.upstream_key("admin", "b"): UpstreamPlace("b", "/run/b", None),
    }


def test_another_proxy_is_answered_by_the_rules_of_the_file_and_not_without_them() -> None:
    asked = settings(forward_auth={"source": "x-original", "on_unauthenticated": 302})

    assert slices.gate_rules(settings()).forward_auth is None
    assert slices.gate_rules(asked).forward_auth == ForwardAuthRules(Source.X_ORIGINAL, Strangers.LED)
    assert slices.gate_rules(settings(forward_auth={})).forward_auth == ForwardAuthRules(
        Source.X_FORWARDED, Strangers.TOLD
    )
