"""The page of sessions, with its button."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


async def test_the_button_ends_the_session(issuer: Issuer, visitor: Visitor) -> None:
    await visitor.direct()
    page = await visitor.get(f"{issuer.origin}/")

    answer = await visitor.post(f"{issuer.origin}{page.form_action}", page.hidden)

    assert "<td>alice</td>" in page.text
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert issuer.live_sessions() == []
    assert "Nobody is signed in." in (await visitor.get(f"{issuer.origin}/")).text


async def test_a_strangers_page_cannot_press_it(issuer: Issuer, visitor: Visitor) -> None:
    sid = (await visitor.direct()).json["session_state"]

    for token in ("", "ü", "guess"):
        answer = await visitor.post(f"{issuer.origin}/end-session", {"sid": sid, "token": token})
        assert answer.status == 400
    assert len(issuer.live_sessions()) == 1
