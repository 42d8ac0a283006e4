"""One suite, two providers: what a real Keycloak answers, the embedded provider must answer too.

Every test runs against ``proxy.demo`` and, with the marker ``keycloak``, against the real thing, on the same realm.
A line that fails on Keycloak means that we believed wrongly; one that fails on the embedded one, that it is no fake of
Keycloak.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import jwt
import pytest

from proxy.demo import totp
from tests.contracts.logout_receiver import LogoutReceiver, running_logout_receiver
from tests.contracts.provider import (
    SPECIAL_SECRET,
    Provider,
    claims,
    contract_realm,
    embedded_provider,
    header,
    keycloak_provider,
)
from tests.contracts.web_browser import WebBrowser
from tests.keycloak.realms import ROTATION

if TYPE_CHECKING:
    from collections.abc import Iterator

CAROL_SECRET = b"carolotpsecret-0001"
WRONG_CLIENT = "Invalid client or Invalid client credentials"
WRONG_USER = "Invalid user credentials"
TOKEN_MEMBERS = [
    "access_token",
    "expires_in",
    "refresh_expires_in",
    "refresh_token",
    "token_type",
    "id_token",
    "not-before-policy",
    "session_state",
    "scope",
]
PROFILE_CLAIMS = ["email_verified", "name", "groups", "preferred_username", "given_name", "family_name", "email"]


# -- who is asked


@pytest.fixture(scope="module")
def receiver() -> Iterator[LogoutReceiver]:
    with running_logout_receiver() as running:
        yield running


@pytest.fixture(scope="module", params=["embedded", pytest.param("keycloak", marks=pytest.mark.keycloak)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def provider(kind: str, receiver: LogoutReceiver, request: pytest.FixtureRequest) -> Iterator[Provider]:
    yield from _provider(kind, contract_realm("contract", receiver.url), receiver.url, request)


@pytest.fixture(scope="module")
def rotating(kind: str, receiver: LogoutReceiver, request: pytest.FixtureRequest) -> Iterator[Provider]:
    """A realm in which a refresh token may be used once."""
    export = contract_realm("contract-rotating", receiver.url, **ROTATION)
    yield from _provider(kind, export, receiver.url, request)


def _provider(
    kind: str, export: dict[str, Any], client_base: str, request: pytest.FixtureRequest
) -> Iterator[Provider]:
    with ExitStack() as stack:
        if kind == "embedded":
            yield stack.enter_context(embedded_provider(export, client_base))
        else:
            server = request.getfixturevalue("keycloak")
            yield stack.enter_context(keycloak_provider(server, export, client_base))


def verified(provider: Provider, token: str) -> dict[str, Any]:
    """The claims, by a key of the provider's set."""
    keys = WebBrowser().get(provider.endpoint("certs")).json["keys"]
    key = next(jwt.PyJWK(each) for each in keys if each["kid"] == header(token)["kid"])
    decoded: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})
    return decoded


def fresh_user(provider: Provider, name: str) -> str:
    """A user for one test alone."""
    provider.administrator.add_user(name)
    return name


# -- what it says of itself


class TestMetadata:
    def test_the_issuer_is_the_address_that_was_asked(self, provider: Provider) -> None:
        metadata = WebBrowser().get(f"{provider.issuer}/.well-known/openid-configuration")

        assert (metadata.status, metadata.json["issuer"]) == (200, provider.issuer)
        assert metadata.headers["cache-control"] == "no-cache, must-revalidate, no-transform, no-store"
        assert metadata.headers["content-type"].startswith("application/json")

    @pytest.mark.parametrize(
        ("member", "path"),
        [
            ("authorization_endpoint", "auth"),
            ("token_endpoint", "token"),
            ("introspection_endpoint", "token/introspect"),
            ("userinfo_endpoint", "userinfo"),
            ("end_session_endpoint", "logout"),
            ("jwks_uri", "certs"),
            ("revocation_endpoint", "revoke"),
        ],
    )
    def test_the_endpoints_lie_below_the_issuer(self, provider: Provider, member: str, path: str) -> None:
        metadata = WebBrowser().get(f"{provider.issuer}/.well-known/openid-configuration").json

        assert metadata[member] == provider.endpoint(path)

    def test_it_promises_what_sidegate_builds_upon(self, provider: Provider) -> None:
        metadata = WebBrowser().get(f"{provider.issuer}/.well-known/openid-configuration").json

        assert metadata["authorization_response_iss_parameter_supported"] is True
        assert metadata["backchannel_logout_supported"] is True
        assert metadata["backchannel_logout_session_supported"] is True
        assert metadata["frontchannel_logout_session_supported"] is True
        assert metadata["code_challenge_methods_supported"] == ["plain", "S256"]
        assert {"authorization_code", "refresh_token", "password"} <= set(metadata["grant_types_supported"])
        assert {"client_secret_basic", "client_secret_post"} <= set(metadata["token_endpoint_auth_methods_supported"])
        assert {"query", "fragment", "form_post"} <= set(metadata["response_modes_supported"])
        assert {"none", "login"} <= set(metadata["prompt_values_supported"])

    def test_the_metadata_of_rfc_8414_are_at_both_addresses(self, provider: Provider) -> None:
        origin, _, path = provider.issuer.partition("/realms/")
        inserted = WebBrowser().get(f"{origin}/.well-known/oauth-authorization-server/realms/{path}")
        appended = WebBrowser().get(f"{provider.issuer}/.well-known/oauth-authorization-server")

        assert [inserted.json["issuer"], appended.json["issuer"]] == [provider.issuer] * 2

    def test_a_realm_that_does_not_exist_is_404(self, provider: Provider) -> None:
        base = provider.issuer.rpartition("/")[0]
        answer = WebBrowser().get(f"{base}/nowhere/.well-known/openid-configuration")

        assert answer.refusal == (404, "Realm does not exist", None)

    def test_the_realm_tells_a_summary(self, provider: Provider) -> None:
        summary = WebBrowser().get(provider.issuer).json

        assert list(summary) == ["realm", "public_key", "token-service", "account-service", "tokens-not-before"]
        assert summary["token-service"] == f"{provider.issuer}/protocol/openid-connect"

    def test_the_key_set_has_a_key_that_signs_and_one_to_be_skipped(self, provider: Provider) -> None:
        answer = WebBrowser().get(provider.endpoint("certs"))

        keys = {(key["alg"], key["use"]): key for key in answer.json["keys"]}
        assert answer.headers["cache-control"] == "no-cache"
        assert set(keys) == {("RS256", "sig"), ("RSA-OAEP", "enc")}
        for key in keys.values():
            assert set(key) == {"kid", "kty", "alg", "use", "x5c", "x5t", "x5t#S256", "n", "e"}
            assert key["kty"] == "RSA"


# -- the password grant


