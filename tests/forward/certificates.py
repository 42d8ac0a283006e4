"""An authority of one test and the certificates it signs."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


_MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate and its key, each in a PEM file."""

    certificate: Path
    key: Path


@dataclass
class Certificates:
    """Makes contexts for both ends; files lie in ``folder``."""

    folder: Path
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def authority_file(self) -> Path:
        """The certificate of this authority in a PEM file, written anew at each call."""
        file = self.folder / "authority.pem"
        file.write_bytes(self._authority())
        return file

    def files(self, name: str, *, stem: str = "") -> CertificateFiles:
        """Write a certificate for ``name`` and its key to ``<stem>.crt`` and ``<stem>.key``; the stem is the name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key).public_bytes(serialization.Encoding.PEM)
        files = CertificateFiles(self.folder / f"{stem or name}.crt", self.folder / f"{stem or name}.key")
        files.key.write_bytes(_pem(key))
        files.certificate.write_bytes(certificate)
        return files

    def server_context(self, name: str) -> ssl.SSLContext:
        """A server that is ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        file = self.folder / f"{name}.pem"
        file.write_bytes(_pem(key) + self._sign(name, key).public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A client that trusts this authority alone."""
        return ssl.create_default_context(cadata=self._authority().decode())

    def _authority(self) -> bytes:
        certificate = self._sign("authority.test", self._key, is_authority=True)
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("authority.test"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if is_authority:
            builder = builder.add_extension(_MAY_SIGN, critical=True)
        return builder.sign(self._key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
