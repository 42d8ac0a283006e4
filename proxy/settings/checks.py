"""What no single key can know: keys that contradict each other, names that lead nowhere, files that cannot be read.

Each check takes the whole draft and yields findings. A draft may have gaps: where a key was wrong, its default or a
placeholder stands, so a finding names every key that it rests on, and is void when one of them was wrong itself.
Checks look at local files, because a secret that cannot be read is a fault of the file; they open no socket.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.core.routing import RouteTrouble, normalised_pattern, route_problems
from proxy.errors import SettingsError
from proxy.settings.assertion_checks import assertion_name, narrowing, token_exchange
from proxy.settings.client_auth_checks import (
    certificate_needs_tls,
    client_auth_keys,
    client_auth_sources,
    service_account_token,
)
from proxy.settings.draft import Draft
from proxy.settings.problems import Finding, KeyPath, Level, key_text
from proxy.settings.secret_source import SecretSource, reason_of, remedy_for
from proxy.settings.values import DEFAULT_PORTS, LANGUAGES_OF_OURS, Substituted, UnixAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.settings.model import ServerSettings

# They are made anew for each login, or bind the answer to it: a fixed one would open what they close (RFC 6749 §4.1,
# RFC 7636 §4.3, OIDC Core 1.0 §3.1.2.1).
OWN_AUTHORIZATION_PARAMETERS: Final = frozenset({
    "client_id", "client_secret", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request",
    "request_uri", "response_mode", "response_type", "scope", "state",
})  # fmt: skip


def findings_of(draft: Draft, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what each check finds."""
    for check in checks:
        yield from check(draft)


# --- server ----------------------------------------------------------------------------------------------------------


def _listeners(draft: Draft) -> Iterator[Finding]:
    """The ports of the app, of the probes and of the management API are three."""
    settings = draft.settings
    taken: dict[object, KeyPath] = {settings.server.listen: ("server", "listen")}
    for path, listen in ((("management", "listen"), settings.management.listen),
                         (("management", "api_listen"), settings.management.api_listen)):  # fmt: skip
        other = taken.setdefault(listen, path)
        if other != path:
            written, unwritten = (path, other) if draft.written(path) is not None else (other, path)
            yield Finding(written, f"is the address of {key_text(unwritten)} too", "choose another port",
                          depends_on=(unwritten,))  # fmt: skip


def _hosts(draft: Draft) -> Iterator[Finding]:
    """Requests are known by their host without the port that the scheme has anyway."""
    server = draft.settings.server
    usual = f":{DEFAULT_PORTS[server.public_url.scheme]}"
    for index, host in enumerate(server.hosts):
        if host.endswith(usual):
            message = f"is never answered, for nobody who comes by {server.public_url.scheme} is known with that port"
            yield Finding(("server", "hosts", index), message, f"write {host.removesuffix(usual)}", Level.WARNING,
                          (("server", "public_url"),))  # fmt: skip


def _https_redirect(draft: Draft) -> Iterator[Finding]:
    """A redirect to https needs somebody who says that a request came by https already."""
    server, path = draft.settings.server, ("server", "https_redirect")
    if not server.https_redirect:
        return
    if server.public_url.scheme == "http":
        remedy = "write https in public_url, or false here"
        yield Finding(path, "sends browsers to https, and public_url says http", remedy, Level.WARNING,
                      (("server", "public_url"),))  # fmt: skip
    elif _ends_tls_unnamed(server):
        remedy = "name the proxy that ends TLS in trusted_proxies, or set tls"
        yield Finding(path, "sends every request round in a circle, for nobody ends TLS or says so", remedy,
                      Level.WARNING, (("server", "tls"), ("server", "trusted_proxies")))  # fmt: skip


def _ends_tls_unnamed(server: ServerSettings) -> bool:
    """Say whether somebody before Sidegate ends TLS, and the file does not say who."""
    return server.public_url.scheme == "https" and server.tls is None and not server.trusted_proxies


def _trust(draft: Draft) -> Iterator[Finding]:
    """Trusting every address lets every client choose its own."""
    for index, network in enumerate(draft.settings.server.trusted_proxies):
        if network.prefixlen == 0:
            remedy = "name the networks of your proxies alone"
            yield Finding(("server", "trusted_proxies", index), "trusts whoever connects", remedy, Level.WARNING)


