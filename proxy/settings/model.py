"""The settings file as typed values: every key that works, with its type, its default and its words.

A key stands here when it does something, not before; any other key is an error. Defaults are those of the README.
Durations are seconds (float), sizes are bytes (int). Rules within one value live in ``values.py``, rules across keys
in ``checks.py``; here is only the shape.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from proxy.core.hosts import HostNames
from proxy.core.lifetime import OFFLINE_ACCESS, SessionPlan
from proxy.core.throttle import Rate
from proxy.settings import values
from proxy.settings.kinds import (
    Accent,
    AcrValues,
    Algorithm,
    AnyCookieName,
    AppUrl,
    AssertionLifetime,
    AtLeastOne,
    BaseUrl,
    ClaimValues,
    CookieName,
    Count,
    Domain,
    Duration,
    DurationOrZero,
    EndpointUrl,
    FailureRate,
    Given,
    HeaderName,
    Host,
    HostAndPort,
    ListenAddress,
    Locale,
    LocalPath,
    MaxAge,
    Method,
    Network,
    Origin,
    OwnHeaderName,
    Pattern,
    PortalName,
    PositiveCount,
    Prefix,
    ProviderUrl,
    RedisServer,
    Role,
    Scope,
    Scopes,
    Size,
    StripPrefix,
    Switch,
    Template,
    Text,
    WithoutDoubles,
    Word,
)
from proxy.settings.observing import CollectorUrl, LineSample, Ratio
from proxy.settings.problems import ValueRefused
from proxy.settings.redis_url import RedisUrl
from proxy.settings.secret_source import SecretSource
from proxy.settings.values import TcpAddress


class Section(BaseModel):
    """What all sections have in common: unknown keys are errors, values never change, errors show no input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


# --- server ----------------------------------------------------------------------------------------------------------


class TlsSettings(Section):
    """TLS that ends here."""

    cert_file: Text = Field(
        description="PEM file with the certificate and its chain. Read again when it changes.",
        examples=["/etc/sidegate/tls.crt"],
    )
    key_file: Text = Field(description="PEM file with the private key.", examples=["/etc/sidegate/tls.key"])
    client_ca_file: Text | None = Field(
        default=None,
        description="PEM file with the authorities of client certificates; with it, a client without one is refused.",
        examples=["/etc/sidegate/clients.crt"],
    )


class AppReadsSettings(Section):
    """In which further ways the app reads a path."""

    extensions: Switch = Field(
        default=False, description="The app serves /x for /x.json too (Rails, Spring), so rules hold for both."
    )
    front_controllers: tuple[Text, ...] = Field(
        default=(),
        description="Scripts that the app takes out of a path: with index.php, /index.php/admin is /admin.",
        examples=[["index.php"]],
    )


class TimeoutSettings(Section):
    """How long a client may be silent."""

    head: Duration = Field(default=10.0, description="For a whole request head to arrive.")
    idle: Duration = Field(default=75.0, description="Between two requests on one connection.")
    body_idle: Duration = Field(
        default=60.0, description="Between two pieces of a body; a body may take as long as it likes."
    )


class ServerSettings(Section):
    """Where Sidegate listens and what browsers call it."""

    listen: ListenAddress = Field(
        default=TcpAddress("0.0.0.0", 4180),  # noqa: S104 - a sidecar is there to be reached
        description="Where to listen: host:port, [IPv6]:port or unix:/path.",
        examples=["0.0.0.0:4180"],
    )
    public_url: BaseUrl = Field(
        description="The URL that the browser shows. It may have a path, which then precedes prefix. "
        "With https, cookies are Secure and __Host-, and HSTS is sent. "
        "In the place of a host such as *.apps.example.com stands the host of each request.",
        examples=["https://app.example.com"],
    )
    hosts: tuple[Host, ...] = Field(
        default=(),
        description="Further Host values that are answered; any other is 421. "
        "*.apps.example.com stands for any one label.",
        examples=[["app.internal.example.com"]],
    )
    prefix: Prefix = Field(
        default="/_sidegate",
        description="Everything that Sidegate itself serves lies under this path; the app never sees it.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="Networks of the proxies in front. "
        "X-Forwarded-*, Forwarded and X-Request-ID of any other peer are dropped.",
        examples=[["10.0.0.0/8"]],
    )
    https_redirect: Switch = Field(default=False, description="Answer a request that came by http with 308 to https.")
    tls: TlsSettings | None = Field(
        default=None, description="TLS that ends here; without it, a proxy in front ends it, or nobody does."
    )
    max_header_size: Size = Field(default=32 * 1024, description="The largest request head; a larger one is 431.")
    max_body_size: Size = Field(default=0, description="The largest request body; a larger one is 413. 0: no limit.")
    path_case: Annotated[Literal["sensitive", "ignore"], Word] = Field(
        default="sensitive", description="ignore: routes match without regard to case, for apps that do (IIS)."
    )
    app_reads: AppReadsSettings = Field(
        default=AppReadsSettings(),
        description="In which further ways the app reads a path, so that rules hold for them too.",
    )
    allowed_origins: tuple[Origin, ...] = Field(
        default=(),
        description="Origins besides public_url's own that may open a WebSocket "
        "or send unsafe methods with a session cookie.",
        examples=[["https://portal.example.com"]],
    )
    timeouts: TimeoutSettings = Field(default=TimeoutSettings(), description="How long a client may be silent.")
    shutdown_grace: DurationOrZero = Field(
        default=25.0, description="How long running requests may go on after SIGTERM before they are cut."
    )

    @property
    def own_prefix(self) -> str:
        """Return the path under which Sidegate itself serves, with public_url's path before it."""
        return self.public_url.path + self.prefix

    @property
    def host_values(self) -> HostNames:
        """Return every Host value that is answered, lower case."""
        return HostNames((self.public_url.authority, *self.hosts))


