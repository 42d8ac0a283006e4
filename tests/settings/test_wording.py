"""What pydantic finds, in words for people who edit YAML: the line, the column, the key, what is wrong, the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy.settings.wording import finding_of
from tests.settings.conftest import file_with

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from tests.settings.conftest import LoadText

ROUTE_KEYS = (
    "path, methods, access, on_unauthenticated, preflight, passive, upstream, strip_prefix, headers, token_exchange, "
    "csrf, cache, service_worker, logout"
)

WRONG = [
    # unknown keys
    ("", "sever: {}", "1:1  sever: unknown key; did you mean server?"),
    ("server", "Listen: 0.0.0.0:1", "2:3  server.Listen: unknown key; did you mean server.listen?"),
    ("server", "max-header-size: 1KiB",
     "2:3  server.max-header-size: unknown key; did you mean server.max_header_size?"),
    ("server", "timeouts: {haed: 1s}", "2:14  server.timeouts.haed: unknown key; did you mean server.timeouts.head?"),
    ("", "client_id: x", "1:1  client_id: unknown key; did you mean keycloak.client_id?"),
    ("server", "routes: []",
     "2:3  server.routes: unknown key; routes stands at the top of the file, without indentation"),
    ("management", "zzz: 1",
     "2:3  management.zzz: unknown key; take it out; the keys here are listen, api_listen, admin_token"),
    ("", "routes:\n- {path: /**, acces: public}", "2:15  routes[0].acces: unknown key; did you mean routes[0].access?"),
    ("", "routes:\n- path: /**\n  access: {any_rol: [x]}",
     "3:12  routes[0].access.any_rol: unknown key; did you mean routes[0].access.any_role?"),
    # wrong types
    ("", "server: x",
     ("1:1  server: must be a mapping, not text; write keys below it: listen, public_url, hosts, prefix, "
     "trusted_proxies, https_redirect, tls, max_header_size, max_body_size, path_case, app_reads, "
     "allowed_origins, timeouts, shutdown_grace")),
    ("", "upstreams: [x]", "1:1  upstreams: must be a mapping, not a list; write {app: {url: http://127.0.0.1:8000}}"),
    ("", "routes:\n- 5\n- {path: /**}",
     f"2:3  routes[0]: must be a mapping, not a number; write keys below it: {ROUTE_KEYS}"),
    ("server", "hosts: a.example.com", "2:3  server.hosts: must be a list, not text; write [app.internal.example.com]"),
    ("", "routes: {path: /**}",
     "1:1  routes: must be a list, not a mapping; write [{path: /**, access: authenticated}]"),
    ("server", "https_redirect: yes",
     "2:3  server.https_redirect: must be true or false, not text; write true or false, without quotes"),
    ("login", "max_concurrent: many",
     "2:3  login.max_concurrent: must be a whole number, not text; write digits without quotes"),
    ("login", "max_concurrent: 1.5",
     "2:3  login.max_concurrent: must be a whole number, not a number with a point; write digits without quotes"),
    ("login", "title: 5", "2:3  login.title: must be text, not a number; put it in quotes"),
    ("keycloak", "client_id: 12", "2:3  keycloak.client_id: must be text, not a number; put it in quotes"),
    ("keycloak", "client_auth: {secret: hunter2}",
     "2:17  keycloak.client_auth.secret: must be a mapping, not text; write {file: /run/secrets/client}"),
    ("keycloak", "client_auth: {secret: {value: 123}}",
     "2:26  keycloak.client_auth.secret.value: must be text that is not empty; put it in quotes"),
    ("identity_headers", "set: {X-A: [1]}",
     "2:9  identity_headers.set.X-A: must be text, not a list; write one line of text"),
    # nothing where something is
    ("", "server:",
     ("1:1  server: has no value; write keys below it: listen, public_url, hosts, prefix, trusted_proxies, "
     "https_redirect, tls, max_header_size, max_body_size, path_case, app_reads, allowed_origins, "
     "timeouts, shutdown_grace")),
    ("", "routes:", "1:1  routes: has no value; write [{path: /**, access: authenticated}], or leave the key out"),
    ("login", "mode:", "2:3  login.mode: has no value; write form, or leave the key out"),
    ("", "routes:\n- {path: /**, access: }",
     "2:15  routes[0].access: has no value; write authenticated, or leave the key out"),
    ("", "routes:\n- path: /**\n  access:\n    any_role:",
     "4:5  routes[0].access.any_role: has no value; name what it asks for, or leave the key out"),
    # missing
    ("", "server: {}", "1:1  server.public_url: is missing; add public_url: https://app.example.com"),
    ("keycloak", "client_id: ~", "2:3  keycloak.client_id: must be text, not nothing; write one line of text"),
    ("upstreams", "app: {}", "2:3  upstreams.app.url: is missing; add url: http://127.0.0.1:8000"),
    ("", "upstreams: {}", "1:1  upstreams: names no app; write {app: {url: http://127.0.0.1:8000}}"),
    ("server", "tls: {cert_file: /dev/null}",
     "2:3  server.tls.key_file: is missing; add key_file: /etc/sidegate/tls.key"),
    ("", "routes:\n- {access: public}\n- {path: /**}", "2:3  routes[0].path: is missing; add path: /admin/**"),
    ("keycloak", "client_auth: {secret: {}}",
     ("2:17  keycloak.client_auth.secret: names no source; write exactly one of {file: PATH}, {env: NAME}, "
     "{value: TEXT}")),
    # words
    ("login", "mode: from", '2:3  login.mode: "from" is no value of this key; did you mean form?'),
    ("login", "otp: sometimes",
     '2:3  login.otp: "sometimes" is no value of this key; write hidden, optional or required'),
    ("sessions", "cookie: {same_site: lax}",
     '2:12  sessions.cookie.same_site: "lax" is no value of this key; did you mean Lax?'),
    ("sessions", "store: files", '2:3  sessions.store: "files" is no value of this key; write memory or redis'),
    ("log", "level: 5", '2:3  log.level: "5" is no value of this key; write debug, info, warning or error'),
    ("log", "level: [info]",
     "2:3  log.level: must be debug, info, warning or error, not a list; write debug without quotes"),
    ("", "routes:\n- {path: /**, on_unauthenticated: 302}",
     '2:15  routes[0].on_unauthenticated: "302" is no value of this key; write login or 401'),
    ("", "routes:\n- {path: /**, access: everyone}",
     '2:15  routes[0].access: "everyone" is no value of this key; write public, optional or authenticated'),
    ("keycloak", "client_auth: {method: client_secret_jwd, secret: {env: CLIENT_SECRET}}",
     ('2:17  keycloak.client_auth.method: "client_secret_jwd" is no value of this key; '
      "did you mean client_secret_jwt?")),
    # bounds and lists
    ("login", "max_concurrent: 0", "2:3  login.max_concurrent: 0 is too small; write 1 or more"),
    ("sessions", "max_per_user: -1", "2:3  sessions.max_per_user: -1 is too small; write 0 or more"),
    ("keycloak", "signing_algorithms: []",
     "2:3  keycloak.signing_algorithms: is an empty list; name at least one, or leave the key out"),
    ("keycloak", "claims_from: [id_token, id_token]",
     "2:3  keycloak.claims_from: names something twice; name each once"),
    ("", "routes:\n- {path: /**, access: {all_roles: []}}",
     "2:24  routes[0].access.all_roles: is an empty list; name at least one, or leave the key out"),
    ("", "routes:\n- {path: /**, access: {}}",
     ("2:15  routes[0].access: has no condition; write authenticated, or conditions such as {any_role: "
     "[viewer]}")),
    # single values keep their own words
    ("server", "trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]",
     ("2:33  server.trusted_proxies[1]: has bits set beyond its prefix length; write 10.0.0.0/8 or a single "
     "address")),
    ("server", "timeouts: {head: 10}", "2:14  server.timeouts.head: 10 has no unit; write 10s if seconds are meant"),
    ("keycloak", "signing_algorithms: [RS256, HS256]",
     ("2:31  keycloak.signing_algorithms[1]: HS256 is signed with a shared secret, and only asymmetric "
     "algorithms are accepted; write RS256 or what the realm signs with")),
    ("login", "landing: https://evil.example",
     "2:3  login.landing: is no path of this site; write a path such as / or /start"),
    ("identity_headers", "set: {Host: x}",
     ("2:9  identity_headers.set.Host: Host decides how a request is read and cannot be set; choose a name "
     "such as X-Department")),
]  # fmt: skip


@pytest.mark.parametrize(("section", "lines", "said"), WRONG)
def test_a_wrong_key_is_said_in_one_sentence_with_its_place(
    section: str, lines: str, said: str, load_text: LoadText
) -> None:
    loaded = load_text(file_with(section, lines))

    assert [str(problem).removeprefix("s.yaml:") for problem in loaded.errors] == [said]
    assert loaded.settings is None


@pytest.mark.parametrize(
    ("section", "lines", "key_path"),
    [
        ("", '"[key]": 1', "[key]"),
        ("", '"<word>": 1', "<word>"),
        ("log", '"[key]": 1', "log.[key]"),
        ("", 'routes:\n- {path: /**, access: {"<word>": 1}}', "routes[0].access.<word>"),
        ("identity_headers", 'set: {"[key]": x}', "identity_headers.set.[key]"),
    ],
)
def test_a_key_that_looks_like_a_mark_of_pydantic_is_still_a_key(
    section: str, lines: str, key_path: str, load_text: LoadText
) -> None:
    assert [problem.key_path for problem in load_text(file_with(section, lines)).errors] == [key_path]


def test_a_terminal_obeys_nothing_that_stands_in_the_file(load_text: LoadText) -> None:
    loaded = load_text(file_with("login", 'mode: "\\e[2Jx"'))

    assert str(loaded.problems[0]) == 's.yaml:2:3  login.mode: "�[2Jx" is no value of this key; write form or redirect'


def test_a_long_wrong_word_is_cut(load_text: LoadText) -> None:
    loaded = load_text(file_with("login", f"mode: {'x' * 500}"))

    assert f'"{"x" * 39}…" is no value' in str(loaded.problems[0])


def test_an_error_that_nobody_foresaw_is_still_a_sentence() -> None:
    error = cast("ErrorDetails", {"type": "date_too_old", "loc": ("server", "listen"), "input": "x", "msg": ""})

    finding = finding_of(error)

    assert (finding.message, finding.remedy) == ("does not fit (date too old)", "write 0.0.0.0:4180")


@pytest.mark.parametrize("loc", [("routes", 0, "access", "<word>"), ("routes", 0, "access", "<conditions>")])
def test_the_marks_of_a_union_are_no_keys(loc: tuple[Any, ...]) -> None:
    error = cast("ErrorDetails", {"type": "other", "loc": loc, "input": "x", "msg": ""})

    assert finding_of(error).path == ("routes", 0, "access")