def _forward_auth(draft: Draft) -> Iterator[Finding]:
    """Whoever asks at /verify is known by address, and understands the answer."""
    server, asked, path = draft.settings.server, draft.settings.forward_auth, ("forward_auth",)
    if asked is None:
        return
    if isinstance(server.listen, UnixAddress):
        remedy = "listen on host:port and name that proxy in server.trusted_proxies"
        yield Finding(path, "is never answered but by 403, for whoever connects to a unix socket has no address",
                      remedy, depends_on=(("server", "listen"),))  # fmt: skip
    elif not server.trusted_proxies:
        remedy = "name the proxy that asks there, e.g. [10.0.0.0/8]"
        yield Finding(path, "is never answered but by 403, for server.trusted_proxies names nobody", remedy,
                      depends_on=(("server", "trusted_proxies"),))  # fmt: skip
    if asked.source == "x-original" and asked.on_unauthenticated == 302:
        remedy = "write 401, and redirect to the Location that comes with it, as docs/forward-auth.md shows"
        yield Finding((*path, "on_unauthenticated"), "makes nginx answer 500, for auth_request takes 302 for a fault",
                      remedy, Level.WARNING, ((*path, "source"),))  # fmt: skip


def _tls_files(draft: Draft) -> Iterator[Finding]:
    """Certificate, key and authorities can be read and belong together."""
    tls = draft.settings.server.tls
    if tls is None:
        return
    unreadable = [*_file_findings(("server", "tls", "cert_file"), tls.cert_file)]
    unreadable += _file_findings(("server", "tls", "key_file"), tls.key_file)
    yield from unreadable
    if not unreadable:
        yield from _key_pair(("server", "tls"), tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        yield from _authorities(("server", "tls", "client_ca_file"), tls.client_ca_file)


def _upstream_tls_files(draft: Draft) -> Iterator[Finding]:
    """What an app is verified by, and shown, can be read and is used."""
    for name, upstream in draft.settings.upstreams.items():
        path, tls = ("upstreams", name, "tls"), upstream.tls
        if tls.model_fields_set and upstream.url.scheme != "https":
            remedy = "write an https url, or take tls out"
            yield Finding(path, "is never used, for the url is not https", remedy, Level.WARNING, ((*path[:2], "url"),))
        if tls.ca_file is not None:
            yield from _authorities((*path, "ca_file"), tls.ca_file)
        yield from _client_certificate(path, tls.cert_file, tls.key_file)


def _client_certificate(path: KeyPath, cert_file: str | None, key_file: str | None) -> Iterator[Finding]:
    """A certificate that is shown has its key."""
    if (cert_file is None) != (key_file is None):
        missing = "key_file" if key_file is None else "cert_file"
        yield Finding(path, f"lacks {missing}", "write cert_file and key_file together, or neither")
    if cert_file is None or key_file is None:
        return
    unreadable = [
        *_file_findings((*path, "cert_file"), cert_file),
        *_file_findings((*path, "key_file"), key_file),
    ]
    yield from unreadable
    if not unreadable:
        yield from _key_pair(path, cert_file, key_file)


def _key_pair(path: KeyPath, cert_file: str, key_file: str) -> Iterator[Finding]:
    """The key is the certificate's."""
    try:
        # An encrypted key would make OpenSSL ask on the terminal; an empty password makes it an error.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert_file, key_file, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError):
        remedy = "write the PEM files of one certificate and its unencrypted key"
        yield Finding(path, "has a certificate and a key that do not belong together", remedy,
                      depends_on=((*path, "cert_file"), (*path, "key_file")))  # fmt: skip


def _authorities(path: KeyPath, file: str) -> Iterator[Finding]:
    """A file of authorities can be read and holds certificates."""
    unreadable = [*_file_findings(path, file)]
    yield from unreadable
    if unreadable:
        return
    try:
        ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError, ValueError):
        yield Finding(path, f"names {file}, which holds no certificates", "name a file of PEM certificates")