class TestDirectGrant:
    def test_success_has_these_members_in_this_order(self, provider: Provider) -> None:
        answer = provider.direct()

        assert answer.status == 200
        assert list(answer.json) == TOKEN_MEMBERS
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["content-type"] == "application/json"
        assert answer.cookies == ()

    def test_the_numbers_are_those_of_a_fresh_realm(self, provider: Provider) -> None:
        tokens = provider.direct().json

        # A second may pass between the session's beginning and the answer.
        assert tokens["expires_in"] in {299, 300}
        assert tokens["refresh_expires_in"] in {1799, 1800}
        assert tokens["not-before-policy"] == 0
        assert tokens["token_type"] == "Bearer"
        assert set(tokens["scope"].split()) == {"openid", "email", "profile"}
        assert re.fullmatch(r"[A-Za-z0-9_-]{24}", tokens["session_state"])

    def test_the_access_token_has_these_claims_in_this_order(self, provider: Provider) -> None:
        tokens = provider.direct().json

        access = claims(tokens["access_token"])
        assert list(access) == [
            *("exp", "iat", "jti", "iss", "aud", "sub", "typ", "azp", "sid", "acr", "allowed-origins"),
            *("realm_access", "resource_access", "scope", *PROFILE_CLAIMS),
        ]
        assert set(header(tokens["access_token"])) == {"alg", "typ", "kid"}
        assert header(tokens["access_token"])["typ"] == "JWT"
        assert verified(provider, tokens["access_token"]) == access

    def test_the_access_token_says_who_may_use_it_and_for_what(self, provider: Provider) -> None:
        tokens = provider.direct().json

        access = claims(tokens["access_token"])
        assert re.fullmatch(r"onrtro:[0-9a-f-]{36}", access["jti"])
        assert access["iss"] == provider.issuer
        assert set(access["aud"]) == {"api-client", "account"}
        assert (access["typ"], access["azp"], access["acr"]) == ("Bearer", "legacy-app", "1")
        assert access["sid"] == tokens["session_state"]
        assert access["exp"] - access["iat"] in {299, 300}
        assert access["allowed-origins"] == [provider.client_base]

    def test_the_access_token_says_what_the_user_may(self, provider: Provider) -> None:
        access = claims(provider.direct().json["access_token"])

        default_roles = f"default-roles-{provider.issuer.rpartition('/')[2]}"
        assert set(access["realm_access"]["roles"]) == {
            *("viewer", "editor", "offline_access", "uma_authorization", default_roles)
        }
        assert access["resource_access"]["legacy-app"] == {"roles": ["editor"]}
        account = set(access["resource_access"]["account"]["roles"])
        assert account == {"manage-account", "manage-account-links", "view-profile"}
        assert access["groups"] == ["/staff"]

    def test_an_access_token_for_a_user_without_default_roles_has_a_single_audience(self, provider: Provider) -> None:
        access = claims(provider.direct("frank").json["access_token"])

        assert access["aud"] == "api-client"
        assert access["realm_access"] == {"roles": ["viewer"]}
        assert "resource_access" not in access

    def test_other_clients_in_which_the_user_has_roles_are_in_the_audience(self, provider: Provider) -> None:
        access = claims(provider.direct("alice", "other-app").json["access_token"])

        assert set(access["aud"]) == {"api-client", "account", "legacy-app"}

    def test_the_id_token_has_these_claims_in_this_order(self, provider: Provider) -> None:
        tokens = provider.direct().json

        identity = claims(tokens["id_token"])
        assert list(identity) == [
            *("exp", "iat", "jti", "iss", "aud", "sub", "typ", "azp", "sid", "at_hash", "acr", *PROFILE_CLAIMS)
        ]
        assert (identity["aud"], identity["typ"], identity["azp"]) == ("legacy-app", "ID", "legacy-app")
        assert identity["exp"] == claims(tokens["access_token"])["exp"]
        assert verified(provider, tokens["id_token"]) == identity

    def test_the_id_token_binds_the_access_token(self, provider: Provider) -> None:
        tokens = provider.direct().json

        digest = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
        assert claims(tokens["id_token"])["at_hash"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def test_the_profile_is_the_users(self, provider: Provider) -> None:
        identity = claims(provider.direct().json["id_token"])

        assert {name: identity[name] for name in PROFILE_CLAIMS} == {
            "email_verified": True,
            "name": "Alice Test",
            "groups": ["/staff"],
            "preferred_username": "alice",
            "given_name": "Alice",
            "family_name": "Test",
            "email": "alice@acme.test",
        }

    def test_the_refresh_token_is_a_jws_that_only_the_provider_can_verify(self, provider: Provider) -> None:
        token = provider.direct().json["refresh_token"]

        assert header(token)["alg"] == "HS512"
        assert claims(token)["typ"] == "Refresh"
        assert claims(token)["aud"] == provider.issuer
        assert "reuse_id" not in claims(token)

    def test_without_openid_there_is_no_id_token(self, provider: Provider) -> None:
        tokens = provider.direct(scope=None).json

        assert list(tokens) == [name for name in TOKEN_MEMBERS if name != "id_token"]
        assert set(tokens["scope"].split()) == {"email", "profile"}

    def test_an_email_works_as_username(self, provider: Provider) -> None:
        tokens = provider.direct(username="alice@acme.test").json

        assert claims(tokens["id_token"])["preferred_username"] == "alice"

    def test_every_login_is_a_session_of_its_own(self, provider: Provider) -> None:
        assert provider.direct().json["session_state"] != provider.direct().json["session_state"]

    def test_a_client_may_have_shorter_lifetimes(self, provider: Provider) -> None:
        short, ending = provider.direct("alice", "short-app").json, provider.direct("alice", "ending-app").json

        assert short["expires_in"] in {29, 30}
        assert short["refresh_expires_in"] in {58, 59, 60}
        # Each is counted down by itself: a second may end between the two.
        assert {ending["expires_in"], ending["refresh_expires_in"]} <= {118, 119, 120}

    def test_a_client_may_get_no_refresh_token(self, provider: Provider) -> None:
        tokens = provider.direct("alice", "no-refresh-app").json

        assert "refresh_token" not in tokens
        assert tokens["refresh_expires_in"] == 0
        assert provider.userinfo(tokens["access_token"]).status == 200

    @pytest.mark.parametrize(
        ("username", "changes", "expected"),
        [
            ("alice", {"password": "wrong"}, (400, "invalid_grant", WRONG_USER)),
            ("alice", {"password": ""}, (400, "invalid_grant", WRONG_USER)),
            ("alice", {"password": None}, (400, "invalid_grant", WRONG_USER)),
            ("nobody", {}, (400, "invalid_grant", WRONG_USER)),
            ("erin", {}, (400, "invalid_grant", "Account disabled")),
            ("erin", {"password": "wrong"}, (400, "invalid_grant", WRONG_USER)),
            ("dave", {}, (400, "invalid_grant", "Account is not fully set up")),
            ("dave", {"password": "wrong"}, (400, "invalid_grant", WRONG_USER)),
            ("carol", {}, (400, "invalid_grant", WRONG_USER)),
            ("carol", {"otp": ""}, (400, "invalid_grant", WRONG_USER)),
            ("carol", {"otp": "000000"}, (400, "invalid_grant", WRONG_USER)),
            ("alice", {"username": None}, (401, "invalid_request", "Missing parameter: username")),
            ("alice", {"scope": "openid nonsense"}, (400, "invalid_scope", "Invalid scopes: openid nonsense")),
            ("alice", {"client_secret": "wrong"}, (401, "unauthorized_client", WRONG_CLIENT)),
            ("alice", {"client_secret": None}, (401, "unauthorized_client", WRONG_CLIENT)),
            ("alice", {"client_id": "unknown"}, (401, "invalid_client", WRONG_CLIENT)),
            ("alice", {"client_id": None}, (401, "invalid_client", WRONG_CLIENT)),
            ("alice", {"grant_type": "magic"}, (400, "unsupported_grant_type", "Unsupported grant_type")),
            ("alice", {"grant_type": None}, (400, "invalid_request", "Missing form parameter: grant_type")),
            (
                "frank",
                {"scope": "openid offline_access"},
                (400, "not_allowed", "Offline tokens not allowed for the user or client"),
            ),
        ],
    )
    def test_a_refusal_says(
        self, provider: Provider, username: str, changes: dict[str, str | None], expected: tuple[int, str, str]
    ) -> None:
        answer = provider.direct(username, **changes)

        assert answer.refusal == expected
        assert list(answer.json) == ["error", "error_description"]
        assert answer.headers["cache-control"] == "no-store"
        assert "www-authenticate" not in answer.headers

    @pytest.mark.parametrize(
        ("client", "expected"),
        [
            ("no-direct", (400, "unauthorized_client", "Client not allowed for direct access grants")),
            ("consent-app", (400, "invalid_client", "Client requires user consent")),
            ("disabled-app", (401, "invalid_client", WRONG_CLIENT)),
            ("api-client", (401, "unauthorized_client", WRONG_CLIENT)),
        ],
    )
    def test_a_client_that_may_not_is_told(
        self, provider: Provider, client: str, expected: tuple[int, str, str]
    ) -> None:
        assert provider.direct("alice", client).refusal == expected

    def test_a_parameter_twice_is_refused(self, provider: Provider) -> None:
        form = [
            *(("grant_type", "password"), ("client_id", "legacy-app"), ("client_secret", "legacy-app-secret")),
            *(("username", "alice"), ("username", "bob"), ("password", "alice-pw")),
        ]

        answer = WebBrowser().post(provider.endpoint("token"), form)

        assert answer.refusal == (400, "invalid_request", "duplicated parameter")

    def test_json_is_no_form(self, provider: Provider) -> None:
        answer = WebBrowser().request(
            "POST",
            provider.endpoint("token"),
            headers={"Content-Type": "application/json"},
            body=b'{"grant_type":"password"}',
        )

        assert answer.refusal == (400, "invalid_request", "Missing form parameter: grant_type")

    def test_get_is_405(self, provider: Provider) -> None:
        answer = WebBrowser().get(provider.endpoint("token"))

        assert (answer.status, answer.json["error"]) == (405, "HTTP 405 Method Not Allowed")

    def test_a_foreign_origin_is_refused_and_an_own_one_passes(self, provider: Provider) -> None:
        form = {
            "grant_type": "password",
            "client_id": "legacy-app",
            "client_secret": "legacy-app-secret",
            "username": "alice",
            "password": "alice-pw",
        }

        foreign = WebBrowser().post(provider.endpoint("token"), form, Origin="https://evil.test")
        own = WebBrowser().post(provider.endpoint("token"), form, Origin=provider.client_base)

        assert foreign.refusal == (403, "Invalid origin", None)
        assert own.status == 200

    def test_a_one_time_code_works_once_under_either_name(self, provider: Provider) -> None:
        now = time.time()
        code, next_code = totp.code_at(CAROL_SECRET, now), totp.code_at(CAROL_SECRET, now + totp.PERIOD_S)

        wrong_beats_right = provider.direct("carol", otp="000000", totp=code)
        first = provider.direct("carol", otp=code)
        again = provider.direct("carol", otp=code)
        early = provider.direct("carol", totp=next_code)

        assert wrong_beats_right.refusal == (400, "invalid_grant", WRONG_USER)
        assert first.status == 200
        assert again.refusal == (400, "invalid_grant", WRONG_USER)
        assert early.status == 200

    def test_client_credentials_without_a_service_account_are_refused(self, provider: Provider) -> None:
        answer = provider.token(grant_type="client_credentials")

        assert answer.refusal == (401, "unauthorized_client", "Client not enabled to retrieve service account")


class TestClientAuthentication:
    @staticmethod
    def _basic(provider: Provider, user: str, password: str) -> Any:
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        form = {"grant_type": "password", "username": "alice", "password": "alice-pw"}
        return WebBrowser().post(provider.endpoint("token"), form, Authorization=f"Basic {encoded}")

    def test_basic_works(self, provider: Provider) -> None:
        assert self._basic(provider, "legacy-app", "legacy-app-secret").status == 200

    def test_basic_with_a_wrong_secret_is_401_without_a_challenge(self, provider: Provider) -> None:
        answer = self._basic(provider, "legacy-app", "wrong")

        assert answer.refusal == (401, "unauthorized_client", WRONG_CLIENT)
        assert "www-authenticate" not in answer.headers

    def test_basic_of_an_unknown_client_is_401(self, provider: Provider) -> None:
        assert self._basic(provider, "unknown", "secret").refusal == (401, "invalid_client", WRONG_CLIENT)

    def test_special_characters_are_form_encoded_in_basic(self, provider: Provider) -> None:
        assert self._basic(provider, "special-app", quote_plus(SPECIAL_SECRET)).status == 200
        assert self._basic(provider, "special-app", quote(SPECIAL_SECRET, safe="")).status == 200

    def test_a_raw_percent_sign_in_basic_is_a_fault_of_ours(self, provider: Provider) -> None:
        answer = self._basic(provider, "special-app", SPECIAL_SECRET)

        assert answer.refusal[:2] == (400, "unauthorized_client")

    def test_special_characters_need_nothing_special_in_the_form(self, provider: Provider) -> None:
        assert provider.direct("alice", "special-app", client_secret=SPECIAL_SECRET).status == 200

    def test_a_public_client_only_names_itself(self, provider: Provider) -> None:
        assert provider.direct("alice", "public-app", client_secret=None).status == 200


# -- refresh


class TestRefresh:
    def test_a_refresh_gives_new_tokens_of_the_same_session(self, provider: Provider) -> None:
        tokens = provider.direct().json

        refreshed = provider.refresh(tokens["refresh_token"])

        assert refreshed.status == 200
        assert list(refreshed.json) == TOKEN_MEMBERS
        assert refreshed.json["session_state"] == tokens["session_state"]
        assert refreshed.json["refresh_token"] != tokens["refresh_token"]
        assert claims(refreshed.json["access_token"])["jti"].startswith("onrtrt:")
        assert claims(refreshed.json["id_token"])["sub"] == claims(tokens["id_token"])["sub"]

    def test_without_rotation_an_old_refresh_token_goes_on(self, provider: Provider) -> None:
        token = provider.direct().json["refresh_token"]

        assert [provider.refresh(token).status for _ in range(3)] == [200, 200, 200]

    @pytest.mark.parametrize("scope", ["openid", "openid email", "openid email profile address"])
    def test_the_scope_asked_for_changes_nothing(self, provider: Provider, scope: str) -> None:
        token = provider.direct().json["refresh_token"]

        refreshed = provider.refresh(token, scope=scope).json

        assert set(refreshed["scope"].split()) == {"openid", "email", "profile"}
        assert "id_token" in refreshed

    def test_a_scope_without_openid_takes_userinfo_away_but_not_the_id_token(self, provider: Provider) -> None:
        token = provider.direct().json["refresh_token"]

        refreshed = provider.refresh(token, scope="email").json
        again = provider.refresh(refreshed["refresh_token"]).json

        assert set(refreshed["scope"].split()) == {"email", "profile"}
        assert "id_token" in refreshed
        assert provider.userinfo(refreshed["access_token"]).status == 403
        assert set(again["scope"].split()) == {"openid", "email", "profile"}

    def test_a_change_of_roles_shows_in_the_next_refresh(self, provider: Provider) -> None:
        user = fresh_user(provider, "roles-user")
        provider.administrator.give_role(user, "viewer")
        tokens = provider.direct(user).json

        provider.administrator.give_role(user, "editor")
        more = claims(provider.refresh(tokens["refresh_token"]).json["access_token"])
        provider.administrator.take_role(user, "viewer")
        fewer = claims(provider.refresh(tokens["refresh_token"]).json["access_token"])

        assert {"viewer", "editor"} <= set(more["realm_access"]["roles"])
        assert "viewer" not in fewer["realm_access"]["roles"]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"refresh_token": "garbage"}, (400, "invalid_grant", "Invalid refresh token")),
            ({"refresh_token": ""}, (400, "invalid_grant", "Invalid refresh token")),
            ({"refresh_token": None}, (400, "invalid_request", "No refresh token")),
            ({"client_secret": "wrong"}, (401, "unauthorized_client", WRONG_CLIENT)),
            ({"client_id": "unknown"}, (401, "invalid_client", WRONG_CLIENT)),
        ],
    )
    def test_a_refusal_says(
        self, provider: Provider, changes: dict[str, str | None], expected: tuple[int, str, str]
    ) -> None:
        token = provider.direct().json["refresh_token"]

        assert provider.token(**{"grant_type": "refresh_token", "refresh_token": token, **changes}).refusal == expected

    def test_an_access_token_is_no_refresh_token(self, provider: Provider) -> None:
        tokens = provider.direct().json

        assert provider.refresh(tokens["access_token"]).refusal == (400, "invalid_grant", "Invalid refresh token")

    def test_a_tampered_refresh_token_is_refused(self, provider: Provider) -> None:
        head, payload, signature = provider.direct().json["refresh_token"].split(".")
        tampered = ".".join((head, payload, signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]))

        assert provider.refresh(tampered).refusal == (400, "invalid_grant", "Invalid refresh token")

    def test_another_clients_refresh_token_is_refused(self, provider: Provider) -> None:
        token = provider.direct().json["refresh_token"]

        assert provider.refresh(token, "other-app").refusal == (
            400,
            "invalid_grant",
            "Invalid refresh token. Token client and authorized client don't match",
        )

    def test_an_ended_session_is_not_active(self, provider: Provider) -> None:
        tokens = provider.direct().json

        provider.administrator.end_session(tokens["session_state"])

        assert provider.refresh(tokens["refresh_token"]).refusal == (400, "invalid_grant", "Session not active")

    def test_a_user_logged_out_by_an_administrator_has_no_session(self, provider: Provider) -> None:
        user = fresh_user(provider, "ended-user")
        tokens = provider.direct(user).json

        provider.administrator.logout_user(user)
        anew = provider.direct(user).json

        assert provider.refresh(tokens["refresh_token"]).refusal == (400, "invalid_grant", "Session not active")
        assert anew["not-before-policy"] >= claims(tokens["access_token"])["iat"]
        assert provider.refresh(anew["refresh_token"]).status == 200

    def test_a_disabled_user_is_refused_and_goes_on_when_enabled_again(self, provider: Provider) -> None:
        user = fresh_user(provider, "switched-user")
        token = provider.direct(user).json["refresh_token"]

        provider.administrator.disable(user)
        refused = provider.refresh(token)
        provider.administrator.enable(user)

        assert refused.refusal == (400, "invalid_grant", "User disabled")
        assert provider.refresh(token).status == 200

    def test_a_deleted_user_has_no_session(self, provider: Provider) -> None:
        user = fresh_user(provider, "deleted-user")
        token = provider.direct(user).json["refresh_token"]

        provider.administrator.delete(user)

        assert provider.refresh(token).refusal == (400, "invalid_grant", "Session not active")

    def test_an_idle_session_is_over(self, provider: Provider) -> None:
        tokens = provider.direct("alice", "brief-app").json
        # Two seconds of idleness, one more because a token is good through its last second.
        time.sleep(3.1)

        refused = provider.refresh(tokens["refresh_token"], "brief-app")

        assert refused.refusal == (400, "invalid_grant", "Token is not active")
        assert provider.userinfo(tokens["access_token"]).status == 401

    def test_an_offline_session_has_no_end_but_a_logout(self, provider: Provider, receiver: LogoutReceiver) -> None:
        tokens = provider.direct(scope="openid offline_access").json

        assert tokens["refresh_expires_in"] == 0
        assert claims(tokens["refresh_token"])["typ"] == "Offline"
        assert "exp" not in claims(tokens["refresh_token"])
        assert "offline_access" in tokens["scope"].split()
        assert provider.refresh(tokens["refresh_token"]).json["refresh_expires_in"] == 0
        assert provider.call("logout", refresh_token=tokens["refresh_token"]).status == 204
        assert len(receiver.wait_for(tokens["session_state"], 1)) == 1
        assert provider.refresh(tokens["refresh_token"]).refusal == (
            400,
            "invalid_grant",
            "Offline user session not found",
        )


