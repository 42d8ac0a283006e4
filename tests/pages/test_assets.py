"""Assets: named by their content, small, and without anything that the policy forbids."""

from __future__ import annotations

import re
from hashlib import sha256

from proxy.pages.assets import load_assets

ASSETS = load_assets()


def test_a_name_holds_the_hash_of_its_content() -> None:
    for asset in ASSETS.values():
        stem, digest, suffix = asset.hashed_name.rsplit(".", 2)
        assert f"{stem}.{suffix}" == asset.name
        assert sha256(asset.content).hexdigest().startswith(digest)
        assert len(digest) == 12


def test_each_has_the_type_of_its_name() -> None:
    types = {name: asset.content_type for name, asset in ASSETS.items()}

    assert types == {
        "sidegate.css": "text/css; charset=utf-8",
        "submit.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }


def test_style_and_script_together_are_below_20_kib() -> None:
    assert sum(len(asset.content) for asset in ASSETS.values()) < 20 * 1024


def test_nothing_is_fetched_from_elsewhere() -> None:
    for asset in ASSETS.values():
        text = asset.content.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|@import|url\(", text), asset.name
