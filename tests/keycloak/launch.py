"""One start of the Keycloak process: its ports, its options, the wait until it is ready."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# One compiler tier and the serial collector start faster than they run; tests want the start.
FAST = "-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"
HEAP = "-Xms256m -Xmx768m"
READY_TIMEOUT_S = 100.0
POLL_S = 0.2
"""Each question that comes too early is a line in its log, while it has better things to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where it listens on 127.0.0.1."""

    http: int
    management: int
    https: int

    @classmethod
    def free(cls) -> Ports:
        """Three ports that nobody listens on."""
        return cls(http=free_port(), management=free_port(), https=free_port())


def launch(
    home: Path, folder: Path, *, ports: Ports, arguments: tuple[str, ...] = (), env: Mapping[str, str]
) -> Program:
    """Start the built distribution on the database in ``folder``; its log lies there too.

    Args:
        env: ``JAVA_OPTS_APPEND`` in it is added to the options that make the start fast.
    """
    # NON_KEYWORDS: Keycloak's own URL has it, and without it the schema is a syntax error of H2.
    database = f"--db-url=jdbc:h2:file:{folder / 'keycloakdb'};NON_KEYWORDS=VALUE;DB_CLOSE_DELAY=0"
    command = [str(home / "bin" / "kc.sh"), "start", "--optimized", database, *_runtime(ports, arguments)]
    java = f"{FAST} {env.get('JAVA_OPTS_APPEND', '')}".strip()
    return Program(
        command, log=folder / "keycloak.log", env={**env, "JAVA_OPTS_KC_HEAP": HEAP, "JAVA_OPTS_APPEND": java}
    )


def wait_until_ready(program: Program, ports: Ports, *, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Return when the management port says ready."""
    program.wait_until(lambda: _is_ready(ports), timeout_s=timeout_s, every_s=POLL_S)


def _runtime(ports: Ports, arguments: tuple[str, ...]) -> list[str]:
    listening = [
        "--cache=local",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={ports.http}",
        f"--http-management-port={ports.management}",
    ]
    strict = [] if any(argument.startswith("--hostname=") for argument in arguments) else ["--hostname-strict=false"]
    return [*listening, *strict, *arguments]


def _is_ready(ports: Ports) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", ports.management, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
