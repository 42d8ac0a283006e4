"""What no single key can know."""

from __future__ import annotations

import datetime as dt
from textwrap import indent
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.settings.secret_source import make_key
from tests.settings.conftest import file_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.settings.conftest import LoadText

KEY = make_key(bytes)


def said(load_text: LoadText, text: str) -> list[str]:
    return [str(problem).removeprefix("s.yaml:") for problem in load_text(text).problems]


def routes(*lines: str) -> str:
    return file_with("", "routes:\n" + "\n".join(f"- {line}" for line in lines))


WRONG = [
    (
        "management",
        "listen: 0.0.0.0:4180",
        "2:3  management.listen: is the address of server.listen too; choose another port",
    ),
    (
        "server",
        "listen: 0.0.0.0:4190",
        "2:3  server.listen: is the address of management.listen too; choose another port",
    ),
    (
        "server",
        "hosts: [old.example.com, 'old.example.com:443', '*.example.com:8443']",
        (
            "2:28  server.hosts[1]: warning: is never answered, for nobody who comes by https is known with that port; "
            "write old.example.com"
        ),
    ),
    (
        "server",
        "https_redirect: true\ntrusted_proxies: []",
        (
            "2:3  server.https_redirect: warning: sends every request round in a circle, for nobody ends TLS "
            "or says so; name the proxy that ends TLS in trusted_proxies, or set tls"
        ),
    ),
    (
        "server",
        "https_redirect: true\npublic_url: http://localhost:4180",
        (
            "2:3  server.https_redirect: warning: sends browsers to https, and public_url says http; "
            "write https in public_url, or false here"
        ),
    ),
    (
        "server",
        "trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]",
        "2:33  server.trusted_proxies[1]: warning: trusts whoever connects; name the networks of your proxies alone",
    ),
    (
        "",
        "forward_auth: {}\nserver: {public_url: http://a.test}",
        (
            "1:1  forward_auth: is never answered but by 403, for server.trusted_proxies names nobody; "
            "name the proxy that asks there, e.g. [10.0.0.0/8]"
        ),
    ),
    (
        "",
        (
            "forward_auth: {}\nlogin: {mode: redirect}\n"
            "server: {public_url: http://a.test, listen: unix:/s, trusted_proxies: [10.0.0.0/8]}"
        ),
        (
            "1:1  forward_auth: is never answered but by 403, for whoever connects to a unix socket has no address; "
            "listen on host:port and name that proxy in server.trusted_proxies"
        ),
    ),
    (
        "",
        (
            "forward_auth: {source: x-original, on_unauthenticated: 302}\n"
            "server: {public_url: http://a.test, trusted_proxies: [10.0.0.0/8]}"
        ),
        (
            "1:36  forward_auth.on_unauthenticated: warning: makes nginx answer 500, for auth_request takes 302 for a "
            "fault; write 401, and redirect to the Location that comes with it, as docs/forward-auth.md shows"
        ),
    ),
    (
        "keycloak",
        "client_auth: {method: none, secret: {env: CLIENT_SECRET}}",
        "2:31  keycloak.client_auth.secret: is never used with method none; take it out, or write another method",
    ),
    (
        "keycloak",
        "client_auth: {method: client_secret_post}",
        (
            "2:3  keycloak.client_auth.secret: is missing, and client_secret_post needs it; "
            "add secret: {file: PATH}, or write method: none for a public client"
        ),
    ),
    (
        "keycloak",
        "client_auth: {secret: {env: NOT_SET}}",
        (
            "2:26  keycloak.client_auth.secret.env: cannot be used: the variable NOT_SET is not set; "
            "set it in the environment of sidegate"
        ),
    ),
    (
        "keycloak",
        "client_auth: {secret: {file: nope}}",
        (
            "2:26  keycloak.client_auth.secret.file: cannot be used: the file nope cannot be read "
            "(no such file or directory); check the path"
        ),
    ),
    (
        "keycloak",
        "client_auth: {secret: {value: hunter2}}",
        (
            "2:26  keycloak.client_auth.secret.value: warning: is a secret in the settings file; "
            "write {file: PATH} or {env: NAME}"
        ),
    ),
    (
        "keycloak",
        'client_auth: {secret: {value: "${NOT_SET:-hunter2}"}}',
        (
            "2:26  keycloak.client_auth.secret.value: warning: is a secret in the settings file; "
            "write {file: PATH} or {env: NAME}"
        ),
    ),
    (
        "keycloak",
        "scopes: [profile]",
        "2:3  keycloak.scopes: lack openid, without which there is no ID token; add openid",
    ),
    (
        "keycloak",
        "auth_params: {ui_locales: de, State: x}",
        "2:33  keycloak.auth_params.State: is set by Sidegate itself; take it out",
    ),
    (
        "keycloak",
        "ca_file: nope.pem",
        "2:3  keycloak.ca_file: names nope.pem, which cannot be read (no such file or directory); check the path",
    ),
    (
        "keycloak",
        "ca_file: s.yaml",
        "2:3  keycloak.ca_file: names s.yaml, which holds no certificates; name a file of PEM certificates",
    ),
    (
        "sessions",
        "encryption_keys: [{env: CLIENT_SECRET}]",
        (
            "2:22  sessions.encryption_keys[0].env: cannot be used: the variable CLIENT_SECRET is no session key of "
            "32 bytes; make one with `sidegate keygen`"
        ),
    ),
    (
        "sessions",
        "lifetime: 1d\nidle_timeout: 2d",
        "3:3  sessions.idle_timeout: warning: is longer than sessions.lifetime and never comes; write a shorter one",
    ),
    (
        "sessions",
        "cookie: {domain: example.com}",
        (
            "2:12  sessions.cookie.domain: warning: lets every host of the domain read and set the session cookie; "
            "leave the key out unless several hosts must share the session"
        ),
    ),
    (
        "sessions",
        "cookie: {domain: ample.com}",
        (
            "2:12  sessions.cookie.domain: does not hold app.example.com, the host of server.public_url; "
            "write a domain that the host belongs to, or leave the key out"
        ),
    ),
    (
        "identity_headers",
        "set: {X-Dept: a, x_dept: b}",
        "2:20  identity_headers.set.x_dept: is X-Dept to an app; keep one of the two",
    ),
]


