"""Rates of lines, parts of one and the address of a collector, as people write them."""

from __future__ import annotations

import pytest

from proxy.settings.observing import (
    SampledLines,
    parse_collector_url,
    parse_ratio,
    parse_sampled_lines,
    sampled_lines_text,
)
from proxy.settings.problems import ValueRefused
from proxy.settings.values import Substituted


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("100/s", SampledLines(100, 1)),
        ("100/1s", SampledLines(100, 1)),
        ("0/m", SampledLines(0, 60)),
        ("1000/30m", SampledLines(1000, 1800)),
        ("5/1h", SampledLines(5, 3600)),
        ("off", None),
        (False, None),  # what YAML makes of off
    ],
)
def test_a_rate_of_lines_is_read(written: object, rate: SampledLines | None) -> None:
    assert parse_sampled_lines(written) == rate


@pytest.mark.parametrize("written", ["100", "100/", "s", "a/s", "-1/s", "100/d", "1.5/s", "100/s\n", 100, True, None])
def test_what_is_no_rate_of_lines_is_refused_with_its_remedy(written: object) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse_sampled_lines(written)

    assert refused.value.remedy == "write lines and a time, such as 100/s or 1000/1m, or off"


@pytest.mark.parametrize(
    ("written", "remedy"),
    [("5/2h", "write a time of at most 1h"), ("5/0s", "write a duration such as 10s")],
)
def test_a_window_of_no_time_or_of_hours_is_refused(written: str, remedy: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse_sampled_lines(written)

    assert refused.value.remedy == remedy


@pytest.mark.parametrize("text", ["100/1s", "5/1h", "0/30s", "off"])
def test_a_rate_of_lines_is_written_as_it_was_read(text: str) -> None:
    assert sampled_lines_text(parse_sampled_lines(text)) == text


@pytest.mark.parametrize(("written", "ratio"), [(0, 0.0), (1, 1.0), (0.25, 0.25), (Substituted("0.1"), 0.1)])
def test_a_part_of_one_is_read(written: object, ratio: float) -> None:
    assert parse_ratio(written) == ratio


@pytest.mark.parametrize("written", [-0.1, 1.1, 100, "0.1", True, None, Substituted("10%"), float("nan")])
def test_what_is_no_part_of_one_is_refused(written: object) -> None:
    with pytest.raises(ValueRefused):
        parse_ratio(written)


@pytest.mark.parametrize(
    "written", ["http://collector:4318", "http://collector:4318/", "http://collector:4318/v1/traces"]
)
def test_a_collector_is_named_with_or_without_the_path_of_traces(written: str) -> None:
    assert parse_collector_url(written) == "http://collector:4318"


def test_a_collector_may_have_a_path_of_its_own() -> None:
    assert parse_collector_url("https://traces.example.com/otlp") == "https://traces.example.com/otlp"


def test_the_port_of_the_other_protocol_is_told_apart() -> None:
    with pytest.raises(ValueRefused) as refused:
        parse_collector_url("http://collector:4317")

    assert refused.value.remedy == "write port 4318"


@pytest.mark.parametrize("written", ["collector:4318", "grpc://collector", "", 4318, None])
def test_what_is_no_address_of_a_collector_is_refused(written: object) -> None:
    with pytest.raises(ValueRefused):
        parse_collector_url(written)
