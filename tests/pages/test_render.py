"""Every page, rendered with every text hostile; and each accessible in what can be told without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from jinja2 import UndefinedError
from msgspec.structs import replace

from proxy.pages.look import Look
from proxy.pages.render import JinjaPages, PageName
from proxy.pages.specimens import specimens
from tests.support.own_pages import pages_of

EVIL = "<script>alert(1)</script>\"'&"
ERROR = {"status": 403, "title": EVIL, "sentence": EVIL, "request_id": EVIL, "login_url": f"/x?{EVIL}"}
CONTEXTS: dict[str, dict[str, Any]] = {
    "callback_failed": ERROR,
    "devices": {
        "csrf_token": EVIL,
        "username": EVIL,
        "devices": [
            {
                "is_current": is_current,
                "action": EVIL,
                "browser": EVIL,
                "system": EVIL,
                "user_agent": EVIL,
                "address": EVIL,
                "moments": [("devices.created", EVIL, -90.0), ("devices.expires", EVIL, 86400.0)],
            }
            for is_current in (True, False)
        ],
        "others_action": EVIL,
        "notice": ["devices.said.device", "devices.said.refused"],
        "problem": "devices.problem.csrf_rejected",
    },
    "error": ERROR,
    "frame": ERROR,
    "frame_logout": ERROR,
    "forbidden": {**ERROR, "username": EVIL, "missing": [{"kind": "role", "any_of": (EVIL, EVIL), "attribute": ""}]},
    "frontchannel": {},
    "kept": {"continue_url": EVIL},
    "logged_out": {"login_url": EVIL},
    "logged_out_all": {
        "sessions_ended": 3,
        "notice": "logout.notice.ended_everywhere",
        "problem": "logout.problem.refused",
        "login_url": EVIL,
    },
    "login": {
        "action": EVIL,
        "csrf_token": EVIL,
        "return_to": EVIL,
        "username": EVIL,
        "otp": "optional",
        "offers_remember_me": True,
        "remember_me": True,
        "providers": [{"label": EVIL, "url": EVIL}],
        "registration_url": EVIL,
        "forgot_password_url": EVIL,
        "problem": "login.problem.invalid_credentials",
        "notice": None,
        "request_id": EVIL,
        "status_url": EVIL,
        "retry_after_s": 90,
    },
    "logout": {
        "action": EVIL,
        "action_all": EVIL,
        "csrf_token": EVIL,
        "return_to": EVIL,
        "username": EVIL,
        "stay_url": EVIL,
        "problem": "logout.problem.csrf_rejected",
    },
    "logout_at_provider": {"action": EVIL, "fields": [(EVIL, EVIL)]},
    "not_kept": {"why": "too_large", "continue_url": EVIL, "request_id": EVIL},
    "setup_required": {"continue_url": EVIL, "username": EVIL},
    "unavailable": {**ERROR, "here": f"/x?{EVIL}", "again_in_s": 8},
}
NAMES = sorted(get_args(PageName))


LOOK = Look(
    title="Acme", description="Acme", own_path="/_sidegate", home="/", form_origins=("https://sso.example.com",)
)


def pages(title: str = "Acme") -> JinjaPages:
    return pages_of(replace(LOOK, title=title, description=title))


def drawn(name: str, title: str = "Acme", **changes: Any) -> str:
    return pages(title).render(name, languages=("en",), context={**CONTEXTS[name], **changes}).decode()


class Outline(HTMLParser):
    """Elements with their attributes, in order."""

    def __init__(self, text: str) -> None:
        """Parse."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_becomes_markup(name: str) -> None:
    harmless = Outline(drawn(name, **_with_text(CONTEXTS[name], "text")))
    hostile = Outline(drawn(name, title=EVIL))

    assert [(tag, list(attributes)) for tag, attributes in hostile.elements] == [
        (tag, list(attributes)) for tag, attributes in harmless.elements
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_any_name_in_a_context_becomes_markup(name: str) -> None:
    harmless, hostile = (
        [
            Outline(pages(text).render(name, languages=("en",), context=one).decode())
            for one in specimens(name, text=text)
        ]
        for text in ("text", EVIL)
    )

    for one, other in zip(harmless, hostile, strict=True):
        assert [(tag, list(attributes)) for tag, attributes in one.elements] == [
            (tag, list(attributes)) for tag, attributes in other.elements
        ]


def _with_text(value: Any, text: str) -> Any:
    if value == EVIL:
        return text
    if isinstance(value, dict):
        return {key: _with_text(member, text) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text(member, text) for member in value]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stands_inline(name: str) -> None:
    text = drawn(name)
    outline = Outline(text)

    assert outline.named("style") == []
    assert all("src" in script for script in outline.named("script"))
    assert not any(
        "style" in attributes or any(key.startswith("on") for key in attributes) for _, attributes in outline.elements
    )
    assert "javascript:" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_its_language_title_and_one_heading(name: str) -> None:
    outline = Outline(drawn(name))

    assert outline.named("html")[0] == {"lang": "en", "dir": "ltr"}
    assert len(outline.named("h1")) == len(outline.named("main")) == len(outline.named("title")) == 1
    assert all("alt" in image for image in outline.named("img"))
    assert outline.named("meta")[1]["name"] == "viewport"


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_is_seen_has_a_label_and_every_description_exists(name: str) -> None:
    outline = Outline(drawn(name))
    labelled = {label.get("for") for label in outline.named("label")}
    identified = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]

    assert len(set(identified)) == len(identified)
    for field in outline.named("input"):
        if field["type"] not in {"hidden", "checkbox"}:
            assert field["id"] in labelled
        assert set((field.get("aria-describedby") or "").split()) <= set(identified)


