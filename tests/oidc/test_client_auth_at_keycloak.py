"""Every way to prove who the client is, and what only a proven client may ask, against a real Keycloak."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.clock import SystemClock
from proxy.core.secret import Secret
from proxy.core.tokens import ExchangedToken, ExchangeRefusal, Grant, GrantRefusal
from proxy.errors import ClientMisconfigured
from proxy.oidc.client_assertion import THUMBPRINT, ClientSecretJwt, PrivateKeyJwt, ServiceAccountToken, jwk_thumbprint
from proxy.oidc.client_auth import ClientSecretBasic, NoClientSecret
from proxy.oidc.options import ProviderOptions
from proxy.oidc.provider import OpenIdProvider
from proxy.oidc.provider_tls import ClientCertificate
from tests.contracts.provider import claims
from tests.oidc.signing import jwk, private_key
from tests.oidc.test_provider_at_keycloak import session_of, signed_in
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.throw_away_cluster import throw_away_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.oidc.client_auth import ClientAuthentication
    from tests.keycloak.server import KeycloakServer
    from tests.support.throw_away_cluster import ThrowAwayCluster

METHODS = ("HS256", "RS256", "ES256", "certificate", "service account")
KEYS = {"RS256": "RSA-2048", "ES256": "P-256"}


@dataclass
class Company:
    """One Keycloak, clients made for a test, and providers that are closed at its end."""

    keycloak: KeycloakServer
    cluster: ThrowAwayCluster
    providers: list[OpenIdProvider] = field(default_factory=list)
    client_ids: list[str] = field(default_factory=list)

    async def client(self, **overrides: Any) -> str:
        """A client that may exchange tokens, and is in the audience of its own."""
        name = f"proof-{uuid.uuid4().hex[:8]}"
        attributes = {"standard.token.exchange.enabled": "true", **overrides.pop("attributes", {})}
        mappers = [_audience(name), *overrides.pop("protocolMappers", [])]
        await self.keycloak.admin.create_client(
            name, "http://a.test", attributes=attributes, protocolMappers=mappers, **overrides
        )
        self.client_ids.append(name)
        return name

    async def provider(self, client_id: str, authentication: ClientAuthentication, **options: Any) -> OpenIdProvider:
        chosen = {"issuer": self.keycloak.issuer(), "client_id": client_id, "authentication": authentication}
        made = OpenIdProvider(
            ProviderOptions(**{**chosen, **options}), clock=SystemClock(), observer=RecordingObserver()
        )
        self.providers.append(made)
        await made.start()

        async def look() -> bool:
            return made.readiness().is_ready

        await eventually(look, expected=True, within_s=10)
        return made

    async def with_secret(self, **overrides: Any) -> OpenIdProvider:
        client_id = await self.client(**overrides)
        return await self.provider(client_id, ClientSecretBasic(client_id, lambda: Secret(f"{client_id}-secret")))

    async def proven_by(self, method: str, **overrides: Any) -> OpenIdProvider:
        """A provider whose client proves itself by this method, set up in Keycloak for it."""
        if method == "HS256":
            client_id = await self.client(clientAuthenticatorType="client-secret-jwt", secret="s" * 32, **overrides)
            return await self.provider(client_id, ClientSecretJwt(client_id, lambda: Secret("s" * 32), SystemClock()))
        if method in KEYS:
            return await self._by_key(KEYS[method], **overrides)
        return await (self._by_certificate if method == "certificate" else self._by_service_account)(**overrides)

    async def _by_key(self, name: str, **overrides: Any) -> OpenIdProvider:
        # Two keys of each kind, so that the key must be named.
        names = [f"{name} other", name]
        keys = [jwk(one, kid=jwk_thumbprint(jwk(one)), use="sig") for one in names]
        attributes = {"use.jwks.string": "true", "jwks.string": json.dumps({"keys": keys})}
        client_id = await self.client(clientAuthenticatorType="client-jwt", attributes=attributes, **overrides)
        pem = private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return await self.provider(client_id, PrivateKeyJwt(client_id, lambda: Secret(pem), SystemClock(), THUMBPRINT))

    async def _by_certificate(self, **overrides: Any) -> OpenIdProvider:
        issued = self.keycloak.authority.issue(f"client {uuid.uuid4().hex[:8]}")
        attributes = {"x509.subjectdn": issued.subject, "x509.allow.regex.pattern.comparison": "false"}
        client_id = await self.client(clientAuthenticatorType="client-x509", attributes=attributes, **overrides)
        return await self.provider(
            client_id,
            NoClientSecret(client_id),
            issuer=f"{self.keycloak.https_url}/realms/acme",
            ca_file=self.keycloak.authority.ca_file,
            certificate=ClientCertificate(issued.cert_file, issued.key_file),
        )

    async def _by_service_account(self, **overrides: Any) -> OpenIdProvider:
        alias = f"cluster-{uuid.uuid4().hex[:8]}"
        kubernetes = {"alias": alias, "providerId": "kubernetes", "enabled": True}
        config = {"config": {"issuer": self.cluster.url}}
        await self.keycloak.admin.call("POST", "/acme/identity-provider/instances", json={**kubernetes, **config})
        subject = f"system:serviceaccount:default:{alias}"
        attributes = {"jwt.credential.issuer": alias, "jwt.credential.sub": subject}
        client_id = await self.client(clientAuthenticatorType="federated-jwt", attributes=attributes, **overrides)
        token = self.cluster.token(f"default:{alias}", self.keycloak.issuer())
        return await self.provider(client_id, ServiceAccountToken(client_id, lambda: Secret(token)))


def _audience(client_id: str) -> dict[str, Any]:
    return {
        "name": f"audience {client_id}",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": client_id, "access.token.claim": "true"},
    }


@pytest_asyncio.fixture
async def company(keycloak: KeycloakServer) -> AsyncIterator[Company]:
    with throw_away_cluster() as cluster:
        made = Company(keycloak, cluster)
        yield made
        for provider in made.providers:
            await provider.close()


@pytest.mark.parametrize("method", METHODS)
async def test_a_proven_client_makes_every_call(company: Company, method: str) -> None:
    provider = await company.proven_by(method, protocolMappers=[_audience("api-client")])

    session = session_of(await signed_in(provider))
    assert await provider.password_grant("alice", Secret("wrong"), None) is GrantRefusal.INVALID_CREDENTIALS
    refreshed = await provider.refresh(session)
    assert isinstance(refreshed, Grant)

    said = await provider.introspect(refreshed.tokens.access_token)
    assert said is not None
    assert (said["username"], said["sid"]) == ("alice", session.sid)
    exchanged = await provider.exchange(refreshed.tokens.access_token, audience="api-client", scope=None)
    assert isinstance(exchanged, ExchangedToken)
    assert claims(exchanged.access_token.reveal())["aud"] == "api-client"

    code = await provider.exchange_code(
        Secret("no code"), code_verifier=Secret("v" * 43), redirect_uri="http://a.test", nonce="n"
    )
    assert code is GrantRefusal.INVALID_GRANT
    await provider.end_session(session)
    assert await provider.refresh(session) is GrantRefusal.INVALID_GRANT


@pytest.mark.parametrize("method", ["HS256", "ES256", "certificate", "service account"])
async def test_a_client_that_proves_another_way_is_refused_and_the_person_is_not_blamed(
    company: Company, method: str
) -> None:
    await company.proven_by(method)
    client_id = company.client_ids[-1]
    impostor = await company.provider(client_id, ClientSecretBasic(client_id, lambda: Secret(f"{client_id}-secret")))

    with pytest.raises(ClientMisconfigured):
        await impostor.password_grant("alice", Secret("alice-pw"), None)
    with pytest.raises(ClientMisconfigured):
        await impostor.introspect(Secret("t"))


async def test_a_secret_is_rotated_on_either_side_first_and_nobody_notices(company: Company) -> None:
    client_id = await company.client(secret="first")
    client = await company.keycloak.admin.find_client(client_id)
    file = ["first"]
    read = ClientSecretBasic(client_id, lambda: Secret(file.pop(0) if len(file) > 1 else file[0]))
    provider = await company.provider(client_id, read)
    assert isinstance(await signed_in(provider), Grant)

    file[:] = ["second"]  # here first
    session = session_of(await signed_in(provider))
    await company.keycloak.admin.update_client(client, secret="second")
    assert isinstance(await provider.refresh(session), Grant)

    await company.keycloak.admin.update_client(client, secret="third")  # there first
    file[:] = ["second", "third"]
    assert isinstance(await provider.refresh(session), Grant)

    file[:] = ["wrong"]
    await company.keycloak.admin.update_client(client, secret="fourth")
    with pytest.raises(ClientMisconfigured, match="unauthorized_client"):
        await provider.refresh(session)


async def test_a_password_that_goes_with_a_wrong_secret_is_never_looked_at(company: Company) -> None:
    admin, name = company.keycloak.admin, f"user-{uuid.uuid4().hex[:8]}"
    user_id = await admin.create_user(name, realm="guarded")
    secrets = ["legacy-app-secret", "wrong", "wronger"]
    read = ClientSecretBasic("legacy-app", lambda: Secret(secrets.pop(0) if len(secrets) > 1 else secrets[0]))
    provider = await company.provider("legacy-app", read, issuer=company.keycloak.issuer("guarded"))
    assert await provider.password_grant(name, Secret("bad"), None) is GrantRefusal.INVALID_CREDENTIALS

    for _ in range(3):
        with pytest.raises(ClientMisconfigured):
            await provider.password_grant(name, Secret("bad"), None)

    async def failures() -> int:
        return int((await admin.brute_force_status(user_id, realm="guarded"))["numFailures"])

    await eventually(failures, expected=1)
    secrets[:] = ["legacy-app-secret"]
    # Had the refused calls counted, the third failure would have locked the account.
    assert isinstance(await provider.password_grant(name, Secret(f"{name}-pw"), None), Grant)


async def test_introspection_tells_of_lightweight_tokens_and_nothing_to_who_is_not_meant(company: Company) -> None:
    light = {"client.use.lightweight.access.token.enabled": "true"}
    provider = await company.with_secret(attributes=light)
    token = (await signed_in(provider)).tokens.access_token
    stranger = await company.provider("other-app", ClientSecretBasic("other-app", lambda: Secret("other-app-secret")))

    said = await provider.introspect(token)

    assert "preferred_username" not in claims(token.reveal())
    assert said is not None
    assert (said["preferred_username"], said["groups"], "active" in said) == ("alice", ["/staff"], False)
    assert await stranger.introspect(token) is None
    assert await provider.introspect(Secret("garbage")) is None


async def test_what_an_exchange_refuses_to_a_person_and_what_to_everybody(company: Company) -> None:
    provider = await company.with_secret(protocolMappers=[_audience("api-client")])
    closed = await company.with_secret(attributes={"standard.token.exchange.enabled": "false"})
    session = session_of(await signed_in(provider))
    token = session.tokens.access_token

    async def outcome(audience: str, *, scope: str | None = None, of: Secret = token) -> object:
        return await provider.exchange(of, audience=audience, scope=scope)

    assert await outcome("other-app") is ExchangeRefusal.INVALID_TARGET
    assert await outcome("api-client", of=Secret("garbage")) is ExchangeRefusal.INVALID_TOKEN
    foreign = (await signed_in(closed)).tokens.access_token
    assert await outcome("api-client", of=foreign) is ExchangeRefusal.ACCESS_DENIED
    narrow = await outcome("api-client", scope="email")
    assert isinstance(narrow, ExchangedToken)
    assert set(claims(narrow.access_token.reveal())["scope"].split()) == {"email", "profile"}
    with pytest.raises(ClientMisconfigured, match="Audience not found"):
        await outcome("nonesuch")
    with pytest.raises(ClientMisconfigured, match="Invalid scopes"):
        await outcome("api-client", scope="nonsense")
    with pytest.raises(ClientMisconfigured, match="not enabled"):
        await closed.exchange(foreign, audience="api-client", scope=None)
    await provider.end_session(session)
    assert await outcome("api-client") is ExchangeRefusal.INVALID_TOKEN
