"""The client that a settings file needs, as values in Keycloak's own words.

Pure: no settings, network or clock. Each value comes with its place in Keycloak's console and the reason, because an
administrator reads both before saying yes. Member and attribute names are those of the admin REST API of Keycloak 26
(``ClientRepresentation``, ``ProtocolMapperRepresentation``).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SettingValue = bool | str

ON_OFF: Final = {True: "on", False: "off"}
OFF_ON: Final = {True: "off", False: "on"}
"""For *Client authentication*, which the API calls ``publicClient``."""

BASIC_SCOPE: Final = "basic"
"""Since Keycloak 25 this client scope puts ``sub`` and ``auth_time`` into access tokens."""

_CONFIG_OF_SOURCE: Final = {
    "id_token": "id.token.claim",
    "access_token": "access.token.claim",
    "userinfo": "userinfo.token.claim",
}
"""Which switch of a mapper puts a claim where ``keycloak.claims_from`` looks for it."""


class ClientProof(Enum):
    """How Sidegate proves that it is the client; values are Keycloak's ``clientAuthenticatorType``."""

    SECRET = "client-secret"  # noqa: S105 - a name
    SECRET_JWT = "client-secret-jwt"  # noqa: S105 - a name
    PRIVATE_KEY = "client-jwt"
    CERTIFICATE = "client-x509"
    SERVICE_ACCOUNT = "federated-jwt"
    NONE = ""


class ClientKey(Struct, frozen=True):
    """The public half of the key that signs.

    Attributes:
        jwk: with ``kid``, ``use`` and ``alg``.
        sent_kid: what Sidegate names it; None: it does not.
    """

    jwk: Mapping[str, str]
    sent_kid: str | None


class Proof(Struct, frozen=True):
    """How Sidegate proves that it is the client, and what is known of it here.

    Attributes:
        subject: of the certificate, or of the pod's tokens; None: unknown here.
        cluster: alias of the identity provider that vouches for the pod's tokens.
        key: None: unknown here.
    """

    way: ClientProof = ClientProof.SECRET
    subject: str | None = None
    cluster: str | None = None
    key: ClientKey | None = None

    @property
    def has_secret(self) -> bool:
        """Say whether Keycloak and Sidegate share a secret."""
        return self.way in {ClientProof.SECRET, ClientProof.SECRET_JWT}


class LoginWay(Enum):
    """How people sign in."""

    FORM = "form"
    REDIRECT = "redirect"


class Holds(Enum):
    """For which clients a setting is wanted."""

    ALWAYS = "always"
    WHEN_ALONE = "when_alone"
    """Only when no redirect URI of somebody else stands there: it narrows, and others may need it."""


class ClientNeeds(Struct, frozen=True, kw_only=True):
    """What one settings file needs of its client.

    Attributes:
        site: ``server.public_url`` without a final slash.
        pages: where Sidegate's own pages begin: ``site`` and ``server.prefix``.
        further_pages: the same under every other name that is answered, as Keycloak may know us by it.
        hears_logout: whether ``/backchannel-logout`` is served.
        scopes: what is asked at login.
        sources: ``keycloak.claims_from``.
        role_clients: clients whose roles rules or headers name; None when no role of any kind is needed.
        needs_groups: whether rules or headers name groups.
        audiences: what access tokens shall be good for besides.
        exchanges: whether a route exchanges tokens.
    """

    client_id: str
    site: str
    pages: str
    further_pages: frozenset[str] = frozenset()
    proof: Proof = Proof()
    login: LoginWay = LoginWay.FORM
    hears_logout: bool = True
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    sources: tuple[str, ...] = ("id_token", "access_token")
    role_clients: tuple[str, ...] | None = ()
    needs_groups: bool = True
    audiences: tuple[str, ...] = ()
    exchanges: bool = False


