"""tests/ mirrors proxy/: whoever reads a file knows where its laws are tested."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxy"


def _sources() -> list[str]:
    return sorted(
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if file.name != "__init__.py" or _has_code(file)
    )


def _has_code(file: Path) -> bool:
    body = ast.parse(file.read_text("utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in body)


@pytest.mark.parametrize("source", _sources())
def test_every_source_file_has_its_test_file(source: str) -> None:
    path = Path(source)

    test = ROOT / "tests" / path.parent / f"test_{path.name}"

    assert test.is_file(), f"proxy/{source} has no {test.relative_to(ROOT)}"
