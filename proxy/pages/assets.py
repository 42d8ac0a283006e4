"""Style, scripts and pictures, each under a name that holds the hash of its content.

A name never changes its content, so browsers may keep it for ever, and two versions running side by side never mix.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH_DIGITS = 12
"""Hex digits of SHA-256 in a name: 48 bits, to tell a handful of versions apart, not to resist an attacker."""

SVG = "image/svg+xml"

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": SVG,
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}

SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For a picture that somebody opens by itself: then it is a document of our origin, whose script must never run
(CSP Level 3 §6.3.2). Its own style is of no harm, and part of many drawings.
"""


class Asset(Struct, frozen=True):
    """One file as it is served."""

    name: str
    hashed_name: str
    content_type: str
    content: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the fields that belong to what it is."""
        policy = {"Content-Security-Policy": SVG_POLICY} if self.content_type == SVG else {}
        return {"Content-Type": self.content_type, "X-Content-Type-Options": "nosniff", **policy}


def load_assets() -> dict[str, Asset]:
    """Return every asset of the package by its plain name."""
    folder = resources.files("proxy.pages").joinpath("assets")
    files = (entry for entry in folder.iterdir() if suffix_of(entry.name) in CONTENT_TYPES)
    return {entry.name: make_asset(entry.name, slim(entry.name, entry.read_bytes())) for entry in files}


def slim(name: str, content: bytes) -> bytes:
    """Return a script of ours without what only its readers need: indentation, empty lines, lines that are a comment.

    None of ours has a text that goes over several lines; a test holds that.
    """
    if not name.endswith(".js"):
        return content
    lines = (line.strip() for line in content.splitlines())
    return b"\n".join(line for line in lines if line and not line.startswith(b"//")) + b"\n"


def make_asset(name: str, content: bytes) -> Asset:
    """Return the file under its hashed name; the suffix says what it is.

    Raises:
        KeyError: no suffix of :data:`CONTENT_TYPES`.
    """
    suffix = suffix_of(name)
    digest = sha256(content).hexdigest()[:HASH_DIGITS]
    return Asset(name, f"{name.removesuffix(suffix)}.{digest}{suffix}", CONTENT_TYPES[suffix.lower()], content)


def suffix_of(name: str) -> str:
    """Return the last dot and what follows, or nothing."""
    return name[name.rfind(".") :] if "." in name else ""
