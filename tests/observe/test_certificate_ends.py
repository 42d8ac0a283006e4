"""The end of a certificate is that of the file as it is now, and of a chain the first."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.observe import certificate_ends as module
from proxy.observe.certificate_ends import MAX_BYTES, CertificateEnds

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEY = ec.generate_private_key(ec.SECP256R1())
SOON, LATE = 1_800_000_000.0, 1_900_000_000.0


def certificate(ends_at: float) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    end = dt.datetime.fromtimestamp(ends_at, dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(end - dt.timedelta(days=30)).not_valid_after(end)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_of_a_chain_the_first_end_counts(tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    file.write_bytes(certificate(LATE) + certificate(SOON))

    assert [*CertificateEnds().of([("server.tls.cert_file", file)])] == [("server.tls.cert_file", str(file), SOON)]


def test_of_a_file_without_end_only_the_beginning_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "bundle.crt"
    file.write_bytes(certificate(LATE) + b"\n" * MAX_BYTES + certificate(SOON))

    assert [end for *_, end in CertificateEnds().of([("k", file)])] == [LATE]


def test_a_renewed_file_is_read_again_and_another_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, ends = tmp_path / "tls.crt", CertificateEnds()
    file.write_bytes(certificate(SOON))
    reads: list[Path] = []
    read = module._first_end
    monkeypatch.setattr(module, "_first_end", lambda path: (reads.append(path), read(path))[1])

    assert [end for *_, end in ends.of([("k", file)])] == [SOON]
    assert [end for *_, end in ends.of([("k", file)])] == [SOON]
    file.write_bytes(certificate(LATE))
    os.utime(file, (1, 1))
    assert [end for *_, end in ends.of([("k", file)])] == [LATE]
    assert len(reads) == 2


def test_what_holds_no_certificate_or_cannot_be_read_has_no_end(tmp_path: Path) -> None:
    key, empty = tmp_path / "tls.key", tmp_path / "empty"
    key.write_bytes(
        KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    empty.touch()

    assert [*CertificateEnds().of([("a", key), ("b", empty), ("c", tmp_path / "missing"), ("d", tmp_path)])] == []


def test_files_that_nobody_asks_for_are_forgotten(tmp_path: Path) -> None:
    ends, file = CertificateEnds(), tmp_path / "tls.crt"
    file.write_bytes(certificate(SOON))
    assert [*ends.of([("k", file)])]

    assert [*ends.of([])] == []
    assert ends._known == {}
