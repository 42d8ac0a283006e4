"""Forms that wait for a login, for tests."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from proxy.core.kept import Kept, KeptRequest, Place
from tests.support.clocks import START


def make_kept(body: bytes = b"a=1", *, subject_hash: str = "hash-of-alice", **changes: Any) -> KeptRequest:
    """A form kept at START."""
    kept = Kept(
        place=Place(scheme="https", host="app.example.com", target=b"/save?x=%20\xc3"),
        subject_hash=subject_hash,
        headers=((b"Content-Type", b'multipart/form-data; boundary="\xfc"'), (b"Origin", b"https://app.example.com")),
        kept_at=START,
    )
    return KeptRequest(kept=replace(kept, **changes), body=body)
