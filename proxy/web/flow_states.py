"""``state`` of our flows: random, and known again as one that we made for this root although no record is left of it.

A root holds few tabs, and the oldest goes. Whoever comes back from the provider to a tab that went has done nothing
wrong: its state says that the flow was begun in this very browser, and how often it had begun again by itself, so that
it can begin once more without a question and without a circle. It says nothing else, and signs nobody in.

Pure: randomness is an argument.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Final

from proxy.web.form_tokens import derived_key

PURPOSE: Final = "state of a flow"

RANDOM_BYTES: Final = 16
MAC_BYTES: Final = 15
"""120 bits; with them and the count a state has 32 bytes, 43 characters."""

STATE_LENGTH: Final = 43


class FlowStates:
    """Make states and know them again."""

    def __init__(self, server_key: bytes) -> None:
        """Derive the key."""
        self._key = derived_key(server_key, PURPOSE)

    def issue(self, root_id: str, *, restarts: int, random: bytes) -> str:
        """Return a state; ``random`` is ``RANDOM_BYTES`` long, ``restarts`` below 256."""
        told = bytes([restarts]) + random
        return urlsafe_b64encode(told + self._mac(b"code", root_id, told)).rstrip(b"=").decode()

    def restarts_of(self, state: str, root_id: str) -> int | None:
        """Return how often the flow had begun again by itself; None when we did not make this state for this root."""
        if len(state) != STATE_LENGTH or not state.isascii():
            return None
        try:
            raw = urlsafe_b64decode(state + "=")
        except Error:
            return None
        told, mac = raw[: 1 + RANDOM_BYTES], raw[1 + RANDOM_BYTES :]
        return told[0] if hmac.compare_digest(mac, self._mac(b"code", root_id, told)) else None

    def of_form(self, root_id: str, tab_id: str) -> str:
        """Return under which state the record of a form is kept: nobody can name it to ``/callback``."""
        mac = self._mac(b"form", root_id, tab_id.encode(errors="surrogatepass"))
        return f"form.{urlsafe_b64encode(mac).decode()}"

    def _mac(self, kind: bytes, root_id: str, told: bytes) -> bytes:
        root = root_id.encode(errors="surrogatepass")
        message = b"%b %d %b %b" % (kind, len(root), root, told)
        return hmac.digest(self._key, message, "sha256")[:MAC_BYTES]
