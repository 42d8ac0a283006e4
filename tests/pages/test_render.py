"""Every page, rendered with every text hostile; and each accessible in what can be told without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from jinja2 import UndefinedError

from proxy.pages.render import JinjaPages, Look, PageName

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
    "forbidden": {**ERROR, "username": EVIL, "missing": [EVIL, EVIL]},
    "frontchannel": {},
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
    "setup_required": {"continue_url": EVIL, "username": EVIL},
}
NAMES = sorted(get_args(PageName))


def pages(title: str = "Acme") -> JinjaPages:
    return JinjaPages(
        Look(title=title, description=title, own_path="/_sidegate", home="/", form_origins=("https://sso.example.com",))
    )


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
    links = Outline(drawn("frame")).named("a")

    assert [link["target"] for link in links] == ["_top"]
    assert b"frame-ancestors 'self'" in dict(pages().headers("frame"))[b"Content-Security-Policy"]
    for name in set(NAMES) - {"frame", "frontchannel"}:
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
    text = drawn("forbidden", missing=["admin", "/staff"], username="bob", login_url="/_sidegate/login?return_to=%2Fa")

    assert ("<code>admin</code>" in text, "<code>/staff</code>" in text, "bob" in text) == (True, True, True)
    assert 'href="/_sidegate/logout?return_to=%2Fa"' in text


def test_a_name_that_is_missing_is_a_mistake_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        pages().render("logout", languages=(), context={})


def test_half_a_character_does_not_stop_a_page() -> None:
    assert "?" in drawn("logout", username="\ud800")


def test_assets_are_named_by_their_hash() -> None:
    named = re.findall(r'"/_sidegate/assets/([^"]+)"', drawn("logout_at_provider"))

    assert set(named) == pages().assets.keys()
