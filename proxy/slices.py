"""From the settings to what each room takes: one function a room, nothing else.

Settings end here and in ``app.py``; no room sees them. A boolean of the file becomes an enum of the room that uses it.
"""

from __future__ import annotations

import secrets
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.certificates import TlsFiles
from proxy.clock import SystemClock
from proxy.core.answer_headers import HSTS, AnswerRules, SecurityHeaders
from proxy.core.authentication import OfClient
from proxy.core.cookies import OwnCookies, SameSite
from proxy.core.cross_site import AllowedOrigins
from proxy.core.headers import (
    AccessTokenField,
    HeaderRules,
    HeaderTemplate,
    HostField,
    Preset,
    UnverifiedEmail,
    UpstreamHeaders,
    fold,
)
from proxy.core.identity import IdentityRules
from proxy.core.narrowing import EVERYTHING, Narrowing
from proxy.core.refresh import RefreshPolicy
from proxy.core.routing import (
    Activity,
    Cache,
    Csrf,
    OnUnauthenticated,
    PathCase,
    Preflight,
    Purpose,
    Route,
    RouteTable,
    ServiceWorker,
    TokenExchange,
    compile_access,
)
from proxy.core.session import Home
from proxy.core.target import Extensions, TargetRules
from proxy.errors import ClientMisconfigured, SettingsError
from proxy.forward.options import ForwardOptions, HeadLimits, TcpAddress, UnixAddress, UpstreamOptions
from proxy.gate.accept import AcceptRules
from proxy.gate.bearer import BearerRules
from proxy.gate.rules import GateRules
from proxy.gate.verify import ForwardAuthRules, Source, Strangers
from proxy.management_client import ApiAddress
from proxy.observe.audit_memory import AuditMemoryLimits
from proxy.observe.request_sample import LineRate
from proxy.oidc.client_auth import ClientAuthentication, ClientSecretBasic, ClientSecretPost, NoClientSecret
from proxy.oidc.metadata import Endpoints
from proxy.oidc.options import ClaimsSource, ProviderOptions
from proxy.oidc.provider_tls import ClientCertificate
from proxy.pages.look import Look
from proxy.pages.security import origin_of
from proxy.ports import UpstreamPlace
from proxy.sessions.memory import MemoryLimits
from proxy.settings import values
from proxy.settings.observing import TRACES_PATH
from proxy.settings.secret_source import SecretSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.assertion.signer import AssertionSigner
    from proxy.core.request import Headers
    from proxy.core.secret import Secret
    from proxy.observe.tracing_options import TracingOptions
    from proxy.ports import Clock, Observer
    from proxy.settings.model import (
        AccessConditions,
        ClientAuthSettings,
        RouteSettings,
        Settings,
        UpstreamSettings,
        UpstreamTlsSettings,
    )

MINIMUM_SERVER_KEY_BYTES = 32


def home(settings: Settings, portal: str = "") -> Home:
    """Return where sessions of these settings belong; ``portal``: the name of the site."""
    return Home(portal, settings.keycloak.issuer, settings.keycloak.client_id)


def own_cookies(settings: Settings, *, neighbours: frozenset[str] = frozenset()) -> OwnCookies:
    """Return names and attributes of our cookies; ``neighbours`` are session cookies of other sites that come along."""
    cookie = settings.sessions.cookie
    return OwnCookies(
        name=cookie.name,
        scheme=settings.server.public_url.scheme,
        same_site=SameSite(cookie.same_site),
        domain=cookie.domain,
        neighbours=neighbours,
    )


def everywhere(settings: Settings) -> Headers:
    """Return the fields of every answer of our own; those of the app's are the business of ``core.answer_headers``."""
    return (HSTS,) if settings.security_headers and settings.server.public_url.scheme == "https" else ()


# --- gate ------------------------------------------------------------------------------------------------------------


def accept_rules(settings: Settings) -> AcceptRules:
    """Return what is believed about the outside."""
    server = settings.server
    return AcceptRules(
        hosts=server.host_values,
        trusted_proxies=server.trusted_proxies,
        target=_target_rules(settings),
    )


def _target_rules(settings: Settings) -> TargetRules:
    reads = settings.server.app_reads
    return TargetRules(
        extensions=Extensions.REMOVED if reads.extensions else Extensions.KEPT,
        front_controllers=reads.front_controllers,
    )


