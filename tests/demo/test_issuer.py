"""The provider as something to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.key_ring import KeyRing, RsaKey
from proxy.demo.realm import Realm

if TYPE_CHECKING:
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


async def test_it_listens_on_loopback_alone_and_stops(signing_key: RsaKey) -> None:
    async with running_issuer(keys=KeyRing(signing=[signing_key])) as issuer:
        url = issuer.url

    assert urlsplit(url).hostname == "127.0.0.1"
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(url)


async def test_two_providers_do_not_know_one_another(issuer: Issuer, visitor: Visitor) -> None:
    token = (await visitor.direct()).json["access_token"]
    async with running_issuer() as other:
        assert other.url != issuer.url
        assert other.realm.read(token) is None


async def test_a_realm_can_be_handed_in_and_served_on_a_named_port(signing_key: RsaKey, unused_tcp_port: int) -> None:
    realm = Realm(keys=KeyRing(signing=[signing_key]))

    async with running_issuer(realm, port=unused_tcp_port) as issuer:
        assert issuer.realm is realm
        assert issuer.origin == f"http://127.0.0.1:{unused_tcp_port}"


async def test_disabling_tells_nobody_and_enabling_revives(issuer: Issuer, visitor: Visitor) -> None:
    tokens = (await visitor.direct()).json
    issuer.disable_user("alice")
    refused = await visitor.refresh(tokens)
    issuer.enable_user("alice")

    assert refused.json["error_description"] == "User disabled"
    assert (await visitor.refresh(tokens)).status == 200


async def test_a_deleted_user_leaves_no_session(issuer: Issuer, visitor: Visitor) -> None:
    await visitor.direct()

    issuer.delete_user("alice")

    assert issuer.live_sessions() == []
    assert (await visitor.direct()).json["error_description"] == "Invalid user credentials"


async def test_a_user_logged_out_may_come_back_at_once(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    before = (await visitor.direct()).json
    clock.advance(1)
    await issuer.logout_user("alice")
    after = (await visitor.direct()).json

    assert (await visitor.refresh(before)).status == 400
    assert (await visitor.refresh(after)).status == 200
    assert after["not-before-policy"] == int(clock.now())


async def test_a_session_that_is_not_there_cannot_be_ended(issuer: Issuer) -> None:
    with pytest.raises(KeyError):
        await issuer.end_session("unknown")


async def test_a_logout_token_can_be_had_without_a_logout(issuer: Issuer, visitor: Visitor) -> None:
    tokens = (await visitor.direct()).json

    told = issuer.keys.verify(issuer.logout_token("app", "the-subject", tokens["session_state"]))

    assert told is not None
    assert (told["aud"], told["sub"], told["sid"]) == ("app", "the-subject", tokens["session_state"])
    assert len(issuer.live_sessions()) == 1


async def test_offline_sessions_survive_the_logout_of_their_user(issuer: Issuer, visitor: Visitor) -> None:
    offline = (await visitor.direct(scope="openid offline_access")).json

    await issuer.logout_user("alice")

    assert (await visitor.refresh(offline)).status == 200
