"""What the data path serves can be exchanged under way, and nobody comes to a place that was not meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.errors import UpstreamUnreachable
from proxy.forward.options import TcpAddress, UpstreamOptions
from proxy.forward.origin import Origin
from proxy.forward.served import OriginTable, Served
from proxy.forward.server import MAX_LEAVING
from tests.forward.dialogue import FewWords, NoOwnPages, until
from tests.support.raw_upstream import RawUpstream

if TYPE_CHECKING:
    from proxy.core.request import RequestHead
    from proxy.ports import Admission
    from tests.forward.dialogue import Path

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
NEW = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"


class SendsTo(FewWords):
    """A gatekeeper that forwards to one key."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def admission(self, head: RequestHead) -> Admission:
        return self.forward(head, upstream=self.key)


def at(port: int) -> UpstreamOptions:
    return UpstreamOptions(address=TcpAddress("127.0.0.1", port))


async def test_a_key_that_left_leads_nowhere_and_says_so() -> None:
    table = OriginTable()

    with pytest.raises(UpstreamUnreachable, match="settings have changed"):
        await table["gone"].open()

    assert table == {}


def test_only_what_is_still_meant_leaves() -> None:
    former, present = Origin(at(1)), Origin(at(2))
    table = OriginTable({"app": present, "old": former})

    table.leave({"app": former, "old": former})

    assert table == {"app": present}


async def test_after_an_exchange_the_same_connection_meets_the_new_gate_and_the_new_place(
    path: Path, echo_app: RawUpstream
) -> None:
    client = await path.client()
    assert (await client.ask(GET)).body == b"ok"
    former, gate, other = path.data_path._origins["app"], SendsTo("#1/app"), RawUpstream()
    await other.start()
    other.answer(NEW)

    path.data_path.serve(Served(gatekeeper=gate, upstreams={"#1/app": at(other.port)}, own_pages={}))
    answer = await client.ask(GET)

    assert answer.body == b"new"
    assert (len(gate.heads), len(path.gate.heads), len(echo_app.requests)) == (1, 1, 1)
    assert len(former._pool) == 0, "its idle connections are let go of at once"
    await other.stop()


async def test_who_was_admitted_before_the_exchange_comes_where_it_was_meant(path: Path) -> None:
    decided = asyncio.Event()
    path.gate.wait = decided.wait
    client = await path.client()
    await client.send(GET)
    await until(lambda: path.gate.heads)

    path.data_path.serve(Served(gatekeeper=SendsTo("#1/app"), upstreams={"#1/app": at(1)}, own_pages={}))
    decided.set()

    assert (await client.answer()).body == b"ok"
    assert len(path.data_path._origins["app"]._pool) == 0, "nobody comes any more, so nothing is kept"


async def test_a_place_that_was_exchanged_is_forgotten_in_the_end(path: Path) -> None:
    path.data_path.serve(Served(gatekeeper=SendsTo("b"), upstreams={"b": at(1)}, own_pages={"b": NoOwnPages()}))
    path.data_path._let_leave(asyncio.get_running_loop().time() + 3600)

    assert list(path.data_path._origins) == ["b"]
    assert list(path.data_path._own_pages) == ["b"]


async def test_many_exchanges_at_once_do_not_pile_up(path: Path) -> None:
    for number in range(MAX_LEAVING + 10):
        upstreams = {f"{number}/app": at(1)}
        path.data_path.serve(Served(gatekeeper=path.gate, upstreams=upstreams, own_pages={}))

    assert len(path.data_path._origins) <= MAX_LEAVING + 1
    assert f"{MAX_LEAVING + 9}/app" in path.data_path._origins
