"""A value that must never be seen: tokens, passwords, cookie values, keys.

``Secret`` prints ``***`` everywhere (``str``, ``repr``, f-strings, logging, JSON by mistake); the only way to the text
is :meth:`Secret.reveal`, which is easy to search for.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Never


class Secret:
    """Hold text that is shown to nobody by accident; equality takes constant time."""

    __slots__ = ("_sha256", "_text")

    def __init__(self, text: str) -> None:
        """Keep ``text`` unchanged."""
        self._text = text
        self._sha256: str | None = None

    def reveal(self) -> str:
        """Return the text itself; the caller answers for where it goes."""
        return self._text

    def sha256(self) -> str:
        """Return the SHA-256 of the text as UTF-8, hex; computed once. It may be seen when the text has enough bits."""
        if self._sha256 is None:
            self._sha256 = sha256(self._text.encode()).hexdigest()
        return self._sha256

    def __repr__(self) -> str:
        """Show nothing."""
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        """Show nothing, whatever the format asks for."""
        return "***"

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; a Secret equals no plain text."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode(errors="surrogatepass"), other._text.encode(errors="surrogatepass")
        )

    def __hash__(self) -> int:
        """Hash like the text, so that a Secret can be a key."""
        return hash(("Secret", self._text))

    def __bool__(self) -> bool:
        """Say whether there is any text."""
        return bool(self._text)

    def __reduce__(self) -> Never:
        """Refuse to be pickled: a pickle is a copy that nobody redacts."""
        msg = "a Secret is not pickled"
        raise TypeError(msg)
