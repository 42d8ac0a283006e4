"""An authority that lives for one test: certificates for servers and clients on this machine, as PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    cert_file: Path
    key_file: Path
    subject: str
    """The name as RFC 4514 writes it, which is how Keycloak compares it."""


class ThrowAwayAuthority:
    """Signs for an hour."""

    def __init__(self, folder: Path, *, private_value: int | None = None) -> None:
        """Make the authority; its own certificate is ``ca_file``.

        Args:
            private_value: of its key. Authorities of one value believe what the others sign.
        """
        self._folder = folder
        curve = ec.SECP256R1()
        self._key = (
            ec.generate_private_key(curve) if private_value is None else ec.derive_private_key(private_value, curve)
        )
        self._name = _name("Throw-away authority")
        made = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, common_name: str, *, file: str | None = None) -> Issued:
        """Sign for this name and for loopback; the files are ``<file>.pem`` and ``<file>.key``, written anew."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(common_name)
        made = self._builder(name, key.public_key()).add_extension(LOOPBACK, critical=False)
        stem = file or common_name.replace(" ", "-")
        issued = Issued(self._folder / f"{stem}.pem", self._folder / f"{stem}.key", name.rfc4514_string())
        issued.cert_file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        issued.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return issued

    def server_context(self, issued: Issued) -> ssl.SSLContext:
        """TLS of a server that takes only clients with a certificate of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca_file))
        context.load_cert_chain(issued.cert_file, issued.key_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(hours=1),
            not_valid_after=now + timedelta(hours=1),
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
        ]
    )