class ManagementSettings(Section):
    """The port of probes and metrics."""

    listen: ListenAddress = Field(
        default=TcpAddress("0.0.0.0", 4190),  # noqa: S104 - probes and Prometheus come from outside
        description="Where /healthz, /readyz and /metrics are served: host:port, [IPv6]:port or unix:/path.",
        examples=["0.0.0.0:4190"],
    )
    api_listen: ListenAddress = Field(
        default=TcpAddress("127.0.0.1", 4191),
        description="Where /api/sessions and /api/audit are served, to whoever has admin_token: host:port, "
        "[IPv6]:port or unix:/path.",
        examples=["127.0.0.1:4191"],
    )
    admin_token: SecretSource | None = Field(
        default=None,
        description="The token of the management API, sent as Authorization: Bearer. Without one the API is 403.",
        examples=[{"file": "/run/secrets/admin-token"}],
    )


# --- keycloak --------------------------------------------------------------------------------------------------------


class EndpointSettings(Section):
    """Endpoints by hand, for a provider whose discovery lacks or misstates them."""

    authorization: EndpointUrl | None = Field(default=None, description="Where browsers are sent to sign in.")
    token: EndpointUrl | None = Field(
        default=None, description="Where codes, passwords and refresh tokens become tokens."
    )
    jwks: EndpointUrl | None = Field(default=None, description="Where the provider's keys are.")
    userinfo: EndpointUrl | None = Field(default=None, description="Where further claims are asked.")
    end_session: EndpointUrl | None = Field(default=None, description="Where browsers are sent to sign out.")
    introspection: EndpointUrl | None = Field(default=None, description="Where tokens are asked about.")


class ClientAuthSettings(Section):
    """How Sidegate proves to the provider that it is the client."""

    method: Annotated[
        Literal[
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "tls_client_auth",
            "kubernetes_service_account",
            "none",
        ],
        Word,
    ] = Field(
        default="client_secret_basic",
        description="client_secret_basic: the secret in a header. client_secret_post: in the body. client_secret_jwt: "
        "the secret signs (HS256) and stays here. private_key_jwt: a key signs (RS256, ES256). tls_client_auth: a "
        "certificate on each connection. kubernetes_service_account: the pod's own token, no secret anywhere. "
        "none: a public client, which has only PKCE.",
    )
    secret: SecretSource | None = Field(
        default=None,
        description="The client's secret, for the methods client_secret_…: exactly one of {file: PATH}, {env: NAME}, "
        "{value: TEXT}.",
        examples=[{"file": "/run/secrets/client"}],
    )
    private_key: SecretSource | None = Field(
        default=None,
        description="The key of private_key_jwt, as unencrypted PEM: RSA of 2048 bits or more, or P-256.",
        examples=[{"file": "/run/secrets/client.key"}],
    )
    key_id: Text | None = Field(
        default=None,
        description="The kid under which the provider knows that key; thumbprint: the key's RFC 7638 thumbprint, as "
        "keycloak-setup registers it. Without it none is sent, which is right where Keycloak has one key or a "
        "certificate.",
        examples=["thumbprint"],
    )
    cert_file: Text | None = Field(
        default=None,
        description="PEM file with the certificate of tls_client_auth and its chain. Read again when it changes.",
        examples=["/run/secrets/client.crt"],
    )
    key_file: Text | None = Field(
        default=None, description="PEM file with the certificate's private key.", examples=["/run/secrets/client.key"]
    )
    token_file: Text = Field(
        default="/run/secrets/sidegate/token",
        description="The projected token of kubernetes_service_account; its audience is keycloak.issuer. "
        "Read at each call.",
    )


