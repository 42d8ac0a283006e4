"""The reference says of every key what it is, and is never stale."""

from __future__ import annotations

from pathlib import Path

from proxy.settings.model import Settings
from proxy.settings.reference import reference_text

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def row(key: str) -> str:
    """Return the line of the page about a key."""
    return next(line for line in reference_text().splitlines() if line.startswith(f"| `{key}` |"))


def test_the_page_in_the_repository_is_what_the_command_prints() -> None:
    assert PAGE.read_text() == reference_text(), "run: sidegate schema --markdown > docs/reference.md"


def test_every_key_at_the_top_has_its_own_heading() -> None:
    headings = [line.removeprefix("## ") for line in reference_text().splitlines() if line.startswith("## ")]

    assert headings == list(Settings.model_fields)


def test_a_key_that_must_be_there_says_so() -> None:
    assert "| **required** |" in row("server.public_url")


def test_durations_sizes_secrets_and_words_are_told_apart() -> None:
    assert "| duration | `30d` |" in row("sessions.lifetime")
    assert "| size" in row("server.max_header_size")
    assert "| secret |" in row("keycloak.client_auth.secret")
    assert "| `memory`, `redis` | `memory` |" in row("sessions.store")


def test_keys_in_lists_and_below_names_of_ones_choice_are_there_too() -> None:
    assert "Example: `/admin/**`" in row("routes[].path")
    assert "| **required** |" in row("upstreams.NAME.url")


def test_the_keys_of_a_secret_are_said_once_and_not_of_every_secret() -> None:
    assert "`keycloak.client_auth.secret.file`" not in reference_text()