@pytest.mark.parametrize(("section", "lines", "sentence"), WRONG)
def test_a_contradiction_is_said_at_the_key_that_makes_it(
    section: str, lines: str, sentence: str, load_text: LoadText
) -> None:
    assert said(load_text, file_with(section, lines)) == [sentence]


RIGHT = [
    ("server", "public_url: http://localhost:4180\nhosts: ['app.localhost:443', '[::80]']"),
    ("server", "public_url: https://app.example.com/old"),
    ("server", "https_redirect: true\ntrusted_proxies: [10.0.0.0/8]"),
    ("keycloak", "client_auth: {method: none}"),
    ("keycloak", 'client_auth: {secret: {value: "${CLIENT_SECRET}"}}'),
    ("keycloak", 'client_auth: {secret: {value: "${CLIENT_SECRET:-hunter2}"}}'),
    ("sessions", "lifetime: 1d"),
    ("sessions", "cookie: {same_site: None}"),
    ("routes", "- {path: /a, methods: [GET]}\n- {path: /a, methods: [POST]}\n- {path: /a}\n- {path: /**}"),
    ("routes", "- {path: /a/*}\n- {path: /a/**}\n- {path: /**}"),
    ("routes", "- {path: /old/**, strip_prefix: /old}\n- {path: /**}"),
    ("routes", "- {path: /gold, access: {acr: [gold, platinum], max_age: 5m}}\n- {path: /**}"),
    ("routes", "- {path: /signout, logout: true}\n- {path: /out, methods: [POST], logout: true}\n- {path: /**}"),
]


@pytest.mark.parametrize(("section", "lines"), RIGHT)
def test_what_is_right_is_not_complained_about(section: str, lines: str, load_text: LoadText) -> None:
    assert said(load_text, file_with(section, lines)) == []


