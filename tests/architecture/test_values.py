"""What values are made of: ``msgspec.Struct`` as a rule, a dataclass where one says why.

A frozen dataclass is written as source and compiled six times when its module is imported: 3 million instructions and
15 KiB for each. A ``Struct`` costs a thirtieth of that, and an instance is made in a tenth of the time. What it cannot
do keeps a dataclass a dataclass: hide a field from ``repr`` (law 11), leave one out of comparisons or of the arguments,
order, be a field of the settings.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))

TAKEN = {"Struct", "field", "replace"}
"""A class of values, and a copy of one. Encoding, decoding and conversion would bring the world into the core."""

IN_THE_FILE = {"Rate", "SampledLines"} | {
    node.name for node in ast.parse((ROOT / "proxy/settings/values.py").read_text("utf-8")).body
    if isinstance(node, ast.ClassDef)
}  # fmt: skip
"""Types of keys of the file: pydantic knows dataclasses, and nothing of a Struct."""

OPTIONS = {"repr", "compare", "init", "order"}


def dataclasses_in(tree: ast.Module) -> Iterator[ast.ClassDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(one) for one in node.decorator_list):
            yield node


def has_a_reason(node: ast.ClassDef) -> bool:
    options = {one.arg for call in ast.walk(node) if isinstance(call, ast.Call) for one in call.keywords}
    return bool(options & OPTIONS) or "InitVar" in ast.unparse(node) or node.name in IN_THE_FILE


def taken_from_msgspec(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "msgspec":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).partition(".")[0] == "msgspec":
            yield node.attr


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_values_are_structs_but_where_a_dataclass_is_needed(source: Path) -> None:
    tree = ast.parse(source.read_text("utf-8"))

    without_reason = [node.name for node in dataclasses_in(tree) if not has_a_reason(node)]

    assert not without_reason, f"make them msgspec.Struct: {without_reason}"


def test_nothing_of_msgspec_is_used_but_the_class_of_values() -> None:
    taken = {name for source in SOURCES for name in taken_from_msgspec(ast.parse(source.read_text("utf-8")))}

    assert taken == TAKEN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@dataclass(frozen=True, slots=True)\nclass A:\n    b: int = field(repr=False)", True),
        ("@dataclass(frozen=True, slots=True)\nclass A:\n    b: int = field(init=False)", True),
        ("@dataclass(frozen=True, slots=True, order=True)\nclass A:\n    b: int", True),
        ("@dataclass(frozen=True, slots=True)\nclass A:\n    b: InitVar[int]", True),
        ("@dataclass(frozen=True, slots=True)\nclass A:\n    b: int = field(default_factory=int)", False),
        ("@dataclasses.dataclass\nclass A:\n    b: int", False),
    ],
)
def test_a_reason_is_an_option_that_a_struct_has_not(text: str, reason: bool) -> None:  # noqa: FBT001 - the expectation
    [found] = dataclasses_in(ast.parse(text))

    assert has_a_reason(found) is reason
