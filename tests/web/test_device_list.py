"""A device is found by its id, and by nothing that is like it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from proxy.web.device_list import Device, device_with


def device(device_id: str) -> Device:
    return Device(device_id, is_current=False, session=cast("Any", None))


DEVICES = [device("A" * 22), device("B" * 22)]


def test_a_device_is_found_by_its_id() -> None:
    assert device_with("B" * 22, DEVICES) is DEVICES[1]


@pytest.mark.parametrize("device_id", ["", "B" * 21, "B" * 23, "b" * 22, "C" * 22])
def test_what_is_only_like_an_id_finds_nothing(device_id: str) -> None:
    assert device_with(device_id, DEVICES) is None
    assert device_with(device_id, []) is None
