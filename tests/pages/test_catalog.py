"""The words: escaped, complete, each used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.pages import catalog
from proxy.pages.catalog import Catalog, load_catalogs

PROXY = Path(catalog.__file__).parents[1]
ENGLISH = load_catalogs()["en"]
TEMPLATES = "\n".join(file.read_text("utf-8") for file in (PROXY / "pages/templates").glob("*.html"))
HANDLERS = "\n".join(file.read_text("utf-8") for file in (PROXY / "web").glob("*.py"))


def used_ids() -> set[str]:
    """Ids that templates look up, and those that handlers choose among."""
    looked_up = re.findall(r'\bt\("([a-z_.]+)"', TEMPLATES)
    chosen = re.findall(r'"(devices\.[a-z_.]+)"', HANDLERS)
    return {*looked_up, *chosen, *re.findall(r'"(log(?:in|out)\.(?:notice|problem)\.[a-z_]+)"', HANDLERS)}


def test_every_id_that_a_page_uses_has_its_sentence() -> None:
    used = used_ids()

    assert len(used) > 30
    assert sorted(message for message in used if message not in ENGLISH) == []


def test_no_sentence_is_left_over() -> None:
    # Those of refusals are named by the code of their error (tests/web/test_login_answers.py).
    left = {name for name in ENGLISH._messages if name not in used_ids() and not name.startswith("login.problem.")}

    assert left == set()


def test_a_value_is_escaped_in_its_place() -> None:
    assert ENGLISH.text("login.with_provider", provider="<b>'\"&") == "Continue with &lt;b&gt;&#39;&#34;&amp;"


def test_a_sentence_is_escaped_itself() -> None:
    assert Catalog("xx", {"a": "<b> & %(x)s"}).text("a", x="<i>") == "&lt;b&gt; &amp; &lt;i&gt;"


def test_what_a_language_lacks_comes_in_english_and_what_english_lacks_as_it_is() -> None:
    german = Catalog("de", {"login.submit": "Anmelden"}, ENGLISH)

    assert german.text("login.submit") == "Anmelden"
    assert german.text("login.heading") == "Sign in"
    assert german.text("100 % of it") == "100 % of it"


def test_a_place_without_a_value_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        ENGLISH.text("login.with_provider", other="x")


def test_english_comes_first() -> None:
    assert next(iter(load_catalogs())) == "en"