class WantedSetting(Struct, frozen=True, kw_only=True):
    """One setting and the value that it shall have.

    Attributes:
        where: its place in Keycloak's console.
        member: of the client; of its ``attributes`` when it has a dot.
        unset: what Keycloak takes it for when it is absent.
        also: further values that will do.
        words: how values are shown.
    """

    where: str
    member: str
    value: SettingValue
    why: str
    unset: SettingValue | None = None
    also: frozenset[SettingValue] = frozenset()
    holds: Holds = Holds.ALWAYS
    words: Mapping[bool, str] = field(default_factory=lambda: ON_OFF)

    @property
    def is_attribute(self) -> bool:
        """Say whether it is a member of ``attributes``; their names have a dot, and their values are text."""
        return "." in self.member

    def will_do(self, value: object) -> bool:
        """Say whether this value needs no change."""
        given = self.unset if value is None else value
        return given == self.value or given in self.also

    def shown(self, value: object) -> str:
        """Return a value as the console calls it."""
        given = self.unset if value is None else value
        if given in {None, ""}:
            return "not set"
        if isinstance(given, bool):
            return self.words[given]
        return {"true": "on", "false": "off"}.get(str(given), str(given))


class WantedMapper(Struct, frozen=True, kw_only=True):
    """A claim that tokens shall have.

    Attributes:
        kind: ``protocolMapper``.
        claims: names of the claim that will do; a mapper of our own writes the first.
        exactly: further members of ``config`` that must be so.
        sources: members of ``config`` of which one must be ``true``.
        for_client: the client whose roles it writes; None when it is not about a client's roles.
    """

    name: str
    kind: str
    why: str
    claims: tuple[str, ...] = ()
    exactly: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    for_client: str | None = None

    @property
    def config(self) -> dict[str, str]:
        """Return the configuration of a mapper of our own: into each token that is looked at, and no other."""
        config = {switch: str(switch in self.sources).lower() for switch in _CONFIG_OF_SOURCE.values()}
        if self.claims:
            config["claim.name"] = self.claims[0]
        if self.for_client is not None:
            config[FOR_CLIENT] = self.for_client
        return {**config, **_MULTIVALUED.get(self.kind, {}), **self.exactly}


FOR_CLIENT: Final = "usermodel.clientRoleMapping.clientId"

GROUPS: Final = "oidc-group-membership-mapper"
REALM_ROLES: Final = "oidc-usermodel-realm-role-mapper"
CLIENT_ROLES: Final = "oidc-usermodel-client-role-mapper"
AUDIENCE: Final = "oidc-audience-mapper"

_LIST: Final = {"multivalued": "true", "jsonType.label": "String"}
_MULTIVALUED: Final = {REALM_ROLES: _LIST, CLIENT_ROLES: _LIST}

FULL_PATH: Final = "full.path"


class WantedClient(Struct, frozen=True, kw_only=True):
    """The client as it shall be."""

    client_id: str
    home: str
    redirect_uri: str
    post_logout_uri: str
    settings: tuple[WantedSetting, ...]
    mappers: tuple[WantedMapper, ...]
    scopes: tuple[str, ...]
    key: ClientKey | None = None


def wanted_client(needs: ClientNeeds) -> WantedClient:
    """Return the client that these needs ask for."""
    return WantedClient(
        client_id=needs.client_id,
        home=needs.site + "/",
        redirect_uri=f"{needs.pages}/callback",
        post_logout_uri=f"{needs.pages}/logged-out",
        settings=(*_general(needs), *_flows(needs), *_logout(needs), *_stumbling_blocks(needs.proof)),
        mappers=(*_role_mappers(needs), *_group_mappers(needs), *map(_audience_mapper, needs.audiences)),
        scopes=tuple(scope for scope in needs.scopes if scope != "openid"),
        key=needs.proof.key,
    )


# --- settings --------------------------------------------------------------------------------------------------------


def _general(needs: ClientNeeds) -> tuple[WantedSetting, ...]:
    is_public = needs.proof.way is ClientProof.NONE
    settings = [
        WantedSetting(where="Enabled", member="enabled", value=True, unset=True, why="off, nobody signs in"),
        WantedSetting(
            where="Capability config → Client authentication",
            member="publicClient",
            value=is_public,
            unset=False,
            words=OFF_ON,
            why="keycloak.client_auth.method is none" if is_public else "Sidegate proves that it is the client",
        ),
        WantedSetting(
            where="Bearer only", member="bearerOnly", value=False, unset=False, why="such a client signs nobody in"
        ),
    ]
    return tuple(settings) if is_public else (*settings, *_authenticator(needs.proof))