class KeycloakSettings(Section):
    """The provider, and who we are to it; any OpenID Connect issuer."""

    issuer: ProviderUrl = Field(
        description="The exact iss of tokens, final slash included or not as the provider writes it.",
        examples=["https://sso.example.com/realms/acme"],
    )
    internal_url: ProviderUrl | None = Field(
        default=None,
        description="Where this process reaches the issuer; "
        "endpoints of discovery that begin with the issuer get this instead. Without it: the issuer.",
        examples=["http://keycloak.sso.svc:8080/realms/acme"],
    )
    endpoints: EndpointSettings = Field(default=EndpointSettings(), description="Endpoints by hand, over discovery.")
    client_id: Text = Field(description="The client in Keycloak.", examples=["legacy-app"])
    client_auth: ClientAuthSettings = Field(
        description="How Sidegate proves that it is the client.",
        examples=[{"secret": {"file": "/run/secrets/client"}}],
    )
    scopes: Annotated[tuple[Scope, ...], WithoutDoubles] = Field(
        default=("openid", "profile", "email"), description="Scopes asked at login; openid is one of them."
    )
    offline_access: Switch = Field(
        default=False,
        description="true: ask for offline_access at login, so that sessions outlive Keycloak's SSO session.",
    )
    auth_params: dict[Text, Text] = Field(
        default={}, description="Further parameters of the authorization request.", examples=[{"display": "page"}]
    )
    claims_from: Annotated[
        tuple[Annotated[Literal["id_token", "access_token", "userinfo"], Word], ...], AtLeastOne, WithoutDoubles
    ] = Field(
        default=("id_token", "access_token"),
        description="Where claims come from: the first that has a claim gives it, roles and groups are united. "
        "userinfo is asked at login and refresh.",
    )
    audience: Annotated[tuple[Text, ...], WithoutDoubles] = Field(
        default=(),
        description="Further audiences that count in bearer tokens; the client_id always does.",
        examples=[["api"]],
    )
    signing_algorithms: Annotated[tuple[Algorithm, ...], AtLeastOne, WithoutDoubles] = Field(
        default=("RS256",),
        description="Signature algorithms of ID, access and logout tokens; asymmetric only, and never taken from "
        "discovery.",
    )
    ca_file: Text | None = Field(
        default=None,
        description="PEM file with the authorities that the provider's certificate is checked against, "
        "instead of the system's.",
        examples=["/etc/sidegate/sso-ca.crt"],
    )
    timeout: Duration = Field(default=10.0, description="For a whole answer of the provider.")

    @property
    def asked_scopes(self) -> tuple[str, ...]:
        """Return what is asked at login, each once."""
        further = (OFFLINE_ACCESS,) if self.offline_access else ()
        return tuple(dict.fromkeys((*self.scopes, *further)))


# --- login -----------------------------------------------------------------------------------------------------------


class ProviderSettings(Section):
    """A button of the login page that leads to an identity provider behind Keycloak."""

    alias: Text = Field(description="The alias in Keycloak, sent as kc_idp_hint.", examples=["google"])
    label: Text = Field(description="What the button says.", examples=["Google"])


class ThrottleSettings(Section):
    """How many sign-ins by the form may fail before further ones are 429."""

    per_user: FailureRate = Field(
        default=Rate(5, 300),
        description="Failures of one user name within a time; a browser in which this person has signed in before has "
        "a count of its own. At most 1000, in 10s to 1d; off switches it off.",
        examples=["5/5m", "off"],
    )
    per_address: FailureRate = Field(
        default=Rate(30, 300),
        description="The same for one address, IPv6 by /64. It does not hold for proxies of your own network that "
        "server.trusted_proxies does not name.",
        examples=["30/5m", "off"],
    )


class ThemeSettings(Section):
    """Colours of the pages."""

    accent: Accent = Field(
        default=None,
        description="Your colour, as CSS writes it in hexadecimal; quotes are needed. Buttons have it; links and "
        "borders a shade of it that can be read on light and on dark.",
        examples=["#0f766e"],
    )


