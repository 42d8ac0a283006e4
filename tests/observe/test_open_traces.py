"""What tracing needs is imported where it is asked for, and its absence is one sentence."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.errors import SettingsError
from proxy.observe.open_traces import NOT_INSTALLED, open_traces
from proxy.observe.tracing_options import TracingOptions
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

PROXY = Path(__file__).parents[2] / "proxy"
EXTRA = ("opentelemetry", "requests", "google.protobuf", "proxy.observe.otlp", "proxy.observe.tracing")
OPTIONS = TracingOptions("http://127.0.0.1:9/v1/traces", "gate", 1.0, dict)


def test_without_opentelemetry_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "proxy.observe.otlp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "proxy.observe.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(SettingsError) as refused:
        open_traces(OPTIONS, clock=FakeClock(), count=lambda _outcome, _spans: None)

    assert str(refused.value) == NOT_INSTALLED
    assert "pip install 'sidegate[otel]'" in NOT_INSTALLED


def test_nothing_of_it_is_imported_where_nobody_asks() -> None:
    found = {
        path.relative_to(PROXY).as_posix()
        for path in PROXY.rglob("*.py")
        if any(
            name.partition(".")[0] in EXTRA or name in EXTRA for name in imported_at_once(ast.parse(path.read_text()))
        )
    }

    assert found == {"observe/otlp.py", "observe/tracing.py"}


def imported_at_once(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported when the module is: at its top, and not for types alone."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