def bearer_rules(settings: Settings) -> BearerRules | None:
    """Return whose access tokens count; None where they are the app's own business."""
    if not settings.bearer.enabled:
        return None
    keycloak = settings.keycloak
    identity = IdentityRules(
        issuer=keycloak.issuer,
        client_id=keycloak.client_id,
        username_claim=settings.identity_headers.username_claim,
    )
    return BearerRules(identity=identity, audiences=frozenset(keycloak.audience))


def gate_rules(settings: Settings, *, site: str = "", neighbours: frozenset[str] = frozenset()) -> GateRules:
    """Return the compiled rules of the gate; ``site`` is its key in the data path, ``neighbours`` as in own_cookies."""
    server, cookies = settings.server, own_cookies(settings, neighbours=neighbours)
    headers = _header_rules(settings, cookies)
    added = SecurityHeaders.ADDED if settings.security_headers else SecurityHeaders.AS_SENT
    return GateRules(
        routes=route_table(settings, site=site),
        own_prefix=server.own_prefix.encode(),
        target=_target_rules(settings),
        headers=headers,
        upstreams={
            upstream_key(site, name): _upstream_headers(headers, one) for name, one in settings.upstreams.items()
        },
        answers=AnswerRules(cookies=cookies, security_headers=added),
        cookies=cookies,
        allowed_origins=AllowedOrigins(
            frozenset(origin.encode() for origin in (server.public_url.origin, *server.allowed_origins)),
            scheme_here=server.public_url.scheme if server.public_url.is_wildcard else None,
        ),
        https_origin=f"https://{server.public_url.authority}".encode() if server.https_redirect else None,
        own_hosts=server.host_values,
        site=site,
        forward_auth=_forward_auth_rules(settings),
    )


def _forward_auth_rules(settings: Settings) -> ForwardAuthRules | None:
    asked = settings.forward_auth
    return None if asked is None else ForwardAuthRules(Source(asked.source), Strangers(str(asked.on_unauthenticated)))


def route_table(settings: Settings, *, site: str = "") -> RouteTable:
    """Return the compiled routes; they name upstreams by their keys."""
    routes = tuple(_route(settings, index, route, site=site) for index, route in enumerate(settings.routes))
    return RouteTable(routes, PathCase(settings.server.path_case))


def upstream_key(site: str, name: str) -> str:
    """Return by what gate and data path know an upstream of a site: no other site has this key."""
    # A name may hold anything, so also what another site's key and a slash look like.
    return f"{site}/{name}" if site or "/" in name else name


def _route(settings: Settings, index: int, route: RouteSettings, *, site: str) -> Route:
    refuses = route.on_unauthenticated != "login"
    return Route(
        pattern=route.path,
        access=compile_access(route.access if isinstance(route.access, str) else _stated(route.access)),
        index=index,
        methods=route.methods,
        on_unauthenticated=OnUnauthenticated.UNAUTHORIZED if refuses else OnUnauthenticated.BY_REQUEST,
        preflight=Preflight(route.preflight),
        activity=Activity.PASSIVE if route.passive else Activity.COUNTS,
        upstream=upstream_key(site, settings.upstream_of(route)),
        strip_prefix=route.strip_prefix.encode(),
        header_set=tuple(HeaderTemplate(name, text) for name, text in route.headers.set.items()),
        header_remove=frozenset(fold(name.encode()) for name in route.headers.remove),
        narrowing=_narrowing(route),
        token_exchange=None
        if (wanted := route.token_exchange) is None
        else TokenExchange(audience=wanted.audience, scope=wanted.scope),
        csrf=Csrf(route.csrf),
        cache=Cache(route.cache),
        # Only a login page of ours is in danger of a script that stays in the browser.
        service_worker=ServiceWorker.ALLOWED
        if route.service_worker or settings.login.mode == "redirect"
        else ServiceWorker.REFUSED,
        purpose=Purpose.LOGOUT if route.logout else Purpose.APP,
    )


def _narrowing(route: RouteSettings) -> Narrowing:
    """Return what a route names; the one value for all that name nothing, by which the gate knows them."""
    said = route.headers
    return EVERYTHING if said.roles is None and said.groups is None else Narrowing(said.roles, said.groups)


def _stated(access: AccessConditions) -> dict[str, object]:
    # Values, not what the file had: a dump would make durations text again.
    return {name: getattr(access, name) for name in access.model_fields_set}