class LoginSettings(Section):
    """How people sign in."""

    mode: Annotated[Literal["form", "redirect"], Word] = Field(
        default="form",
        description="form: a page of our own, with the password grant. redirect: straight to Keycloak's page.",
    )
    landing: LocalPath = Field(default="/", description="Where a login leads that was not asked for by a page.")
    otp: Annotated[Literal["hidden", "optional", "required"], Word] = Field(
        default="optional", description="The field for a one-time code on the login page."
    )
    title: Text | None = Field(default=None, description="Name of the site, on every page.", examples=["Acme"])
    description: Text | None = Field(
        default=None, description="A sentence below the heading.", examples=["Staff only."]
    )
    logo_file: Text | None = Field(
        default=None,
        description="Picture above every page instead of mark and title: SVG, PNG, JPEG or WebP, at most 512 KiB. "
        "It is 56 px high at most. Read again when it changes.",
        examples=["/etc/sidegate/logo.svg"],
    )
    icon_file: Text | None = Field(
        default=None,
        description="Icon in the browser's tab, and the mark beside the title: SVG, PNG or ICO, at most 512 KiB.",
        examples=["/etc/sidegate/icon.svg"],
    )
    theme: ThemeSettings = Field(default=ThemeSettings(), description="Colours of the pages.")
    templates_dir: Text | None = Field(
        default=None,
        description="Folder with templates of your own, which stand for ours or change single blocks of them, and with "
        "assets/ that they name; docs/templates.md tells how. Read again when they change, each page tried; a broken "
        "template keeps Sidegate from starting, or leaves the pages that it has.",
        examples=["/etc/sidegate/templates"],
    )
    locales: Annotated[tuple[Locale, ...], AtLeastOne, WithoutDoubles] = Field(
        default=("en", "de", "fr", "es"),
        description="Languages of the pages; visitors choose by a switch, else Accept-Language does, and the first is "
        "for who reads none. Others need words of yours in templates_dir/locales/TAG/messages.po, where single "
        "sentences of ours can be replaced too.",
    )
    providers: tuple[ProviderSettings, ...] = Field(
        default=(),
        description="Buttons that lead to identity providers behind Keycloak.",
        examples=[[{"alias": "google", "label": "Google"}]],
    )
    registration: Switch = Field(default=False, description="Show a link to Keycloak's registration.")
    forgot_password: Switch = Field(
        default=False, description="Show a link to Keycloak's page for a forgotten password."
    )
    remember_me: Switch = Field(
        default=True,
        description="Offer to stay signed in. Unticked, the cookie ends with the browser and the session after 12h; "
        "without the offer that holds for every sign-in. With it, one at Keycloak's own page, which has no box of "
        "ours, lasts as if ticked.",
    )
    throttle: ThrottleSettings = Field(default_factory=ThrottleSettings)
    max_concurrent: PositiveCount = Field(
        default=8,
        description="Password grants at Keycloak at once; "
        "a further one waits, at most keycloak.timeout, then it is 503.",
    )
    csrf_lifetime: Duration = Field(default=1800.0, description="How long a shown login page may be sent.")


# --- sessions --------------------------------------------------------------------------------------------------------


class MemorySettings(Section):
    """Sessions in this process."""

    max_sessions: PositiveCount = Field(
        default=100_000, description="At this many a new login is 503; nobody is put out."
    )


class SentinelSettings(Section):
    """Redis Sentinel: who knows which Redis is the primary."""

    master: Text = Field(description="The name under which the sentinels know the primary.", examples=["mymaster"])
    nodes: Annotated[tuple[HostAndPort, ...], AtLeastOne] = Field(
        description="The sentinels, host:port each.", examples=[["sentinel-0:26379", "sentinel-1:26379"]]
    )


class RedisTlsSettings(Section):
    """How a Redis that is reached with rediss:// is verified, and what it is shown."""

    ca_file: Text | None = Field(
        default=None,
        description="PEM file with the authorities that its certificate is checked against, instead of the system's.",
        examples=["/etc/sidegate/redis-ca.crt"],
    )
    cert_file: Text | None = Field(
        default=None, description="PEM file with our certificate.", examples=["/etc/sidegate/redis-client.crt"]
    )
    key_file: Text | None = Field(
        default=None, description="PEM file with its private key.", examples=["/etc/sidegate/redis-client.key"]
    )


class RedisSettings(Section):
    """Sessions in Redis, for several replicas and for restarts."""

    url: RedisServer = Field(
        default=RedisUrl(TcpAddress("redis", 6379)),
        description="redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], rediss:// for TLS, or unix:/path. "
        "With sentinel, host and port are not used. With cluster, the first node that is asked.",
        examples=["redis://redis:6379/0"],
    )
    password: SecretSource | None = Field(
        default=None,
        description="The password, when it shall not stand in url.",
        examples=[{"file": "/run/secrets/redis-password"}],
    )
    cluster: Switch = Field(default=False, description="true: a Redis Cluster.")
    sentinel: SentinelSettings | None = Field(
        default=None, description="Ask sentinels which Redis is the primary, and follow a failover."
    )
    tls: RedisTlsSettings = Field(default=RedisTlsSettings(), description="For rediss://.")
    key_prefix: Text = Field(default="sidegate:", description="Begins the name of every key that is ours.")


class CookieSettings(Section):
    """The session cookie, and cookies that the app must not see."""

    name: CookieName = Field(default="sidegate", description="Its name; on https it gets __Host- before it.")
    same_site: Annotated[Literal["Lax", "Strict", "None"], Word] = Field(
        default="Lax", description="SameSite of the session cookie."
    )
    domain: Domain | None = Field(
        default=None,
        description="Share the cookie with all hosts of a domain; it loses __Host- by that. null: this host alone.",
    )
    strip: tuple[AnyCookieName, ...] = Field(
        default=(), description="Further cookies that the app must not see.", examples=[["KEYCLOAK_IDENTITY"]]
    )


