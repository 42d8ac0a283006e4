"""What the file says of log lines and traces, value by value: ``100/s``, ``0.1``, the address of a collector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from proxy.settings.problems import ValueRefused
from proxy.settings.values import Substituted, duration_text, kind_of, parse_duration, parse_provider_url

LINES_PATTERN: Final = r"^[0-9]{1,6}/([1-9][0-9]{0,3})?(s|m|h)$"

LONGEST_WINDOW_S: Final = 3600.0
"""Seconds; a longer window would be one line an hour that says what happened."""

TRACES_PATH: Final = "/v1/traces"
"""Where a collector takes traces, below its address (OTLP 1.x, OTLP/HTTP Request)."""

_REMEDY: Final = "write lines and a time, such as 100/s or 1000/1m, or off"


@dataclass(frozen=True, slots=True)
class SampledLines:
    """At most ``lines`` (0 or more) in each ``window_s`` seconds."""

    lines: int
    window_s: float


def parse_sampled_lines(value: object) -> SampledLines | None:
    """Return how many lines are written within how long, or None for ``off`` (which YAML reads as false).

    Raises:
        ValueRefused
    """
    if value == "off" or value is False:
        return None
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{0,4})(s|m|h)", value) if isinstance(value, str) else None
    if match is None:
        said = "is no rate of lines" if isinstance(value, str) else f"must be a rate of lines, not {kind_of(value)}"
        raise ValueRefused(said, _REMEDY)
    window_s = parse_duration((match[2] or "1") + match[3])
    if window_s > LONGEST_WINDOW_S:
        raise ValueRefused(f"counts within {match[2]}{match[3]}", "write a time of at most 1h")
    return SampledLines(int(match[1]), window_s)


def sampled_lines_text(rate: SampledLines | None) -> str:
    """Return a rate as the file takes it."""
    return "off" if rate is None else f"{rate.lines}/{duration_text(rate.window_s)}"


def parse_ratio(value: object) -> float:
    """Return a number from 0 to 1; text only where a ``${NAME}`` stood.

    Raises:
        ValueRefused
    """
    if isinstance(value, Substituted) and re.fullmatch(r"[0-9](\.[0-9]{1,6})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueRefused(f"must be a number, not {kind_of(value)}", "write a part of 1, such as 0.1")
    if not 0 <= value <= 1:
        raise ValueRefused(f"{value:g} is no part of 1", "write a number from 0 (none) to 1 (all), such as 0.1")
    return float(value)


def parse_collector_url(value: object) -> str:
    """Return the address of a collector as people write it, without a final slash and without the path of traces.

    Raises:
        ValueRefused
    """
    text = parse_provider_url(value)
    if ":4317" in text.removeprefix("https://").removeprefix("http://").partition("/")[0]:
        raise ValueRefused("has the port of OTLP by gRPC, and Sidegate speaks OTLP by HTTP", "write port 4318")
    return text.rstrip("/").removesuffix(TRACES_PATH)


LineSample = Annotated[
    SampledLines | None,
    PlainValidator(parse_sampled_lines),
    PlainSerializer(sampled_lines_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": LINES_PATTERN}, {"enum": ["off", False]}]}),
]
Ratio = Annotated[float, PlainValidator(parse_ratio), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
CollectorUrl = Annotated[str, BeforeValidator(parse_collector_url)]