class TestRotation:
    EXCEEDED = (400, "invalid_grant", "Maximum allowed refresh token reuse exceeded")
    DETACHED = (400, "invalid_grant", "Session doesn't have required client")
    STALE = (400, "invalid_grant", "Stale token")

    def test_each_refresh_token_leads_to_the_next(self, rotating: Provider) -> None:
        tokens = rotating.direct().json
        family = claims(tokens["refresh_token"])["reuse_id"]

        for _ in range(3):
            tokens = rotating.refresh(tokens["refresh_token"]).json

        assert claims(tokens["refresh_token"])["reuse_id"] == family

    def test_a_token_used_twice_ends_the_client_session_and_the_winners_tokens(self, rotating: Provider) -> None:
        first = rotating.direct().json
        winner = rotating.refresh(first["refresh_token"]).json
        time.sleep(1.1)

        loser = rotating.refresh(first["refresh_token"])

        assert loser.refusal == self.EXCEEDED
        assert rotating.refresh(first["refresh_token"]).refusal == self.DETACHED
        assert rotating.refresh(winner["refresh_token"]).refusal == self.DETACHED
        assert rotating.userinfo(winner["access_token"]).status == 401

    def test_of_refreshes_at_once_one_wins_and_all_lose(self, rotating: Provider) -> None:
        token = rotating.direct().json["refresh_token"]

        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(rotating.refresh, [token] * 5))

        winners = [answer for answer in answers if answer.status == 200]
        refusals = [answer.refusal for answer in answers if answer.status != 200]
        assert len(winners) == 1
        assert (refusals.count(self.EXCEEDED), refusals.count(self.DETACHED)) == (1, 3)
        assert rotating.refresh(winners[0].json["refresh_token"]).refusal == self.DETACHED

    def test_a_grandparent_used_again_is_stale(self, rotating: Provider) -> None:
        first = rotating.direct().json
        time.sleep(1.2)
        second = rotating.refresh(first["refresh_token"]).json
        third = rotating.refresh(second["refresh_token"]).json

        assert rotating.refresh(first["refresh_token"]).refusal == self.STALE
        assert rotating.refresh(third["refresh_token"]).refusal == self.DETACHED

    def test_a_grandparent_used_again_in_the_same_second_goes_unnoticed(self, rotating: Provider) -> None:
        for _ in range(20):
            # The beginning of a second, so that all fits into it; on a busy machine it may not.
            time.sleep(1 - time.time() % 1)
            began = time.time()
            first = rotating.direct().json
            second = rotating.refresh(first["refresh_token"]).json
            rotating.refresh(second["refresh_token"])
            again = rotating.refresh(first["refresh_token"])
            if int(time.time()) == int(began):
                break

        assert again.status == 200

    def test_another_client_of_the_same_sign_on_goes_on(self, rotating: Provider) -> None:
        browser = WebBrowser()
        mine = rotating.browser_tokens(browser)
        others = rotating.browser_tokens(browser, "alice", "other-app")
        rotating.refresh(mine["refresh_token"])

        assert rotating.refresh(mine["refresh_token"]).refusal == self.EXCEEDED
        assert rotating.refresh(others["refresh_token"], "other-app").status == 200
        assert "code" in rotating.authorize(browser, prompt="none").parameters

    def test_a_logout_with_an_old_refresh_token_ends_the_session(self, rotating: Provider) -> None:
        first = rotating.direct().json
        second = rotating.refresh(first["refresh_token"]).json

        assert rotating.call("logout", refresh_token=first["refresh_token"]).status == 204
        assert rotating.refresh(second["refresh_token"]).refusal == (400, "invalid_grant", "Session not active")


