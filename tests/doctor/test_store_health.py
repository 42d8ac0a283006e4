"""What a Redis says of itself, judged without one."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.doctor.store_health import Health, judge, parse_info
from tests.doctor.conftest import told

WELL = {
    "redis_version": "7.0.15",
    "maxmemory": "0",
    "used_memory": "1000",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "rdb_last_bgsave_status": "ok",
    "aof_last_write_status": "ok",
    "role": "master",
}


def judged(saves: str | None = "", **info: str) -> dict[str, tuple[str, str, str]]:
    return told(judge(Health("redis:6379", {**WELL, **info}, saves)))


def test_a_redis_that_is_well_is_ok_in_every_line() -> None:
    assert {check: verdict for check, (verdict, _, _) in judged().items()} == {
        "version": "ok",
        "eviction": "ok",
        "persistence": "ok",
    }


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("6.2.0", "ok"), ("6.0.16", "fail"), ("5.0.3", "fail"), ("10.0.0", "ok"), ("", "warn"), ("next", "warn")],
)
def test_the_version_is_compared_as_numbers(version: str, verdict: str) -> None:
    assert judged(redis_version=version)["version"][0] == verdict


def test_valkey_is_called_by_its_name() -> None:
    assert judged(redis_version="7.2.4", valkey_version="8.0.1")["version"][1] == "Valkey 8.0.1"


@pytest.mark.parametrize(
    ("policy", "maxmemory", "verdict"),
    [
        ("noeviction", "1000000", "ok"),
        ("allkeys-lru", "0", "warn"),
        ("allkeys-lru", "1000000", "fail"),
        ("volatile-ttl", "1000000", "fail"),
        ("", "1000000", "fail"),
    ],
)
def test_a_redis_that_throws_keys_away_is_a_failure_once_it_can_be_full(
    policy: str, maxmemory: str, verdict: str
) -> None:
    found = judged(maxmemory_policy=policy, maxmemory=maxmemory)["eviction"]

    assert found[0] == verdict
    if verdict != "ok":
        assert found[2].startswith("CONFIG SET maxmemory-policy noeviction")


@pytest.mark.parametrize(("used", "is_told"), [("799999", False), ("800000", True), ("999999", True)])
def test_a_redis_that_is_nearly_full_is_a_warning(used: str, is_told: bool) -> None:  # noqa: FBT001
    found = judged(maxmemory="1000000", used_memory=used)

    assert ("memory" in found) is is_told
    assert not is_told or found["memory"][0] == "warn"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"saves": ""}, "ok"),
        ({"saves": "", "aof_enabled": "0"}, "warn"),
        ({"saves": "3600 1", "aof_enabled": "0"}, "ok"),
        ({"saves": None, "aof_enabled": "0"}, "ok"),
        ({"saves": "3600 1", "rdb_last_bgsave_status": "err"}, "fail"),
        ({"saves": "", "aof_last_write_status": "err"}, "fail"),
    ],
)
def test_what_survives_a_restart_is_said(changes: dict[str, Any], verdict: str) -> None:
    assert judged(**changes)["persistence"][0] == verdict


def test_a_replica_takes_no_writes() -> None:
    verdict, _, remedy = judged(role="slave")["role"]

    assert (verdict, "sessions.redis.sentinel" in remedy) == ("fail", True)


@pytest.mark.parametrize(("following", "verdict"), [("0", "warn"), ("2", "ok")])
def test_where_another_shall_take_its_place_somebody_must_follow(following: str, verdict: str) -> None:
    found = told(judge(Health("redis:6379", {**WELL, "connected_slaves": following}, "", 1)))

    assert found["replicas"][0] == verdict
    assert "replicas" not in judged(connected_slaves=following)


def test_an_answer_to_info_is_read_line_by_line() -> None:
    text = "# Server\r\nredis_version:7.0.15\r\n\r\nexecutable:/a:b\r\nnonsense\r\n"

    assert parse_info(text) == {"redis_version": "7.0.15", "executable": "/a:b"}
