"""tests/ mirrors proxy/: whoever reads a file knows where its laws are tested."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxy"

TESTED_ELSEWHERE: dict[str, str] = {
    "errors.py": "only classes and words; test_errors_have_answers.py holds them to the table",
    "ports.py": "Protocols have no behaviour; tests/contracts/ holds whoever fulfils them",
}


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
    if source in TESTED_ELSEWHERE:
        return
    path = Path(source)

    test = ROOT / "tests" / path.parent / f"test_{path.name}"

    assert test.is_file(), f"proxy/{source} has no {test.relative_to(ROOT)}"


def test_no_exception_outlives_its_file() -> None:
    gone = [source for source in TESTED_ELSEWHERE if not (PACKAGE / source).is_file()]

    assert gone == []
