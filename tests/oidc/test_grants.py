"""From a token answer to a grant: which claims count, and what a refresh may and may not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from proxy.core.id_token import NO_NONCE, Nonce
from proxy.core.identity import IdentityRules
from proxy.core.secret import Secret
from proxy.core.tokens import Grant, TokenSet
from proxy.errors import ProviderUnavailable, TokenRejected
from proxy.oidc.grants import GrantRules, GrantVerifier
from proxy.oidc.http_client import HttpClient
from proxy.oidc.options import ClaimsSource
from proxy.oidc.token_endpoint import TokenAnswer
from proxy.oidc.userinfo import Userinfo
from tests.oidc.key_stores import key_store
from tests.oidc.signing import sign
from tests.support.clocks import START, FakeClock
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session
    from tests.oidc.answering import AnsweringServer
    from tests.support.observers import RecordingObserver

ISSUER = "https://sso.example.com/realms/acme"
ID_TOKEN, ACCESS_TOKEN, USERINFO = ClaimsSource.ID_TOKEN, ClaimsSource.ACCESS_TOKEN, ClaimsSource.USERINFO
ABSENT = object()


def id_token(**changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "sub": "1",
        "aud": "legacy-app",
        "iat": START,
        "exp": START + 300,
        "sid": "s-1",
        "acr": "1",
        "preferred_username": "alice",
        **changes,
    }
    return sign({name: value for name, value in claims.items() if value is not ABSENT})


def access_token(*roles: str, **changes: Any) -> str:
    return sign({"iss": ISSUER, "sub": "1", "typ": "Bearer", "realm_access": {"roles": list(roles)}, **changes})


def answer(id_token: str | None = None, access_token: str = "opaque", **changes: Any) -> TokenAnswer:
    difference_s = changes.pop("clock_difference_s", 0.0)
    tokens = TokenSet(
        access_token=Secret(access_token),
        refresh_token=Secret("new refresh"),
        id_token=None if id_token is None else Secret(id_token),
        obtained_at=START,
        access_expires_at=START + 300,
        refresh_expires_at=START + 1800,
    )
    return TokenAnswer(tokens=replace(tokens, **changes), clock_difference_s=difference_s)


class Bench:
    """A verifier over a real userinfo endpoint."""

    def __init__(self, http: HttpClient, clock: FakeClock, server: AnsweringServer) -> None:
        self.server = server
        self._keys = key_store(clock)
        self._userinfo = Userinfo(http, self._keys, issuer=ISSUER, client_id="legacy-app")
        self.claims_from: tuple[ClaimsSource, ...] = (ID_TOKEN, ACCESS_TOKEN)
        self.trusted: frozenset[str] = frozenset()

    def _verifier(self) -> GrantVerifier:
        rules = GrantRules(
            identity=IdentityRules(issuer=ISSUER, client_id="legacy-app"),
            claims_from=self.claims_from,
            trusted_audiences=self.trusted,
        )
        return GrantVerifier(self._keys, self._userinfo, rules=rules)

    async def login(self, given: TokenAnswer, nonce: Nonce = NO_NONCE) -> Grant:
        return await self._verifier().of_login(given, nonce=nonce, userinfo_url=f"{self.server.url}/me")

    async def refresh(self, given: TokenAnswer, session: Session) -> Grant:
        return await self._verifier().of_refresh(given, session, userinfo_url=f"{self.server.url}/me")

    async def reason_of_login(self, given: TokenAnswer, nonce: Nonce = NO_NONCE) -> str:
        with pytest.raises(TokenRejected) as refused:
            await self.login(given, nonce)
        return refused.value.reason

    async def session(self, **claims: Any) -> Session:
        """A session made by a login with these claims in its ID token and the role ``admin``."""
        grant = await self.login(answer(id_token(**claims), access_token("admin")))
        return make_session(
            Secret("cookie"),
            identity=grant.identity,
            tokens=replace(grant.tokens, refresh_token=Secret("old refresh")),
            sid=grant.sid,
            issued_at=grant.issued_at,
            authenticated_at=grant.auth_time or START - 7,
            acr=grant.acr,
        )


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(http, clock, server)
    await http.close()


class TestLogin:
    """OIDC Core 1.0 §3.1.3.3 to §3.1.3.8."""

    async def test_a_right_answer_becomes_a_grant(self, bench: Bench) -> None:
        given = answer(id_token(nonce="n", auth_time=START - 9), access_token("admin"))

        grant = await bench.login(given, "n")

        assert grant.tokens == given.tokens
        assert (grant.identity.subject, grant.identity.username, grant.identity.roles) == ("1", "alice", {"admin"})
        assert (grant.sid, grant.issued_at, grant.auth_time, grant.acr) == ("s-1", START, START - 9, "1")

    async def test_without_an_id_token_there_is_no_login(self, bench: Bench) -> None:
        assert await bench.reason_of_login(answer(None, access_token("admin"))) == "missing_id_token"

    async def test_an_access_token_is_no_id_token(self, bench: Bench) -> None:
        confused = access_token("admin", aud="legacy-app", iat=START, exp=START + 300)

        assert await bench.reason_of_login(answer(confused)) == "wrong_type"

    async def test_the_rules_of_the_claims_are_asked(self, bench: Bench) -> None:
        assert await bench.reason_of_login(answer(id_token(nonce="n")), "other") == "wrong_nonce"
        assert await bench.reason_of_login(answer(id_token(aud=["legacy-app", "x"], azp="legacy-app"))) == (
            "untrusted_audience"
        )
        assert await bench.reason_of_login(answer(id_token(at_hash="x"))) == "wrong_at_hash"

    async def test_an_audience_of_the_settings_is_trusted(self, bench: Bench) -> None:
        bench.trusted = frozenset({"x"})

        assert await bench.login(answer(id_token(aud=["legacy-app", "x"], azp="legacy-app")))

    async def test_the_signature_is_asked_first(self, bench: Bench) -> None:
        forged = sign({"iss": ISSUER, "sub": "1"}, key="RSA-2048 second", kid="RSA-2048")

        assert await bench.reason_of_login(answer(forged)) == "wrong_signature"

    @pytest.mark.parametrize(
        "token",
        [
            "opaque",
            access_token("admin", iss="https://evil.test"),
            access_token("admin", sub="2"),
            sign({"iss": ISSUER, "realm_access": {"roles": ["admin"]}}),
            sign({"iss": ISSUER, "sub": "1", "roles": ["admin"]}, key="RSA-2048 second", kid="RSA-2048"),
            sign({"iss": ISSUER, "sub": "1", "roles": ["admin"]}, key="RSA-2048 second"),
            sign({"iss": ISSUER, "sub": "1", "roles": ["admin"]}, algorithm="RS512"),
        ],
    )
    async def test_an_access_token_that_is_not_ours_to_read_gives_no_right_and_no_fault(
        self, bench: Bench, token: str
    ) -> None:
        grant = await bench.login(answer(id_token(), token))

        assert grant.identity.roles == frozenset()

    async def test_an_access_token_that_is_not_named_is_not_read(self, bench: Bench) -> None:
        bench.claims_from = (ID_TOKEN,)

        assert (await bench.login(answer(id_token(), access_token("admin")))).identity.roles == frozenset()

    async def test_the_order_of_the_sources_is_that_of_the_settings(self, bench: Bench) -> None:
        bench.server.give("/me", {"sub": "1", "name": "of userinfo", "level": "u"})
        given = answer(id_token(name="of id token"), access_token(name="of access token", level="a"))

        bench.claims_from = (USERINFO, ACCESS_TOKEN, ID_TOKEN)
        first = await bench.login(given)
        bench.claims_from = (ACCESS_TOKEN, USERINFO)
        second = await bench.login(given)

        assert (first.identity.name, first.identity.claims["level"]) == ("of userinfo", "u")
        assert (second.identity.name, second.identity.claims["level"]) == ("of access token", "a")

    async def test_userinfo_is_asked_only_when_it_is_named(self, bench: Bench) -> None:
        await bench.login(answer(id_token()))

        assert bench.server.asked == []

    async def test_userinfo_about_somebody_else_is_no_login(self, bench: Bench) -> None:
        bench.claims_from = (ID_TOKEN, USERINFO)
        bench.server.give("/me", {"sub": "2", "roles": ["admin"]})

        assert await bench.reason_of_login(answer(id_token())) == "wrong_subject"

    async def test_userinfo_that_is_away_is_no_login(self, bench: Bench) -> None:
        bench.claims_from = (ID_TOKEN, USERINFO)
        bench.server.give("/me", b"", status=503)

        with pytest.raises(ProviderUnavailable):
            await bench.login(answer(id_token()))


class TestRefresh:
    """OIDC Core 1.0 §12.2."""

    async def test_a_new_id_token_makes_the_identity_anew(self, bench: Bench) -> None:
        session = await bench.session()

        grant = await bench.refresh(answer(id_token(name="New Name"), access_token("viewer")), session)

        assert (grant.identity.name, grant.identity.roles) == ("New Name", {"viewer"})

    async def test_what_the_answer_leaves_out_is_the_sessions(self, bench: Bench) -> None:
        session = await bench.session(auth_time=START - 9)
        given = answer(id_token(sid=ABSENT, acr=ABSENT), refresh_token=None, refresh_expires_at=None)

        grant = await bench.refresh(given, session)

        assert (grant.sid, grant.acr, grant.auth_time) == ("s-1", "1", START - 9)
        assert grant.tokens.refresh_token == Secret("old refresh")
        assert grant.tokens.refresh_expires_at == session.tokens.refresh_expires_at

    async def test_a_new_refresh_token_comes_with_its_own_end(self, bench: Bench) -> None:
        grant = await bench.refresh(answer(id_token(), refresh_expires_at=None), await bench.session())

        assert (grant.tokens.refresh_token, grant.tokens.refresh_expires_at) == (Secret("new refresh"), None)

    async def test_without_an_id_token_the_old_one_stays(self, bench: Bench) -> None:
        session = await bench.session(auth_time=START - 9)

        grant = await bench.refresh(answer(None), session)

        assert grant.tokens.id_token == session.tokens.id_token
        assert (grant.identity, grant.sid, grant.issued_at, grant.auth_time) == (
            session.identity,
            "s-1",
            START,
            START - 9,
        )

    async def test_without_an_id_token_the_access_token_still_takes_roles_away(self, bench: Bench) -> None:
        session = await bench.session(realm_access={"roles": ["admin", "staff"]}, department="it")
        assert session.identity.roles == {"admin", "staff"}

        grant = await bench.refresh(answer(None, access_token("viewer")), session)

        assert grant.identity.roles == {"viewer"}
        assert (grant.identity.username, grant.identity.claims["department"]) == ("alice", "it")

    async def test_userinfo_renews_the_claims_too(self, bench: Bench) -> None:
        session = await bench.session(name="Old")
        bench.claims_from = (ID_TOKEN, USERINFO)
        bench.server.give("/me", {"sub": "1", "name": "New"})

        assert (await bench.refresh(answer(None), session)).identity.name == "New"

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"sub": "2"}, "wrong_subject"),
            ({"iss": "https://evil.test"}, "wrong_issuer"),
            ({"aud": "other"}, "wrong_audience"),
            ({"nonce": "new"}, "wrong_nonce"),
            ({"auth_time": START - 10}, "wrong_auth_time"),
        ],
    )
    async def test_an_id_token_of_another_login_is_refused(
        self, bench: Bench, claims: dict[str, Any], reason: str
    ) -> None:
        grant = await bench.login(answer(id_token(nonce="n", auth_time=START - 9)), "n")
        session = make_session(Secret("c"), subject="1", identity=grant.identity, tokens=grant.tokens)

        with pytest.raises(TokenRejected) as refused:
            await bench.refresh(answer(id_token(**claims)), session)
        assert refused.value.reason == reason

    async def test_the_first_nonce_may_come_again(self, bench: Bench) -> None:
        grant = await bench.login(answer(id_token(nonce="n")), "n")
        session = make_session(Secret("c"), subject="1", identity=grant.identity, tokens=grant.tokens)

        assert await bench.refresh(answer(id_token(nonce="n")), session)

    async def test_an_access_token_of_somebody_else_renews_nothing(self, bench: Bench) -> None:
        session = await bench.session()

        grant = await bench.refresh(answer(None, access_token("root", sub="2")), session)

        assert grant.identity == session.identity


class TestClocks:
    """A clock that is off is named, for the operator would look at the token."""

    @pytest.mark.parametrize(
        ("difference_s", "claims", "sentence"),
        [
            (
                90.0,
                {"iat": START + 90},
                "issued 90 s in the future by our clock; the provider's clock is 90 s ahead of",
            ),
            (-400.0, {"exp": START - 100}, "expired 100 s ago by our clock; the provider's clock is 400 s behind ours"),
        ],
    )
    async def test_the_refusal_says_by_how_much(
        self, bench: Bench, difference_s: float, claims: dict[str, Any], sentence: str
    ) -> None:
        given = answer(id_token(**claims), clock_difference_s=difference_s)

        with pytest.raises(TokenRejected, match=sentence):
            await bench.login(given)

    @pytest.mark.parametrize(("difference_s", "claims"), [(2.0, {"exp": START - 100}), (900.0, {"aud": "other"})])
    async def test_a_clock_that_explains_nothing_is_not_named(
        self, bench: Bench, difference_s: float, claims: dict[str, Any]
    ) -> None:
        given = answer(id_token(**claims), clock_difference_s=difference_s)

        with pytest.raises(TokenRejected) as refused:
            await bench.login(given)
        assert "clock is" not in str(refused.value)

    async def test_a_refresh_says_it_too(self, bench: Bench) -> None:
        given = answer(id_token(iat=START + 90), clock_difference_s=90.0)

        with pytest.raises(TokenRejected, match="90 s ahead of ours"):
            await bench.refresh(given, await bench.session())
