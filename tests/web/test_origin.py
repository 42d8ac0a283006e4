"""Same-origin or not, in every combination that browsers send; the logout's tests hold it at the front door."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from proxy import keys
from proxy.ports import Caller
from proxy.web.options import OPTIONS
from proxy.web.origin import Provenance, provenance
from tests.support.own_pages import make_options

SAME, FOREIGN, UNKNOWN = Provenance.SAME_ORIGIN, Provenance.FOREIGN, Provenance.UNKNOWN


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], UNKNOWN),
        ([("Sec-Fetch-Site", "same-origin")], SAME),
        ([("Sec-Fetch-Site", "none")], UNKNOWN),
        ([("Sec-Fetch-Site", "same-site")], FOREIGN),
        ([("Sec-Fetch-Site", "cross-site")], FOREIGN),
        ([("Sec-Fetch-Site", "SAME-ORIGIN")], FOREIGN),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], FOREIGN),
        ([("Origin", "https://app.example.com")], SAME),
        ([("Origin", "http://second.example.com")], SAME),
        ([("Origin", "https://second.example.com")], FOREIGN),
        ([("Origin", "https://app.example.com"), ("Origin", "https://app.example.com")], FOREIGN),
        ([("Origin", "https://app.example.com.evil.example")], FOREIGN),
        ([("Origin", "")], FOREIGN),
        ([("Origin", "null")], FOREIGN),
        ([("Origin", "null"), ("Sec-Fetch-Site", "same-origin")], SAME),
        ([("Origin", "null"), ("Sec-Fetch-Site", "none")], FOREIGN),
    ],
)
def test_what_the_fields_say(headers: list[tuple[str, str]], expected: Provenance) -> None:
    request = make_mocked_request("POST", "/", headers=CIMultiDict([("Host", "second.example.com"), *headers]))
    request.app[OPTIONS] = make_options()
    request[keys.CALLER] = Caller(request_id="1", address="::1", scheme="http")

    assert provenance(request) is expected
