"""The report: ratios to the right server at the right load, and what is missing is missing."""

from __future__ import annotations

from benchmarks.contestants import AccessLog
from benchmarks.load import Answers
from benchmarks.picture import svg
from benchmarks.report import Results, markdown
from benchmarks.samples import Sample, figures
from benchmarks.starting import Start


def a_sample(name: str, cpu_us: float, *, scenario: str = "2,000/s", foreign: float = 0.0) -> Sample:
    answers = Answers(answered=8000, wrong=0, seconds=4.0, p50_us=200.0, p99_us=900.0)
    return Sample(scenario, name, AccessLog.AS_SHIPPED, cpu_us, answers, foreign, 50.0)


def results_of(*samples: Sample) -> Results:
    return Results(figures=figures(samples), starts={}, sessions={}, machine={}, versions={})


def test_a_goal_is_judged_by_the_ratio_of_the_medians() -> None:
    samples = [a_sample("nginx", cpu) for cpu in (50, 60, 1000)] + [a_sample("sidegate", cpu) for cpu in (80, 90, 91)]

    report = markdown(results_of(*samples))

    assert "| 2,000/s | CPU per answer | as shipped | sidegate | nginx | 1.50 | ≤ 1.60 | met |" in report


def test_a_goal_that_is_not_reached_is_called_missed() -> None:
    report = markdown(results_of(a_sample("nginx", 50), a_sample("sidegate", 81)))

    assert "| nginx | 1.62 | ≤ 1.60 | missed |" in report


def test_stores_are_compared_with_one_another() -> None:
    names = ("sidegate", "sidegate-redis", "sidegate-full-redis")
    scenario = "1,000 sessions in turn, 2,000/s"
    report = markdown(
        results_of(*(a_sample(name, cpu, scenario=scenario) for name, cpu in zip(names, (100, 103, 104), strict=True)))
    )

    assert "| sidegate-redis | sidegate | 1.03 | ≤ 1.02 | missed |" in report
    assert "| sidegate-full-redis | sidegate-redis | 1.01 | ≤ 1.05 | met |" in report


def test_a_server_that_was_not_here_has_no_goal() -> None:
    report = markdown(results_of(a_sample("nginx", 50), a_sample("sidegate", 81)))

    assert "gatekeeper" not in report


def test_disturbed_samples_are_told() -> None:
    report = markdown(results_of(a_sample("nginx", 50), a_sample("nginx", 70, foreign=0.5)))

    assert "1 of 2 |" in report


def test_a_verdict_on_disturbed_samples_says_so() -> None:
    report = markdown(results_of(a_sample("nginx", 50, foreign=0.5), a_sample("sidegate", 81)))

    assert "| missed, disturbed |" in report


def test_the_picture_shows_each_server_with_its_figure() -> None:
    picture = svg(figures([a_sample("nginx", 50), a_sample("sidegate", 81)]))

    assert ">nginx</text>" in picture
    assert ">81</text>" in picture


def test_the_first_minute_is_judged_by_time_and_memory_and_only_ours() -> None:
    starts = {"nginx": Start(0.02, 0.01, 9.4), "sidegate": Start(0.58, 0.51, 60.6)}
    results = Results(figures={}, starts=starts, sessions={}, machine={}, versions={})

    report = markdown(results)

    assert "| server | s | fastest | idle MiB | goal ≤ 0.6 s, ≤ 60 MiB |" in report
    assert "| nginx | 0.02 | 0.01 | 9 |  |" in report
    assert "| sidegate | 0.58 | 0.51 | 61 | met, missed |" in report