class SessionSettings(Section):
    """Where sessions live, and how long."""

    store: Annotated[Literal["memory", "redis"], Word] = Field(
        default="memory",
        description="Where sessions are kept. memory: in this process, for one replica; they end with it. "
        "redis: shared by all replicas, sealed with encryption_keys.",
    )
    memory: MemorySettings = Field(default=MemorySettings(), description="For store: memory.")
    redis: RedisSettings = Field(default=RedisSettings(), description="For store: redis.")
    encryption_keys: tuple[SecretSource, ...] = Field(
        default=(),
        description="Keys as `sidegate keygen` makes them, read again when they change: the first encrypts, all "
        "decrypt. Needed with store: redis. With memory they protect our own forms only, and without any a key is made "
        "at each start, so that login pages shown before a restart must be loaded again.",
        examples=[[{"file": "/run/secrets/session-key"}]],
    )
    lifetime: Duration = Field(
        default=30 * 86400.0,
        description="The absolute end of a session. It also ends when its refresh token does.",
    )
    idle_timeout: Duration = Field(default=7 * 86400.0, description="A session without activity ends after this.")
    max_per_user: Count = Field(default=50, description="Above this many the user's oldest session ends. 0: no limit.")
    refresh_before_expiry: DurationOrZero = Field(
        default=60.0, description="How long before its expiry an access token is refreshed."
    )
    outage_grace: DurationOrZero = Field(
        default=0.0,
        description="How long after the expiry of its access token a session is served while Keycloak is away.",
    )
    cookie: CookieSettings = Field(default=CookieSettings(), description="The session cookie.")


# --- towards the app -------------------------------------------------------------------------------------------------


class AssertionSettings(Section):
    """A signed statement of who asks, for apps that want proof instead of trust."""

    header: OwnHeaderName = Field(
        default="X-Sidegate-Assertion", description="The header that carries it, a JWT signed with ES256."
    )
    audience: Text = Field(description="The aud of it: what the app expects to be called.", examples=["app"])
    lifetime: AssertionLifetime = Field(
        default=60.0, description="How long one holds; it is signed anew when half of that is over. 10s to 1h."
    )
    signing_key: SecretSource = Field(
        description="The private key: PEM, P-256, as `sidegate keygen --signing` makes it. A file with several is for "
        "rotation: the first signs, PREFIX/jwks shows all. Read again when it changes.",
        examples=[{"file": "/run/secrets/assertion.pem"}],
    )


class IdentityHeaderSettings(Section):
    """What the app is told about the user."""

    preset: Annotated[Literal["x-auth", "x-auth-request", "x-forwarded", "remote", "none"], Word] = Field(
        default="x-auth", description="The set of header names; the README has the table. none: only those of set."
    )
    username_claim: Text = Field(default="preferred_username", description="The claim that is sent as the user name.")
    unverified_email: Annotated[Literal["drop", "send"], Word] = Field(
        default="drop", description="What happens to an e-mail address that the provider has not verified."
    )
    role_clients: tuple[Text, ...] = Field(
        default=(),
        description="Clients whose roles are sent besides the realm's and our own.",
        examples=[["billing"]],
    )
    set: dict[OwnHeaderName, Template] = Field(
        default={},
        description="Further headers; {claims.NAME} stands for a claim. "
        "Host, Cookie, framing and hop-by-hop names are refused.",
        examples=[{"X-Department": "{claims.department}"}],
    )
    assertion: AssertionSettings | None = Field(
        default=None,
        description="A signed statement beside the headers, for apps that want proof. Without it: none.",
        examples=[{"audience": "app", "signing_key": {"file": "/run/secrets/assertion.pem"}}],
    )


class UpstreamTlsSettings(Section):
    """How an app that listens with https is verified, and what it is shown."""

    ca_file: Text | None = Field(
        default=None,
        description="PEM file with the authorities that the app's certificate is checked against, "
        "instead of the system's. Read again when it changes.",
        examples=["/etc/sidegate/app-ca.crt"],
    )
    cert_file: Text | None = Field(
        default=None,
        description="PEM file with the certificate that Sidegate shows the app. Read again when it changes.",
        examples=["/etc/sidegate/client.crt"],
    )
    key_file: Text | None = Field(
        default=None, description="PEM file with its private key.", examples=["/etc/sidegate/client.key"]
    )


