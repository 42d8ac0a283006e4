"""Sidegate as an operator runs it: a process, a YAML file, signals."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = Path(sys.executable).with_name("sidegate")
START_TIMEOUT_S = 20.0


class SidegateProcess:
    """One ``sidegate run -c FILE``.

    Attributes:
        config_file: the file; write it anew and send SIGHUP to reload.
        program: pid, exit code and output.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """Start it. Listeners that the configuration leaves out get free ports, and ``public_url`` follows them.

        Args:
            under: a command that runs the one it is given, such as ``prlimit``.
        """
        self.config = _with_listeners(config)
        self.config_file = folder / f"sidegate-{self.management_url.rpartition(':')[2]}.yaml"
        self.write(self.config)
        command = [*under, str(COMMAND), "run", "-c", str(self.config_file)]
        self.program = Program(command, log=self.config_file.with_suffix(".log"), env=env)

    @property
    def port(self) -> int:
        """Of the front door, on 127.0.0.1."""
        return int(self.config["server"]["listen"].rpartition(":")[2])

    @property
    def url(self) -> str:
        """What the browser uses: ``public_url`` without a final slash."""
        return str(self.config["server"]["public_url"]).rstrip("/")

    @property
    def management_url(self) -> str:
        """``/healthz``, ``/readyz`` and ``/metrics`` lie below."""
        return f"http://{self.config['management']['listen']}"

    @property
    def api_url(self) -> str:
        """``/api/sessions`` and ``/api/audit`` lie below."""
        return f"http://{self.config['management']['api_listen']}"

    @property
    def log_lines(self) -> list[str]:
        """What it has written so far."""
        return self.program.output.splitlines()

    @property
    def log_events(self) -> list[dict[str, Any]]:
        """Those lines that are JSON objects."""
        return [json.loads(line) for line in self.log_lines if line.startswith("{")]

    def write(self, config: Mapping[str, Any]) -> None:
        """Replace the file; takes effect at SIGHUP."""
        self.config_file.write_text(yaml.safe_dump(dict(config), sort_keys=False), "utf-8")

    def wait_until_listening(self) -> None:
        """Return when it answers at all, ready or not."""
        self.program.wait_until(lambda: self._serves() and self.readiness() is not None, timeout_s=START_TIMEOUT_S)

    def wait_until_ready(self) -> None:
        """Return when ``/readyz`` is 200."""
        self.program.wait_until(lambda: self._serves() and self.readiness() == 200, timeout_s=START_TIMEOUT_S)

    def end(self) -> None:
        """SIGTERM; it must drain and end with 0."""
        code = self.program.end(patience_s=30)
        assert code == 0, f"sidegate ended with {code}:\n{self.program.output[-4000:]}"

    def _serves(self) -> bool:
        """Say whether the front door is open, which it is a moment after the management port."""
        return "sidegate: serving" in self.program.output

    def readiness(self) -> int | None:
        """Return the status of ``/readyz``; None while nobody answers."""
        host, _, port = self.config["management"]["listen"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _with_listeners(config: Mapping[str, Any]) -> dict[str, Any]:
    server = dict(config.get("server", {}))
    server.setdefault("listen", f"127.0.0.1:{free_port()}")
    server.setdefault("public_url", f"http://{server['listen']}")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("listen", "api_listen")}
    management = {**addresses, **config.get("management", {})}
    return {**config, "server": server, "management": management}