# -- the code flow


class TestCodeFlow:
    def test_the_answer_carries_state_session_issuer_and_code_in_this_order(self, provider: Provider) -> None:
        answer = provider.sign_in(WebBrowser())

        assert answer.status == 302
        assert answer.location.startswith(f"{provider.redirect_uri()}?")
        assert list(answer.parameters) == ["state", "session_state", "iss", "code"]
        assert answer.parameters["state"] == "the state"
        assert answer.parameters["iss"] == provider.issuer
        assert len(answer.parameters["code"]) == 98
        assert answer.parameters["code"].split(".")[1] == answer.parameters["session_state"]

    def test_the_tokens_know_nonce_and_time_of_login(self, provider: Provider) -> None:
        before = int(time.time())
        tokens = provider.browser_tokens(WebBrowser())

        access, identity = claims(tokens["access_token"]), claims(tokens["id_token"])
        assert list(tokens) == TOKEN_MEMBERS
        assert access["jti"].startswith("onrtac:")
        assert list(access)[:4] == ["exp", "iat", "auth_time", "jti"]
        assert list(identity) == [
            *("exp", "iat", "auth_time", "jti", "iss", "aud", "sub", "typ", "azp", "nonce", "sid", "at_hash", "acr"),
            *PROFILE_CLAIMS,
        ]
        assert (identity["nonce"], identity["acr"]) == ("the-nonce", "1")
        assert before <= identity["auth_time"] <= time.time()
        assert "nonce" not in access

    def test_a_refresh_keeps_the_time_of_login_and_drops_the_nonce(self, provider: Provider) -> None:
        tokens = provider.browser_tokens(WebBrowser())

        refreshed = claims(provider.refresh(tokens["refresh_token"]).json["id_token"])

        assert refreshed["auth_time"] == claims(tokens["id_token"])["auth_time"]
        assert "nonce" not in refreshed

    def test_form_post_is_a_page_with_the_same_values(self, provider: Provider) -> None:
        answer = provider.sign_in(WebBrowser(), response_mode="form_post")

        assert answer.status == 200
        assert answer.form_action == provider.redirect_uri()
        assert list(answer.hidden_inputs()) == ["code", "iss", "state", "session_state"]

    def test_a_fragment_carries_the_same_values(self, provider: Provider) -> None:
        location = provider.sign_in(WebBrowser(), response_mode="fragment").location

        assert list(dict(parse_qsl(urlsplit(location).fragment))) == ["state", "session_state", "iss", "code"]

    def test_a_wrong_password_shows_the_form_again(self, provider: Provider) -> None:
        browser = WebBrowser()
        page = provider.authorize(browser)

        again = browser.post(page.form_action, {"username": "alice", "password": "wrong"})

        assert (page.status, again.status) == (200, 200)
        assert "Invalid username or password." in again.text
        assert browser.post(again.form_action, {"username": "alice", "password": "alice-pw"}).parameters["code"]

    def test_a_one_time_code_is_asked_on_a_second_page(self, rotating: Provider) -> None:
        # In the other realm, whose carol has not used her codes yet.
        browser = WebBrowser()
        page = rotating.authorize(browser)
        question = browser.post(page.form_action, {"username": "carol", "password": "carol-pw"})

        refused = browser.post(question.form_action, {"otp": "000000"})
        code = totp.code_at(CAROL_SECRET, time.time())
        accepted = browser.post(refused.form_action, {"otp": code})

        assert 'name="otp"' in question.text
        assert "Invalid authenticator code." in refused.text
        assert "code" in accepted.parameters

    def test_single_sign_on_answers_with_the_same_session_and_level_zero(self, provider: Provider) -> None:
        browser = WebBrowser()
        first = claims(provider.browser_tokens(browser)["id_token"])

        second = claims(provider.browser_tokens(browser)["id_token"])

        assert (first["acr"], second["acr"]) == ("1", "0")
        assert (second["sid"], second["auth_time"]) == (first["sid"], first["auth_time"])

    @pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
    def test_a_fresh_proof_keeps_the_session_and_renews_its_time(
        self, provider: Provider, asked: dict[str, str]
    ) -> None:
        browser = WebBrowser()
        first = claims(provider.browser_tokens(browser)["id_token"])
        time.sleep(1.1)

        page = provider.authorize(browser, **asked)
        answer = browser.post(page.form_action, {"username": "alice", "password": "alice-pw"})
        second = claims(provider.exchange(answer.parameters["code"]).json["id_token"])

        assert page.status == 200
        assert (second["sid"], second["acr"]) == (first["sid"], "1")
        assert second["auth_time"] > first["auth_time"]

    def test_prompt_none_without_a_session_is_login_required(self, provider: Provider) -> None:
        answer = provider.authorize(WebBrowser(), prompt="none")

        assert answer.status == 302
        assert answer.parameters == {"error": "login_required", "state": "the state", "iss": provider.issuer}
        assert list(answer.parameters) == ["error", "state", "iss"]

    def test_prompt_none_with_a_session_gives_a_code(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)

        assert "code" in provider.authorize(browser, prompt="none").parameters

    def test_prompt_none_with_an_old_session_is_login_required(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)

        # Once more than the second that both ends are rounded to.
        time.sleep(2.1)

        assert provider.authorize(browser, prompt="none", max_age="1").parameters["error"] == "login_required"
        assert "code" in provider.authorize(browser, prompt="none", max_age="100").parameters

    @pytest.mark.parametrize(
        ("changes", "error", "description"),
        [
            ({"response_mode": "nonsense"}, "invalid_request", "Invalid parameter: response_mode"),
            ({"code_challenge_method": None}, "invalid_request", "Missing parameter: code_challenge_method"),
            (
                {"code_challenge_method": "plain"},
                "invalid_request",
                "Invalid parameter: code challenge method is not matching the configured one",
            ),
            ({"code_challenge": None}, "invalid_request", "Missing parameter: code_challenge"),
            ({"scope": "openid nonsense"}, "invalid_scope", "Invalid scopes: openid nonsense"),
            ({"response_type": None}, "invalid_request", "Missing parameter: response_type"),
            ({"response_type": "nonsense"}, "unsupported_response_type", None),
        ],
    )
    def test_a_bad_request_goes_back_to_the_client(
        self, provider: Provider, changes: dict[str, str | None], error: str, description: str | None
    ) -> None:
        answer = provider.authorize(WebBrowser(), **changes)

        expected = {"error": error, "error_description": description, "state": "the state", "iss": provider.issuer}
        assert answer.status == 302
        assert answer.parameters == {name: value for name, value in expected.items() if value is not None}
        assert list(answer.parameters)[-2:] == ["state", "iss"]

    def test_a_parameter_twice_goes_back_to_the_client(self, provider: Provider) -> None:
        query = f"response_type=code&client_id=legacy-app&redirect_uri={quote(provider.redirect_uri())}&state=a&state=b"

        answer = WebBrowser().get(f"{provider.endpoint('auth')}?{query}")

        assert (answer.parameters["error"], answer.parameters["state"]) == ("invalid_request", "a")
        assert answer.parameters["error_description"] == "duplicated parameter"

    def test_a_request_may_come_by_post(self, provider: Provider) -> None:
        form = {"response_type": "code", "client_id": "loose-app", "redirect_uri": provider.redirect_uri("loose-app")}

        assert WebBrowser().post(provider.endpoint("auth"), form).status == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"redirect_uri": "https://evil.test/"},
            {"redirect_uri": None},
            {"client_id": "unknown"},
            {"client_id": None},
            {"client_id": "disabled-app"},
            {"max_age": "abc"},
            {"prompt": "create"},
        ],
    )
    def test_what_makes_a_redirect_unsafe_is_a_page(self, provider: Provider, changes: dict[str, str | None]) -> None:
        answer = provider.authorize(WebBrowser(), **changes)

        assert (answer.status, answer.location) == (400, "")
        assert answer.headers["content-type"].startswith("text/html")

    @pytest.mark.parametrize(
        "changes",
        [
            {"prompt": "nonsense"},
            {"display": "popup"},
            {"kc_idp_hint": "nobody"},
            {"further": "1"},
            {"state": "x" * 3000},
        ],
    )
    def test_what_it_does_not_know_is_ignored(self, provider: Provider, changes: dict[str, str]) -> None:
        assert provider.authorize(WebBrowser(), **changes).status == 200

    def test_a_login_hint_stands_in_the_form(self, provider: Provider) -> None:
        assert 'value="alice"' in provider.authorize(WebBrowser(), login_hint="alice").text

    def test_a_login_hint_does_not_change_who_is_signed_in(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)

        tokens = provider.browser_tokens(browser, login_hint="bob")

        assert claims(tokens["id_token"])["preferred_username"] == "alice"

    def test_two_tabs_do_not_disturb_one_another(self, provider: Provider) -> None:
        browser = WebBrowser()
        first, second = provider.authorize(browser, state="one"), provider.authorize(browser, state="two")
        credentials = {"username": "alice", "password": "alice-pw"}

        answers = [browser.post(page.form_action, credentials) for page in (second, first)]

        assert [answer.parameters["state"] for answer in answers] == ["two", "one"]
        assert all("code" in answer.parameters for answer in answers)

    def test_the_same_form_sent_again_is_expired(self, provider: Provider) -> None:
        browser = WebBrowser()
        page = provider.authorize(browser)
        credentials = {"username": "alice", "password": "alice-pw"}
        browser.post(page.form_action, credentials)

        again = browser.post(page.form_action, credentials)

        assert again.status == 302
        assert again.parameters == {
            "error": "temporarily_unavailable",
            "error_description": "authentication_expired",
            "state": "the state",
            "iss": provider.issuer,
        }

    def test_a_form_without_its_cookies_is_refused(self, provider: Provider) -> None:
        page = provider.authorize(WebBrowser())

        answer = WebBrowser().post(page.form_action, {"username": "alice", "password": "alice-pw"})

        assert answer.status == 400
        assert answer.headers["content-type"].startswith("text/html")

    def test_a_required_action_is_done_in_the_browser_and_the_form_works_afterwards(self, rotating: Provider) -> None:
        # In the other realm, because it changes the user for good.
        browser = WebBrowser()
        page = rotating.authorize(browser)
        question = browser.post(page.form_action, {"username": "dave", "password": "dave-pw"})
        if question.status == 302:
            question = browser.get(question.location)

        done = browser.post(question.form_action, {"password-new": "dave-2", "password-confirm": "dave-2"})

        assert "code" in done.parameters
        assert rotating.direct("dave", password="dave-2").status == 200

    def test_an_action_without_a_page_is_interaction_required(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)

        answer = provider.authorize(browser, prompt="none", kc_action="UPDATE_PASSWORD")

        assert answer.parameters["error"] == "interaction_required"

    def test_an_action_may_be_cancelled(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)
        page = provider.authorize(browser, kc_action="UPDATE_PASSWORD")
        if page.status == 302:
            page = browser.get(page.location)

        answer = browser.post(page.form_action, {"cancel-aia": "true"})

        assert list(answer.parameters) == ["state", "session_state", "iss", "kc_action", "kc_action_status", "code"]
        assert answer.parameters["kc_action"] == "UPDATE_PASSWORD"
        assert answer.parameters["kc_action_status"] == "cancelled"
        assert "code" in answer.parameters

    def test_an_action_proves_nothing_about_who_is_there(self, provider: Provider) -> None:
        browser = WebBrowser()
        first = claims(provider.browser_tokens(browser)["id_token"])
        page = provider.authorize(browser, kc_action="UPDATE_PASSWORD")
        if page.status == 302:
            page = browser.get(page.location)

        code = browser.post(page.form_action, {"cancel-aia": "true"}).parameters["code"]
        second = claims(provider.exchange(code).json["id_token"])

        assert (second["acr"], second["auth_time"]) == ("0", first["auth_time"])

    def test_an_unknown_action_is_an_error_beside_the_code(self, provider: Provider) -> None:
        browser = WebBrowser()
        provider.sign_in(browser)

        answer = provider.authorize(browser, kc_action="NONSENSE")

        assert list(answer.parameters) == ["state", "session_state", "iss", "kc_action_status", "code"]
        assert answer.parameters["kc_action_status"] == "error"


