"""What the provider says of itself, at whatever path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.demo.issuer import running_issuer
from proxy.demo.key_ring import KeyRing, RsaKey
from proxy.demo.realm import Registration
from proxy.demo.shape import Shape

if TYPE_CHECKING:
    from proxy.demo.issuer import Issuer
    from tests.demo.visitor import Visitor


@pytest.mark.parametrize("path", ["/realms/acme", "/realms/acme/", "/", "", "/op"])
async def test_metadata_lie_below_the_issuer_and_name_it_exactly(path: str, signing_key: RsaKey) -> None:
    keys = KeyRing(signing=[signing_key])
    async with running_issuer(shape=Shape(path, protocol="/x"), keys=keys) as issuer, aiohttp.ClientSession() as http:
        well_known = f"{issuer.url.rstrip('/')}/.well-known/openid-configuration"
        async with http.get(well_known) as answer:
            metadata = await answer.json()
        async with http.get(metadata["jwks_uri"]) as answer:
            keys_status = answer.status

    assert metadata["issuer"] == issuer.url == f"{issuer.origin}{path}"
    assert metadata["token_endpoint"] == f"{issuer.origin}{path.rstrip('/')}/x/token"
    assert keys_status == 200


async def test_registration_is_promised_only_where_it_is_open(issuer: Issuer, visitor: Visitor) -> None:
    url = f"{issuer.url}/.well-known/openid-configuration"
    closed = (await visitor.get(url)).json["prompt_values_supported"]
    issuer.realm.registration = Registration.OPEN

    assert "create" not in closed
    assert "create" in (await visitor.get(url)).json["prompt_values_supported"]


async def test_every_endpoint_that_is_promised_answers(issuer: Issuer, visitor: Visitor) -> None:
    metadata = (await visitor.get(f"{issuer.url}/.well-known/openid-configuration")).json
    urls = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]

    statuses = [(await visitor.get(url)).status for url in urls]

    assert len(urls) == 7
    assert 404 not in statuses
