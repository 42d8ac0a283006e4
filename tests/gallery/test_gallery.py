"""Every page as people see it: narrow and wide, light and dark, from the right, enlarged, printed, in any colour."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.pages.contexts import CONTEXT_OF
from tests.browser.looks import SCHEMES, page_faults, portray
from tests.gallery.exhibits import EXHIBITS, ORIGIN, Exhibit, gallery, show
from tests.support.browser_fixtures import screenshot
from tests.support.pictures import LOGO_SVG, png

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

    from proxy.pages.render import JinjaPages

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE = Path(__file__).parents[2] / "docs" / "login.png"
LARGEST_PICTURE_BYTES = 100 * 1024
NAMED = {exhibit.name: exhibit for exhibit in EXHIBITS}
LOGIN = NAMED["login"]

# Each that people hit with a finger; a link within a sentence is none (WCAG 2.2, 2.5.5).
SMALL_TARGETS = """() => [...document.querySelectorAll(
  ".button, .card input:not([type=hidden], [type=checkbox]), .check, .row a, .foot a, .languages a, .reveal, .unfold")]
  .filter((one) => one.checkVisibility()).map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 40)
  .map(([html, box]) => `${html}: ${box.width} x ${box.height}`)"""
STYLE_OF = "([selector, property]) => getComputedStyle(document.querySelector(selector)).getPropertyValue(property)"


async def style(page: Page, selector: str, name: str) -> str:
    return str(await page.evaluate(STYLE_OF, [selector, name]))


async def test_every_page_that_people_see_hangs_here() -> None:
    assert {exhibit.page for exhibit in EXHIBITS} == CONTEXT_OF.keys() - {"frontchannel"}


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
async def test_a_page_is_readable_narrow_and_wide_light_and_dark(
    sheet: Page, plain: JinjaPages, exhibit: Exhibit
) -> None:
    await show(sheet, plain, exhibit)

    await portray(sheet, f"page-{exhibit.name}")

    await sheet.set_viewport_size({"width": 320, "height": 640})
    assert await sheet.evaluate(SMALL_TARGETS) == []


async def test_pages_are_mirrored_where_people_write_from_the_right(sheet: Page, plain: JinjaPages) -> None:
    for name in ("login", "forbidden", "login-refused"):
        await show(sheet, plain, NAMED[name])
        await sheet.evaluate("document.documentElement.dir = 'rtl'")
        for width in (320, 1280):
            await sheet.set_viewport_size({"width": width, "height": 800})
            await screenshot(sheet, f"page-{name}-{width}-rtl")
            assert await page_faults(sheet) == []

    assert await style(sheet, ".message", "border-right-width") != "0px"
    assert await style(sheet, ".message", "border-left-width") == "0px"
    box, label = [await sheet.locator(one).bounding_box() for one in (".check input", ".check")]
    assert box is not None
    assert label is not None
    assert box["x"] > label["x"] + label["width"] / 2


async def test_pages_grow_with_the_screen_and_fit_a_telephone_on_its_side(sheet: Page, plain: JinjaPages) -> None:
    await show(sheet, plain, LOGIN)
    sizes = []
    for width, height in ((3840, 2160), (640, 320), (320, 200)):
        await sheet.set_viewport_size({"width": width, "height": height})
        await screenshot(sheet, f"page-login-{width}x{height}")
        assert await page_faults(sheet) == []
        sizes.append(await style(sheet, "html", "font-size"))

    assert sizes == ["20.544px", "16px", "16px"]


async def test_long_words_and_names_break_and_push_nothing_out(sheet: Page) -> None:
    long = "Donaudampfschifffahrtsgesellschaftskapitänspatentverwaltung" * 2
    pages = gallery(title=long, description=long)
    told = {**LOGIN.context, "username": long, "providers": [{"label": long, "url": "/a"}]}
    await sheet.set_viewport_size({"width": 320, "height": 640})

    for exhibit in (
        Exhibit("login", "login", told),
        Exhibit("logout", "logout", {"username": long}),
        Exhibit("forbidden", "forbidden", {**NAMED["forbidden"].context, "username": long}),
    ):
        for language in ("de", "fr"):
            await show(sheet, pages, exhibit, language=language)
            assert await page_faults(sheet) == []


async def test_what_people_asked_their_system_for_is_given(sheet: Page, plain: JinjaPages) -> None:
    await show(sheet, plain, LOGIN)
    assert await style(sheet, ".primary", "transition-duration") == "0s"

    await sheet.emulate_media(reduced_motion="no-preference")
    assert await style(sheet, ".primary", "transition-duration") != "0s"

    soft = await style(sheet, ".lead", "color")
    await sheet.emulate_media(contrast="more")
    assert await style(sheet, ".lead", "color") != soft
    assert await style(sheet, ".lead", "color") == await style(sheet, "h1", "color")
    await screenshot(sheet, "page-login-contrast")

    await sheet.emulate_media(contrast="no-preference", forced_colors="active")
    assert await style(sheet, ".primary", "border-top-width") == "2px"
    await screenshot(sheet, "page-login-forced-colors")


async def test_the_focus_is_seen_wherever_it_goes(sheet: Page, plain: JinjaPages) -> None:
    await show(sheet, plain, LOGIN)
    # Before the page has chosen where to begin, a key would choose for it, and the browser complains.
    await sheet.wait_for_function("document.activeElement !== document.body")
    rings = set()

    for _ in range(12):
        await sheet.keyboard.press("Tab")
        ring = "() => { const s = getComputedStyle(document.activeElement); return [document.activeElement.tagName, "
        ring += "s.outlineStyle, s.outlineWidth].join() }"
        rings.add(str(await sheet.evaluate(ring)))

    assert {one.partition(",")[0] for one in rings} >= {"INPUT", "BUTTON", "A"}
    assert all(one.endswith(",solid,3px") for one in rings if not one.startswith("BODY")), rings


async def test_a_page_is_printed_without_what_only_a_screen_can_use(sheet: Page, plain: JinjaPages) -> None:
    await show(sheet, plain, NAMED["error"])

    await sheet.emulate_media(media="print")

    assert await style(sheet, ".button", "display") == "none"
    assert await style(sheet, "nav", "display") == "none"
    assert await style(sheet, "h1", "display") == "block"


@pytest.mark.parametrize("accent", ["#ffcc00", "#000000", "#ffffff", "#c8102e"])
async def test_every_accent_can_be_read_by_day_and_by_night(sheet: Page, accent: str) -> None:
    await show(sheet, gallery(accent=accent), LOGIN)
    red, green, blue = bytes.fromhex(accent[1:])
    assert await style(sheet, ".primary", "background-color") == f"rgb({red}, {green}, {blue})"

    for scheme in SCHEMES:
        await sheet.emulate_media(color_scheme=scheme)
        assert await page_faults(sheet) == []
        await screenshot(sheet, f"accent-{accent[1:]}-{scheme}")


@pytest.mark.parametrize(("suffix", "content"), [("svg", LOGO_SVG), ("png", png(400, 100))])
async def test_a_logo_has_its_place_before_it_is_there(
    sheet: Page, tmp_path: Path, suffix: str, content: bytes
) -> None:
    (tmp_path / f"logo.{suffix}").write_bytes(content)
    pages = gallery(logo_file=tmp_path / f"logo.{suffix}", accent="#0f766e")
    await show(sheet, pages, LOGIN)
    for scheme in SCHEMES:
        await sheet.emulate_media(color_scheme=scheme)
        assert await page_faults(sheet) == []
        await screenshot(sheet, f"logo-{suffix}-{scheme}")
    logo = sheet.locator(".logo")
    there = await logo.bounding_box()
    assert await logo.get_attribute("alt") == "Old Faithful"

    await sheet.route(f"{ORIGIN}/still-on-its-way", lambda _: asyncio.sleep(3600))
    await logo.evaluate(
        "(image) => { const fresh = image.cloneNode(); fresh.src = '/still-on-its-way'; image.replaceWith(fresh) }"
    )
    assert await logo.evaluate("(image) => image.complete") is False
    assert await logo.bounding_box() == there


async def test_nothing_above_moves_when_the_field_for_a_code_unfolds(sheet: Page, plain: JinjaPages) -> None:
    await show(sheet, plain, LOGIN)
    above = (".site", "h1", "#username", "#password")
    before = [await sheet.locator(one).bounding_box() for one in above]

    await sheet.locator("#unfold").click()

    assert await sheet.locator("#otp").is_visible()
    assert [await sheet.locator(one).bounding_box() for one in above] == before


async def test_a_form_of_ones_own_is_never_stuck_with_our_script(sheet: Page, tmp_path: Path) -> None:
    form = (
        '<form id="login" method="post" action="/sent"><input id="password" name="password"><button>Go</button></form>'
    )
    extends = '{% extends "sidegate/login.html" %}{% block form %}' + form + "{% endblock %}"
    (tmp_path / "login.html").write_text(extends, "utf-8")
    await show(sheet, gallery(templates_dir=tmp_path), LOGIN)
    sent = []

    async def stay(route: Route) -> None:
        sent.append(route.request.method)
        await route.fulfill(status=204)

    await sheet.route(f"{ORIGIN}/sent", stay)
    for _ in range(2):
        await sheet.locator("button").click()
        await sheet.evaluate("dispatchEvent(new Event('pageshow'))")

    assert sent == ["POST", "POST"]
    assert await sheet.locator("button").text_content() == "Go"


async def test_a_script_in_a_logo_never_runs(browser: Any, tmp_path: Path) -> None:
    script = b"<script>document.documentElement.setAttribute('data-ran', 'yes')</script></svg>"
    (tmp_path / "logo.svg").write_bytes(LOGO_SVG.replace(b"</svg>", script))
    pages = gallery(logo_file=tmp_path / "logo.svg")
    context = await browser.new_context()
    page = await context.new_page()
    await show(page, pages, LOGIN)

    src = await page.locator(".logo").get_attribute("src")
    await page.goto(f"{ORIGIN}{src}")

    assert await page.evaluate("document.documentElement.tagName") == "svg"
    assert await page.evaluate("document.documentElement.getAttribute('data-ran')") is None
    await context.close()


async def test_the_picture_of_the_readme_is_the_page_as_it_is(sheet: Page, plain: JinjaPages) -> None:
    await sheet.set_viewport_size({"width": 1120, "height": 1010})
    await show(sheet, plain, LOGIN)
    await sheet.evaluate("document.activeElement.blur()")

    content = await sheet.screenshot()

    assert len(content) <= LARGEST_PICTURE_BYTES
    if not PICTURE.is_file() or PICTURE.read_bytes() != content:
        PICTURE.write_bytes(content)
    assert f"docs/{PICTURE.name}" in (PICTURE.parents[1] / "README.md").read_text("utf-8")