class TestCodeExchange:
    NOT_VALID = (400, "invalid_grant", "Code not valid")

    def code(self, provider: Provider, **changes: str | None) -> str:
        return provider.sign_in(WebBrowser(), **changes).parameters["code"]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"code_verifier": "x" * 43}, (400, "invalid_grant", "PKCE verification failed: Code mismatch")),
            ({"code_verifier": None}, (400, "invalid_grant", "PKCE code verifier not specified")),
            ({"code_verifier": "short"}, (400, "invalid_grant", "PKCE verification failed: Invalid code verifier")),
            ({"redirect_uri": None}, (400, "invalid_grant", "Incorrect redirect_uri")),
            ({"redirect_uri": "https://evil.test/"}, (400, "invalid_grant", "Incorrect redirect_uri")),
        ],
    )
    def test_a_failed_exchange_burns_the_code(
        self, provider: Provider, changes: dict[str, str | None], expected: tuple[int, str, str]
    ) -> None:
        code = self.code(provider)

        assert provider.exchange(code, **changes).refusal == expected
        assert provider.exchange(code).refusal == self.NOT_VALID

    @pytest.mark.parametrize("code", ["garbage", "a.b.c", ""])
    def test_a_code_that_is_none_is_not_valid(self, provider: Provider, code: str) -> None:
        assert provider.exchange(code).refusal == self.NOT_VALID

    def test_no_code_is_said(self, provider: Provider) -> None:
        answer = provider.token(grant_type="authorization_code", redirect_uri=provider.redirect_uri())

        assert answer.refusal == (400, "invalid_request", "Missing parameter: code")

    def test_another_clients_code_is_refused(self, provider: Provider) -> None:
        code = self.code(provider)

        answer = provider.exchange(code, "other-app", redirect_uri=provider.redirect_uri())

        assert answer.refusal == (400, "invalid_grant", "Auth error: Found different client_id in clientSession")

    def test_a_code_used_twice_kills_the_tokens_of_the_first_use(self, provider: Provider) -> None:
        browser = WebBrowser()
        code = provider.sign_in(browser).parameters["code"]
        tokens = provider.exchange(code).json

        assert provider.exchange(code).refusal == self.NOT_VALID
        assert provider.refresh(tokens["refresh_token"]).refusal == (
            400,
            "invalid_grant",
            "Session doesn't have required client",
        )
        assert provider.userinfo(tokens["access_token"]).status == 401
        assert "code" in provider.authorize(browser, prompt="none").parameters

    def test_a_client_without_pkce_needs_no_verifier(self, provider: Provider) -> None:
        browser = WebBrowser()
        page = provider.authorize(browser, "loose-app", code_challenge=None, code_challenge_method=None)
        answer = browser.post(page.form_action, {"username": "alice", "password": "alice-pw"})

        assert provider.exchange(answer.parameters["code"], "loose-app", code_verifier=None).status == 200

    def test_a_verifier_without_a_challenge_is_refused(self, provider: Provider) -> None:
        code = provider.sign_in(
            WebBrowser(), "alice", "loose-app", code_challenge=None, code_challenge_method=None
        ).parameters["code"]

        assert provider.exchange(code, "loose-app").refusal == (
            400,
            "invalid_grant",
            "PKCE code verifier specified but challenge not present in authorization",
        )

    def test_a_challenge_binds_also_where_none_is_demanded(self, provider: Provider) -> None:
        browser = WebBrowser()
        code = provider.sign_in(browser, "alice", "loose-app").parameters["code"]

        answer = provider.exchange(code, "loose-app", code_verifier=None)

        assert answer.refusal == (400, "invalid_grant", "PKCE code verifier not specified")

    def test_offline_access_leaves_no_session_in_the_browser(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser, scope="openid offline_access")

        assert claims(tokens["refresh_token"])["typ"] == "Offline"
        assert provider.authorize(browser, prompt="none").parameters["error"] == "login_required"
        assert provider.refresh(tokens["refresh_token"]).status == 200


