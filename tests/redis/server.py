"""One real ``redis-server``: a process on a free port, nothing on disk, ended by its own id.

What lives here: a server alone, and what every kind of server can be told. Sentinels and clusters are made of these.
"""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forward.certificates import CertificateFiles

HOST = "127.0.0.1"
START_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 5.0
MISSING = "Redis needs: apt-get install redis-server"

IN_MEMORY = (
    *("--save", "", "--appendonly", "no", "--shutdown-timeout", "0", "--timeout", "0"),
    # A replica follows at once, and one that has gone is noticed soon.
    *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--repl-timeout", "10"),
    *("--enable-debug-command", "local"),
)
ALTERED_BY_TESTS = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "maxclients": "10000",
    "timeout": "0",
}
"""What ``reset`` puts back."""


def redis_is_missing() -> bool:
    """Say whether there is no ``redis-server`` to start."""
    return shutil.which("redis-server") is None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a server that speaks only TLS shows and trusts; a client must show a certificate of the authority too."""

    authority: Path
    server: CertificateFiles


class RedisServer:
    """One ``redis-server``; also a sentinel, which is the same program.

    Attributes:
        port: stays the same over restarts.
        options: of the command line; change them between :meth:`kill` and :meth:`start`.
        password: with which :meth:`call` comes; see :meth:`demand_password`.
    """

    def __init__(
        self, folder: Path, *, name: str = "redis", options: tuple[str, ...] = (), tls: TlsFiles | None = None
    ) -> None:
        """Nothing runs before :meth:`start`.

        Args:
            options: further ones, as ``--name value``.
            tls: speak TLS only.
        """
        self.port = free_port()
        self.options = options
        self.tls = tls
        self.password: str | None = None
        self._folder = folder / f"{name}-{self.port}"
        self._folder.mkdir(parents=True)
        self._program: Program | None = None

    @property
    def address(self) -> str:
        """``127.0.0.1:<port>``."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:<port>/0``, as ``sessions.redis.url`` takes it; ``rediss`` with TLS."""
        return f"redis{'s' if self.tls else ''}://{self.address}/0"

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running.pid

    # -- its life

    def start(self) -> None:
        """Start, and return when it answers: empty, whatever it held before."""
        program = Program(self._command(), log=self._folder / "log")
        self._program = program
        self.password = None
        program.wait_until(self.answers, timeout_s=START_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL: its clients see their connections end."""
        program = self._running
        program.signal(signal.SIGKILL)
        program.wait(timeout_s=START_TIMEOUT_S)
        self._program = None

    def restart(self) -> None:
        """Kill and start: the same address, nothing in it."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nobody answers."""
        self._running.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._running.signal(signal.SIGCONT)

    def wake(self) -> None:
        """Resume it, or start it when it does not run."""
        if self._program is None or self._program.exit_code is not None:
            self.start()
        self.resume()

    def end(self) -> None:
        """End it, paused or not, if it runs."""
        if self._program is not None:
            self._program.signal(signal.SIGCONT)
            self._program.end()
            self._program = None

    # -- what it is told

    def call(self, *words: str | bytes | float) -> Any:
        """Return its reply to one command, as RESP3 has it, over a connection of its own."""
        with self.client() as client:
            connection = client.connection_pool.get_connection()
            try:
                connection.send_command(*words)
                return connection.read_response()
            finally:
                client.connection_pool.release(connection)

    def client(self) -> redis.Redis:
        """Return a blocking client as the default user; close it, or use ``with``."""
        files = self.tls
        verified: dict[str, Any] = (
            {
                "ssl": True,
                "ssl_ca_certs": str(files.authority),
                "ssl_certfile": str(files.server.certificate),
                "ssl_keyfile": str(files.server.key),
            }
            if files
            else {}
        )
        # It would try again for seconds, while a test wants to know whether the server is there now.
        once = Retry(NoBackoff(), 0)
        return redis.Redis(
            host=HOST,
            port=self.port,
            password=self.password,
            protocol=3,
            socket_timeout=CALL_TIMEOUT_S,
            retry=once,
            **verified,
        )

    def answers(self) -> bool:
        """Say whether it answers, as primary, replica or sentinel."""
        try:
            self.call("PING")
        except redis.RedisError:
            return False
        return True

    def reset(self) -> None:
        """Bring it back to how it started: it runs, is a primary, has its ordinary settings, and is empty."""
        self.wake()
        self.demand_password("")
        for name, value in ALTERED_BY_TESTS.items():
            self.call("CONFIG", "SET", name, value)
        self.call("REPLICAOF", "NO", "ONE")
        self.call("FLUSHALL")

    def demand_password(self, password: str) -> None:
        """Ask everybody for a password who connects from now on; without one for none."""
        self.call("CONFIG", "SET", "requirepass", password)
        self.password = password or None

    def add_user(self, name: str, password: str, *rules: str) -> None:
        """Make an ACL user anew: exactly these rules, such as ``~sidegate:*`` and ``+@read``."""
        self.call("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules)

    def forget_user(self, name: str) -> None:
        """Remove an ACL user; its connections end."""
        self.call("ACL", "DELUSER", name)

    # -- how it is started

    @property
    def _running(self) -> Program:
        assert self._program is not None, f"the Redis of port {self.port} does not run"
        return self._program

    def _command(self) -> list[str]:
        ports = ("--port", "0", "--tls-port", str(self.port)) if self.tls else ("--port", str(self.port))
        place = ("--bind", HOST, "--dir", str(self._folder))
        return ["redis-server", *ports, *place, *IN_MEMORY, *self._tls_options(), *self.options]

    def _tls_options(self) -> tuple[str, ...]:
        if self.tls is None:
            return ()
        return (
            *("--tls-cert-file", str(self.tls.server.certificate), "--tls-key-file", str(self.tls.server.key)),
            *("--tls-ca-cert-file", str(self.tls.authority), "--tls-auth-clients", "yes"),
        )
