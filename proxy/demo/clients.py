"""The relying parties that the embedded provider knows: what they may do, where they may be sent. No HTTP.

The rules of redirect URIs are Keycloak's: exact, or a prefix when the registered one ends in ``*``; relative ones lie
under the root URL.
"""

from __future__ import annotations

import enum
import uuid
from urllib.parse import unquote, urlsplit

from msgspec import Struct, field


class Feature(enum.Flag):
    """What a client is and may; Keycloak's switches of the same names."""

    ENABLED = enum.auto()
    STANDARD_FLOW = enum.auto()
    DIRECT_GRANTS = enum.auto()
    REFRESH_TOKENS = enum.auto()
    BEARER_ONLY = enum.auto()
    CONSENT_REQUIRED = enum.auto()
    PKCE_REQUIRED = enum.auto()
    BACKCHANNEL_SESSION_REQUIRED = enum.auto()
    BACKCHANNEL_REVOKES_OFFLINE = enum.auto()
    #: Switches the back-channel off altogether, as in Keycloak.
    FRONTCHANNEL_LOGOUT = enum.auto()
    FRONTCHANNEL_SESSION_REQUIRED = enum.auto()
    USUAL = ENABLED | STANDARD_FLOW | DIRECT_GRANTS | REFRESH_TOKENS | BACKCHANNEL_SESSION_REQUIRED


class Lifetimes(Struct, frozen=True, kw_only=True):
    """How long things live, in seconds. The defaults are those of a fresh Keycloak realm."""

    access_token_s: int = 300
    session_idle_s: int = 1800
    session_max_s: int = 36_000
    code_s: int = 60
    login_s: int = 1800


class Client(Struct, kw_only=True):
    """One relying party. An empty ``secret`` makes it a public client.

    Attributes:
        audiences: further clients put into ``aud`` of its access tokens.
        groups_claim: name of the claim with full group paths; empty for none.
        lifetimes: overrides the realm's.
        not_before: Unix seconds; tokens from before are refused.
    """

    client_id: str
    secret: str = ""
    features: Feature = Feature.USUAL
    root_url: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ("+",)
    web_origins: tuple[str, ...] = ("+",)
    backchannel_logout_url: str = ""
    frontchannel_logout_url: str = ""
    audiences: tuple[str, ...] = ()
    groups_claim: str = "groups"
    lifetimes: Lifetimes | None = None
    not_before: int = 0
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def is_public(self) -> bool:
        return not self.secret and Feature.BEARER_ONLY not in self.features

    @property
    def backchannel_url(self) -> str | None:
        """Where its logout tokens go; None when it wants none (front-channel switches the back-channel off)."""
        if not self.backchannel_logout_url or Feature.FRONTCHANNEL_LOGOUT in self.features:
            return None
        return self._absolute(self.backchannel_logout_url)

    def accepts_redirect(self, uri: str) -> bool:
        return any(_matches(self._absolute(registered), uri) for registered in self.redirect_uris)

    def accepts_post_logout_redirect(self, uri: str) -> bool:
        registered = self.post_logout_redirect_uris or ("+",)
        if "+" in registered and self.accepts_redirect(uri):
            return True
        return any(_matches(self._absolute(each), uri) for each in registered if each not in {"+", "-"})

    def allowed_origins(self) -> list[str]:
        """Origins for CORS; ``+`` stands for those of the redirect URIs."""
        origins = [origin for origin in self.web_origins if origin != "+"]
        if "+" in self.web_origins:
            origins += [_origin(self._absolute(uri)) for uri in self.redirect_uris]
        return list(dict.fromkeys(origins))

    def _absolute(self, uri: str) -> str:
        return f"{self.root_url.rstrip('/')}{uri}" if uri.startswith("/") else uri


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _matches(registered: str, uri: str) -> bool:
    if not registered.endswith("*"):
        return registered == uri
    parts = urlsplit(uri)
    # A prefix is only as safe as what may follow it: Keycloak refuses the same three.
    if parts.fragment or "@" in parts.netloc or ".." in unquote(unquote(parts.path)):
        return False
    return uri.partition("?")[0].startswith(registered[:-1])