def test_the_login_page_helps_password_managers() -> None:
    fields = {field["name"]: field for field in Outline(drawn("login")).named("input")}

    assert fields["username"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"
    assert fields["otp"]["autocomplete"] == "one-time-code"
    assert "value" not in fields["password"]
    assert "value" not in fields["otp"]


def test_the_focus_is_where_the_next_word_goes() -> None:
    fresh = {field["name"]: field for field in Outline(drawn("login", username="")).named("input")}
    again = {field["name"]: field for field in Outline(drawn("login", username="alice")).named("input")}

    assert ("autofocus" in fresh["username"], "autofocus" in fresh["password"]) == (True, False)
    assert ("autofocus" in again["username"], "autofocus" in again["password"]) == (False, True)


@pytest.mark.parametrize(("otp", "shown", "required"), [("hidden", 0, 0), ("optional", 1, 0), ("required", 1, 1)])
def test_the_code_is_asked_as_configured(otp: str, shown: int, required: int) -> None:
    fields = [field for field in Outline(drawn("login", otp=otp)).named("input") if field["name"] == "otp"]

    assert len(fields) == shown
    assert sum("required" in field for field in fields) == required


def test_a_wrong_password_marks_the_fields_and_is_announced() -> None:
    text = drawn("login")

    assert 'role="alert"' in text
    assert text.count('aria-invalid="true"') == 2
    assert "aria-invalid" not in drawn("login", problem="login.problem.csrf_rejected")


def test_a_page_for_a_frame_opens_the_whole_window() -> None:
    framed = {"frame", "frame_logout", "not_kept"}

    for name in framed:
        links = Outline(drawn(name)).named("a")
        assert [link["target"] for link in links] == ["_top"]
        assert b"frame-ancestors 'self'" in dict(pages().headers(name))[b"Content-Security-Policy"]
    for name in set(NAMES) - framed - {"frontchannel"}:
        assert b"frame-ancestors 'none'" in dict(pages().headers(name))[b"Content-Security-Policy"]


def test_the_page_of_a_front_channel_logout_is_framed_by_the_provider_alone() -> None:
    fields = dict(pages().headers("frontchannel"))

    policy = fields[b"Content-Security-Policy"]
    assert policy.endswith(b"; frame-ancestors https://sso.example.com")
    # Old browsers know no single origin, and "deny" would win in those that know both badly.
    assert b"X-Frame-Options" not in fields


def test_without_a_provider_nobody_frames_it() -> None:
    alone = JinjaPages(Look(title="x", description="", own_path="/_sidegate", home="/", form_origins=()))

    assert b"frame-ancestors 'none'" in dict(alone.headers("frontchannel"))[b"Content-Security-Policy"]


def test_a_forbidden_page_names_what_is_missing_who_asks_and_the_way_to_another_account() -> None:
    missing = [
        {"kind": "role", "any_of": ("admin", "editor"), "attribute": ""},
        {"kind": "group", "any_of": ("/staff",), "attribute": ""},
        {"kind": "attribute", "any_of": ("6", "7"), "attribute": "level"},
    ]
    text = drawn("forbidden", missing=missing, username="bob", login_url="/_sidegate/login?return_to=%2Fa")

    assert "One of the roles <code>admin</code> or <code>editor</code>" in text
    assert "Membership in the group <code>/staff</code>" in text
    assert "The attribute level with the value <code>6</code> or <code>7</code>" in text
    assert "bob" in text
    assert 'href="/_sidegate/logout?return_to=%2Fa"' in text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", "Eine der Rollen <code>admin</code> oder <code>editor</code>"),
        ("fr", "L\N{RIGHT SINGLE QUOTATION MARK}un des rôles <code>admin</code> ou <code>editor</code>"),
        ("es", "Uno de los roles <code>admin</code> o <code>editor</code>"),
    ],
)
def test_what_is_missing_is_said_in_every_language(language: str, said: str) -> None:
    missing = [{"kind": "role", "any_of": ("admin", "editor"), "attribute": ""}]
    context = {**CONTEXTS["forbidden"], "missing": missing}

    assert said in pages().render("forbidden", languages=(language,), context=context).decode()


