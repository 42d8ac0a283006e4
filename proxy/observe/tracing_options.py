"""What tracing takes of the file; knows no OpenTelemetry, so that whoever reads the file need not import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.observe.tracing import RequestTraces
    from proxy.ports import Clock

NOT_INSTALLED: Final = (
    "tracing: needs OpenTelemetry, which is not installed; install it with pip install 'sidegate[otel]', "
    "or take tracing out of the file"
)


@dataclass(frozen=True, slots=True)
class TracingOptions:
    """Where traces go.

    Attributes:
        endpoint: whole URL of the collector's traces (OTLP over HTTP, protobuf).
        ratio: part of the requests that are recorded, 0 to 1; a trusted parent's decision comes first.
        headers: reads what the collector is shown, anew for each batch; may raise SettingsError.
    """

    endpoint: str
    service_name: str
    ratio: float
    headers: Callable[[], Mapping[str, str]] = field(repr=False)
    ca_file: str | None = None


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
