"""What the operator decided about Sidegate's own endpoints: the slice of the settings that this room uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from msgspec import Struct

from proxy.core.hosts import at_host
from proxy.core.lifetime import SessionPlan
from proxy.core.session import REMEMBER_ENDED_S, Home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.cookies import OwnCookies


class LoginMode(Enum):
    """Who asks for the password."""

    FORM = "form"
    REDIRECT = "redirect"


class OtpField(Enum):
    """Whether the form has a field for a one-time code; the provider never says whether it wants one."""

    HIDDEN = "hidden"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Feature(Enum):
    """Whether something optional is there."""

    ON = "on"
    OFF = "off"


class ProviderButton(Struct, frozen=True):
    """A button of the login page that leads to a broker: ``alias`` becomes ``kc_idp_hint``."""

    alias: str
    label: str


class LoginOptions(Struct, frozen=True, kw_only=True):
    """``login`` of the settings.

    Attributes:
        landing: path where a login without ``return_to`` leads.
        remember_me: whether the form offers it; without the offer every login ends with the browser, by code too.
        csrf_lifetime_s: seconds for which a form that was shown may be posted.
        max_concurrent: password grants at the provider at once.
        max_wait_s: seconds for which a further one waits for its turn (``keycloak.timeout``).
    """

    mode: LoginMode = LoginMode.FORM
    landing: str = "/"
    otp: OtpField = OtpField.OPTIONAL
    providers: tuple[ProviderButton, ...] = ()
    registration: Feature = Feature.OFF
    forgot_password: Feature = Feature.OFF
    remember_me: Feature = Feature.ON
    csrf_lifetime_s: float = 1800.0
    max_concurrent: int = 8
    max_wait_s: float = 10.0


class SessionOptions(Struct, frozen=True, kw_only=True):
    """``sessions`` of the settings.

    Attributes:
        lifetime_s: absolute life of a session in seconds.
        browser_lifetime_s: the same when the cookie ends with the browser (contract §6).
        idle_timeout_s: seconds without activity after which it is over.
        remember_ended_s: seconds for which a logout is remembered: at least the longest life of a token that was
            issued before it.
    """

    lifetime_s: float
    idle_timeout_s: float
    browser_lifetime_s: float = 12 * 3600.0
    remember_ended_s: float = REMEMBER_ENDED_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Everything this room needs of the settings.

    Attributes:
        public_url: what the browser sees, without a final slash; its path precedes ``prefix``. In the place of a host
            that begins with ``*.`` stands that of the request.
        issuer: the exact ``iss``.
        portal: name of the portal that this is; empty for the site at the top.
        auth_params: further parameters of the authorization request; ours win over them.
        acr_values: every ``acr`` that some route asks for; a link may ask for no other.
        cookies: names and attributes of our own cookies.
        strict_transport_security: whether our answers say so (RFC 6797): on https, unless ``security_headers`` is off.
        server_key: at least 32 secret bytes, equal on every replica; keys of forms are derived from it.
        older_keys: server keys of before, by which marks that last for months are still known.
    """

    public_url: str
    issuer: str
    client_id: str
    cookies: OwnCookies
    server_key: bytes = field(repr=False)
    login: LoginOptions
    sessions: SessionOptions
    portal: str = ""
    older_keys: tuple[bytes, ...] = field(default=(), repr=False)
    prefix: str = "/_sidegate"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    auth_params: Mapping[str, str] = field(default_factory=dict)
    acr_values: frozenset[str] = frozenset()
    backchannel: Feature = Feature.ON
    strict_transport_security: Feature = Feature.OFF

    @property
    def home_of_sessions(self) -> Home:
        """Return where sessions that are made here belong."""
        return Home(self.portal, self.issuer, self.client_id)

    @property
    def plan(self) -> SessionPlan:
        """Return what is said of how long sessions last."""
        return SessionPlan(self.sessions.lifetime_s, self.sessions.idle_timeout_s, self.scopes)

    @property
    def own_path(self) -> str:
        """Return the path below which everything of ours lies, without a final slash."""
        return urlsplit(self.public_url).path.rstrip("/") + self.prefix

    @property
    def home(self) -> str:
        """Return the path of the site's start: that of the public URL."""
        return urlsplit(self.public_url).path or "/"

    def public_origin(self, host: str) -> str:
        """Return the origin that browsers see at a host that is answered (RFC 6454 §6.2)."""
        parts = urlsplit(at_host(self.public_url, host))
        return f"{parts.scheme}://{parts.netloc}".lower()

    def path(self, page: str, **query: str | None) -> str:
        """Return the path of one of our pages from this origin, with those members of the query that have a value."""
        wanted = {name: value for name, value in query.items() if value}
        return f"{self.own_path}/{page}" + (f"?{urlencode(wanted)}" if wanted else "")

    def url(self, page: str, *, host: str) -> str:
        """Return the absolute URL of one of our pages, as it is registered at the provider.

        Args:
            host: of the request, which the gate has looked at; it counts where the public URL is a wildcard.
        """
        return f"{at_host(self.public_url, host).rstrip('/')}{self.prefix}/{page}"


OPTIONS: web.AppKey[WebOptions] = web.AppKey("options", WebOptions)