def test_a_page_that_waits_says_when_it_asks_again_and_has_a_button() -> None:
    text = drawn("unavailable", here="/app?a=1&b=2", again_in_s=8)

    assert "tries again by itself in 8 seconds" in text
    assert '<a class="button primary" href="/app?a=1&amp;b=2">' in text
    # Once more as an element, it would be an error to checkers of accessibility, and the field does the same.
    assert "http-equiv" not in text


def test_a_page_offers_itself_in_the_other_languages_each_named_in_itself() -> None:
    text = pages().render(
        "logged_out", languages=("de",), context={"login_url": "/x"}, language_url="/p?return_to=%2Fa&ui_locales="
    )

    outline = Outline(text.decode())
    links = [link for link in outline.named("a") if "hreflang" in link]
    assert [(link["lang"], link["hreflang"], link["dir"]) for link in links] == [
        (t, t, "ltr") for t in ("en", "fr", "es")
    ]
    assert links[0]["href"] == "/p?return_to=%2Fa&ui_locales=en"
    assert [span for span in outline.named("span") if "aria-current" in span] == [
        {"lang": "de", "dir": "ltr", "aria-current": "true"}
    ]
    assert "Français" in text.decode()


def test_a_page_that_cannot_be_had_again_and_one_of_a_single_language_offer_nothing() -> None:
    alone = JinjaPages(replace(LOOK, locales=("de",)))

    assert "hreflang" not in drawn("logged_out")
    page = alone.render("logged_out", languages=("fr",), context={"login_url": "/x"}, language_url="/p?ui_locales=")
    assert "hreflang" not in page.decode()
    assert '<html lang="de"' in page.decode()


def test_the_first_locale_is_for_who_reads_none() -> None:
    some = JinjaPages(replace(LOOK, locales=("fr", "de")))

    assert some.language(("it",)) == "fr"
    assert some.language(("it", "de-at")) == "de"
    assert (some.speaks("de"), some.speaks("en"), some.speaks("de-at")) == (True, False, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_language_that_runs_from_right_to_left_turns_the_page(name: str, arabic: JinjaPages) -> None:
    page = arabic.render(name, languages=("ar",), context=CONTEXTS[name], language_url="/p?ui_locales=").decode()

    assert '<html lang="ar" dir="rtl">' in page
    assert Outline(page).named("main")


def test_words_of_a_company_are_shown_and_names_keep_their_own_direction(arabic: JinjaPages) -> None:
    context = {**CONTEXTS["logout"], "username": "alice"}

    page = arabic.render("logout", languages=("ar",), context=context, language_url="/p?ui_locales=").decode()

    assert "تسجيل الخروج" in page
    assert "<bdi>alice</bdi>" in page
    assert '<a href="/p?ui_locales=en" lang="en" hreflang="en" dir="ltr"' in page


@pytest.fixture(scope="module")
def arabic(tmp_path_factory: pytest.TempPathFactory) -> JinjaPages:
    """Pages of a company that brings a few words of a language that we do not have."""
    folder = tmp_path_factory.mktemp("arabic")
    file = folder / "locales/ar/messages.po"
    file.parent.mkdir(parents=True)
    file.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        'msgid "logout.submit"\nmsgstr "تسجيل الخروج"\n',
        "utf-8",
    )
    return JinjaPages(replace(LOOK, locales=("en", "ar"), templates_dir=folder))


def test_a_name_that_is_missing_is_a_mistake_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        pages().render("logout", languages=(), context={})


def test_half_a_character_does_not_stop_a_page() -> None:
    assert "?" in drawn("logout", username="\ud800")


def test_assets_are_named_by_their_hash() -> None:
    named = {asset for page in NAMES for asset in re.findall(r'"/_sidegate/assets/([^"]+)"', drawn(page))}

    for_pages_of_the_app = {name for name, asset in pages().assets.items() if asset.name == "session.js"}
    assert named == pages().assets.keys() - for_pages_of_the_app