# -- logout by the browser


class TestBrowserLogout:
    """RP-initiated logout. A refresh tells whether the session lives."""

    @staticmethod
    def lives(provider: Provider, tokens: dict[str, Any], client: str = "legacy-app") -> bool:
        return provider.refresh(tokens["refresh_token"], client).status == 200

    def test_a_hint_alone_ends_with_a_page(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)

        answer = provider.logout(browser, id_token_hint=tokens["id_token"])

        assert answer.status == 200
        assert "You are logged out" in answer.text
        assert not self.lives(provider, tokens)

    def test_a_hint_with_a_redirect_leads_back_with_the_state(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)

        answer = provider.logout(
            browser,
            id_token_hint=tokens["id_token"],
            client_id="legacy-app",
            post_logout_redirect_uri=provider.redirect_uri(),
            state="a b&c",
        )

        assert (answer.status, answer.location) == (302, f"{provider.redirect_uri()}?state=a+b%26c")
        assert not self.lives(provider, tokens)
        assert provider.authorize(browser, prompt="none").parameters["error"] == "login_required"

    def test_the_browsers_cookies_are_cleared(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)
        assert "KEYCLOAK_IDENTITY" in browser.cookies

        provider.logout(browser, id_token_hint=tokens["id_token"])

        assert "KEYCLOAK_IDENTITY" not in browser.cookies

    def test_a_post_does_the_same(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)

        answer = browser.post(
            provider.endpoint("logout"),
            {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": provider.redirect_uri()},
        )

        assert (answer.status, answer.location) == (302, provider.redirect_uri())
        assert not self.lives(provider, tokens)

    def test_a_hint_of_a_session_that_is_gone_leads_back_all_the_same(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)
        provider.administrator.end_session(tokens["session_state"])

        for each in (browser, WebBrowser()):
            answer = provider.logout(
                each, id_token_hint=tokens["id_token"], post_logout_redirect_uri=provider.redirect_uri()
            )
            assert (answer.status, answer.location) == (302, provider.redirect_uri())

    def test_a_hint_of_a_direct_grant_ends_it_when_the_browser_has_no_session(self, provider: Provider) -> None:
        tokens = provider.direct().json

        answer = provider.logout(
            WebBrowser(), id_token_hint=tokens["id_token"], post_logout_redirect_uri=provider.redirect_uri()
        )

        assert answer.status == 302
        assert not self.lives(provider, tokens)

    def test_a_hint_of_another_session_than_the_browsers_is_a_question_and_ends_nothing(
        self, provider: Provider
    ) -> None:
        browser = WebBrowser()
        mine = provider.browser_tokens(browser)
        form_session = provider.direct().json

        answer = provider.logout(
            browser, id_token_hint=form_session["id_token"], post_logout_redirect_uri=provider.redirect_uri()
        )

        assert answer.status == 200
        assert self.lives(provider, mine)
        assert self.lives(provider, form_session)

    def test_a_hint_of_another_client_of_the_session_works_with_that_clients_redirect(self, provider: Provider) -> None:
        browser = WebBrowser()
        mine = provider.browser_tokens(browser)
        others = provider.browser_tokens(browser, "alice", "other-app")

        refused = provider.logout(
            browser, id_token_hint=others["id_token"], post_logout_redirect_uri=provider.redirect_uri()
        )
        alive = self.lives(provider, mine)
        accepted = provider.logout(
            browser, id_token_hint=others["id_token"], post_logout_redirect_uri=provider.redirect_uri("other-app")
        )

        assert (refused.status, alive, accepted.status) == (400, True, 302)
        assert "Invalid redirect uri" in refused.text
        assert not self.lives(provider, mine)

    @pytest.mark.parametrize(
        ("parameters", "sentence"),
        [
            ({"client_id": "other-app"}, "Invalid parameter: id_token_hint"),
            ({"post_logout_redirect_uri": "https://evil.test/"}, "Invalid redirect uri"),
        ],
    )
    def test_a_hint_with_something_wrong_beside_it_is_a_page_and_ends_nothing(
        self, provider: Provider, parameters: dict[str, str], sentence: str
    ) -> None:
        tokens = provider.direct().json

        answer = provider.logout(WebBrowser(), id_token_hint=tokens["id_token"], **parameters)

        assert answer.status == 400
        assert sentence in answer.text
        assert self.lives(provider, tokens)

    def test_what_is_no_id_token_is_no_hint(self, provider: Provider) -> None:
        tokens = provider.direct().json

        for hint in (tokens["access_token"], "garbage"):
            answer = provider.logout(WebBrowser(), id_token_hint=hint)
            assert answer.status == 400
            assert "Invalid parameter: id_token_hint" in answer.text
        assert self.lives(provider, tokens)

    @pytest.mark.parametrize(
        ("client_id", "sentence"),
        [(None, "Missing parameters: id_token_hint"), ("unknown", "Invalid redirect uri")],
    )
    def test_a_redirect_without_a_client_that_registered_it_is_a_page(
        self, provider: Provider, client_id: str | None, sentence: str
    ) -> None:
        named = {} if client_id is None else {"client_id": client_id}

        answer = provider.logout(WebBrowser(), post_logout_redirect_uri=provider.redirect_uri(), **named)

        assert answer.status == 400
        assert sentence in answer.text

    def test_a_client_and_redirect_without_a_session_lead_on(self, provider: Provider) -> None:
        answer = provider.logout(
            WebBrowser(), client_id="legacy-app", post_logout_redirect_uri=provider.redirect_uri(), state="s"
        )

        assert (answer.status, answer.location) == (302, f"{provider.redirect_uri()}?state=s")

    def test_a_client_and_redirect_with_a_session_is_a_question_that_can_be_answered(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)

        question = provider.logout(
            browser, client_id="legacy-app", post_logout_redirect_uri=provider.redirect_uri(), state="s"
        )
        alive = self.lives(provider, tokens)
        action = urlsplit(question.form_action)
        hidden = question.hidden_inputs()
        answer = browser.post(question.form_action, {**hidden, "confirmLogout": "Logout"})

        assert (question.status, alive) == (200, True)
        assert action.path.endswith("/protocol/openid-connect/logout/logout-confirm")
        assert {"client_id", "tab_id"} <= set(dict(parse_qsl(action.query)))
        assert "session_code" in hidden
        assert (answer.status, answer.location) == (302, f"{provider.redirect_uri()}?state=s")
        assert not self.lives(provider, tokens)

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"client_id": "legacy-app"},
            {"client_id": "unknown"},
            {"redirect_uri": "https://x.test/"},
            {"logout_hint": "x"},
        ],
    )
    def test_too_little_is_a_question_with_and_without_a_session(
        self, provider: Provider, parameters: dict[str, str]
    ) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)

        assert [provider.logout(each, **parameters).status for each in (browser, WebBrowser())] == [200, 200]
        assert self.lives(provider, tokens)


