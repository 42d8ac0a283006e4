"""Assets: named by their content, small, and without anything that the policy forbids."""

from __future__ import annotations

import re
from hashlib import sha256

from proxy.pages.assets import load_assets, slim

ASSETS = load_assets()


def test_a_name_holds_the_hash_of_its_content() -> None:
    for asset in ASSETS.values():
        stem, digest, suffix = asset.hashed_name.rsplit(".", 2)
        assert f"{stem}.{suffix}" == asset.name
        assert sha256(asset.content).hexdigest().startswith(digest)
        assert len(digest) == 12


def test_each_has_the_type_of_its_name() -> None:
    types = {name.rpartition(".")[2]: asset.content_type for name, asset in ASSETS.items()}

    assert types == {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def test_style_and_script_together_are_below_20_kib() -> None:
    assert sum(len(asset.content) for asset in ASSETS.values()) < 20 * 1024


def test_the_script_for_pages_of_the_app_is_at_most_4_kib() -> None:
    assert len(ASSETS["session.js"].content) <= 4 * 1024


def test_a_script_is_sent_without_what_only_its_readers_need() -> None:
    script = b"// Says hello.\n\nconst hello = () => {\n  // https and so on\n  say('// no comment');\n};\n"

    assert slim("hello.js", script) == b"const hello = () => {\nsay('// no comment');\n};\n"


def test_no_text_and_no_comment_of_a_script_goes_over_lines() -> None:
    for asset in ASSETS.values():
        if asset.name.endswith(".js"):
            for line in asset.content.decode().splitlines():
                assert line.count("`") % 2 == 0, line
                assert "/*" not in line or "*/" in line, line


def test_the_script_for_pages_of_the_app_runs_where_nothing_newer_than_2017_is_known() -> None:
    newer = rb"\?\.[a-z\[(]|\?\?|catch \{|\.\.\.\w+ \}|\.flat\(|\bimport\b|\bexport\b|replaceAll|&&=|\|\|="

    assert re.search(newer, ASSETS["session.js"].content) is None


def test_nothing_is_fetched_from_elsewhere() -> None:
    for asset in ASSETS.values():
        text = asset.content.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|@import|url\(", text), asset.name
