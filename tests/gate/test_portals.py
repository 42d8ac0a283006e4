"""The Host chooses the portal, and nothing else does."""

from __future__ import annotations

import pytest

from proxy.core.request import RequestHead
from proxy.errors import HeadTooLarge
from proxy.gate.portals import Portals
from proxy.ports import Admission, Forward, Reply
from tests.gate.conftest import HTML, GateInHand


class TwoPortals:
    """A wiki and an admin area, each with its gate."""

    def __init__(self) -> None:
        self.wiki = GateInHand(
            server={"public_url": "https://wiki.example.com"}, routes=[{"path": "/**", "access": "public"}]
        )
        self.admin = GateInHand(server={"public_url": "https://admin.example.com"})
        self.door = Portals({"wiki.example.com": self.wiki.gate, "admin.example.com": self.admin.gate})

    def admit(self, *hosts: bytes, target: bytes = b"/") -> Admission:
        headers = (*((b"Host", host) for host in hosts), HTML)
        admission = self.door.admit(
            RequestHead(method=b"GET", target=target, headers=headers, peer="203.0.113.7", scheme="https")
        )
        assert isinstance(admission, Forward | Reply)
        return admission


@pytest.fixture
def portals() -> TwoPortals:
    return TwoPortals()


@pytest.mark.parametrize(
    "host", [b"wiki.example.com", b"WIKI.example.com", b"wiki.example.com:443", b"wiki.example.com."]
)
def test_the_hosts_own_gate_decides(portals: TwoPortals, host: bytes) -> None:
    assert isinstance(portals.admit(host), Forward)


def test_another_portals_rules_do_not_count(portals: TwoPortals) -> None:
    refused = portals.admit(b"admin.example.com")

    assert isinstance(refused, Reply)
    assert refused.answer.status == 302


def test_a_fault_of_the_wire_is_answered_without_a_head(portals: TwoPortals) -> None:
    reply = portals.door.fault(HeadTooLarge("large"), None, None)
    portals.door.finished(reply.event)

    assert reply.answer.status == 431
