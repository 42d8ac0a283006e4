"""What tracing takes of the file; knows no OpenTelemetry, so that whoever reads the file need not import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
