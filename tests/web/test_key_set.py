"""``/jwks``: there when an assertion is sent, and of no other site's business."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.own_pages import OWN, OwnPages, open_own_pages

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "use": "sig", "alg": "ES256", "kid": "k"}


class OneKey:
    """A ``ports.IdentityAssertion`` of which only the keys are asked for."""

    def signed(self, *_: object, **__: object) -> bytes:
        raise AssertionError("no page asks for an assertion")

    def key_set(self) -> Mapping[str, object]:
        return {"keys": [KEY]}


async def test_the_keys_are_shown_to_everybody_for_a_while(aiohttp_client: Any) -> None:
    pages = await open_own_pages(aiohttp_client, assertion=OneKey())

    answer = await pages.browser().get(f"{OWN}/jwks")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/jwk-set+json")
    assert json.loads(answer.text) == {"keys": [KEY]}
    assert answer.headers.getall("Cache-Control") == ["public, max-age=300"]
    assert "Set-Cookie" not in answer.headers


async def test_without_an_assertion_there_is_no_such_page(own: OwnPages) -> None:
    assert (await own.browser().get(f"{OWN}/jwks")).status == 404