def _file_findings(path: KeyPath, file: str) -> Iterator[Finding]:
    """A file can be opened."""
    try:
        with Path(file).open("rb") as opened:
            opened.read(1)
    except OSError as error:
        yield Finding(path, f"names {file}, which cannot be read ({reason_of(error)})", remedy_for(error))
    except ValueError:
        yield Finding(path, "is no path", "name a file")


# --- keycloak --------------------------------------------------------------------------------------------------------


def _scopes(draft: Draft) -> Iterator[Finding]:
    """Without openid there is no ID token, and nobody is known (OIDC Core 1.0 §3.1.2.1)."""
    path = ("keycloak", "scopes")
    if "openid" not in draft.settings.keycloak.scopes:
        yield Finding(path, "lack openid, without which there is no ID token", "add openid", depends_on=(path,))


def _authorization_parameters(draft: Draft) -> Iterator[Finding]:
    """Parameters by hand do not replace those that protect the login."""
    for name in draft.settings.keycloak.auth_params:
        if name.lower() in OWN_AUTHORIZATION_PARAMETERS:
            yield Finding(("keycloak", "auth_params", name), "is set by Sidegate itself", "take it out")


def _provider_authorities(draft: Draft) -> Iterator[Finding]:
    """The authorities of the provider's certificate can be read, and so can the certificate that it is shown."""
    keycloak = draft.settings.keycloak
    ca_file, auth = keycloak.ca_file, keycloak.client_auth
    if ca_file is not None:
        yield from _authorities(("keycloak", "ca_file"), ca_file)
    if auth.method == "tls_client_auth" and auth.cert_file is not None and auth.key_file is not None:
        yield from _client_certificate(("keycloak", "client_auth"), auth.cert_file, auth.key_file)


# --- look ------------------------------------------------------------------------------------------------------------


def _pictures(draft: Draft) -> Iterator[Finding]:
    """Logo and icon are pictures that browsers show."""
    login = draft.settings.login
    if login.logo_file is None and login.icon_file is None:
        return
    from proxy.core.picture import ICON_KINDS, LOGO_KINDS  # noqa: PLC0415 - few files name a picture
    from proxy.settings.pictures import picture_findings  # noqa: PLC0415

    if login.logo_file is not None:
        yield from picture_findings(("login", "logo_file"), login.logo_file, LOGO_KINDS)
    if login.icon_file is not None:
        yield from picture_findings(("login", "icon_file"), login.icon_file, ICON_KINDS)


def _templates_dir(draft: Draft) -> Iterator[Finding]:
    """The folder is there; what stands in it is tried by whoever can draw pages."""
    folder = draft.settings.login.templates_dir
    try:
        if folder is not None:
            next(Path(folder).iterdir(), None)
    except OSError as error:
        yield Finding(("login", "templates_dir"), f"names {folder}, which cannot be read ({reason_of(error)})",
                      "name the folder with your templates, or leave the key out")  # fmt: skip


def _locales(draft: Draft) -> Iterator[Finding]:
    """There are words for each language: ours, or a company's own."""
    login = draft.settings.login
    own = _languages_in(login.templates_dir)
    for index, tag in enumerate(login.locales):
        if tag.partition("-")[0] not in LANGUAGES_OF_OURS and tag not in own:
            file = f"locales/{tag}/messages.po"
            remedy = f"write {', '.join(LANGUAGES_OF_OURS)}, or put your own into {file} of templates_dir"
            yield Finding(("login", "locales", index), f"names {tag}, and there are no words for it", remedy,
                          depends_on=(("login", "templates_dir"),))  # fmt: skip


def _languages_in(folder: str | None) -> frozenset[str]:
    if folder is None:
        return frozenset()
    files = Path(folder).glob("locales/*/messages.po")
    return frozenset(file.parent.name.lower().replace("_", "-") for file in files)


# --- login -----------------------------------------------------------------------------------------------------------


