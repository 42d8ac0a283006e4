"""The door to OpenTelemetry: behind it lies an extra, which is imported when somebody goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.observe.tracing import RequestTraces
    from proxy.observe.tracing_options import TracingOptions
    from proxy.ports import Clock

NOT_INSTALLED: Final = (
    "tracing: needs OpenTelemetry, which is not installed; install it with pip install 'sidegate[otel]', "
    "or take tracing out of the file"
)


def open_traces(options: TracingOptions, *, clock: Clock, count: Callable[[str, int], object]) -> RequestTraces:
    """Return what tells the collector.

    Args:
        count: hears of each batch: ``sent``, ``failed`` or ``lost``, and how many spans.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    try:
        from proxy.observe.otlp import traces_over_otlp  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"opentelemetry", "requests"}:
            raise
        raise SettingsError(NOT_INSTALLED) from error
    return traces_over_otlp(options, clock=clock, count=count)
