"""Each page takes exactly the names that its context lists: no more, no fewer."""

from __future__ import annotations

from typing import get_args

import pytest
from jinja2 import meta

from proxy.pages.contexts import CONTEXT_OF
from proxy.pages.render import PageName
from tests.support.own_pages import make_options, make_pages

SHARED = {"t", "language", "direction", "look", "asset", "relative", "context_version"}


def test_every_page_has_its_context() -> None:
    assert set(get_args(PageName)) == CONTEXT_OF.keys()


@pytest.mark.parametrize("name", sorted(CONTEXT_OF))
def test_a_template_uses_nothing_that_its_context_does_not_list(name: str) -> None:
    environment = make_pages(make_options())._environment
    used: set[str] = set()
    for template in (f"{name}.html", "base.html", "error.html" if name == "callback_failed" else "base.html"):
        source, _, _ = environment.loader.get_source(environment, template)  # type: ignore[union-attr]
        used |= meta.find_undeclared_variables(environment.parse(source))

    assert used - SHARED <= CONTEXT_OF[name].__required_keys__