class UpstreamSettings(Section):
    """An app behind Sidegate."""

    url: AppUrl = Field(
        description="Where the app listens: http(s)://host:port or unix:/path.", examples=["http://127.0.0.1:8000"]
    )
    connect_timeout: Duration = Field(default=5.0, description="For a connection to the app.")
    response_timeout: Duration = Field(
        default=60.0, description="To the head of the app's answer; a body may take as long as it likes."
    )
    preserve_host: Switch = Field(default=True, description="Send the browser's Host; false: the host of url.")
    access_token: Switch = Field(
        default=False, description="Send the user's access token to this app, as Authorization: Bearer."
    )
    allow_request_headers: tuple[HeaderName, ...] = Field(
        default=(),
        description="Headers that are dropped by default because apps let them change what was decided, "
        "and that this app needs.",
        examples=[["X-HTTP-Method-Override"]],
    )
    tls: UpstreamTlsSettings = Field(
        default=UpstreamTlsSettings(), description="For an app with https: whom to trust and what to show."
    )


class AccessConditions(Section):
    """Conditions of a route; every one that is given must hold."""

    any_role: Annotated[Annotated[tuple[Role, ...], AtLeastOne] | None, Given] = Field(
        default=None,
        description="At least one of these roles: role (realm), client:role, realm:a:b for a realm role with a colon.",
        examples=[["viewer", "legacy-app:editor"]],
    )
    all_roles: Annotated[Annotated[tuple[Role, ...], AtLeastOne] | None, Given] = Field(
        default=None, description="Every one of these roles.", examples=[["editor"]]
    )
    any_group: Annotated[Annotated[tuple[Text, ...], AtLeastOne] | None, Given] = Field(
        default=None, description="At least one of these groups, as full paths.", examples=[["/staff"]]
    )
    claims: Annotated[dict[Text, ClaimValues] | None, Given] = Field(
        default=None,
        description="Claims by name: equal to the value, or holding it when the claim is a list; "
        "a list of values means any; * stands for any text.",
        examples=[{"department": ["finance", "it-*"]}],
    )
    acr: Annotated[AcrValues | None, Given] = Field(
        default=None,
        description="How the person proved who they are (step-up): a value of the provider's acr, or a list of which "
        "any will do. Equal or not; none is taken for stronger than another. Who lacks it is sent to the provider for "
        "it.",
        examples=["gold", ["gold", "platinum"]],
    )
    max_age: Annotated[MaxAge | None, Given] = Field(
        default=None,
        description="How long ago the person may have proved it, at most; then the provider asks again. At least 10s.",
        examples=["5m"],
    )


def _is_mapping(value: object) -> str:
    """Tell the two ways to write an access rule apart."""
    return "<conditions>" if isinstance(value, dict | AccessConditions) else "<word>"


def _some_condition(access: object) -> object:
    """Refuse a mapping without a condition: it would let everybody pass who signed in, and look stricter."""
    if isinstance(access, AccessConditions) and not access.model_fields_set:
        raise ValueRefused("has no condition", "write authenticated, or conditions such as {any_role: [viewer]}")
    return access


AccessWord = Literal["public", "optional", "authenticated"]
Access = Annotated[
    Annotated[AccessWord, Word, Tag("<word>")] | Annotated[AccessConditions, Tag("<conditions>")],
    Discriminator(_is_mapping),
    AfterValidator(_some_condition),
]


def _challenge_word(value: object) -> object:
    """Let a substituted 401 be the number."""
    return 401 if value == "401" else values.parse_word(value)


class RouteHeaderSettings(Section):
    """Request headers of one route."""

    set: dict[OwnHeaderName, Template] = Field(
        default={},
        description="Headers to set on the way to the app, after all others; {claims.NAME} stands for a claim.",
        examples=[{"X-Area": "reports"}],
    )
    remove: tuple[HeaderName, ...] = Field(
        default=(), description="Headers of the client that the app must not see.", examples=[["X-Debug"]]
    )
    roles: Annotated[tuple[Role, ...] | None, Given] = Field(
        default=None,
        description="Send these roles alone, in headers and assertion; * stands for any text. Without it: all.",
        examples=[["viewer", "legacy-app:*"]],
    )
    groups: Annotated[tuple[Text, ...] | None, Given] = Field(
        default=None,
        description="Send these groups alone, as full paths; * stands for any text. Without it: all.",
        examples=[["/staff", "/staff/*"]],
    )


class TokenExchangeSettings(Section):
    """The access token that an app gets in place of the person's own (RFC 8693)."""

    audience: Text = Field(description="The client in Keycloak for whom it is.", examples=["billing"])
    scope: Scopes | None = Field(
        default=None,
        description="Scopes to ask for, with a space between them. Without it: what Keycloak gives.",
        examples=["invoices:read"],
    )


