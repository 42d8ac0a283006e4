"""One client at one provider, over real HTTP: the embedded issuer, made to lie, stall and break."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.tokens import Grant, GrantRefusal
from proxy.demo import misbehaviour as wrong
from proxy.demo.clients import Client
from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.misbehaviour import FOREVER, Endpoint, TokenKind
from proxy.demo.realm import Rotation
from proxy.demo.shape import Shape
from proxy.errors import ClientMisconfigured, GrantUnverified, ProviderUnavailable, TokenRejected
from proxy.oidc.client_auth import ClientSecretBasic, NoClientSecret
from proxy.oidc.jwks import BURST
from proxy.oidc.metadata import Endpoints
from proxy.oidc.options import ClaimsSource, ProviderOptions
from proxy.oidc.provider import MAX_WAITING, OpenIdProvider
from proxy.ports import AccountAnswer
from tests.oidc.signing import sign
from tests.oidc.stepping import SteppedSleep
from tests.support.eventually import eventually
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import Session
    from proxy.ports import Readiness
    from tests.oidc.answering import AnsweringServer
    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver

SECRET = "p+c%t and 50% more: ü"


class House:
    """An issuer with the user alice and our client; providers made here are closed at the end."""

    def __init__(self, clock: FakeClock, observer: RecordingObserver, stack: AsyncExitStack) -> None:
        self.clock = clock
        self.observer = observer
        self.sleep = SteppedSleep()
        self._stack = stack
        self.issuer: Issuer

    async def open(self, **options: Any) -> Issuer:
        self.issuer = await self._stack.enter_async_context(running_issuer(clock=self.clock.now, **options))
        self.issuer.register_client(Client(client_id="legacy-app", secret=SECRET))
        self.issuer.add_user("alice", "alice-pw", realm_roles=("admin",))
        return self.issuer

    async def provider(self, **options: Any) -> OpenIdProvider:
        """A provider that has started, whether or not it is ready."""
        chosen = ProviderOptions(
            **{
                "issuer": self.issuer.url if hasattr(self, "issuer") else "",
                "client_id": "legacy-app",
                "authentication": ClientSecretBasic("legacy-app", lambda: Secret(SECRET)),
                "timeout_s": 5.0,
                **options,
            }
        )
        made = OpenIdProvider(chosen, clock=self.clock, observer=self.observer, sleep=self.sleep)
        self._stack.push_async_callback(made.close)
        await made.start()
        return made

    async def ready(self, **options: Any) -> OpenIdProvider:
        made = await self.provider(**options)
        await until(made, is_ready=True)
        return made


async def until(provider: OpenIdProvider, **expected: object) -> Readiness:
    """Wait until the readiness has these values."""

    async def look() -> dict[str, object]:
        return {name: getattr(provider.readiness(), name) for name in expected}

    await eventually(look, expected)
    return provider.readiness()


async def until_troubled(provider: OpenIdProvider) -> Readiness:
    """Wait until something is wrong."""

    async def look() -> bool:
        return provider.readiness().detail.startswith(("ok", "waiting"))

    await eventually(look, expected=False)
    return provider.readiness()


@pytest_asyncio.fixture
async def house(clock: FakeClock, observer: RecordingObserver) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(clock, observer, stack)


async def signed_in(provider: OpenIdProvider) -> Grant:
    grant = await provider.password_grant("alice", Secret("alice-pw"), None)
    assert isinstance(grant, Grant)
    return grant


def session_of(grant: Grant) -> Session:
    return make_session(
        Secret("cookie"), identity=grant.identity, tokens=grant.tokens, sid=grant.sid, issued_at=grant.issued_at
    )


class TestBecomingReady:
    """Contract §3, ``/readyz``; nothing is fatal."""

    async def test_before_anything_was_had_it_is_not_ready_and_says_so(self, house: House, free_port: int) -> None:
        provider = await house.provider(issuer=f"http://127.0.0.1:{free_port}/realms/acme")

        readiness = await until_troubled(provider)

        assert not readiness.is_ready
        assert "cannot be reached" in readiness.detail
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            provider.metadata()
        with pytest.raises(ProviderUnavailable):
            await provider.password_grant("alice", Secret("alice-pw"), None)

    @pytest.mark.parametrize("path", ["/realms/acme", "/realms/acme/", "/", "", "/tenant/1/v2.0"])
    async def test_an_issuer_may_have_any_shape(self, house: House, path: str) -> None:
        issuer = await house.open(shape=Shape(path=path, protocol="/oauth/x"))

        provider = await house.ready()

        assert provider.metadata().issuer == issuer.url
        assert (await signed_in(provider)).identity.issuer == issuer.url

    async def test_a_slash_too_many_is_another_issuer(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.provider(issuer=f"{issuer.url}/")

        readiness = await until_troubled(provider)

        assert not readiness.is_ready
        assert "both must be equal to the letter" in readiness.detail

    @pytest.mark.parametrize(
        ("endpoint", "fault", "words"),
        [
            (Endpoint.DISCOVERY, wrong.html(), "text/html"),
            (Endpoint.DISCOVERY, wrong.html(502), "answers 502"),
            (Endpoint.DISCOVERY, wrong.starting(), "answers 503"),
            (Endpoint.DISCOVERY, wrong.raw(b"[]"), "no object"),
            (Endpoint.DISCOVERY, wrong.raw(b"x" * 600_000), "more than"),
            (Endpoint.DISCOVERY, wrong.dropped(), "cannot be reached"),
            (Endpoint.DISCOVERY, wrong.with_members(issuer="https://evil.test"), "https://evil.test"),
            (Endpoint.DISCOVERY, wrong.without_members("token_endpoint"), "token_endpoint"),
            (Endpoint.JWKS, wrong.html(), "text/html"),
            (Endpoint.JWKS, wrong.status(500), "answers 500"),
            (Endpoint.JWKS, wrong.raw(b'{"keys": []}'), "no key that can verify RS256"),
            (Endpoint.JWKS, wrong.raw(b"{}"), "no list of keys"),
            (Endpoint.JWKS, wrong.dropped(), "cannot be reached"),
        ],
    )
    async def test_nonsense_is_a_sentence_and_one_log_line_until_it_is_over(
        self, house: House, endpoint: Endpoint, fault: wrong.Fault, words: str
    ) -> None:
        issuer = await house.open()
        issuer.misbehaviour.answer(endpoint, fault, times=3)
        provider = await house.provider()
        readiness = await until_troubled(provider)
        assert not readiness.is_ready
        assert words in readiness.detail

        # Two things are slept for, so each round may wake either.
        for _ in range(8):
            house.sleep.step()
            await asyncio.sleep(0.02)
        await until(provider, is_ready=True, detail="ok")

        assert [words in message for message, _ in house.observer.warnings] == [True, False]

    async def test_one_that_hangs_is_away_after_its_time(self, house: House) -> None:
        issuer = await house.open()
        gate = wrong.Gate()
        issuer.misbehaviour.answer(Endpoint.DISCOVERY, gate)
        provider = await house.provider(timeout_s=0.05)

        assert "did not answer within 0.05 s" in (await until_troubled(provider)).detail
        gate.release()

    async def test_once_ready_it_stays_so_and_names_what_is_away(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        issuer.misbehaviour.answer(Endpoint.JWKS, wrong.status(500), times=FOREVER)
        issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.status(500), times=FOREVER)
        for _ in range(2):
            house.sleep.step()

        readiness = await until_troubled(provider)

        assert readiness.is_ready
        assert "answers 500" in readiness.detail
        assert await signed_in(provider)

    async def test_an_outage_that_a_login_met_shows_at_once_and_ends_by_itself(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        for endpoint in (Endpoint.TOKEN, Endpoint.JWKS):
            issuer.misbehaviour.answer(endpoint, wrong.status(503), times=FOREVER)

        with pytest.raises(ProviderUnavailable):
            await provider.password_grant("alice", Secret("alice-pw"), None)
        assert "answers 503" in (await until_troubled(provider)).detail

        issuer.misbehaviour.behave()
        for _ in range(4):
            house.sleep.step()
        await until(provider, detail="ok")

    async def test_with_endpoints_by_hand_discovery_may_be_absent(self, house: House) -> None:
        issuer = await house.open()
        issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.status(404), times=FOREVER)
        by_hand = Endpoints(
            authorization=issuer.endpoint("auth"), token=issuer.endpoint("token"), jwks=issuer.endpoint("certs")
        )

        provider = await house.ready(endpoints=by_hand)

        assert provider.readiness().detail == "ok"
        assert await signed_in(provider)

    async def test_after_close_nothing_goes_on(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        await provider.close()
        asked = len(issuer.misbehaviour.seen)

        house.sleep.step()
        await asyncio.sleep(0.02)

        assert len(issuer.misbehaviour.seen) == asked


class TestSigningIn:
    """Password and code."""

    async def test_a_password_becomes_a_person(self, house: House) -> None:
        await house.open()
        grant = await signed_in(await house.ready())

        assert (grant.identity.username, grant.auth_time) == ("alice", None)
        assert "admin" in grant.identity.roles
        assert grant.sid is not None

    async def test_a_wrong_password_is_an_outcome(self, house: House) -> None:
        await house.open()

        found = await (await house.ready()).password_grant("alice", Secret("wrong"), None)

        assert found is GrantRefusal.INVALID_CREDENTIALS

    async def test_the_secret_that_was_taken_for_one_person_is_remembered_for_the_next(self, house: House) -> None:
        await house.open()
        in_the_file = [SECRET]
        provider = await house.ready(
            authentication=ClientSecretBasic("legacy-app", lambda: Secret(in_the_file[0])),
        )
        await signed_in(provider)
        in_the_file[0] = "not yet at the provider"

        assert await signed_in(provider)

    async def test_an_audience_of_the_options_is_trusted(self, house: House) -> None:
        issuer = await house.open()
        issuer.misbehaviour.forge(TokenKind.ID, wrong.claims(aud=["legacy-app", "partner"], azp="legacy-app"))

        assert await signed_in(await house.ready(trusted_audiences=frozenset({"partner"})))

    async def test_a_wrong_client_secret_is_not_the_users_fault(self, house: House) -> None:
        await house.open()
        provider = await house.ready(authentication=ClientSecretBasic("legacy-app", lambda: Secret("old")))

        with pytest.raises(ClientMisconfigured):
            await provider.password_grant("alice", Secret("alice-pw"), None)

    async def test_a_public_client_signs_in_without_a_secret(self, house: House) -> None:
        (await house.open()).register_client(Client(client_id="public"))
        provider = await house.ready(client_id="public", authentication=NoClientSecret("public"))

        assert await signed_in(provider)

    async def test_a_code_that_nobody_issued_is_an_outcome(self, house: House) -> None:
        await house.open()
        provider = await house.ready()

        found = await provider.exchange_code(
            Secret("made up"), code_verifier=Secret("v" * 43), redirect_uri="https://app/cb", nonce="n"
        )

        assert found is GrantRefusal.INVALID_GRANT

    @pytest.mark.parametrize(
        ("fault", "forgery"),
        [
            (wrong.without_members("expires_in", "refresh_expires_in"), None),
            (wrong.with_members(expires_in="300"), None),
            (wrong.without_members("refresh_token", "refresh_expires_in", "session_state", "scope"), None),
            (None, (TokenKind.ACCESS, wrong.opaque())),
            (
                None,
                (
                    TokenKind.ID,
                    wrong.without_claims("sid", "acr", "azp", "typ", "at_hash", "preferred_username", "jti"),
                ),
            ),
            (None, (TokenKind.ID, wrong.without_header("typ", "kid"))),
        ],
    )
    async def test_a_provider_that_says_little_says_enough(
        self, house: House, fault: wrong.Fault | None, forgery: Any
    ) -> None:
        issuer = await house.open()
        provider = await house.ready()
        if fault is not None:
            issuer.misbehaviour.answer(Endpoint.TOKEN, fault)
        if forgery is not None:
            issuer.misbehaviour.forge(*forgery)

        assert (await signed_in(provider)).identity.subject == issuer.users["alice"].subject

    @pytest.mark.parametrize(
        ("forgery", "reason"),
        [
            (wrong.unsigned(), "malformed"),
            (wrong.broken_signature(), "wrong_signature"),
            (wrong.header(kid="unknown"), "unknown_key"),
            (wrong.header(typ="at+jwt"), "wrong_type"),
            (wrong.claims(iss="https://evil.test"), "wrong_issuer"),
            (wrong.claims(aud="other"), "wrong_audience"),
            (wrong.claims(azp="other"), "wrong_azp"),
            (wrong.claims(nonce="stale"), "unexpected_nonce"),
            (wrong.without_claims("sub"), "missing_sub"),
            (wrong.without_claims("iat"), "missing_iat"),
            (wrong.claims(exp=1), "expired"),
        ],
    )
    async def test_a_forged_id_token_is_no_login(self, house: House, forgery: wrong.Forgery, reason: str) -> None:
        issuer = await house.open()
        provider = await house.ready()
        issuer.misbehaviour.forge(TokenKind.ID, forgery)

        with pytest.raises(TokenRejected) as refused:
            await provider.password_grant("alice", Secret("alice-pw"), None)
        assert refused.value.reason == reason

    async def test_the_public_key_taken_for_a_secret_opens_nothing(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready(signing_algorithms=frozenset({"RS256", "HS256"}))
        issuer.misbehaviour.forge(TokenKind.ID, wrong.hmac_with_public_key(issuer.keys.current))

        with pytest.raises(TokenRejected) as refused:
            await provider.password_grant("alice", Secret("alice-pw"), None)
        assert refused.value.reason == "algorithm_not_allowed"

    async def test_userinfo_is_asked_when_it_is_named(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready(claims_from=(ClaimsSource.ID_TOKEN, ClaimsSource.USERINFO))

        await signed_in(provider)

        assert len(issuer.misbehaviour.requests(Endpoint.USERINFO)) == 1

    async def test_nothing_of_a_browser_reaches_the_provider(self, house: House) -> None:
        issuer = await house.open()
        await signed_in(await house.ready())

        names = {name.lower() for asked in issuer.misbehaviour.seen for name in asked.headers}

        assert not names & {"origin", "cookie", "referer", "x-forwarded-for", "x-forwarded-host", "forwarded"}


class TestKeys:
    """Rotation, seen from outside."""

    async def test_a_rotated_key_is_noticed_at_once(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        issuer.rotate_keys()

        assert await signed_in(provider)

    async def test_a_key_taken_away_verifies_nothing_after_the_next_fetch(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        old = issuer.sign(TokenKind.LOGOUT, {"sid": "s"})
        kid = issuer.keys.current.kid
        issuer.rotate_keys()
        issuer.remove_key(kid)
        await signed_in(provider)

        with pytest.raises(TokenRejected) as refused:
            await provider.verify(old, purpose="backchannel")
        assert refused.value.reason == "unknown_key"

    async def test_a_token_is_verified_and_its_header_and_claims_given(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()

        found = await provider.verify(issuer.sign(TokenKind.LOGOUT, {"sid": "s"}), purpose="backchannel", peer="::1")

        assert (found.header["typ"], found.payload["sid"]) == ("logout+jwt", "s")

    async def test_a_flood_of_invented_kids_is_bounded_and_does_not_reach_the_logins(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        before = len(issuer.misbehaviour.requests(Endpoint.JWKS))
        for number in range(30):
            with pytest.raises(TokenRejected):
                await provider.verify(sign({}, kid=f"{number}"), purpose="backchannel", peer="203.0.113.9")

        assert len(issuer.misbehaviour.requests(Endpoint.JWKS)) == before + BURST
        issuer.rotate_keys()
        assert await signed_in(provider)


class TestRefreshing:
    """RFC 6749 §6."""

    async def test_a_refresh_gives_new_tokens_of_the_same_login(self, house: House) -> None:
        await house.open(rotation=Rotation.STRICT)
        provider = await house.ready()
        session = session_of(await signed_in(provider))

        grant = await provider.refresh(session)

        assert isinstance(grant, Grant)
        assert (grant.identity.subject, grant.sid) == (session.identity.subject, session.sid)
        assert grant.tokens.access_token != session.tokens.access_token

    async def test_changed_roles_come_with_it(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.set_roles("alice", "viewer")

        grant = await provider.refresh(session)

        assert isinstance(grant, Grant)
        assert {"admin", "viewer"} & grant.identity.roles == {"viewer"}

    async def test_a_session_that_ended_is_an_outcome(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        assert session.sid is not None
        await issuer.end_session(session.sid)

        assert await provider.refresh(session) is GrantRefusal.INVALID_GRANT

    async def test_without_a_refresh_token_there_is_nothing_to_ask(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        asked = len(issuer.misbehaviour.seen)

        found = await provider.refresh(dataclasses.replace(session, tokens=replace(session.tokens, refresh_token=None)))

        assert found is GrantRefusal.INVALID_GRANT
        assert len(issuer.misbehaviour.seen) == asked

    @pytest.mark.parametrize(
        "fault", [wrong.status(500), wrong.html(503), wrong.starting(), wrong.dropped(), wrong.html()]
    )
    async def test_an_outage_ends_nothing(self, house: House, fault: wrong.Fault) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.misbehaviour.answer(Endpoint.TOKEN, fault)

        with pytest.raises(ProviderUnavailable):
            await provider.refresh(session)
        assert isinstance(await provider.refresh(session), Grant)

    async def test_a_rotated_token_is_not_lost_when_the_keys_cannot_be_had_at_that_moment(self, house: House) -> None:
        issuer = await house.open(rotation=Rotation.STRICT)
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.rotate_keys()
        issuer.misbehaviour.answer(Endpoint.JWKS, wrong.status(503), times=FOREVER)
        asked = len(issuer.misbehaviour.requests(Endpoint.TOKEN))

        for _ in range(2):
            with pytest.raises(GrantUnverified):
                await provider.refresh(session)
        issuer.misbehaviour.behave()
        grant = await provider.refresh(session)

        assert isinstance(grant, Grant)
        assert len(issuer.misbehaviour.requests(Endpoint.TOKEN)) == asked + 1
        assert isinstance(await provider.refresh(session_of(grant)), Grant)

    async def test_a_rejected_answer_does_not_wait(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.misbehaviour.forge(TokenKind.ID, wrong.claims(sub="somebody else"))

        with pytest.raises(TokenRejected):
            await provider.refresh(session)
        assert isinstance(await provider.refresh(session), Grant)
        assert not provider._waiting

    async def test_answers_that_wait_are_bounded(self, house: House) -> None:
        await house.open()
        provider = await house.ready()
        for number in range(MAX_WAITING + 5):
            provider._let_wait(Secret(str(number)), object())  # type: ignore[arg-type]

        assert len(provider._waiting) == MAX_WAITING
        assert Secret("0") not in provider._waiting


class TestEndingASession:
    """The back door: POST of the refresh token."""

    async def test_the_session_ends_at_the_provider(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))

        await provider.end_session(session)

        assert issuer.live_sessions("alice") == []
        await provider.end_session(session)

    async def test_a_provider_that_is_away_is_said(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.misbehaviour.answer(Endpoint.END_SESSION, wrong.status(500))

        with pytest.raises(ProviderUnavailable):
            await provider.end_session(session)

    @pytest.mark.parametrize(
        ("status", "body"),
        [(200, b"<html>"), (404, b""), (405, b""), (400, b"<html>"), (400, {"error": "invalid_request"})],
        ids=str,
    )
    async def test_a_provider_without_this_back_door_gets_a_revocation(
        self, house: House, server: AnsweringServer, status: int, body: object
    ) -> None:
        await house.open()
        grant = await signed_in(await house.ready())
        html = {"Content_Type": "text/html"} if isinstance(body, bytes) else {}
        server.give("/logout", body, status=status, **html)
        server.give("/revoke", b"")
        document = {"end_session_endpoint": f"{server.url}/logout", "revocation_endpoint": f"{server.url}/revoke"}
        house.issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.with_members(**document), times=FOREVER)
        provider = await house.ready()

        await provider.end_session(session_of(grant))

        assert server.paths() == ["/logout", "/revoke"]
        assert grant.tokens.refresh_token is not None
        assert server.asked[1].form["token"] == grant.tokens.refresh_token.reveal()

    @pytest.mark.parametrize("status", [400, 401])
    async def test_a_refusal_of_us_is_said_and_one_of_the_token_is_none(self, house: House, status: int) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        error = {400: "invalid_grant", 401: "invalid_client"}[status]
        issuer.misbehaviour.answer(Endpoint.END_SESSION, wrong.status(status, {"error": error}))

        if status == 401:
            with pytest.raises(ClientMisconfigured):
                await provider.end_session(session)
        else:
            await provider.end_session(session)

    async def test_without_a_refresh_token_nothing_is_asked(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        asked = len(issuer.misbehaviour.seen)

        await provider.end_session(dataclasses.replace(session, tokens=replace(session.tokens, refresh_token=None)))

        assert len(issuer.misbehaviour.seen) == asked


class TestEndingAPersonsOtherSessions:
    """The account API, by way of the whole provider."""

    async def test_every_session_of_the_person_ends_and_nobody_elses(self, house: House) -> None:
        issuer = await house.open()
        issuer.add_user("bob", "bob-pw")
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        await signed_in(provider)
        assert isinstance(await provider.password_grant("bob", Secret("bob-pw"), None), Grant)

        assert await provider.end_all_sessions(session) is AccountAnswer.ENDED

        assert issuer.live_sessions("alice") == []
        assert len(issuer.live_sessions("bob")) == 1
        assert issuer.misbehaviour.requests(Endpoint.END_SESSION) == []

    async def test_an_access_token_that_is_over_is_refreshed_first(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        house.clock.advance(301)

        assert await provider.end_all_sessions(session) is AccountAnswer.ENDED

        assert issuer.live_sessions("alice") == []

    async def test_a_refresh_that_waits_for_keys_is_not_asked_for_again(self, house: House) -> None:
        issuer = await house.open(rotation=Rotation.STRICT)
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        house.clock.advance(301)
        issuer.misbehaviour.answer(Endpoint.JWKS, wrong.status(500), times=FOREVER)
        issuer.rotate_keys()
        with pytest.raises(ProviderUnavailable):
            await provider.refresh(session)

        assert await provider.end_all_sessions(session) is AccountAnswer.ENDED

        assert issuer.live_sessions("alice") == []
        assert not provider._waiting

    async def test_a_session_that_is_over_at_the_provider_cannot_end_others(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        grant = await signed_in(provider)
        await signed_in(provider)
        await issuer.end_session(grant.sid or "")
        house.clock.advance(301)

        assert await provider.end_all_sessions(session_of(grant)) is AccountAnswer.REFUSED

        assert len(issuer.live_sessions("alice")) == 1

    async def test_what_the_account_api_refuses_still_ends_this_session(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        await signed_in(provider)
        issuer.misbehaviour.answer(Endpoint.ACCOUNT, wrong.status(403))

        assert await provider.end_all_sessions(session) is AccountAnswer.REFUSED

        assert [live.sid for live in issuer.live_sessions("alice")] != []
        assert session.sid not in {live.sid for live in issuer.live_sessions("alice")}

    async def test_an_offline_session_ends_by_its_refresh_token_too(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready(scopes=("openid", "offline_access"))
        session = session_of(await signed_in(provider))
        assert session.tokens.refresh_expires_at is None

        await provider.end_all_sessions(session)

        assert issuer.live_sessions("alice") == []

    async def test_a_provider_of_another_shape_has_no_such_place(self, house: House) -> None:
        issuer = await house.open(shape=Shape(path="/tenant/1", protocol="/oauth"))
        provider = await house.ready()
        session = session_of(await signed_in(provider))

        assert await provider.end_all_sessions(session) is AccountAnswer.NO_ENDPOINT
        assert await provider.end_other_session(session, "sid") is AccountAnswer.NO_ENDPOINT

        assert issuer.misbehaviour.requests(Endpoint.ACCOUNT) == []
        assert issuer.live_sessions("alice") == []

    async def test_a_provider_that_is_away_is_said(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        issuer.misbehaviour.answer(Endpoint.ACCOUNT, wrong.status(500))

        with pytest.raises(ProviderUnavailable):
            await provider.end_all_sessions(session)

    async def test_a_refresh_that_brings_no_token_is_a_provider_that_is_away(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        session = session_of(await signed_in(provider))
        house.clock.advance(301)
        issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.raw(b"{}"))

        with pytest.raises(ProviderUnavailable):
            await provider.end_all_sessions(session)

    async def test_one_other_session_ends_by_its_sid(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        mine, other, third = [session_of(await signed_in(provider)) for _ in range(3)]

        assert await provider.end_other_session(mine, other.sid or "") is AccountAnswer.ENDED

        assert {live.sid for live in issuer.live_sessions("alice")} == {mine.sid, third.sid}


class TestAskingAboutTokens:
    """Introspection and exchange; what the answers mean is the business of their own files."""

    async def test_a_live_token_says_what_it_is_and_one_that_is_over_nothing(self, house: House) -> None:
        issuer = await house.open()
        issuer.clients["legacy-app"].audiences = ("api",)
        issuer.register_client(Client(client_id="api", secret="api-secret"))
        token = (await signed_in(await house.ready())).tokens.access_token
        as_api = ClientSecretBasic("api", lambda: Secret("api-secret"))
        provider = await house.ready(client_id="api", authentication=as_api)

        active = await provider.introspect(token)
        house.clock.advance(301)

        assert active is not None
        assert (active["iss"], active["username"]) == (issuer.url, "alice")
        assert await provider.introspect(token) is None

    async def test_a_provider_without_the_endpoint_is_said_with_the_remedy(self, house: House) -> None:
        issuer = await house.open()
        by_hand = Endpoints(
            authorization=issuer.endpoint("auth"), token=issuer.endpoint("token"), jwks=issuer.endpoint("certs")
        )
        provider = await house.provider(endpoints=by_hand, internal_url="http://127.0.0.1:1/realms/acme")

        with pytest.raises(ProviderUnavailable, match=r"introspection_endpoint; give it by hand"):
            await provider.introspect(Secret("t"))

    async def test_a_provider_that_is_away_shows_in_the_readiness(self, house: House) -> None:
        issuer = await house.open()
        provider = await house.ready()
        for endpoint in (Endpoint.TOKEN, Endpoint.INTROSPECTION, Endpoint.JWKS):
            issuer.misbehaviour.answer(endpoint, wrong.status(503), times=FOREVER)

        with pytest.raises(ProviderUnavailable):
            await provider.introspect(Secret("t"))
        with pytest.raises(ProviderUnavailable):
            await provider.exchange(Secret("t"), audience="billing", scope=None)

        assert "503" in (await until_troubled(provider)).detail

    async def test_a_client_that_may_not_exchange_is_no_refusal_of_the_person(self, house: House) -> None:
        await house.open()
        provider = await house.ready()

        with pytest.raises(ClientMisconfigured, match="not enabled"):
            await provider.exchange(Secret("t"), audience="billing", scope=None)
