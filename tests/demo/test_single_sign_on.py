"""When the browser's session suffices, and what it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo import totp
from proxy.demo.clients import Lifetimes
from proxy.demo.realm import Registration
from proxy.demo.single_sign_on import carried
from tests.demo.visitor import claims

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor
    from tests.support.clocks import FakeClock


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 302),
        ({"max_age": "10"}, 302),
        ({"max_age": "9"}, 200),
        ({"max_age": "0"}, 200),
        ({"prompt": "login"}, 200),
        ({"prompt": "nonsense"}, 302),
    ],
)
async def test_a_session_of_ten_seconds_suffices_by_age_and_prompt(
    visitor: Visitor, clock: FakeClock, changes: dict[str, str], status: int
) -> None:
    await visitor.sign_in()
    clock.advance(10)

    assert (await visitor.authorize(**changes)).status == status


async def test_a_session_that_is_over_does_not_sign_on(issuer: Issuer, visitor: Visitor, clock: FakeClock) -> None:
    issuer.realm.lifetimes = Lifetimes(session_idle_s=10)
    await visitor.sign_in()
    clock.advance(11)

    assert (await visitor.authorize(prompt="none")).parameters["error"] == "login_required"


async def test_another_person_in_the_same_browser_gets_another_session(issuer: Issuer, visitor: Visitor) -> None:
    issuer.realm.registration = Registration.OPEN
    alice = await visitor.browser_tokens()
    page = await visitor.authorize(prompt="create")
    done = await visitor.post(page.form_action, {"username": "new", "password": "pw", "password-confirm": "pw"})
    new = (await visitor.exchange(done.parameters["code"])).json

    assert claims(new["id_token"])["preferred_username"] == "new"
    assert new["session_state"] != alice["session_state"]
    assert len(issuer.live_sessions()) == 2


class TestLevels:
    """As Keycloak with a flow of levels was seen to answer (``tests/journeys/test_step_up.py`` asks the real one)."""

    @pytest.fixture(autouse=True)
    def _levels(self, issuer: Issuer) -> None:
        issuer.realm.levels = ("silver", "gold")
        issuer.users["alice"].otp_secret = b"secret"

    async def test_a_login_gives_the_lowest_and_so_does_the_browsers_session(self, visitor: Visitor) -> None:
        first = await visitor.browser_tokens()
        second = (await visitor.exchange((await visitor.authorize()).parameters["code"])).json

        assert [claims(tokens["id_token"])["acr"] for tokens in (first, second)] == ["silver", "silver"]

    async def test_more_is_asked_for_alone_and_each_time_anew(self, visitor: Visitor, clock: FakeClock) -> None:
        plain = await visitor.browser_tokens()
        clock.advance(60)

        page = await visitor.authorize(acr_values="gold")
        done = await visitor.post(page.form_action, {"otp": totp.code_at(b"secret", clock.now())})
        gold = (await visitor.exchange(done.parameters["code"])).json

        said = claims(gold["id_token"])
        assert (said["acr"], said["sid"], said["auth_time"]) == ("gold", plain["session_state"], int(clock.now()))
        assert 'name="otp"' in (await visitor.authorize(acr_values="gold")).text
        assert (await visitor.authorize(acr_values="gold", prompt="none")).parameters["error"] == "login_required"
        again = (await visitor.exchange((await visitor.authorize()).parameters["code"])).json
        assert claims(again["id_token"])["acr"] == "silver"

    async def test_an_old_session_is_asked_for_everything(self, visitor: Visitor, clock: FakeClock) -> None:
        await visitor.browser_tokens()
        clock.advance(61)

        page = await visitor.authorize(acr_values="gold", max_age="60")
        code = await visitor.post(page.form_action, {"password": "alice-pw"})

        assert 'name="password"' in page.text
        assert 'name="otp"' in code.text

    async def test_what_is_unknown_is_no_wish_and_a_direct_grant_is_the_lowest(
        self, visitor: Visitor, clock: FakeClock
    ) -> None:
        await visitor.browser_tokens()

        assert "code" in (await visitor.authorize(acr_values="unobtainable")).parameters
        tokens = (await visitor.direct(otp=totp.code_at(b"secret", clock.now()))).json
        assert claims(tokens["id_token"])["acr"] == "silver"


def test_a_fragment_and_a_query_are_told_apart() -> None:
    assert carried("https://a.test/", "fragment", {"x": "1"}).headers["Location"] == "https://a.test/#x=1"
    assert carried("https://a.test/?y=2", "query", {"x": "1"}).headers["Location"] == "https://a.test/?y=2&x=1"
