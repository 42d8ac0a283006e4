"""What tracing takes of the file shows no secret."""

from __future__ import annotations

from proxy.observe.tracing_options import TracingOptions


def test_what_the_collector_is_shown_is_not_printed() -> None:
    assert "headers" not in repr(TracingOptions("http://127.0.0.1:9/v1/traces", "gate", 1.0, dict))