def _throttle(draft: Draft) -> Iterator[Finding]:
    """A limit per address needs addresses, and room for those who sign in at the same time."""
    server, login, path = draft.settings.server, draft.settings.login, ("login", "throttle", "per_address")
    rate = login.throttle.per_address
    if rate is None or login.mode != "form":
        return
    depends_on = (path, ("server", "listen"), ("server", "trusted_proxies"))
    if isinstance(server.listen, UnixAddress):
        yield Finding(path, "does not hold, for whoever connects to a unix socket has no address",
                      "listen on 127.0.0.1 and name that in server.trusted_proxies, or write off", Level.WARNING,
                      depends_on)  # fmt: skip
    elif _ends_tls_unnamed(server) and not server.https_redirect:  # which is complained about already
        message = "names nobody, and somebody before Sidegate ends TLS: all have his address, and none is counted"
        yield Finding(("server", "trusted_proxies"), message, "name that proxy, for login.throttle.per_address to hold",
                      Level.WARNING, (*depends_on, ("server", "public_url"), ("server", "tls")))  # fmt: skip
    if rate.failures <= login.max_concurrent:
        message = "may refuse people who sign in at the same time, for a try counts until it is answered"
        yield Finding(path, message, f"allow more failures than login.max_concurrent ({login.max_concurrent})",
                      Level.WARNING, (path, ("login", "max_concurrent")))  # fmt: skip


# --- secrets ---------------------------------------------------------------------------------------------------------


def _secrets(draft: Draft) -> Iterator[Finding]:
    """Each secret can be read now, and does not stand in the settings file."""
    for at, source, read in client_auth_sources(draft):
        yield from _source_findings(draft, at, source, read)
    for at, read in service_account_token(draft):
        yield from _reading_findings(at, read)
    for index, source in enumerate(draft.settings.sessions.encryption_keys):
        yield from _source_findings(draft, ("sessions", "encryption_keys", index), source, source.read_key)
    if (assertion := draft.settings.identity_headers.assertion) is not None:
        at = ("identity_headers", "assertion", "signing_key")
        yield from _source_findings(draft, at, assertion.signing_key, assertion.signing_key.read_signing_keys)
    for path, other in (
        (("management", "admin_token"), draft.settings.management.admin_token),
        (("sessions", "redis", "password"), draft.settings.sessions.redis.password),
    ):
        if other is not None:
            yield from _source_findings(draft, path, other, other.read)


def _source_findings(
    draft: Draft, path: KeyPath, source: SecretSource, read: Callable[[], object]
) -> Iterator[Finding]:
    """One source: readable, and no secret in the file (a default of ``${NAME:-default}`` is one in the file)."""
    given = next((name for name in ("file", "env", "value") if getattr(source, name) is not None), "value")
    yield from _reading_findings((*path, given), read)
    written = draft.written((*path, "value"))
    if written is not None and not (isinstance(written, Substituted) and written.is_from_environment):
        remedy = "write {file: PATH} or {env: NAME}"
        yield Finding((*path, "value"), "is a secret in the settings file", remedy, Level.WARNING)


def _reading_findings(path: KeyPath, read: Callable[[], object]) -> Iterator[Finding]:
    try:
        read()
    except SettingsError as error:
        message, _, remedy = str(error).partition("; ")
        yield Finding(path, f"cannot be used: {message}", remedy)


def _collector_of_traces(draft: Draft) -> Iterator[Finding]:
    """What leads to the collector can be read, and the libraries that speak to it are there."""
    tracing, path = draft.settings.tracing, ("tracing",)
    if tracing is None:
        return
    for name, source in tracing.headers.items():
        yield from _source_findings(draft, (*path, "headers", name), source, source.read)
    if tracing.ca_file is not None:
        yield from _authorities((*path, "ca_file"), tracing.ca_file)
    if find_spec("opentelemetry") is None:
        yield Finding(path, "needs OpenTelemetry, which is not installed here", "install sidegate[otel] where it runs",
                      Level.WARNING)  # fmt: skip


def _same_key_twice(draft: Draft) -> Iterator[Finding]:
    """Two equal keys are one, and a rotation that has not happened."""
    seen: dict[bytes, int] = {}
    for index, source in enumerate(draft.settings.sessions.encryption_keys):
        try:
            first = seen.setdefault(source.read_key(), index)
        except SettingsError:
            continue
        if first != index:
            path = ("sessions", "encryption_keys", index)
            yield Finding(
                path, f"is the same key as number {first + 1}", "make another with `sidegate keygen`, or take it out"
            )


