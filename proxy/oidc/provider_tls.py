"""TLS towards the provider: whose certificate is believed, and which of ours is shown (RFC 8705 §2).

The files are looked at before each connection, which costs a microsecond each beside a handshake, so that a renewed
certificate counts at once. A change is taken whole or not at all: files that do not fit together leave the old in use.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.certificates import TlsFiles
from proxy.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.ports import Observer


class ClientCertificate(Struct, frozen=True):
    """PEM files of the certificate, its chain after it, and of its key (``tls_client_auth``)."""

    cert_file: Path
    key_file: Path


class ProviderTls:
    """The TLS context of the next connection."""

    def __init__(self, ca_file: Path | None, certificate: ClientCertificate | None, *, observer: Observer) -> None:
        """Read the files.

        Args:
            ca_file: PEM certificates to trust *instead of* the system's; None: the system's.

        Raises:
            SettingsError: a file cannot be used.
        """
        self._ca_file = ca_file
        self._certificate = certificate
        self._observer = observer
        self._of_system: ssl.SSLContext | None = None
        own = () if certificate is None else (certificate.cert_file, certificate.key_file)
        keys = [] if ca_file is None else ["keycloak.ca_file"]
        keys += ["keycloak.client_auth"] if own else []
        files = [file for file in (ca_file, *own) if file is not None]
        self._files = TlsFiles(", ".join(keys), files, self._made) if files else None

    def current(self) -> ssl.SSLContext:
        """Return the context, made anew when a file has changed."""
        if self._files is None:
            return self._trust_of_system()
        try:
            if self._files.refresh():
                self._observer.warning("TLS files were read again", files=self._files.names)
        except SettingsError as fault:
            self._observer.error("changed TLS files are not taken; the old ones stay in use", fault=str(fault))
        return self._files.current()

    def _trust_of_system(self) -> ssl.SSLContext:
        """Return the context of nobody's files, made when it is first needed: a provider by plain HTTP never needs it.

        Nothing in it can be wrong at the start, and reading all authorities takes 60 ms and 3 MiB.
        """
        if self._of_system is None:
            self._of_system = self._made()
        return self._of_system

    def _made(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        if self._certificate is not None:
            # Never ask at a terminal that is not there: an encrypted key is a fault.
            context.load_cert_chain(self._certificate.cert_file, self._certificate.key_file, password=lambda: "")
        return context
