"""Each recipe is a file that Sidegate takes as it stands, and decides as its own first lines say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.settings.load import load
from proxy.settings.secret_source import make_key
from proxy.settings.signing_keys import make_signing_key
from tests.support.throw_away_ca import ThrowAwayAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
CLAIM = re.compile(r"^# > (?P<question>.+): (?P<decision>\w+)$", re.MULTILINE)


def claims() -> Iterator[tuple[Path, str, str]]:
    for recipe in RECIPES:
        for found in CLAIM.finditer(recipe.read_text("utf-8")):
            yield recipe, found["question"], found["decision"]


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that recipes leave to the reader."""
    folder = tmp_path_factory.mktemp("tls")
    issued = ThrowAwayAuthority(folder).issue("legacy.example.com", file="fullchain")
    issued.key_file.rename(folder / "privkey.pem")
    key = make_key(lambda count: b"k" * count)
    signing_key = make_signing_key()
    return {"CLIENT_SECRET": "s" * 32, "SESSION_KEY": key, "ASSERTION_KEY": signing_key, "TLS_FOLDER": str(folder)}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_has_no_problem_and_no_warning(
    recipe: Path, surroundings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)

    loaded = load(recipe)

    assert [str(problem) for problem in loaded.problems] == []


@pytest.mark.parametrize(
    ("recipe", "question", "decision"), list(claims()), ids=lambda value: getattr(value, "stem", value)
)
def test_a_recipe_decides_as_it_says(recipe: Path, question: str, decision: str, surroundings: dict[str, str]) -> None:
    told = CliRunner().invoke(main, ["explain", "-c", str(recipe), *shlex.split(question)], env=surroundings)

    assert told.exit_code == 0, told.output
    assert re.search(r"^decision: +(\w+)", told.output, re.MULTILINE)[1] == decision, told.output


def test_every_recipe_says_what_it_decides() -> None:
    assert {recipe for recipe, _, _ in claims()} == set(RECIPES)