# --- sessions --------------------------------------------------------------------------------------------------------


def _session_times(draft: Draft) -> Iterator[Finding]:
    """An idle timeout beyond the lifetime never comes; the default one is no mistake of the writer."""
    sessions, path = draft.settings.sessions, ("sessions", "idle_timeout")
    if draft.written(path) is not None and sessions.idle_timeout > sessions.lifetime:
        yield Finding(path, "is longer than sessions.lifetime and never comes", "write a shorter one", Level.WARNING,
                      (("sessions", "lifetime"),))  # fmt: skip


def _redis(draft: Draft) -> Iterator[Finding]:
    """Sessions in Redis are sealed; what belongs to Redis is not written for memory; one way to find it."""
    sessions, path = draft.settings.sessions, ("sessions", "redis")
    if sessions.store == "memory":
        if draft.written(path) is not None:
            yield Finding(path, "is not used, for sessions.store is memory", "write store: redis, or take it out",
                          Level.WARNING, (("sessions", "store"),))  # fmt: skip
        return
    if not sessions.encryption_keys:
        yield Finding(("sessions", "store"), "is redis, and there is no key to seal sessions with",
                      "write encryption_keys: [{file: PATH}], with a key from `sidegate keygen`",
                      depends_on=(("sessions", "encryption_keys"),))  # fmt: skip
    yield from _redis_topology(draft, path)


def _redis_topology(draft: Draft, path: KeyPath) -> Iterator[Finding]:
    redis = draft.settings.sessions.redis
    if redis.cluster and redis.sentinel is not None:
        yield Finding((*path, "sentinel"), "is written beside cluster: true, and a cluster has no sentinels",
                      "take one of them out", depends_on=((*path, "cluster"),))  # fmt: skip
    if redis.cluster and redis.url.database != 0:
        yield Finding((*path, "url"), "names a database, and a cluster has only number 0", "take it out",
                      depends_on=((*path, "cluster"),))  # fmt: skip
    if redis.password is not None and redis.url.password is not None:
        yield Finding((*path, "password"), "is written in url too", "take it out of url", depends_on=((*path, "url"),))


def _redis_tls(draft: Draft) -> Iterator[Finding]:
    """What Redis is verified by, and shown, can be read and is used."""
    if draft.settings.sessions.store == "memory":
        return
    path = ("sessions", "redis")
    redis, tls = draft.settings.sessions.redis, draft.settings.sessions.redis.tls
    if tls.model_fields_set and not redis.url.is_tls:
        yield Finding((*path, "tls"), "is never used, for the url is not rediss", "write rediss://, or take tls out",
                      Level.WARNING, ((*path, "url"),))  # fmt: skip
    if tls.ca_file is not None:
        yield from _authorities((*path, "tls", "ca_file"), tls.ca_file)
    yield from _client_certificate((*path, "tls"), tls.cert_file, tls.key_file)


def _cookie(draft: Draft) -> Iterator[Finding]:
    """What browsers would refuse, or would send further than meant."""
    cookie, url = draft.settings.sessions.cookie, draft.settings.server.public_url
    depends_on = (("server", "public_url"),)
    if cookie.same_site == "None" and url.scheme == "http":
        yield Finding(("sessions", "cookie", "same_site"), "None is refused by browsers without https",
                      "write Lax, or https in server.public_url", depends_on=depends_on)  # fmt: skip
    if cookie.domain is None:
        return
    path = ("sessions", "cookie", "domain")
    if url.host_name != cookie.domain and not url.host_name.endswith(f".{cookie.domain}"):
        message = f"does not hold {url.host_name}, the host of server.public_url"
        remedy = "write a domain that the host belongs to, or leave the key out"
        yield Finding(path, message, remedy, depends_on=depends_on)
    else:
        message = "lets every host of the domain read and set the session cookie"
        remedy = "leave the key out unless several hosts must share the session"
        yield Finding(path, message, remedy, Level.WARNING, depends_on)


# --- headers ---------------------------------------------------------------------------------------------------------


