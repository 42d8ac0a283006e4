"""What holds for every grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


async def test_every_answer_is_not_to_be_stored(visitor: Visitor) -> None:
    answers = [await visitor.direct(), await visitor.direct(password="wrong"), await visitor.direct(grant_type="x")]

    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


async def test_the_grant_type_is_looked_at_before_the_client(visitor: Visitor) -> None:
    answer = await visitor.direct(grant_type="magic", client_secret="wrong")

    assert answer.json["error"] == "unsupported_grant_type"


async def test_a_form_of_another_kind_is_no_form(issuer: Issuer, visitor: Visitor) -> None:
    answer = await visitor.ask("POST", issuer.endpoint("token"), json={"grant_type": "password"})

    assert answer.json["error_description"] == "Missing form parameter: grant_type"


@pytest.mark.parametrize(
    ("grant_type", "status"),
    [("client_credentials", 401), ("urn:ietf:params:oauth:grant-type:token-exchange", 400)],
)
async def test_grants_that_are_off_are_known_and_refused(visitor: Visitor, grant_type: str, status: int) -> None:
    answer = await visitor.call("token", grant_type=grant_type)

    assert answer.status == status
    assert answer.json["error"] != "unsupported_grant_type"