class RouteSettings(Section):
    """Who may reach which paths, and how they are forwarded."""

    path: Pattern = Field(
        description="Literal segments, * within one segment, ** at the end for the rest (/admin/** is /admin too).",
        examples=["/admin/**"],
    )
    methods: Annotated[Annotated[tuple[Method, ...], AtLeastOne, WithoutDoubles] | None, Given] = Field(
        default=None,
        description="Methods that this route takes; GET includes HEAD. Without it: all. "
        "Another method goes to a later route of the same path, or is 405.",
        examples=[["GET"]],
    )
    access: Access = Field(
        default="authenticated",
        description="public: nobody is asked who they are. optional: the identity is sent if there is one. "
        "authenticated: whoever signed in. Or conditions, all of which must hold.",
    )
    on_unauthenticated: Annotated[Literal["login", 401], BeforeValidator(_challenge_word)] = Field(
        default="login",
        description="What somebody without a session gets: the login page (navigations only), or 401 always.",
    )
    preflight: Annotated[Literal["deny", "pass"], Word] = Field(
        default="deny", description="pass: a CORS preflight reaches the app without a session."
    )
    passive: Switch = Field(
        default=False, description="true: neither a request nor an open stream counts as activity of the session."
    )
    upstream: Text | None = Field(
        default=None, description="Name of the upstream; needed when there are several.", examples=["app"]
    )
    strip_prefix: StripPrefix = Field(
        default="", description="Taken from the start of the path before it is forwarded.", examples=["/old"]
    )
    headers: RouteHeaderSettings = Field(default=RouteHeaderSettings(), description="Request headers of this route.")
    token_exchange: TokenExchangeSettings | None = Field(
        default=None,
        description="Send the app a token of its own, exchanged at Keycloak for the person's, as Authorization: "
        "Bearer; never the person's own.",
        examples=[{"audience": "billing"}],
    )
    csrf: Annotated[Literal["same_origin", "off"], Word] = Field(
        default="same_origin",
        description="same_origin: an unsafe method with a session cookie from another site is 403. "
        "off: the app defends itself.",
    )
    cache: Annotated[Literal["private", "as_sent"], Word] = Field(
        default="private",
        description="private: answers to a known user are kept out of shared caches. as_sent: left alone.",
    )
    service_worker: Switch = Field(
        default=False,
        description="true: service workers may be installed below this route although the login form is ours.",
    )
    logout: Switch = Field(
        default=False,
        description="true: this is the app's own logout link. A POST from a page of the site ends the session, a GET "
        "asks; neither reaches the app. Beside it stand path and methods alone.",
    )


def _default_routes(routes: tuple[RouteSettings, ...]) -> tuple[RouteSettings, ...]:
    """Let an empty list be what no list is: everything, for whoever signed in."""
    return routes or (RouteSettings(path="/**"),)


# --- the rest --------------------------------------------------------------------------------------------------------


class BearerSettings(Section):
    """Access tokens of API clients."""

    enabled: Switch = Field(
        default=True,
        description="Verify Authorization: Bearer where a route asks who is there; false: it is the app's business.",
    )


class BackchannelSettings(Section):
    """Logout by Keycloak's word."""

    enabled: Switch = Field(
        default=True, description="Take logout tokens at PREFIX/backchannel-logout; false: it is 404."
    )


def _status_word(value: object) -> object:
    """Let a substituted status be the number."""
    return {"401": 401, "302": 302}.get(value, value) if isinstance(value, str) else value


class ForwardAuthSettings(Section):
    """Answers for another proxy that asks, at PREFIX/verify, whether a request may pass."""

    source: Annotated[Literal["x-forwarded", "x-original", "path"], Word] = Field(
        default="x-forwarded",
        description="Where the proxy tells what is asked. x-forwarded: X-Forwarded-Method, -Proto, -Host, -Uri "
        "(Traefik, Caddy). x-original: X-Original-Method, -URL, -URI (nginx). path: /verify/path and what follows it "
        "(Envoy).",
    )
    on_unauthenticated: Annotated[Literal[401, 302], BeforeValidator(_status_word)] = Field(
        default=401,
        description="What a navigation without a session gets. 302: a redirect to the login page, for proxies that "
        "pass it on (Traefik, Caddy, Envoy). 401: the same Location in a 401, for nginx, which takes a redirect for a "
        "fault.",
    )


class AuditSettings(Section):
    """Who signed in and out, and who was refused."""

    keep: DurationOrZero = Field(
        default=7 * 86400.0,
        description="How long audit events are kept for `sidegate audit` and /api/audit; 0: they are only logged.",
    )