def _authenticator(proof: Proof) -> Iterable[WantedSetting]:
    yield WantedSetting(
        where="Credentials → Client Authenticator",
        member="clientAuthenticatorType",
        value=proof.way.value,
        unset=ClientProof.SECRET.value,
        why="what keycloak.client_auth.method says",
    )
    algorithm = "HS256" if proof.way is ClientProof.SECRET_JWT else proof.key and proof.key.jwk["alg"]
    if algorithm:
        yield WantedSetting(
            where="Credentials → Signature algorithm",
            member="token.endpoint.auth.signing.alg",
            value=algorithm,
            unset=algorithm,  # absent, any will do
            why="how Sidegate signs",
        )
    if proof.subject is not None:
        yield from _subject(proof, proof.subject)


def _subject(proof: Proof, subject: str) -> Iterable[WantedSetting]:
    where, why = "Credentials → ", "the certificate that Sidegate shows"
    if proof.way is ClientProof.CERTIFICATE:
        yield WantedSetting(where=where + "Subject DN", member="x509.subjectdn", value=subject, why=why)
        yield WantedSetting(
            where=where + "Allow regex pattern comparison",
            member="x509.allow.regex.pattern.comparison",
            value="false",
            why="this very subject, and none that is like it",
        )
        return
    why = "the service account of the pod, as its tokens name it"
    yield WantedSetting(
        where=where + "Identity provider", member="jwt.credential.issuer", value=str(proof.cluster), why=why
    )
    yield WantedSetting(where=where + "Federated subject", member="jwt.credential.sub", value=subject, why=why)


def _flows(needs: ClientNeeds) -> tuple[WantedSetting, ...]:
    has_form = needs.login is LoginWay.FORM
    flows = "Capability config → "
    settings = [
        WantedSetting(
            where=flows + "Standard flow",
            member="standardFlowEnabled",
            value=True,
            unset=True,
            why="the way by Keycloak's own page",
        ),
        WantedSetting(
            where=flows + "Direct access grants",
            member="directAccessGrantsEnabled",
            value=has_form,
            unset=False,
            why="the login form needs it" if has_form else "login.mode is redirect: no password passes here",
        ),
        WantedSetting(
            where=flows + "PKCE Method",
            member="pkce.code.challenge.method",
            value="S256",
            why="a stolen code is worth nothing",
        ),
        *(_superfluous(flows + label, member) for label, member in _SUPERFLUOUS),
    ]
    if needs.exchanges:
        settings.append(
            WantedSetting(
                where=flows + "Standard Token Exchange",
                member="standard.token.exchange.enabled",
                value="true",
                unset="false",
                why="a route has token_exchange",
            )
        )
    if has_form:
        settings.append(
            WantedSetting(
                where="Login settings → Consent required",
                member="consentRequired",
                value=False,
                unset=False,
                why="with it on, Keycloak refuses the login form's password grant",
            )
        )
    return tuple(settings)


_SUPERFLUOUS: Final = (("Implicit flow", "implicitFlowEnabled"), ("Service account roles", "serviceAccountsEnabled"))


def _superfluous(where: str, member: str) -> WantedSetting:
    return WantedSetting(
        where=where, member=member, value=False, unset=False, holds=Holds.WHEN_ALONE, why="Sidegate does not use it"
    )


def _logout(needs: ClientNeeds) -> tuple[WantedSetting, ...]:
    settings = [
        WantedSetting(
            where="Access settings → Admin URL",
            member="adminUrl",
            value=f"{needs.pages}/keycloak",
            also=_elsewhere(needs, "keycloak"),
            why="the only way to hear of a logout of the whole realm",
        ),
        WantedSetting(
            where="Logout settings → Front channel logout",
            member="frontchannelLogout",
            value=False,
            unset=False,
            why="with it on, Keycloak sends no back-channel logout at all",
        ),
    ]
    if needs.hears_logout:
        settings += _backchannel(needs)
    return tuple(settings)