class TestFrontchannelLogout:
    def test_the_browser_is_given_a_frame_for_the_client_and_then_led_on(self, provider: Provider) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser, "alice", "front-app")
        back = provider.redirect_uri("front-app")

        answer = provider.logout(browser, id_token_hint=tokens["id_token"], post_logout_redirect_uri=back, state="s")

        frame = urlsplit(re.findall(r'<iframe[^>]*src="([^"]+)"', answer.text)[0].replace("&amp;", "&"))
        assert answer.status == 200
        assert frame.path == "/front"
        assert dict(parse_qsl(frame.query)) == {"sid": tokens["session_state"], "iss": provider.issuer}
        assert f"{back}?state=s" in answer.text

    def test_without_the_browsers_cookies_there_is_no_frame(self, provider: Provider) -> None:
        tokens = provider.browser_tokens(WebBrowser(), "alice", "front-app")
        back = provider.redirect_uri("front-app")

        answer = provider.logout(WebBrowser(), id_token_hint=tokens["id_token"], post_logout_redirect_uri=back)

        assert (answer.status, answer.location) == (302, back)


class TestKeyRotation:
    """In the other realm, because its key set changes."""

    def test_a_new_key_signs_at_once_and_the_old_one_still_verifies(self, rotating: Provider) -> None:
        old = rotating.direct().json
        key = rotating.administrator.rotate_key()
        try:
            new = rotating.direct().json
            published = [each["kid"] for each in WebBrowser().get(rotating.endpoint("certs")).json["keys"]]
            old_answer = rotating.userinfo(old["access_token"])
        finally:
            rotating.administrator.delete_key(key)

        old_kid, new_kid = header(old["access_token"])["kid"], header(new["access_token"])["kid"]
        assert new_kid != old_kid
        assert published[0] == new_kid
        assert old_kid in published
        assert old_answer.status == 200
        # What the deleted key signed is void; the refresh token was signed by another.
        assert rotating.userinfo(new["access_token"]).status == 401
        assert rotating.logout(WebBrowser(), id_token_hint=new["id_token"]).status == 400
        assert rotating.refresh(new["refresh_token"]).status == 200


class TestLogoutByRefreshToken:
    def test_it_is_204_as_often_as_it_is_asked(self, provider: Provider) -> None:
        token = provider.direct().json["refresh_token"]

        answers = [provider.call("logout", refresh_token=token) for _ in range(2)]

        assert [(answer.status, answer.body) for answer in answers] == [(204, b"")] * 2
        assert provider.refresh(token).refusal == (400, "invalid_grant", "Session not active")

    def test_an_older_refresh_token_ends_it_too(self, provider: Provider) -> None:
        old = provider.direct().json["refresh_token"]
        new = provider.refresh(old).json["refresh_token"]

        assert provider.call("logout", refresh_token=old).status == 204
        assert provider.refresh(new).status == 400

    @pytest.mark.parametrize(
        ("client", "changes", "expected"),
        [
            (
                "other-app",
                {},
                (400, "invalid_grant", "Invalid refresh token. Token client and authorized client don't match"),
            ),
            ("legacy-app", {"refresh_token": "garbage"}, (400, "invalid_grant", "Invalid refresh token")),
            ("legacy-app", {"client_secret": "wrong"}, (401, "unauthorized_client", WRONG_CLIENT)),
        ],
    )
    def test_a_refusal_ends_nothing(
        self, provider: Provider, client: str, changes: dict[str, str], expected: tuple[int, str, str]
    ) -> None:
        token = provider.direct().json["refresh_token"]

        refused = provider.call("logout", client, **{"refresh_token": token, **changes})

        assert refused.refusal == expected
        assert provider.refresh(token).status == 200


# -- the back-channel


class TestBackchannelLogout:
    def test_the_request_is_a_form_with_one_field(self, provider: Provider, receiver: LogoutReceiver) -> None:
        sid = provider.direct().json["session_state"]

        provider.administrator.end_session(sid)

        (call,) = receiver.wait_for(sid, 1)
        assert call.path == "/bc/legacy-app"
        assert [name for name, _ in call.form] == ["logout_token"]
        assert call.headers["content-type"] == "application/x-www-form-urlencoded"
        assert call.headers["connection"].lower() == "keep-alive"
        assert call.headers["user-agent"].startswith("Apache-HttpClient/")

    def test_the_token_has_these_claims_in_this_order(self, provider: Provider, receiver: LogoutReceiver) -> None:
        tokens = provider.direct().json

        provider.administrator.end_session(tokens["session_state"])

        (call,) = receiver.wait_for(tokens["session_state"], 1)
        told = claims(call.token)
        assert list(told) == ["exp", "iat", "jti", "iss", "aud", "sub", "typ", "sid", "events"]
        assert (call.header["alg"], call.header["typ"]) == ("RS256", "logout+jwt")
        assert (told["iss"], told["aud"], told["typ"]) == (provider.issuer, "legacy-app", "Logout")
        assert told["sub"] == claims(tokens["id_token"])["sub"]
        assert told["exp"] - told["iat"] == 120
        assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert verified(provider, call.token)["jti"] == told["jti"]

    def test_a_logout_by_refresh_token_is_told_to_the_caller_too(
        self, provider: Provider, receiver: LogoutReceiver
    ) -> None:
        tokens = provider.direct().json

        provider.call("logout", refresh_token=tokens["refresh_token"])

        assert len(receiver.wait_for(tokens["session_state"], 1)) == 1

    @pytest.mark.parametrize("way", ["browser", "refresh token", "administrator"])
    def test_every_client_of_the_session_is_told_once(
        self, provider: Provider, receiver: LogoutReceiver, way: str
    ) -> None:
        browser = WebBrowser()
        tokens = provider.browser_tokens(browser)
        provider.browser_tokens(browser, "alice", "other-app")
        sid = tokens["session_state"]

        if way == "browser":
            provider.logout(browser, id_token_hint=tokens["id_token"])
        elif way == "refresh token":
            provider.call("logout", refresh_token=tokens["refresh_token"])
        else:
            provider.administrator.end_session(sid)

        calls = receiver.wait_for(sid, 2)
        assert sorted(call.path for call in calls) == ["/bc/legacy-app", "/bc/other-app"]
        assert {call.claims["aud"] for call in calls} == {"legacy-app", "other-app"}

    def test_an_administrator_who_logs_a_user_out_tells_every_session(
        self, provider: Provider, receiver: LogoutReceiver
    ) -> None:
        user = fresh_user(provider, "everywhere-user")
        sids = [provider.direct(user).json["session_state"] for _ in range(2)]

        provider.administrator.logout_user(user)

        assert [len(receiver.wait_for(sid, 1)) for sid in sids] == [1, 1]

    def test_a_client_that_wants_no_sid_is_told_the_subject_alone(
        self, provider: Provider, receiver: LogoutReceiver
    ) -> None:
        user = fresh_user(provider, "subject-user")
        tokens = provider.direct(user, "subject-app").json
        subject = claims(tokens["id_token"])["sub"]

        provider.administrator.end_session(tokens["session_state"])

        (told,) = [call.claims for call in receiver.calls if call.path == "/bc/subject-app"][-1:]
        assert told["sub"] == subject
        assert "sid" not in told

    def test_a_client_with_a_front_channel_gets_no_back_channel(
        self, provider: Provider, receiver: LogoutReceiver
    ) -> None:
        tokens = provider.direct("alice", "front-app").json

        provider.administrator.end_session(tokens["session_state"])
        provider.call("logout", "front-app", refresh_token=tokens["refresh_token"])

        assert receiver.of_session(tokens["session_state"]) == []

    @pytest.mark.parametrize("status", [204, 302, 400, 500])
    def test_the_receivers_answer_does_not_matter_and_nothing_is_repeated(
        self, provider: Provider, receiver: LogoutReceiver, status: int
    ) -> None:
        tokens = provider.direct().json
        receiver.status = status
        try:
            answer = provider.call("logout", refresh_token=tokens["refresh_token"])
        finally:
            receiver.status = 200

        assert answer.status == 204
        assert len(receiver.of_session(tokens["session_state"])) == 1
        assert provider.refresh(tokens["refresh_token"]).refusal[2] == "Session not active"

    def test_revocation_and_disabling_tell_nobody(self, provider: Provider, receiver: LogoutReceiver) -> None:
        user = fresh_user(provider, "quiet-user")
        revoked, left = provider.direct(user).json, provider.direct(user).json

        provider.call("revoke", token=revoked["refresh_token"])
        provider.administrator.disable(user)

        assert receiver.of_session(revoked["session_state"]) == []
        assert receiver.of_session(left["session_state"]) == []