def _header_names(draft: Draft) -> Iterator[Finding]:
    """Names that apps take for one (case, ``_`` and ``-``) are set once."""
    yield from _equal_names(("identity_headers", "set"), draft.settings.identity_headers.set)
    for index, route in enumerate(draft.settings.routes):
        yield from _equal_names(("routes", index, "headers", "set"), route.headers.set)


def _equal_names(path: KeyPath, headers: dict[str, str]) -> Iterator[Finding]:
    """Compare folded names within one mapping."""
    seen: dict[str, str] = {}
    for name in headers:
        first = seen.setdefault(name.lower().replace("_", "-"), name)
        if first != name:
            yield Finding((*path, name), f"is {first} to an app", "keep one of the two")


# --- upstreams and routes --------------------------------------------------------------------------------------------


def _upstream_names(draft: Draft) -> Iterator[Finding]:
    """Each route leads to one upstream that is there."""
    upstreams = draft.settings.upstreams
    for index, route in enumerate(draft.settings.routes):
        is_written = draft.written(("routes", index)) is not None
        if route.logout:
            continue
        if route.upstream is not None:
            yield from _unknown_upstream(("routes", index, "upstream"), route.upstream, upstreams)
        elif len(upstreams) > 1 and is_written:
            message = "is missing, and there are several upstreams"
            yield Finding(("routes", index, "upstream"), message, f"add upstream: {' or '.join(upstreams)}")
        elif len(upstreams) > 1:
            message = "are missing, and there are several upstreams"
            yield Finding(("routes",), message, "add routes, each with its upstream")


