"""Routes, and how refusals look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


async def test_what_is_not_there_is_404_in_json(issuer: Issuer, visitor: Visitor) -> None:
    nothing = await visitor.get(f"{issuer.url}/nothing")
    nowhere = await visitor.get(f"{issuer.origin}/realms/nowhere/protocol/openid-connect/certs")
    longer = await visitor.get(f"{issuer.url}x/protocol/openid-connect/certs")

    assert (nothing.status, nothing.json) == (404, {"error": "HTTP 404 Not Found"})
    assert (nowhere.status, nowhere.json) == (404, {"error": "Realm does not exist"})
    assert longer.json == {"error": "Realm does not exist"}


async def test_a_wrong_method_is_405_in_json(issuer: Issuer, visitor: Visitor) -> None:
    answer = await visitor.ask("PUT", issuer.endpoint("token"))

    assert (answer.status, answer.json, answer.headers["Allow"]) == (
        405,
        {"error": "HTTP 405 Method Not Allowed"},
        "POST",
    )


async def test_a_refusal_of_a_resource_has_no_body(issuer: Issuer, visitor: Visitor) -> None:
    answer = await visitor.get(issuer.endpoint("userinfo"))

    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="acme"'


async def test_only_the_token_endpoint_forbids_to_store_its_refusals(visitor: Visitor) -> None:
    token = await visitor.direct(password="wrong")
    revocation = await visitor.call("revoke")

    assert token.headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in revocation.headers