def _header_rules(settings: Settings, cookies: OwnCookies) -> HeaderRules:
    identity = settings.identity_headers
    return HeaderRules(
        client_id=settings.keycloak.client_id,
        cookies=cookies,
        preset=Preset(identity.preset),
        templates=tuple(HeaderTemplate(name, text) for name, text in identity.set.items()),
        assertion=None if identity.assertion is None else identity.assertion.header,
        unverified_email=UnverifiedEmail(identity.unverified_email),
        role_clients=identity.role_clients,
        cookie_strip=settings.sessions.cookie.strip,
    )


def identity_assertion(settings: Settings, *, clock: Clock, observer: Observer) -> AssertionSigner | None:
    """Return who signs what apps are told, or None where the file wants no assertion.

    Raises:
        SettingsError: its keys cannot be used.
    """
    assertion = settings.identity_headers.assertion
    if assertion is None:
        return None
    from proxy.assertion.key_ring import KeyRing  # noqa: PLC0415 - few files want assertions
    from proxy.assertion.signer import AssertionRules, AssertionSigner  # noqa: PLC0415

    rules = AssertionRules(
        issuer=str(settings.server.public_url),
        audience=assertion.audience,
        lifetime_s=assertion.lifetime,
        headers=_header_rules(settings, own_cookies(settings)),
    )
    ring = KeyRing(assertion.signing_key.read_signing_keys, clock=clock, observer=observer)
    return AssertionSigner(rules, ring, random_bytes=secrets.token_bytes, observer=observer)


def _upstream_headers(rules: HeaderRules, upstream: UpstreamSettings) -> UpstreamHeaders:
    return UpstreamHeaders(
        rules=rules,
        host=host_of_upstream(upstream),
        host_field=HostField.PRESERVED if upstream.preserve_host else HostField.OF_UPSTREAM,
        access_token_field=AccessTokenField.SENT if upstream.access_token else AccessTokenField.WITHHELD,
        allow_request_headers=upstream.allow_request_headers,
    )


def host_of_upstream(upstream: UpstreamSettings) -> bytes:
    """Return the Host of an upstream that is called by its own name."""
    address = upstream.url.address
    if isinstance(address, values.UnixAddress):
        return b"localhost"
    default = 443 if upstream.url.scheme == "https" else 80
    name = f"[{address.host}]" if ":" in address.host else address.host
    return (name if address.port == default else f"{name}:{address.port}").encode()


# --- forward ---------------------------------------------------------------------------------------------------------


