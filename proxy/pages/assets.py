"""Style, script and icon, each under a name that holds the hash of its content.

A name never changes its content, so browsers may keep it for ever, and two versions running side by side never mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

HASH_DIGITS = 12
"""Hex digits of SHA-256 in a name: 48 bits, to tell a handful of versions apart, not to resist an attacker."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    name: str
    hashed_name: str
    content_type: str
    content: bytes


def load_assets() -> dict[str, Asset]:
    """Return every asset of the package by its plain name."""
    folder = resources.files("proxy.pages").joinpath("assets")
    files = (entry for entry in folder.iterdir() if _suffix(entry.name) in CONTENT_TYPES)
    return {entry.name: _asset(entry.name, entry.read_bytes()) for entry in files}


def _asset(name: str, content: bytes) -> Asset:
    suffix = _suffix(name)
    digest = sha256(content).hexdigest()[:HASH_DIGITS]
    return Asset(name, f"{name.removesuffix(suffix)}.{digest}{suffix}", CONTENT_TYPES[suffix], content)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""