# -- tokens that exist already


class TestUserinfo:
    def test_it_tells_the_profile(self, provider: Provider) -> None:
        tokens = provider.direct().json

        answer = provider.userinfo(tokens["access_token"])

        assert answer.status == 200
        assert list(answer.json) == ["sub", *PROFILE_CLAIMS]
        assert answer.json["sub"] == claims(tokens["id_token"])["sub"]

    def test_the_token_may_come_in_a_form(self, provider: Provider) -> None:
        token = provider.direct().json["access_token"]

        assert WebBrowser().post(provider.endpoint("userinfo"), {"access_token": token}).status == 200

    def test_it_needs_openid(self, provider: Provider) -> None:
        answer = provider.userinfo(provider.direct(scope=None).json["access_token"])

        assert answer.status == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert 'error_description="Missing openid scope"' in answer.headers["www-authenticate"]

    @pytest.mark.parametrize("cause", ["session ended", "user disabled", "garbage", "revoked"])
    def test_it_refuses_with_a_challenge_and_an_empty_body(self, provider: Provider, cause: str) -> None:
        user = fresh_user(provider, f"userinfo-{cause.replace(' ', '-')}")
        tokens = provider.direct(user).json
        token, description = tokens["access_token"], "Token verification failed"
        if cause == "session ended":
            provider.administrator.end_session(tokens["session_state"])
            description = "user_session_not_found"
        elif cause == "user disabled":
            provider.administrator.disable(user)
            description = "User disabled"
        elif cause == "revoked":
            provider.call("revoke", token=token)
        else:
            token = "garbage"

        answer = provider.userinfo(token)

        realm = provider.issuer.rpartition("/")[2]
        assert (answer.status, answer.body) == (401, b"")
        assert answer.headers["www-authenticate"] == (
            f'Bearer realm="{realm}", error="invalid_token", error_description="{description}"'
        )

    def test_no_token_is_401_with_a_bare_challenge(self, provider: Provider) -> None:
        answer = WebBrowser().get(provider.endpoint("userinfo"))

        realm = provider.issuer.rpartition("/")[2]
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == f'Bearer realm="{realm}"'


class TestRevocation:
    def test_a_revoked_refresh_token_ends_its_session(self, provider: Provider) -> None:
        tokens = provider.direct().json

        answer = provider.call("revoke", token=tokens["refresh_token"])

        assert (answer.status, answer.body) == (200, b"")
        assert provider.refresh(tokens["refresh_token"]).refusal == (400, "invalid_grant", "Session not active")

    def test_a_revoked_refresh_token_leaves_the_other_clients_of_the_session(self, provider: Provider) -> None:
        browser = WebBrowser()
        mine = provider.browser_tokens(browser)
        others = provider.browser_tokens(browser, "alice", "other-app")

        provider.call("revoke", token=mine["refresh_token"])

        assert provider.refresh(mine["refresh_token"]).refusal == (
            400,
            "invalid_grant",
            "Session doesn't have required client",
        )
        assert provider.refresh(others["refresh_token"], "other-app").status == 200

    def test_a_revoked_access_token_is_dead_alone(self, provider: Provider) -> None:
        tokens = provider.direct().json

        assert provider.call("revoke", token=tokens["access_token"]).status == 200
        assert provider.userinfo(tokens["access_token"]).status == 401
        assert provider.refresh(tokens["refresh_token"]).status == 200

    def test_garbage_is_200_with_an_error(self, provider: Provider) -> None:
        answer = provider.call("revoke", token="garbage")

        assert answer.refusal == (200, "invalid_token", "Invalid token")

    def test_a_refusal_says(self, provider: Provider) -> None:
        tokens = provider.direct().json

        assert provider.call("revoke").refusal == (400, "invalid_request", "Token not provided")
        assert provider.call("revoke", "other-app", token=tokens["refresh_token"]).refusal == (
            400,
            "invalid_request",
            "Unmatching clients",
        )
        assert provider.call("revoke", token=tokens["id_token"]).refusal == (
            400,
            "unsupported_token_type",
            "Unsupported token type",
        )
        assert provider.call("revoke", client_secret="wrong", token="x").refusal == (
            401,
            "unauthorized_client",
            WRONG_CLIENT,
        )


class TestIntrospection:
    def test_a_clients_own_token_is_inactive_because_it_is_not_in_its_audience(self, provider: Provider) -> None:
        token = provider.direct().json["access_token"]

        assert provider.call("token/introspect", token=token).json == {"active": False}

    def test_a_token_with_the_caller_in_its_audience_is_told(self, provider: Provider) -> None:
        tokens = provider.direct("alice", "other-app").json

        told = provider.call("token/introspect", token=tokens["access_token"]).json

        assert told["active"] is True
        assert (told["client_id"], told["username"], told["sub"]) == (
            "other-app",
            "alice",
            claims(tokens["id_token"])["sub"],
        )

    def test_a_token_of_an_ended_session_and_a_refresh_token_are_inactive(self, provider: Provider) -> None:
        tokens = provider.direct("alice", "other-app").json
        refresh_token = provider.call("token/introspect", token=tokens["refresh_token"]).json
        provider.administrator.end_session(tokens["session_state"])

        assert provider.call("token/introspect", token=tokens["access_token"]).json == {"active": False}
        assert refresh_token == {"active": False}

    def test_it_needs_the_client(self, provider: Provider) -> None:
        wrong, unknown = (
            provider.call("token/introspect", token="x", **changes)
            for changes in ({"client_secret": "wrong"}, {"client_id": "unknown"})
        )

        assert wrong.refusal == (401, "invalid_client", "Client authentication failed.")
        assert unknown.refusal == (401, "invalid_client", WRONG_CLIENT)
        assert provider.call("token/introspect").refusal == (400, "invalid_request", "Token not provided.")


class TestAccountSessions:
    def test_the_sessions_of_the_user_are_told(self, provider: Provider) -> None:
        user = fresh_user(provider, "account-user")
        first, second = provider.direct(user).json, provider.direct(user).json

        answer = provider.account("GET", "sessions", first["access_token"])

        items = {item["id"]: item for item in answer.json}
        assert answer.status == 200
        assert set(items) == {first["session_state"], second["session_state"]}
        assert items[first["session_state"]]["current"] is True
        mine = items[first["session_state"]]
        assert {"id", "ipAddress", "started", "lastAccess", "expires", "clients"} <= set(mine)
        assert mine["clients"][0]["clientId"] == "legacy-app"

    def test_all_but_the_current_one_end_and_then_all(self, provider: Provider, receiver: LogoutReceiver) -> None:
        user = fresh_user(provider, "account-ender")
        first, second, third = (provider.direct(user).json for _ in range(3))

        others = provider.account("DELETE", "sessions", first["access_token"])
        after_others = [provider.refresh(each["refresh_token"]).status for each in (first, second, third)]
        everything = provider.account("DELETE", "sessions?current=true", first["access_token"])

        assert (others.status, everything.status) == (204, 204)
        assert after_others == [200, 400, 400]
        assert provider.refresh(first["refresh_token"]).status == 400
        assert [len(receiver.wait_for(each["session_state"], 1)) for each in (first, second, third)] == [1, 1, 1]

    def test_one_session_ends_by_its_id_and_a_strangers_does_not(self, provider: Provider) -> None:
        user = fresh_user(provider, "account-picker")
        mine, other, strangers = provider.direct(user).json, provider.direct(user).json, provider.direct("bob").json

        answers = [
            provider.account("DELETE", f"sessions/{quote(each['session_state'], safe='')}", mine["access_token"])
            for each in (other, strangers)
        ]

        assert [answer.status for answer in answers] == [204, 204]
        assert provider.refresh(other["refresh_token"]).status == 400
        assert provider.refresh(strangers["refresh_token"]).status == 200

    def test_without_account_roles_it_is_401(self, provider: Provider) -> None:
        token = provider.direct("frank").json["access_token"]

        assert provider.account("GET", "sessions", token).status == 401
        assert provider.account("DELETE", "sessions", token).status == 401