def forward_options(settings: Settings, tls: TlsFiles | None, *, descriptors: int) -> ForwardOptions:
    """Return the listener's limits, and the certificate when TLS ends here.

    Args:
        descriptors: files and sockets that the process may have open; clients get three quarters at most, so that
            connections to upstreams, provider and store can still be made when the door is full.
    """
    server = settings.server
    line = min(server.max_header_size, HeadLimits().line_bytes)
    return ForwardOptions(
        tls=None if tls is None else tls.context,
        limits=HeadLimits(head_bytes=server.max_header_size, line_bytes=line),
        max_body_size=server.max_body_size,
        max_connections=min(ForwardOptions().max_connections, descriptors * 3 // 4),
        head_timeout_s=server.timeouts.head,
        idle_timeout_s=server.timeouts.idle,
        body_idle_timeout_s=server.timeouts.body_idle,
    )


def server_tls(settings: Settings) -> TlsFiles | None:
    """Return the listener's certificate, or None when TLS does not end here.

    Raises:
        SettingsError: the files cannot be used.
    """
    tls = settings.server.tls
    if tls is None:
        return None

    def build() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        if tls.client_ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.client_ca_file is not None:
            context.load_verify_locations(tls.client_ca_file)
        return context

    return TlsFiles("server.tls", given_paths(tls.cert_file, tls.key_file, tls.client_ca_file), build)


def upstream_tls(settings: Settings) -> dict[str, TlsFiles]:
    """Return how the upstreams that speak https are verified, by name.

    Raises:
        SettingsError: the files cannot be used.
    """
    return {
        name: files for name, one in settings.upstreams.items() if (files := tls_of_upstream(name, one)) is not None
    }


def tls_of_upstream(name: str, upstream: UpstreamSettings) -> TlsFiles | None:
    """Return how one upstream is verified, or None when it does not speak https.

    Raises:
        SettingsError: the files cannot be used.
    """
    return _client_tls(f"upstreams.{name}.tls", upstream.tls) if upstream.url.scheme == "https" else None


def _client_tls(key: str, tls: UpstreamTlsSettings) -> TlsFiles:
    def build() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        return context

    return TlsFiles(key, given_paths(tls.ca_file, tls.cert_file, tls.key_file), build)


def given_paths(*files: str | None) -> list[Path]:
    """Return the paths of those that the file names."""
    return [Path(file) for file in files if file is not None]


def upstream_options(settings: Settings, tls: Mapping[str, TlsFiles], *, site: str = "") -> dict[str, UpstreamOptions]:
    """Return how each upstream is reached, by its key; those whose name is in ``tls`` by TLS."""
    return {upstream_key(site, name): _upstream(one, tls.get(name)) for name, one in settings.upstreams.items()}


def _upstream(upstream: UpstreamSettings, tls: TlsFiles | None) -> UpstreamOptions:
    return UpstreamOptions(
        address=listen_address(upstream.url.address),
        tls=None if tls is None else tls.current,
        connect_timeout_s=upstream.connect_timeout,
        response_timeout_s=upstream.response_timeout,
    )


def listen_address(address: values.Address) -> TcpAddress | UnixAddress:
    """Return an address of the file as the data path takes it."""
    if isinstance(address, values.UnixAddress):
        return UnixAddress(address.path)
    return TcpAddress(address.host, address.port)


# --- provider and sessions -------------------------------------------------------------------------------------------


def provider_options(settings: Settings) -> ProviderOptions:
    """Return the client and the identity provider."""
    keycloak = settings.keycloak
    by_hand = keycloak.endpoints
    return ProviderOptions(
        issuer=keycloak.issuer,
        client_id=keycloak.client_id,
        authentication=_client_authentication(settings),
        certificate=client_certificate(settings),
        internal_url=keycloak.internal_url,
        endpoints=Endpoints(
            authorization=by_hand.authorization,
            token=by_hand.token,
            jwks=by_hand.jwks,
            userinfo=by_hand.userinfo,
            end_session=by_hand.end_session,
            introspection=by_hand.introspection,
        ),
        scopes=keycloak.asked_scopes,
        claims_from=tuple(ClaimsSource(word) for word in keycloak.claims_from),
        signing_algorithms=frozenset(keycloak.signing_algorithms),
        username_claim=settings.identity_headers.username_claim,
        ca_file=None if keycloak.ca_file is None else Path(keycloak.ca_file),
        timeout_s=keycloak.timeout,
    )


def _client_authentication(settings: Settings) -> ClientAuthentication:
    client_id, given = settings.keycloak.client_id, settings.keycloak.client_auth
    if given.method in {"private_key_jwt", "client_secret_jwt", "kubernetes_service_account"}:
        return _client_assertion(client_id, given)
    if given.secret is None:
        return NoClientSecret(client_id)
    secret = _read_each_time("secret", given.secret)
    return (ClientSecretPost if given.method == "client_secret_post" else ClientSecretBasic)(client_id, secret)


def _client_assertion(client_id: str, given: ClientAuthSettings) -> ClientAuthentication:
    from proxy.oidc.client_assertion import (  # noqa: PLC0415 - PyJWT is slow to import, and most have a secret
        ClientSecretJwt,
        PrivateKeyJwt,
        ServiceAccountToken,
    )

    if given.method == "kubernetes_service_account":
        return ServiceAccountToken(client_id, _read_each_time("token_file", SecretSource(file=given.token_file)))
    if given.private_key is not None:
        key = _read_each_time("private_key", given.private_key)
        return PrivateKeyJwt(client_id, key, SystemClock(), given.key_id)
    assert given.secret is not None, "the settings hold that each method has what it needs"
    return ClientSecretJwt(client_id, _read_each_time("secret", given.secret), SystemClock())


def client_certificate(settings: Settings) -> ClientCertificate | None:
    """Return what is shown to the provider on each connection, or None."""
    given = settings.keycloak.client_auth
    if given.cert_file is None or given.key_file is None:
        return None
    return ClientCertificate(Path(given.cert_file), Path(given.key_file))


def _read_each_time(key: str, source: SecretSource) -> Callable[[], Secret]:
    """Read the secret anew at each call, so that a changed file counts at once."""

    def read() -> Secret:
        try:
            return source.read()
        except SettingsError as error:
            raise ClientMisconfigured(f"keycloak.client_auth.{key}: {error}") from error

    return read


def memory_limits(settings: Settings) -> MemoryLimits:
    """Return the caps of the store."""
    sessions = settings.sessions
    return MemoryLimits(max_sessions=sessions.memory.max_sessions, max_per_user=sessions.max_per_user)


def encryption_keys(settings: Settings) -> list[bytes]:
    """Return the server keys, the newest first.

    Raises:
        SettingsError: one cannot be read.
    """
    return [source.read_key() for source in settings.sessions.encryption_keys]


def refresh_policy(settings: Settings) -> RefreshPolicy:
    """Return how early tokens are refreshed, and how long an outage of the provider is bridged."""
    sessions = settings.sessions
    return RefreshPolicy(lead_s=sessions.refresh_before_expiry, outage_grace_s=sessions.outage_grace)


# --- log and traces --------------------------------------------------------------------------------------------------


def log_sample(settings: Settings) -> LineRate | None:
    """Return how many lines of requests that went well are written; None for all of them."""
    sample = settings.log.sample_2xx
    return None if sample is None else LineRate(sample.lines, sample.window_s)


def tracing_options(settings: Settings) -> TracingOptions | None:
    """Return where traces go, or None when there are none."""
    tracing = settings.tracing
    if tracing is None:
        return None
    from proxy.observe.tracing_options import TracingOptions  # noqa: PLC0415 - few files want traces

    return TracingOptions(
        endpoint=tracing.otlp_endpoint + TRACES_PATH,
        service_name=tracing.service_name,
        ratio=tracing.sampling_ratio,
        headers=lambda: {name: source.read().reveal() for name, source in tracing.headers.items()},
        ca_file=tracing.ca_file,
    )


def upstream_places(settings: Settings, *, site: str = "") -> dict[str, UpstreamPlace]:
    """Return what traces call each upstream, by its key."""
    return {upstream_key(site, name): _place(name, one) for name, one in settings.upstreams.items()}


def _place(name: str, upstream: UpstreamSettings) -> UpstreamPlace:
    address = upstream.url.address
    if isinstance(address, values.UnixAddress):
        return UpstreamPlace(name, address.path, None)
    return UpstreamPlace(name, address.host, address.port)


# --- audit trail -----------------------------------------------------------------------------------------------------


def audit_memory_limits(settings: Settings) -> AuditMemoryLimits | None:
    """Return the caps of the trail in memory, or None when nothing is kept."""
    return AuditMemoryLimits(keep_s=settings.audit.keep) if settings.audit.keep else None


# --- own pages -------------------------------------------------------------------------------------------------------


def look(settings: Settings) -> Look:
    """Return what all pages share."""
    server, login = settings.server, settings.login
    return Look(
        title=login.title or server.public_url.host_name,
        description=login.description or "",
        own_path=server.own_prefix,
        home=server.public_url.path or "/",
        form_origins=(origin_of(settings.keycloak.issuer),),
        accent=login.theme.accent,
        logo_file=_path(login.logo_file),
        icon_file=_path(login.icon_file),
        templates_dir=_path(login.templates_dir),
        locales=login.locales,
    )


def look_of_nobody(settings: Settings) -> Look:
    """Return what pages share that belong to no site: they say nothing of those that are here."""
    own_path = settings.server.own_prefix
    return Look(title="Sidegate", description="", own_path=own_path, home="/", form_origins=())


def _path(file: str | None) -> Path | None:
    return None if file is None else Path(file)


def served_clients(settings: Settings) -> tuple[OfClient, ...]:
    """Return the clients whose logins this file can finish."""
    return (OfClient(settings.keycloak.issuer, settings.keycloak.client_id),)


def admin_token(settings: Settings) -> Callable[[], Secret | None]:
    """Return how the token of the management API is read: anew each time, so that a changed file counts at once."""
    source = settings.management.admin_token
    return (lambda: None) if source is None else source.read


def api_address(settings: Settings) -> ApiAddress:
    """Return where our own commands reach the management API: a wildcard listens on loopback too."""
    listen = settings.management.api_listen
    if isinstance(listen, values.UnixAddress):
        return ApiAddress("http://localhost", unix_path=listen.path)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 - what a file may say
    return ApiAddress(f"http://{values.TcpAddress(host, listen.port)}")


def server_keys(settings: Settings, *, beside: bytes | None = None) -> tuple[bytes, ...]:
    """Return ``encryption_keys``, the newest first, or one that lives as long as whoever asks for it.

    Args:
        beside: a key of the process, after all others. What it has sealed (a login page that is shown just now) opens
            still when the file begins, or ceases, to have keys; where the file has some, it seals nothing more.
    """
    keys = tuple(encryption_keys(settings))
    if beside is not None:
        return (*keys, beside)
    return keys or (secrets.token_bytes(MINIMUM_SERVER_KEY_BYTES),)
