"""What the reader of queries finds, so that the tests of dashboard and alerts can fail."""

from __future__ import annotations

import pytest

from tests.deploy.queries import grouped, selected, shown, unknown

EXPOSED = {"sidegate_logins_total": frozenset({"method", "outcome"}), "sidegate_ready": frozenset()}


def test_metrics_are_found_with_the_labels_that_choose() -> None:
    query = 'sum by (job) (rate(sidegate_logins_total{method="form", outcome=~"a|b"}[5m])) / process_open_fds'

    assert [*selected(query)] == [
        ("sidegate_logins_total", frozenset({"method", "outcome"})),
        ("process_open_fds", frozenset()),
    ]
    assert grouped(query) == {"job"}


def test_labels_are_found_in_legends_and_in_annotations() -> None:
    assert shown("{{method}}: {{ $labels.outcome }} {{ $value }}") == {"method", "outcome"}


@pytest.mark.parametrize(
    ("query", "texts", "found"),
    [
        ("sum by (method) (rate(sidegate_logins_total[5m]))", "{{method}}", []),
        ("sidegate_ready == 0", "{{ $labels.instance }}", []),
        ("sidegate_logins", "", ["sidegate_logins"]),
        ('sidegate_logins_total{kind="form"}', "", ["sidegate_logins_total{kind}"]),
        ("sum by (kind) (sidegate_logins_total)", "", ["by (kind)"]),
        ("sum by (method) (sidegate_logins_total)", "{{outcome}}", ["{{outcome}}"]),
        ("sidegate_ready", "{{part}}", ["{{part}}"]),
    ],
)
def test_what_is_not_exposed_is_told(query: str, texts: str, found: list[str]) -> None:
    assert unknown(query, EXPOSED, texts=texts) == found
