"""The own pages are made when somebody asks, once, and never before or after their time."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from proxy.errors import SidegateError
from proxy.own_server import OwnServer
from tests.support.eventually import eventually


class Making:
    """Counts what the server has done, and where; holds the import up until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.loaded_in: list[threading.Thread] = []
        self.made_in: list[threading.Thread] = []
        self.cleaned = 0

    def load(self) -> None:
        self.loaded_in.append(threading.current_thread())
        assert self.may_go_on.wait(10)

    async def begun(self) -> bool:
        return bool(self.loaded_in)

    def make(self) -> web.Application:
        self.made_in.append(threading.current_thread())
        application = web.Application()
        application.on_cleanup.append(self._clean)
        return application

    async def _clean(self, application: web.Application) -> None:
        self.cleaned += 1


async def test_nothing_is_made_before_somebody_asks() -> None:
    making = Making()
    server = OwnServer(making.load, making.make)

    server.start()
    await server.close()

    assert (making.loaded_in, making.made_in) == ([], [])


async def test_all_who_ask_at_once_get_one_server_that_was_imported_beside_the_loop() -> None:
    making = Making()
    server = OwnServer(making.load, making.make)
    server.start()

    protocols = await asyncio.gather(*(server.protocol() for _ in range(5)))

    assert len(set(protocols)) == 5
    assert making.made_in == [threading.main_thread()]
    assert len(making.loaded_in) == 1
    assert making.loaded_in[0] is not threading.main_thread()
    await server.close()


async def test_who_asks_after_somebody_gave_up_is_served() -> None:
    making = Making()
    making.may_go_on.clear()
    server = OwnServer(making.load, making.make)
    server.start()
    impatient = asyncio.get_running_loop().create_task(server.protocol())
    await eventually(making.begun, expected=True)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient

    making.may_go_on.set()

    assert isinstance(await server.protocol(), asyncio.Protocol)
    assert len(making.made_in) == 1
    await server.close()


async def test_a_fault_of_making_it_is_told_each_time_and_does_not_last() -> None:
    making, faults = Making(), [MemoryError("no room")]

    def make() -> web.Application:
        if faults:
            raise faults.pop()
        return making.make()

    server = OwnServer(making.load, make)
    server.start()

    with pytest.raises(MemoryError):
        await server.protocol()

    assert isinstance(await server.protocol(), asyncio.Protocol)
    await server.close()


async def test_before_its_start_and_after_its_end_nobody_is_served() -> None:
    making = Making()
    server = OwnServer(making.load, making.make)
    with pytest.raises(SidegateError):
        await server.protocol()
    server.start()
    await server.protocol()

    await server.close()
    await server.close()

    with pytest.raises(SidegateError):
        await server.protocol()
    assert (len(making.made_in), making.cleaned) == (1, 1)


async def test_who_asks_while_it_ends_is_not_served_and_leaves_nothing_behind() -> None:
    making = Making()
    making.may_go_on.clear()
    server = OwnServer(making.load, making.make)
    server.start()
    asked = asyncio.get_running_loop().create_task(server.protocol())
    await eventually(making.begun, expected=True)

    ended = asyncio.get_running_loop().create_task(server.close())
    await asyncio.sleep(0)  # it is marked as closed, and waits for its turn
    making.may_go_on.set()

    with pytest.raises(SidegateError):
        await asked
    await ended
    assert making.cleaned == len(making.made_in) == 1