ROUTES = [
    (
        ["{path: /**}", "{path: /admin/**, access: {all_roles: [admin]}}"],
        [("3:4  routes[1].path: warning: is shadowed and never matches, for routes[0] (/**) takes every such request; "
         "put it before that one, or take it out")],
    ),
    (
        ["{path: /a/*, methods: [GET]}", "{path: /a/b, methods: [POST]}", "{path: /**}"],
        [("3:4  routes[1].path: warning: is shadowed and never matches, for routes[0] (/a/*) takes every such request; "
         "put it before that one, or take it out")],
    ),
    (
        ["{path: /a, methods: [GET]}", "{path: /a/, methods: [HEAD]}", "{path: /**}"],
        [("3:4  routes[1].path: warning: is shadowed and never matches, for routes[0] (/a) takes every such request; "
         "put it before that one, or take it out")],
    ),
    (
        ["{path: /Admin/**, access: {all_roles: [admin]}}", "{path: /admin/**, access: public}", "{path: /**}"],
        [("3:4  routes[1].path: differs from routes[0] (/Admin/**) only in case; "
         "write both alike, and server.path_case: ignore if the app does not tell case apart")],
    ),
    (
        ["{path: /a}"],
        [("1:1  routes: warning: have no /**, so every other path is 404; "
         "add {path: /**, access: authenticated} at the end if the app has more")],
    ),
    (
        ["{path: /_sidegate/login, access: public}", "{path: /**}"],
        [("2:4  routes[0].path: warning: lies under /_sidegate, which is Sidegate's own; "
         "take it out, or choose another server.prefix")],
    ),
    (
        ["{path: /new/**, strip_prefix: /old}", "{path: /**}"],
        [("2:19  routes[0].strip_prefix: is not what the paths of /new/** begin with; "
         "write /new or less, or let the path begin with it")],
    ),
    (
        ["{path: /**, access: {claims: {acr: gold}}}"],
        [("2:33  routes[0].access.claims.acr: warning: is the claim of the last refresh, not of the login, and nobody "
          "is asked for more proof; write acr beside claims instead")],
    ),
    (
        ["{path: /**, access: {max_age: 40d}}"],
        [("2:24  routes[0].access.max_age: warning: never counts, for every session ends before; "
          "write less than sessions.lifetime, or take it out")],
    ),
    (
        ["{path: /**, headers: {set: {X-A: a, X_A: b}}}"],
        ["2:39  routes[0].headers.set.X_A: is X-A to an app; keep one of the two"],
    ),
    (
        ["{path: /**, upstream: ap}"],
        ["2:15  routes[0].upstream: names ap, and there is no such upstream; did you mean app?"],
    ),
    (
        ["{path: /**, upstream: zzz}"],
        ["2:15  routes[0].upstream: names zzz, and there is no such upstream; write app"],
    ),
    (
        ["{path: /signout, logout: true, access: public, upstream: zzz}", "{path: /**}"],
        [
            f"2:{column}  routes[0].{key}: has no effect beside logout: true, for nothing of this route reaches the "
            "app; take it out"
            for column, key in ((34, "access"), (50, "upstream"))
        ],
    ),
    (
        ["{path: /signout, logout: true, methods: [DELETE]}", "{path: /**}"],
        [("2:34  routes[0].methods: names neither GET nor POST, and a logout link is one of them; "
         "leave it out, or write [GET, POST]")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "sentences"), ROUTES)
def test_routes_that_do_not_fit_together_are_said(lines: list[str], sentences: list[str], load_text: LoadText) -> None:
    assert said(load_text, routes(*lines)) == sentences


def test_several_upstreams_must_be_named_by_each_route(load_text: LoadText) -> None:
    text = file_with("upstreams", "old: {url: unix:/o}\nnew: {url: unix:/n}\napp: {url: unix:/a}")
    text += "routes:\n- {path: /a, upstream: old}\n- {path: /**}\n"

    assert said(load_text, text) == [
        "14:3  routes[1].upstream: is missing, and there are several upstreams; add upstream: old or new or app"
    ]


def test_several_upstreams_without_routes_are_a_riddle(load_text: LoadText) -> None:
    assert said(load_text, file_with("upstreams", "old: {url: unix:/o}")) == [
        "1:1  routes: are missing, and there are several upstreams; add routes, each with its upstream"
    ]


def test_an_upstream_that_no_route_leads_to_is_a_warning(load_text: LoadText) -> None:
    text = file_with("upstreams", "old: {url: unix:/o}") + "routes:\n- {path: /**, upstream: app}\n"

    assert said(load_text, text) == [
        "2:3  upstreams.old: warning: is led to by no route; add a route with it, or take it out"
    ]


def test_the_same_session_key_twice_is_a_rotation_that_did_not_happen(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "one").write_text(f"{KEY}\n")
    (tmp_path / "two").write_text(f"{KEY}=")

    assert said(load_text, file_with("sessions", "encryption_keys: [{file: one}, {file: two}]")) == [
        (
            "2:34  sessions.encryption_keys[1]: is the same key as number 1; "
            "make another with `sidegate keygen`, or take it out"
        )
    ]


def test_same_site_none_needs_https(load_text: LoadText) -> None:
    text = file_with("sessions", "cookie: {same_site: None}").replace("https://app", "http://app")

    assert said(load_text, text) == [
        (
            "2:12  sessions.cookie.same_site: None is refused by browsers without https; "
            "write Lax, or https in server.public_url"
        )
    ]


def write_certificate(folder: Path, name: str) -> None:
    """Write ``NAME.crt`` and ``NAME.key``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start.replace(year=2036))
    pem = serialization.Encoding.PEM
    (folder / f"{name}.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_a_certificate_with_its_key_is_fine(load_text: LoadText, tmp_path: Path) -> None:
    write_certificate(tmp_path, "app")
    lines = "tls: {cert_file: app.crt, key_file: app.key, client_ca_file: app.crt}"

    assert said(load_text, file_with("server", lines)) == []


def test_the_key_of_another_certificate_is_refused(load_text: LoadText, tmp_path: Path) -> None:
    write_certificate(tmp_path, "app")
    write_certificate(tmp_path, "other")

    assert said(load_text, file_with("server", "tls: {cert_file: app.crt, key_file: other.key}")) == [
        (
            "2:3  server.tls: has a certificate and a key that do not belong together; "
            "write the PEM files of one certificate and its unencrypted key"
        )
    ]


def test_each_unreadable_file_of_tls_is_said_alone(load_text: LoadText, tmp_path: Path) -> None:
    write_certificate(tmp_path, "app")

    assert said(load_text, file_with("server", "tls: {cert_file: app.crt, key_file: ., client_ca_file: app.key}")) == [
        "2:29  server.tls.key_file: names ., which cannot be read (is a directory); check the path",
        "2:42  server.tls.client_ca_file: names app.key, which holds no certificates; name a file of PEM certificates",
    ]


def test_a_look_that_cannot_be_had_is_told_key_by_key(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "icon.jpg").write_bytes(b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x02\x00\x03")
    files = "logo_file: page.html\nicon_file: icon.jpg\ntemplates_dir: page.html\n"

    assert said(load_text, file_with("login", files + "theme:\n  accent: #fff\n")) == [
        (
            "2:3  login.logo_file: names page.html, which is no picture that browsers show (no picture); "
            "save it as SVG, PNG, JPEG or WEBP"
        ),
        "3:3  login.icon_file: names icon.jpg, which is JPEG; save it as SVG, PNG or ICO",
        (
            "4:3  login.templates_dir: names page.html, which cannot be read (not a directory); "
            "name the folder with your templates, or leave the key out"
        ),
        '6:5  login.theme.accent: is empty, for an unquoted # begins a comment; write it in quotes: "#2457c5"',
    ]


def test_a_language_without_words_is_told_which_there_are(load_text: LoadText, tmp_path: Path) -> None:
    own = tmp_path / "own/locales/it/messages.po"
    own.parent.mkdir(parents=True)
    own.write_text("")
    remedy = "write en, de, fr, es, or put your own into locales/pl/messages.po of templates_dir"

    assert said(load_text, file_with("login", "locales: [de, pl, de-AT]")) == [
        f"2:17  login.locales[1]: names pl, and there are no words for it; {remedy}"
    ]
    assert said(load_text, file_with("login", "locales: [de, it, pl]\ntemplates_dir: own")) == [
        f"2:21  login.locales[2]: names pl, and there are no words for it; {remedy}"
    ]


def test_a_colour_in_braces_without_quotes_is_a_comment_and_is_told_so(load_text: LoadText) -> None:
    assert said(load_text, file_with("", "login: {theme: {accent: #0f766e}}\nlog: {level: info}")) == [
        "2:4  the file is not YAML here: an unquoted # began a comment; put a colour in quotes"
    ]


def test_a_route_that_is_wrong_hides_nothing_of_the_others(load_text: LoadText) -> None:
    text = routes("5", "{path: /a/**}", "{path: /a/b}", "{path: /b, upstream: zzz}", "{path: /**}")

    assert [line.split(";")[0] for line in said(load_text, text)[1:]] == [
        "4:4  routes[2].path: warning: is shadowed and never matches, for routes[1] (/a/**) takes every such request",
        "5:14  routes[3].upstream: names zzz, and there is no such upstream",
    ]


VOID = [
    ("keycloak", "client_auth: {secret: {value: 5}}", 1),
    ("keycloak", "client_auth: {method: nonee}", 1),
    ("keycloak", "scopes: [openid, 5]", 1),
    ("server", "listen: 0.0.0.0:4190x", 1),
    ("sessions", "lifetime: 1x\nidle_timeout: 40d", 1),
    ("routes", "- {path: ^x}\n- {path: /**}\n- 5\n- 6", 3),
    ("routes", "- {path: /a, methods: [get]}\n- {path: /a, methods: [post]}\n- {path: /**}", 2),
    ("", "upstreams:\n  app: 5\nroutes:\n- {path: /**, upstream: app}", 1),
]


@pytest.mark.parametrize(("section", "lines", "count"), VOID)
def test_what_rests_on_a_wrong_key_is_not_complained_about_too(
    section: str, lines: str, count: int, load_text: LoadText
) -> None:
    assert len(said(load_text, file_with(section, lines))) == count


def test_the_tls_of_an_upstream_is_checked_like_our_own(load_text: LoadText, tmp_path: Path) -> None:
    write_certificate(tmp_path, "app")
    whole = "{ca_file: app.crt, cert_file: app.crt, key_file: app.key}"

    def problems(url: str, tls: str) -> list[str]:
        return said(load_text, file_with("upstreams", f"app: {{url: '{url}', tls: {tls}}}"))

    assert problems("https://127.0.0.1:8443", whole) == []
    assert [line.partition("  ")[2] for line in problems("http://127.0.0.1:8000", whole)] == [
        "upstreams.app.tls: warning: is never used, for the url is not https; write an https url, or take tls out"
    ]
    assert [line.partition("  ")[2] for line in problems("https://127.0.0.1", "{cert_file: app.crt}")] == [
        "upstreams.app.tls: lacks key_file; write cert_file and key_file together, or neither"
    ]
    assert [line.partition("  ")[2] for line in problems("https://127.0.0.1", "{ca_file: app.key}")] == [
        "upstreams.app.tls.ca_file: names app.key, which holds no certificates; name a file of PEM certificates"
    ]
    assert [line.partition("  ")[2] for line in problems("https://h", "{cert_file: nope.crt, key_file: app.key}")] == [
        "upstreams.app.tls.cert_file: names nope.crt, which cannot be read (no such file or directory); check the path"
    ]


KEYS = f"encryption_keys: [{{value: {KEY}}}]"
IN_THE_FILE = "is a secret in the settings file"


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        ("{url: 'redis://redis:6379/0'}", []),
        (
            "{cluster: true, sentinel: {master: m, nodes: ['s:26379']}}",
            [
                (
                    "sessions.redis.sentinel: is written beside cluster: true, and a cluster has no sentinels; "
                    "take one of them out"
                )
            ],
        ),
        (
            "{cluster: true, url: 'redis://redis/3'}",
            ["sessions.redis.url: names a database, and a cluster has only number 0; take it out"],
        ),
        (
            "{tls: {cert_file: app.crt}}",
            [
                (
                    "sessions.redis.tls: warning: is never used, for the url is not rediss; "
                    "write rediss://, or take tls out"
                ),
                "sessions.redis.tls: lacks key_file; write cert_file and key_file together, or neither",
            ],
        ),
        (
            "{url: 'redis://a:b@redis', password: {env: PATH}}",
            ["sessions.redis.password: is written in url too; take it out of url"],
        ),
        (
            "{url: 'http://redis'}",
            ["sessions.redis.url: is no URL of a Redis; write redis://HOST:6379/0, rediss://HOST:6379/0 or unix:/path"],
        ),
    ],
)
def test_redis_is_found_in_one_way(redis: str, expected: list[str], load_text: LoadText) -> None:
    lines = said(load_text, file_with("sessions", f"store: redis\n{KEYS}\nredis: {redis}"))

    assert [line.partition("  ")[2] for line in lines if IN_THE_FILE not in line] == expected


def test_sessions_in_redis_need_a_key(load_text: LoadText) -> None:
    assert [line.partition("  ")[2] for line in said(load_text, file_with("sessions", "store: redis"))] == [
        (
            "sessions.store: is redis, and there is no key to seal sessions with; "
            "write encryption_keys: [{file: PATH}], with a key from `sidegate keygen`"
        )
    ]


def test_a_redis_that_is_not_used_is_said(load_text: LoadText) -> None:
    lines = said(load_text, file_with("sessions", "redis: {key_prefix: 'x:'}"))

    assert [line.partition("  ")[2] for line in lines] == [
        "sessions.redis: warning: is not used, for sessions.store is memory; write store: redis, or take it out"
    ]


PER_ADDRESS = "login.throttle.per_address: warning: "
NO_ADDRESS = (
    PER_ADDRESS + "does not hold, for whoever connects to a unix socket has no address; "
    "listen on 127.0.0.1 and name that in server.trusted_proxies, or write off"
)
UNKNOWN_PROXY = (
    "server.trusted_proxies: warning: names nobody, and somebody before Sidegate ends TLS: all have his address, "
    "and none is counted; name that proxy, for login.throttle.per_address to hold"
)
NO_ROOM = (
    PER_ADDRESS + "may refuse people who sign in at the same time, for a try counts until it is answered; "
    "allow more failures than login.max_concurrent (8)"
)


@pytest.mark.parametrize(
    ("server", "login", "expected"),
    [
        ("listen: unix:/run/sidegate.sock\npublic_url: http://a.example", "", [NO_ADDRESS]),
        ("public_url: https://a.example", "", [UNKNOWN_PROXY]),
        ("public_url: https://a.example\ntrusted_proxies: [10.0.0.0/8]", "", []),
        ("public_url: http://a.example", "", []),
        ("public_url: https://a.example", "throttle: {per_address: off}", []),
        ("public_url: https://a.example", "mode: redirect", []),
        ("public_url: http://a.example", "throttle: {per_address: 8/5m}", [NO_ROOM]),
        ("public_url: http://a.example", "throttle: {per_address: 9/5m, per_user: 1/5m}", []),
        ("public_url: http://a.example", "throttle: {per_address: 9/5m}\nmax_concurrent: 4", []),
    ],
)
def test_a_limit_per_address_needs_addresses_and_room(
    server: str, login: str, expected: list[str], load_text: LoadText
) -> None:
    server = server if "trusted_proxies" in server else f"{server}\ntrusted_proxies: []"
    text = file_with("server", server) + (f"login:\n{indent(login, '  ')}\n" if login else "")

    found = [sentence.partition("  ")[2] for sentence in said(load_text, text)]

    assert [sentence for sentence in found if "per_address" in sentence] == expected


def test_the_management_api_has_a_port_of_its_own(load_text: LoadText) -> None:
    lines = said(load_text, file_with("management", "api_listen: 0.0.0.0:4190"))

    assert [line.partition("  ")[2] for line in lines] == [
        "management.api_listen: is the address of management.listen too; choose another port"
    ]


def test_what_leads_to_the_collector_of_traces_can_be_read(load_text: LoadText) -> None:
    found = said(
        load_text,
        file_with("", "tracing:\n  otlp_endpoint: http://c:4318\n  ca_file: /nowhere/ca.pem\n"
                  "  headers: {Authorization: {file: /nowhere/token}}\n"),
    )  # fmt: skip

    assert [line.partition("  ")[2].partition(":")[0] for line in found] == [
        "tracing.ca_file",
        "tracing.headers.Authorization.file",
    ]


def test_tracing_without_its_libraries_is_told_before_the_start(
    load_text: LoadText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.settings.checks.find_spec", lambda _name: None)

    (line,) = said(load_text, file_with("", "tracing: {otlp_endpoint: http://c:4318}\n"))

    assert line.endswith(
        "tracing: warning: needs OpenTelemetry, which is not installed here; install sidegate[otel] where it runs"
    )
