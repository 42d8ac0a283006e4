"""Access tokens at the provider itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.bearer import bearer_token, verified_access_token
from proxy.demo.clients import Lifetimes
from proxy.demo.oauth_errors import BearerError

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc"])
def test_what_is_no_bearer_header_is_401_without_an_error(header: str | None) -> None:
    with pytest.raises(BearerError) as refused:
        bearer_token(header)

    assert (refused.value.status, refused.value.error) == (401, None)


def test_the_scheme_is_read_in_any_case() -> None:
    assert bearer_token("bEARER abc") == "abc"


async def test_an_expired_token_is_refused(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    token = (await visitor.direct()).json["access_token"]
    clock.advance(300)
    still_good = verified_access_token(issuer.realm, token)
    clock.advance(1)

    assert still_good.user.username == "alice"
    with pytest.raises(BearerError, match="Token verification failed"):
        verified_access_token(issuer.realm, token)


async def test_an_id_token_is_no_access_token(issuer: Issuer, visitor: Visitor) -> None:
    token = (await visitor.direct()).json["id_token"]

    with pytest.raises(BearerError, match="Token verification failed"):
        verified_access_token(issuer.realm, token)


async def test_a_token_of_an_idle_session_is_refused_before_it_expires(
    issuer: Issuer, visitor: Visitor, clock: FakeClock
) -> None:
    issuer.realm.lifetimes = Lifetimes(session_idle_s=10)
    token = (await visitor.direct()).json["access_token"]
    clock.advance(11)

    with pytest.raises(BearerError, match="user_session_not_found"):
        verified_access_token(issuer.realm, token)
