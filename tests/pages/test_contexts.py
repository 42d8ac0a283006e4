"""Each page takes exactly the names that its context lists: no more, no fewer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from jinja2 import meta, nodes

from proxy.pages.contexts import CONTEXT_OF, CONTEXT_VERSION
from proxy.pages.render import PageName
from tests.support.own_pages import make_options, make_pages

PAGES = make_pages(make_options())
SHARED = PAGES._shared("en").keys()


def test_every_page_has_its_context() -> None:
    assert set(get_args(PageName)) == CONTEXT_OF.keys()


@pytest.mark.parametrize("name", sorted(CONTEXT_OF))
def test_a_template_uses_nothing_that_its_context_does_not_list(name: str) -> None:
    environment = PAGES._environment
    used: set[str] = set()
    for template in (f"{name}.html", "base.html", "error.html" if name == "callback_failed" else "base.html"):
        source, _, _ = environment.loader.get_source(environment, template)  # type: ignore[union-attr]
        tree = environment.parse(source)
        used |= meta.find_undeclared_variables(tree)
        used -= {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}

    assert used - SHARED <= get_type_hints(CONTEXT_OF[name]).keys()


def test_the_documentation_names_every_page_every_value_and_the_version() -> None:
    text = (Path(__file__).parents[2] / "docs" / "templates.md").read_text("utf-8")
    rows = {row[1]: row[0] for row in re.findall(r"^(\| `(\w+)` \|.*)$", text, re.MULTILINE)}

    for page, context in CONTEXT_OF.items():
        missing = {name for name in get_type_hints(context) if f"`{name}`" not in rows[page]}
        assert missing == set(), page
    for name in SHARED:
        assert re.search(rf"`{name}[`.(]", text), name
    assert f"`context_version` | {CONTEXT_VERSION} |" in text


def test_the_documentation_names_every_block() -> None:
    text = (Path(__file__).parents[2] / "docs" / "templates.md").read_text("utf-8")

    for page in ("base", *CONTEXT_OF):
        for block in PAGES._environment.get_template(f"{page}.html").blocks:
            assert f"`{block}`" in text, (page, block)