def _unknown_upstream(path: KeyPath, name: str, upstreams: Iterable[str]) -> Iterator[Finding]:
    """A name of an upstream is one of those that there are."""
    if name not in upstreams:
        close = get_close_matches(name, upstreams, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"write {' or '.join(upstreams)}"
        yield Finding(path, f"names {name}, and there is no such upstream", remedy, depends_on=(("upstreams", name),))


def _unused_upstreams(draft: Draft) -> Iterator[Finding]:
    """Each upstream is led to."""
    routes, upstreams = draft.settings.routes, draft.settings.upstreams
    used = {route.upstream for route in routes if not route.logout}
    depends_on = tuple(("routes", index, "upstream") for index in range(len(routes)))
    for name in upstreams:
        if len(upstreams) > 1 and None not in used and name not in used:
            remedy = "add a route with it, or take it out"
            yield Finding(("upstreams", name), "is led to by no route", remedy, Level.WARNING, depends_on)


def _route_order(draft: Draft) -> Iterator[Finding]:
    """Each route can be reached, no two differ only in case, and no path is left over."""
    routes = draft.settings.routes
    for problem in route_problems([(route.path, route.methods) for route in routes]):
        describe = _ROUTE_SENTENCES.get(problem.trouble)
        if describe is None:
            continue  # a bad pattern was refused with its key
        path: KeyPath = ("routes",) if problem.index is None else ("routes", problem.index, "path")
        message, remedy = describe("" if problem.by is None else f"routes[{problem.by}] ({routes[problem.by].path})")
        causes = range(len(routes)) if problem.index is None else (problem.index, problem.by)
        depends_on = tuple(("routes", at, key) for at in causes if at is not None for key in ("path", "methods"))
        yield Finding(path, message, remedy, Level.ERROR if problem.is_error else Level.WARNING, depends_on)


_ROUTE_SENTENCES: Final[dict[RouteTrouble, Callable[[str], tuple[str, str]]]] = {
    RouteTrouble.SAME_BUT_CASE: lambda other: (
        f"differs from {other} only in case",
        "write both alike, and server.path_case: ignore if the app does not tell case apart",
    ),
    RouteTrouble.SHADOWED: lambda other: (
        f"is shadowed and never matches, for {other} takes every such request",
        "put it before that one, or take it out",
    ),
    RouteTrouble.NO_CATCH_ALL: lambda _: (
        "have no /**, so every other path is 404",
        "add {path: /**, access: authenticated} at the end if the app has more",
    ),
}


def _own_paths(draft: Draft) -> Iterator[Finding]:
    """What lies under the prefix is Sidegate's, and never reaches a route."""
    server = draft.settings.server
    for index, route in enumerate(draft.settings.routes):
        stem = _literal_stem(route.path)
        if f"{stem}/".startswith(f"{server.own_prefix}/"):
            yield Finding(("routes", index, "path"), f"lies under {server.own_prefix}, which is Sidegate's own",
                          "take it out, or choose another server.prefix", Level.WARNING,
                          (("server", "prefix"), ("server", "public_url")))  # fmt: skip


def _literal_stem(pattern: str) -> str:
    """Return the segments of a pattern before its first star, as a path without a final slash."""
    segments = normalised_pattern(pattern).split("/")
    return "/".join(takewhile(lambda segment: "*" not in segment, segments)).rstrip("/")


def _logout_links(draft: Draft) -> Iterator[Finding]:
    """What a route for the app's logout link says besides is nothing that could hold."""
    for index, route in enumerate(draft.settings.routes):
        written = draft.written(("routes", index))
        if not route.logout or not isinstance(written, dict):
            continue
        for key in sorted(set(written) - {"path", "methods", "logout"}):
            message = "has no effect beside logout: true, for nothing of this route reaches the app"
            yield Finding(("routes", index, key), message, "take it out", depends_on=(("routes", index, "logout"),))
        if route.methods is not None and not {"GET", "POST"} & set(route.methods):
            message = "names neither GET nor POST, and a logout link is one of them"
            yield Finding(("routes", index, "methods"), message, "leave it out, or write [GET, POST]")


def _strip_prefix(draft: Draft) -> Iterator[Finding]:
    """What is stripped stands at the start of each path of the route; else every such request is 400."""
    for index, route in enumerate(draft.settings.routes):
        stem = _literal_stem(route.path)
        if route.strip_prefix and not f"{stem}/".startswith(f"{route.strip_prefix}/"):
            yield Finding(("routes", index, "strip_prefix"), f"is not what the paths of {route.path} begin with",
                          f"write {stem or '/'} or less, or let the path begin with it",
                          depends_on=(("routes", index, "path"),))  # fmt: skip


def _step_up(draft: Draft) -> Iterator[Finding]:
    """What a route asks of the proof itself can be had, and is asked where it counts."""
    lifetime = draft.settings.sessions.lifetime
    for index, route in enumerate(draft.settings.routes):
        access, path = route.access, ("routes", index, "access")
        if isinstance(access, str):
            continue
        if access.max_age is not None and access.max_age >= lifetime:
            yield Finding((*path, "max_age"), "never counts, for every session ends before",
                          "write less than sessions.lifetime, or take it out", Level.WARNING,
                          (("sessions", "lifetime"),))  # fmt: skip
        for claim in {"acr", "auth_time"} & set(access.claims or ()):
            message = "is the claim of the last refresh, not of the login, and nobody is asked for more proof"
            remedy = f"write {'acr' if claim == 'acr' else 'max_age'} beside claims instead"
            yield Finding((*path, "claims", claim), message, remedy, Level.WARNING)


Check = Callable[[Draft], Iterator[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    _listeners,
    _hosts,
    _https_redirect,
    _trust,
    _forward_auth,
    _tls_files,
    _upstream_tls_files,
    client_auth_keys,
    certificate_needs_tls,
    _scopes,
    _authorization_parameters,
    _provider_authorities,
    _throttle,
    _pictures,
    _templates_dir,
    _locales,
    _secrets,
    _collector_of_traces,
    _same_key_twice,
    _session_times,
    _redis,
    _redis_tls,
    _cookie,
    _header_names,
    _upstream_names,
    _unused_upstreams,
    _route_order,
    _own_paths,
    _logout_links,
    _strip_prefix,
    _step_up,
    assertion_name,
    token_exchange,
    narrowing,
)

_OF_FILES_AROUND: Final[frozenset[Check]] = frozenset({
    _tls_files, _upstream_tls_files, _provider_authorities, _pictures, _templates_dir, _locales, _secrets,
    _same_key_twice, _redis_tls, _collector_of_traces,
})  # fmt: skip

CHECKS_OF_THE_FILE_ALONE: Final[tuple[Check, ...]] = tuple(check for check in CHECKS if check not in _OF_FILES_AROUND)
"""Those that look at no other file and at no secret: for whoever has the settings without the machine they are for."""
