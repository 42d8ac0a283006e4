"""One running Keycloak on its own copy of the seeded database."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.keycloak.admin import KeycloakAdmin
from tests.keycloak.distribution import seeded
from tests.keycloak.launch import Ports, launch, wait_until_ready
from tests.support.processes import Program, ProgramError
from tests.support.throw_away_ca import ThrowAwayAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.keycloak.distribution import Seeded


BEHIND_A_PROXY = ("--proxy-headers=xforwarded", "--proxy-trusted-addresses=127.0.0.0/8")
"""As the README recommends: what we say of a person's address is believed."""


AUTHORITY_OF_ALL = 2026
"""Private value of the key of the authority in which all Keycloaks trust. Each start writes the truststore anew, into
the one folder of the distribution: of two at once, one reads what the other has written."""


class KeycloakServer:
    """A server of the realms in ``realms.py``; administrator ``admin``/``admin``."""

    def __init__(self, folder: Path) -> None:
        """Copy the seeded database into ``folder``; nothing runs before ``start``."""
        self._seeded: Seeded = seeded()
        self._folder = folder
        shutil.copy(self._seeded.database, folder / self._seeded.database.name)
        self._ports = Ports.free()
        self.authority = ThrowAwayAuthority(folder, private_value=AUTHORITY_OF_ALL)
        self._https = self.authority.issue("127.0.0.1")
        self._program: Program | None = None
        self._admin: KeycloakAdmin | None = None

    @property
    def base_url(self) -> str:
        """Where it listens; also the start of every issuer, as long as no ``--hostname`` says otherwise."""
        return f"http://127.0.0.1:{self._ports.http}"

    @property
    def https_url(self) -> str:
        """The same by https, with a certificate of ``authority``; who has another of those may show it."""
        return f"https://127.0.0.1:{self._ports.https}"

    @property
    def admin(self) -> KeycloakAdmin:
        """The administrator, one for each start: Keycloak computes for a third of a second at each login of theirs."""
        if self._admin is None:
            self._admin = KeycloakAdmin(self.base_url)
        return self._admin

    def issuer(self, realm: str = "acme") -> str:
        """``iss`` of the tokens of a realm."""
        return f"{self.base_url}/realms/{realm}"

    def start(self, *arguments: str) -> None:
        """Start and return when it is ready; ``arguments`` are runtime options such as ``--hostname=...``."""
        if self._program is not None:
            raise ProgramError("this Keycloak runs already")
        options = {"JAVA_OPTS_APPEND": f"-XX:SharedArchiveFile={self._seeded.archive}"}
        self._program = launch(
            self._seeded.home,
            self._folder,
            ports=self._ports,
            arguments=(*BEHIND_A_PROXY, *self._by_https(), *arguments),
            env=options,
        )
        wait_until_ready(self._program, self._ports)

    def _by_https(self) -> tuple[str, ...]:
        return (
            f"--https-port={self._ports.https}",
            f"--https-certificate-file={self._https.cert_file}",
            f"--https-certificate-key-file={self._https.key_file}",
            f"--truststore-paths={self.authority.ca_file}",
            # Else the management port speaks https too.
            "--http-management-scheme=http",
        )

    def stop(self) -> None:
        """End it; sessions stay in the database."""
        if self._program is not None:
            self._program.end()
            self._program = None
            # Under another name it would not know the token that the administrator holds.
            self._admin = None

    def restart_with(self, *arguments: str) -> None:
        """Stop, and start on the same ports and database with these options; without any to go back."""
        self.stop()
        self.start(*arguments)