class LogSettings(Section):
    """What is written to stdout."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Word] = Field(
        default="info", description="The least that is written."
    )
    format: Annotated[Literal["json", "console"], Word] = Field(
        default="json", description="json: one object for each line. console: for people."
    )
    sample_2xx: LineSample = Field(
        default=None,
        description="Lines of requests that went well (2xx) that are written within a time; a line says how many were "
        "left out, and metrics count all. Everything else is always written. off: every line.",
        examples=["100/s", "off"],
    )


class TracingSettings(Section):
    """Traces of requests, told to an OpenTelemetry collector; needs ``sidegate[otel]``."""

    otlp_endpoint: CollectorUrl = Field(
        description="The collector, by OTLP over HTTP; /v1/traces is added.", examples=["http://collector:4318"]
    )
    service_name: Text = Field(default="sidegate", description="What we are called in traces.")
    sampling_ratio: Ratio = Field(
        default=1.0,
        description="Part of the requests that are traced. Where a trusted proxy has decided already, that holds.",
        examples=[0.1],
    )
    headers: dict[HeaderName, SecretSource] = Field(
        default={},
        description="Headers for the collector, each a secret.",
        examples=[{"Authorization": {"file": "/run/secrets/collector"}}],
    )
    ca_file: Text | None = Field(
        default=None, description="Authorities for the collector's certificate. Without it: the usual ones."
    )


def _at_least_one_upstream(upstreams: dict[str, UpstreamSettings]) -> dict[str, UpstreamSettings]:
    """Refuse a gate that leads nowhere."""
    if not upstreams:
        raise ValueRefused("names no app", "write {app: {url: http://127.0.0.1:8000}}")
    return upstreams


def _some_host(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a portal that nobody could ask for."""
    if not hosts:
        raise ValueRefused("names no host, so nobody would come here", "write [admin.example.com]")
    return hosts


class PortalSettings(Section):
    """One of several sites: its name, its hosts, and whatever key is to be otherwise than at the top."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    name: PortalName = Field(
        description="A word of your choice, for commands and log lines. A session is of the portal with its name, "
        "so everybody signs in anew when it changes.",
        examples=["admin"],
    )
    hosts: Annotated[tuple[Host, ...], AfterValidator(_some_host), WithoutDoubles] = Field(
        description="Host values that are this portal, and no other's; that of its server.public_url is one of them. "
        "*.apps.example.com stands for any one label.",
        examples=[["admin.example.com"]],
    )


class Settings(Section):
    """The whole file."""

    server: ServerSettings = Field(description="Where Sidegate listens and what browsers call it.")
    management: ManagementSettings = Field(default=ManagementSettings(), description="The port of probes and metrics.")
    keycloak: KeycloakSettings = Field(description="The provider, and who we are to it; any OpenID Connect issuer.")
    login: LoginSettings = Field(default=LoginSettings(), description="How people sign in.")
    sessions: SessionSettings = Field(default=SessionSettings(), description="Where sessions live, and how long.")
    identity_headers: IdentityHeaderSettings = Field(
        default=IdentityHeaderSettings(), description="What the app is told about the user."
    )
    upstreams: Annotated[dict[Text, UpstreamSettings], AfterValidator(_at_least_one_upstream)] = Field(
        description="The apps behind Sidegate, by a name of your choice.",
        examples=[{"app": {"url": "http://127.0.0.1:8000"}}],
    )
    routes: Annotated[tuple[RouteSettings, ...], AfterValidator(_default_routes)] = Field(
        default=(RouteSettings(path="/**"),),
        description="Who may reach which paths. The first that matches wins; none matches: 404. "
        "Without routes: everything, for whoever signed in.",
        examples=[[{"path": "/**", "access": "authenticated"}]],
    )
    bearer: BearerSettings = Field(default=BearerSettings(), description="Access tokens of API clients.")
    backchannel: BackchannelSettings = Field(default=BackchannelSettings(), description="Logout by Keycloak's word.")
    forward_auth: ForwardAuthSettings | None = Field(
        default=None,
        description="Answer another proxy at PREFIX/verify; only peers in server.trusted_proxies. Without it: 404.",
        examples=[{"source": "x-original"}],
    )
    security_headers: Switch = Field(
        default=True,
        description="Add the missing ones of nosniff, Referrer-Policy, frame-ancestors 'self' "
        "and HSTS (on https) to answers.",
    )
    log: LogSettings = Field(default=LogSettings(), description="What is written to stdout.")
    audit: AuditSettings = Field(default=AuditSettings(), description="Who signed in and out, and who was refused.")
    tracing: TracingSettings | None = Field(
        default=None,
        description="Traces of requests for an OpenTelemetry collector. Without it: none.",
        examples=[{"otlp_endpoint": "http://collector:4318"}],
    )
    portals: tuple[PortalSettings, ...] = Field(
        default=(),
        description="Several sites in one process, chosen by Host; each has the keys at the top, and in their place "
        "those that it writes itself: server.public_url always, and any other that is not of the whole process. "
        "With portals, the top is a site of its own only if it has a server.public_url.",
        examples=[
            [{"name": "admin", "hosts": ["admin.example.com"], "server": {"public_url": "https://admin.example.com"}}]
        ],
    )

    @property
    def session_plan(self) -> SessionPlan:
        """Return what the file wants of how long sessions last."""
        return SessionPlan(self.sessions.lifetime, self.sessions.idle_timeout, self.keycloak.asked_scopes)

    def upstream_of(self, route: RouteSettings) -> str:
        """Return the name of the upstream of a route: the one it names, or the only one there is."""
        return route.upstream if route.upstream is not None else next(iter(self.upstreams))
