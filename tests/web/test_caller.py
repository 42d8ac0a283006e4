"""Who calls, and how the caller wants to be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.errors import RequestRefused
from proxy.ports import AddressOf
from proxy.respond import Manner
from proxy.web.caller import asker_of, languages_of, read_caller, user_agent_of, wants_json

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

GATE = (("sidegate-request-id", "r"), ("sidegate-address", "::1"), ("Sidegate-Scheme", "http"))


def test_the_gate_says_who_calls(make_request: MakeRequest) -> None:
    caller = read_caller(make_request("/", *GATE))

    assert (caller.request_id, caller.address, caller.scheme) == ("r", "::1", "http")


def test_the_gate_says_when_the_address_is_a_proxys(make_request: MakeRequest) -> None:
    assert read_caller(make_request("/", *GATE)).address_of is AddressOf.CLIENT
    assert read_caller(make_request("/", *GATE, ("sidegate-address-of", "proxy"))).address_of is AddressOf.PROXY


@pytest.mark.parametrize("headers", [(), GATE[:2], (*GATE, GATE[0])])
def test_whoever_did_not_come_through_the_gate_is_refused(
    make_request: MakeRequest, headers: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(RequestRefused):
        read_caller(make_request("/", *headers))


@pytest.mark.parametrize(
    ("headers", "is_json"),
    [
        ([], False),
        ([("Accept", "application/json")], True),
        ([("Accept", "application/json, text/plain, */*")], True),
        ([("Accept", "text/html, application/json;q=0.9")], False),
        ([("Accept", "text/html"), ("Content-Type", "application/json")], False),
        ([("Accept", "*/*"), ("Content-Type", "application/json")], True),
        ([("Accept", "*/*")], False),
    ],
)
def test_json_is_for_programs(make_request: MakeRequest, headers: list[tuple[str, str]], is_json: bool) -> None:  # noqa: FBT001 - a table
    assert wants_json(make_request("/", *headers)) is is_json


@pytest.mark.parametrize(
    ("headers", "manner"),
    [
        ([("Accept", "text/html")], Manner.PAGE),
        ([("Sec-Fetch-Mode", "navigate")], Manner.PAGE),
        ([("Accept", "*/*")], Manner.PROBLEM),
        ([], Manner.PROBLEM),
    ],
)
def test_pages_are_for_people(make_request: MakeRequest, headers: list[tuple[str, str]], manner: Manner) -> None:
    assert asker_of(make_request("/", *headers)).manner is manner


def test_languages_and_browser_are_read(make_request: MakeRequest) -> None:
    request = make_request("/", ("Accept-Language", "de-AT, en;q=0.5"), ("User-Agent", "x" * 1000))

    assert languages_of(request) == ("de-at", "en")
    assert len(user_agent_of(request)) == 256
