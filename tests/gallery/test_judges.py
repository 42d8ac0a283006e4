"""Every page before judges that others wrote: axe-core finds no violation, Google's CSP Evaluator nothing grave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.pages.contexts import CONTEXT_OF
from proxy.pages.security import NOBODY, OURSELVES, content_security_policy
from tests.browser.looks import SCHEMES
from tests.gallery.exhibits import EXHIBITS, Exhibit, show
from tests.judges.fetched import axe_source, judged_policies

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from proxy.pages.render import JinjaPages

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRAVE = {"HIGH", "HIGH_MAYBE", "MEDIUM", "SYNTAX"}
"""Of CSP Evaluator; what is left are hints, such as that ``'self'`` is as safe as what lies there."""

VIOLATIONS = """async () => {
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const told = ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`;
  return { passes: passes.length, violations: violations.map(told) };
}"""


async def violations(page: Page, packages: Path) -> list[str]:
    """Return what axe-core finds, with every rule that it has by itself: WCAG 2 A and AA, and best practice."""
    await page.evaluate(axe_source(packages))
    found = await page.evaluate(VIOLATIONS)
    assert found["passes"] > 5, "it looked at nothing"
    return list(found["violations"])


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
async def test_axe_finds_nothing(sheet: Page, plain: JinjaPages, node_modules: Path, exhibit: Exhibit) -> None:
    found = {}
    for scheme in SCHEMES:
        await sheet.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await show(sheet, plain, exhibit)
        found[scheme] = await violations(sheet, node_modules)

    assert found == {"light": [], "dark": []}


async def test_axe_finds_what_is_wrong(sheet: Page, plain: JinjaPages, node_modules: Path) -> None:
    await show(sheet, plain, EXHIBITS[0])
    await sheet.evaluate("document.querySelector('label[for=username]').remove(); document.documentElement.lang = ''")

    found = await violations(sheet, node_modules)

    assert {one.partition(":")[0] for one in found} >= {"label", "html-has-lang"}


async def test_no_policy_has_a_grave_weakness(plain: JinjaPages, node_modules: Path) -> None:
    policies = {page: dict(plain.headers(page))[b"Content-Security-Policy"].decode() for page in CONTEXT_OF}
    policies["with fonts of its own"] = content_security_policy(("https://sso.test",), NOBODY, OURSELVES)

    found = judged_policies(node_modules, list(policies.values()))

    for name, findings in zip(policies, found, strict=True):
        assert [one for one in findings if one["severity"] in GRAVE] == [], name


async def test_a_weak_policy_is_found(node_modules: Path) -> None:
    (found,) = judged_policies(node_modules, ["default-src 'self'; script-src 'unsafe-inline' https:"])

    assert "HIGH" in {one["severity"] for one in found}
