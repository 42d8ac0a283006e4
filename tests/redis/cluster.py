"""A cluster of three primaries, put together by hand: ``redis-cli --cluster create`` takes seconds longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.redis.server import HOST, RedisServer
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = 16384
NODES = 3
READY_WITHIN_S = 30.0
POLL_S = 0.02


class ClusterHouse:
    """Three primaries without replicas; ``servers`` hold a third of the slots each, in order."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs before :meth:`start`."""
        self.servers = [RedisServer(folder, name="node", options=_options()) for _ in range(NODES)]

    @property
    def url(self) -> str:
        """The first node, as ``sessions.redis.url`` takes it beside ``cluster: true``."""
        return self.servers[0].url

    def start(self) -> None:
        """Start the nodes; returns when all three say that the whole cluster is ok."""
        for number, server in enumerate(self.servers):
            server.start()
            first, end = (SLOTS * step // NODES for step in (number, number + 1))
            server.call("CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
            # Nodes that begin with equal epochs would first have to settle who is who.
            server.call("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for server in self.servers[1:]:
            port, bus = str(server.port), server.options[-1]
            self.servers[0].call("CLUSTER", "MEET", HOST, port, bus)
        self.wait_until_whole()

    def end(self) -> None:
        """End every node."""
        for server in self.servers:
            server.end()

    def reset(self) -> None:
        """Bring it back: every node runs, paused ones too, has its own slots, and is empty."""
        for server in self.servers:
            server.wake()
        self.wait_until_whole()
        for server in self.servers:
            server.call("FLUSHALL")

    def wait_until_whole(self) -> None:
        """Return when every node sees every slot served."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not all(_sees_all(server) for server in self.servers):
            assert time.monotonic() < deadline, f"no whole cluster after {READY_WITHIN_S} s"
            time.sleep(POLL_S)

    def owner_of(self, key: str | bytes) -> RedisServer:
        """Return the node that holds this key."""
        slot = int(self.servers[0].call("CLUSTER", "KEYSLOT", key))
        return self.servers[next(n for n in range(NODES) if slot < SLOTS * (n + 1) // NODES)]

    def move_slot_of(self, key: str | bytes) -> RedisServer:
        """Give the slot of a key, which must be empty, to the next node; returns it. :meth:`give_back` undoes it."""
        slot = str(int(self.servers[0].call("CLUSTER", "KEYSLOT", key)))
        target = self.servers[(self.servers.index(self.owner_of(key)) + 1) % NODES]
        self._assign(slot, target)
        return target

    def give_back(self, key: str | bytes) -> None:
        """Give the slot of a key, which must be empty, back to who had it at first."""
        slot = str(int(self.servers[0].call("CLUSTER", "KEYSLOT", key)))
        self._assign(slot, self.owner_of(key))

    def _assign(self, slot: str, target: RedisServer) -> None:
        name = target.call("CLUSTER", "MYID")
        # The new owner first: it takes a higher epoch, by which the others believe it.
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self._other_than(target).call("CLUSTER", "MYID"))
        for server in [target, *self.servers]:
            server.call("CLUSTER", "SETSLOT", slot, "NODE", name)
        self.wait_until_whole()

    def _other_than(self, server: RedisServer) -> RedisServer:
        return next(other for other in self.servers if other is not server)


def _options() -> tuple[str, ...]:
    return (
        *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"),
        # By default it is the port and 10,000, which may be taken or above what there is.
        *("--cluster-port", str(free_port())),
    )


def _sees_all(server: RedisServer) -> bool:
    said: bytes = server.call("CLUSTER", "INFO")
    wanted = {"cluster_state:ok", f"cluster_slots_ok:{SLOTS}", f"cluster_known_nodes:{NODES}"}
    return wanted <= set(said.decode().split())
