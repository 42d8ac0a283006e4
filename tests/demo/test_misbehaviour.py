"""The fake part: each way to go wrong does what it says, as often as it says, and then no more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import jwt
import pytest

from proxy.demo import misbehaviour as wrong
from proxy.demo.key_ring import RsaKey
from proxy.demo.misbehaviour import Endpoint, Gate, TokenKind
from tests.demo.visitor import claims

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


async def test_a_fault_is_counted_down_and_then_all_is_well(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.status(500), times=2)

    assert [(await visitor.direct()).status for _ in range(3)] == [500, 500, 200]


async def test_faults_are_taken_in_turn(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.status(500))
    issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.starting())

    answers = [await visitor.direct() for _ in range(2)]

    assert [answer.status for answer in answers] == [500, 503]
    assert answers[1].headers["Retry-After"] == "1"


async def test_a_fault_touches_its_endpoint_alone(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.JWKS, wrong.status(500), times=wrong.FOREVER)

    assert (await visitor.direct()).status == 200
    assert (await visitor.get(issuer.endpoint("certs"))).status == 500


async def test_behave_takes_everything_back(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.status(500), times=wrong.FOREVER)
    issuer.misbehaviour.forge(TokenKind.ID, wrong.unsigned(), times=wrong.FOREVER)

    issuer.misbehaviour.behave()

    assert jwt.get_unverified_header((await visitor.direct()).json["id_token"])["alg"] == "RS256"


async def test_a_page_or_noise_may_stand_where_json_was_expected(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.html())
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.raw(b"{"))
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.status(400, {"error": "no"}))
    url = f"{issuer.url}/.well-known/openid-configuration"

    page, noise, refusal = [await visitor.get(url) for _ in range(3)]

    assert page.headers["Content-Type"].startswith("text/html")
    assert noise.body == b"{"
    assert (refusal.status, refusal.json) == (400, {"error": "no"})


async def test_members_of_an_answer_can_be_changed_and_left_out(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, wrong.without_members("expires_in", "refresh_token"))
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, wrong.with_members(issuer="https://evil.test"))

    tokens = (await visitor.direct()).json
    metadata = (await visitor.get(f"{issuer.url}/.well-known/openid-configuration")).json

    assert not {"expires_in", "refresh_token"} & set(tokens)
    assert "access_token" in tokens
    assert metadata["issuer"] == "https://evil.test"


async def test_a_request_hangs_until_it_is_let_go(issuer: Issuer, visitor: Visitor) -> None:
    gate = Gate()
    issuer.misbehaviour.answer(Endpoint.TOKEN, gate)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(visitor.direct())
        await asyncio.wait_for(gate.arrived.wait(), 5)
        was_done = asking.done()
        gate.release()

    assert not was_done
    assert asking.result().status == 200


async def test_a_dropped_request_did_nothing_and_a_lost_answer_did(issuer: Issuer, visitor: Visitor) -> None:
    for fault in (wrong.dropped(), wrong.answer_lost()):
        issuer.misbehaviour.answer(Endpoint.TOKEN, fault)
    counts = []
    for _ in range(2):
        with pytest.raises(aiohttp.ClientError):
            await visitor.direct()
        counts.append(len(issuer.live_sessions()))

    assert counts == [0, 1]


async def test_what_was_asked_is_remembered(issuer: Issuer, visitor: Visitor) -> None:
    await visitor.direct(scope="email")
    await visitor.get(issuer.endpoint("certs"), {"x": "1"})

    (asked,) = issuer.misbehaviour.requests(Endpoint.TOKEN)
    (keys,) = issuer.misbehaviour.requests(Endpoint.JWKS)
    assert (asked.method, asked.form["grant_type"], asked.form["scope"]) == ("POST", "password", "email")
    assert (keys.method, keys.query) == ("GET", {"x": "1"})


async def test_claims_and_header_can_be_forged_under_a_good_signature(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ID, wrong.claims(aud="other", nonce="stale"))
    issuer.misbehaviour.forge(TokenKind.ID, wrong.without_claims("sid"))
    issuer.misbehaviour.forge(TokenKind.ID, wrong.header(typ="at+jwt"))

    first, second = [(await visitor.direct()).json["id_token"] for _ in range(2)]

    assert issuer.keys.verify(first) is not None
    assert (claims(first)["aud"], claims(first)["nonce"]) == ("other", "stale")
    assert "sid" not in claims(first)
    assert jwt.get_unverified_header(first)["typ"] == "at+jwt"
    assert claims(second)["aud"] == "app"


@pytest.mark.parametrize("name", ["unsigned", "signed_by", "hmac", "noise", "unknown kid"])
async def test_a_forged_signature_does_not_verify(issuer: Issuer, visitor: Visitor, name: str) -> None:
    forgeries = {
        "unsigned": wrong.unsigned(),
        "signed_by": wrong.signed_by(RsaKey.generate()),
        "hmac": wrong.hmac_with_public_key(issuer.keys.current),
        "noise": wrong.broken_signature(),
        "unknown kid": wrong.header(kid="unknown"),
    }
    issuer.misbehaviour.forge(TokenKind.ID, forgeries[name])

    token = (await visitor.direct()).json["id_token"]

    assert claims(token)["aud"] == "app"
    assert issuer.keys.verify(token) is None


async def test_another_algorithm_can_sign_with_the_right_key(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ID, wrong.signed_with("PS256", issuer.keys.current.private))

    token = (await visitor.direct()).json["id_token"]

    key = issuer.keys.current.private.public_key()
    options = {"verify_iat": False, "verify_aud": False, "verify_exp": False}
    assert jwt.decode(token, key, algorithms=["PS256"], options=options)["typ"] == "ID"  # type: ignore[arg-type]


async def test_a_header_member_can_be_left_out(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ID, wrong.without_header("kid"))

    assert "kid" not in jwt.get_unverified_header((await visitor.direct()).json["id_token"])


async def test_an_opaque_access_token_works_at_userinfo(issuer: Issuer, visitor: Visitor) -> None:
    issuer.misbehaviour.forge(TokenKind.ACCESS, wrong.opaque())

    token = (await visitor.direct()).json["access_token"]
    answer = await visitor.get(issuer.endpoint("userinfo"), Authorization=f"Bearer {token}")

    assert "." not in token
    assert answer.status == 200