def _backchannel(needs: ClientNeeds) -> list[WantedSetting]:
    return [
        WantedSetting(
            where="Logout settings → Backchannel logout URL",
            member="backchannel.logout.url",
            value=f"{needs.pages}/backchannel-logout",
            also=_elsewhere(needs, "backchannel-logout"),
            why="a logout at Keycloak ends the session here",
        ),
        WantedSetting(
            where="Logout settings → Backchannel logout session required",
            member="backchannel.logout.session.required",
            value="true",
            unset="false",
            why="one session ends, not all of the person's",
        ),
    ]


def _elsewhere(needs: ClientNeeds, page: str) -> frozenset[SettingValue]:
    """Return the addresses by which Keycloak may reach us besides: an inner name that ``server.hosts`` answers for."""
    return frozenset(f"{pages}/{page}" for pages in needs.further_pages)


def _stumbling_blocks(proof: Proof) -> Iterable[WantedSetting]:
    shows_certificate = proof.way is ClientProof.CERTIFICATE
    return (one for one in _STUMBLING_BLOCKS if not (shows_certificate and one.member == _BOUND_TO_CERTIFICATE))


_BOUND_TO_CERTIFICATE: Final = "tls.client.certificate.bound.access.tokens"

_STUMBLING_BLOCKS: Final = tuple(
    WantedSetting(where=f"Advanced → {label}", member=member, value=value, unset=value, why=why)
    for label, member, value, why in (
        ("Use refresh tokens", "use.refresh.tokens", "true", "without them a session ends after minutes"),
        ("Require DPoP bound tokens", "dpop.bound.access.tokens", "false", "Sidegate sends no DPoP proof"),
        ("Pushed authorization request required", "require.pushed.authorization.requests", "false",
         "Sidegate does not push its requests"),
        ("OAuth 2.0 Mutual TLS bound tokens", _BOUND_TO_CERTIFICATE, "false",
         "Sidegate shows Keycloak no certificate"),
        ("Lightweight access token", "client.use.lightweight.access.token.enabled", "false",
         "such tokens have no roles, and userinfo refuses them"),
    )
)  # fmt: skip
"""What hinders Sidegate when somebody has set it; nobody needs to when it is as Keycloak leaves it."""


# --- claims ----------------------------------------------------------------------------------------------------------


def _switches(needs: ClientNeeds) -> tuple[str, ...]:
    return tuple(_CONFIG_OF_SOURCE[source] for source in needs.sources)


def _role_mappers(needs: ClientNeeds) -> tuple[WantedMapper, ...]:
    if needs.role_clients is None:
        return ()
    realm = WantedMapper(
        name="realm roles",
        kind=REALM_ROLES,
        claims=("realm_access.roles", "roles"),
        sources=_switches(needs),
        why="tokens lack the realm's roles",
    )
    return (realm, *(_roles_of(client, needs) for client in needs.role_clients))


def _roles_of(client: str, needs: ClientNeeds) -> WantedMapper:
    return WantedMapper(
        name=f"roles of {client}",
        kind=CLIENT_ROLES,
        claims=("resource_access.${client_id}.roles",),
        sources=_switches(needs),
        for_client=client,
        why=f"tokens lack the roles of the client {client}",
    )


def _group_mappers(needs: ClientNeeds) -> tuple[WantedMapper, ...]:
    if not needs.needs_groups:
        return ()
    groups = WantedMapper(
        name="groups",
        kind=GROUPS,
        claims=("groups",),
        sources=_switches(needs),
        exactly={FULL_PATH: "true"},
        why="rules and headers name groups by their full path",
    )
    return (groups,)


def _audience_mapper(audience: str) -> WantedMapper:
    return WantedMapper(
        name=f"audience {audience}",
        kind=AUDIENCE,
        sources=("access.token.claim",),
        exactly={"included.client.audience": audience},
        why="asked for by --audience",
    )
