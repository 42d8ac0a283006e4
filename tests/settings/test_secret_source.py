"""Where secrets stand, and that nobody sees them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from proxy.errors import SettingsError
from proxy.settings.secret_source import LARGEST_SECRET_BYTES, SecretSource, make_key

if TYPE_CHECKING:
    from pathlib import Path


def source(**fields: object) -> SecretSource:
    return SecretSource.model_validate(fields)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("s3cret", "s3cret"),
        ("s3cret\n\n", "s3cret\n"),
        (" s ", " s "),
    ],
)
def test_one_line_break_at_the_end_of_a_file_does_not_count(tmp_path: Path, content: str, secret: str) -> None:
    (tmp_path / "secret").write_text(content, newline="")

    assert source(file=str(tmp_path / "secret")).read().reveal() == secret


def test_a_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    kept = source(file=str(file))
    assert kept.read().reveal() == "old"

    file.write_text("new")

    assert kept.read().reveal() == "new"


def test_a_variable_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "from there")

    assert source(env="A_SECRET").read().reveal() == "from there"


def test_no_representation_shows_a_secret_of_the_file() -> None:
    written = source(value="hunter2")

    assert "hunter2" not in repr(written) + str(written) + written.model_dump_json() + str(written.model_dump())
    assert written.read().reveal() == "hunter2"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "names no source; write exactly one of {file: PATH}, {env: NAME}, {value: TEXT}"),
        ({"file": "a", "env": "b"}, "has file and env together; write exactly one of"),
        ({"value": 5}, "must be text that is not empty; put it in quotes"),
        ({"value": ""}, "must be text that is not empty; put it in quotes"),
    ],
)
def test_exactly_one_source_counts(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        source(**fields)

    assert sentence in str(refused.value)


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ValidationError) as refused:
        source(value=["hunter2"])

    assert "hunter2" not in str(refused.value)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^the file .*/nope cannot be read \(no such file or directory\); check the path$"
    ):
        source(file=str(tmp_path / "nope")).read()


def test_a_directory_in_place_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\(is a directory\); check the path$"):
        source(file=str(tmp_path)).read()


def test_an_unset_variable_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match="the variable NOT_SET is not set; set it in the environment of sidegate"):
        source(env="NOT_SET").read()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; put the secret there"),
        (b"\n", "is empty; put the secret there"),
        (b"\xff\xfe", "is not UTF-8 text; write the secret as text"),
        (b"x" * (LARGEST_SECRET_BYTES + 1), "is too large for a secret; check the path"),
    ],
)
def test_a_file_without_a_usable_secret_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(SettingsError) as refused:
        source(file=str(tmp_path / "secret")).read()

    assert str(refused.value) == f"the file {tmp_path / 'secret'} {sentence}"


def test_a_key_that_keygen_made_is_32_bytes_again() -> None:
    key = bytes(range(200, 232))

    text = make_key(lambda length: key[:length])

    assert len(text) == 43
    assert source(value=text).read_key() == key
    assert source(value=f"{text}=").read_key() == key


@pytest.mark.parametrize(
    "text",
    [
        "short",
        urlsafe_b64encode(bytes(31)).decode(),
        urlsafe_b64encode(bytes(33)).decode(),
        "A" * 42 + "!" + "A",
        "é" * 43,
    ],
)
def test_what_is_no_key_of_32_bytes_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        source(value=text).read_key()

    assert str(refused.value) == "the value is no session key of 32 bytes; make one with `sidegate keygen`"
