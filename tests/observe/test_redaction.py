"""What must not be seen is not seen, by type and by shape; what may be seen stays as it is."""

from __future__ import annotations

import base64
import json

import pytest

from proxy.core.secret import Secret
from proxy.observe.redaction import MAX_TEXT, mask_tokens, mask_tokens_in_json, printable, shown, shown_fields

SIGNATURE = "c2lnbmF0dXJl-_0"


def compact(header: str) -> str:
    def encode(part: str) -> str:
        return base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()

    return f"{encode(header)}.{encode(json.dumps({'sub': 'alice'}))}.{SIGNATURE}"


@pytest.mark.parametrize(
    "header",
    ['{"alg":"RS256"}', '{ "alg":"RS256"}', '{\n"alg":"RS256"}', '{\r\n"alg":"RS256"}', '{\t"alg":"RS256"}', '{"a":1}'],
)
def test_a_token_is_masked_however_its_header_is_written(header: str) -> None:
    line = mask_tokens(f'{{"path":"/x/{compact(header)}/y"}}')

    assert line == '{"path":"/x/***/y"}'


def test_every_token_of_a_line_is_masked() -> None:
    token = compact('{"alg":"none"}')

    assert mask_tokens(f"{token} and {token}") == "*** and ***"


def test_a_token_that_was_cut_off_is_masked() -> None:
    token = compact('{"alg":"RS256","typ":"JWT"}')

    assert SIGNATURE not in mask_tokens(token)
    assert mask_tokens(token[: token.index(".") + 4]) == "***"


def test_an_encrypted_token_of_five_parts_is_masked() -> None:
    assert mask_tokens("eyJhbGciOiJSU0EifQ.a.b.c.d") == "***"


@pytest.mark.parametrize("text", ["/view/new", "they key.", "eyJ", "/wiki/hockey.html", "news.example.com"])
def test_words_are_not_masked(text: str) -> None:
    assert mask_tokens(text) == text


@pytest.mark.parametrize("before", ["", "\u044e", "\x0e ", "\\", "\\u044", '"'])
def test_a_token_in_json_is_masked_whatever_stands_before_it(before: str) -> None:
    token = compact('{"alg":"RS256"}')

    line = mask_tokens_in_json(json.dumps({"said": before + token}))

    assert json.loads(line) == {"said": f"{before}***"}


@pytest.mark.parametrize("letter", ["\u044e", "\xee", "\x0e", "\udc8e", "\U0001f60e"])
def test_the_end_of_an_escape_is_no_beginning_of_a_token(letter: str) -> None:
    said = {"said": f"{letter}yJhbGciOiJ.x"}

    assert json.loads(mask_tokens_in_json(json.dumps(said))) == said


def test_secrets_are_masked_by_type_wherever_they_are() -> None:
    seen = shown({"a": Secret("tell nobody"), "b": [Secret("tell nobody")], "c": {"d": (Secret("tell nobody"),)}})

    assert seen == {"a": "***", "b": ["***"], "c": {"d": ["***"]}}


def test_a_foreign_object_is_named_and_not_printed() -> None:
    class Talkative:
        def __repr__(self) -> str:
            return "password=tell-nobody"

    assert shown(Talkative()) == "<Talkative>"


def test_plain_values_stay_as_they_are() -> None:
    assert shown_fields({"a": 1, "b": 1.5, "c": True, "d": None, "e": "ü"}) == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "ü",
    }
    assert shown(b"\xff/x") == "\\xff/x"


def test_text_is_cut_at_its_cap() -> None:
    assert shown("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert shown("x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + "…"


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert printable("a\x1b[31m\r\nb") == "a\\x1b[31m\\r\\nb"
    assert printable("grün") == "grün"
    assert printable(5) == 5
