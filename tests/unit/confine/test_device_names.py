"""Which devices are refused whatever they are called in their number."""

from __future__ import annotations

import os

import pytest

from belljar.confine.devices import _kind, _reason


@pytest.mark.parametrize(
    ("path", "major"),
    [
        ("/dev/i2c-1", 89),
        ("/dev/spidev0.0", 153),
        ("/dev/ng0n1", 240),
        ("/dev/tpmrm0", 253),
        ("/dev/megaraid_sas_ioctl_node", 240),
        ("/dev/hvc0", 229),
        ("/dev/ttyAMA0", 204),
        ("/dev/mapper/control", 240),
        ("/dev/bus/usb/001/002", 189),
    ],
)
def test_what_acts_on_the_machine_is_refused(path: str, major: int) -> None:
    assert "never granted" in _reason(path, _device(major))


@pytest.mark.parametrize("path", ["/dev/nvidia0", "/dev/dri/renderD128", "/dev/kfd", "/dev/video0"])
def test_what_computes_or_sees_is_not(path: str) -> None:
    assert _reason(path, _device(240)) == ""


def test_a_name_that_ends_in_n_stays() -> None:
    assert [_kind(name) for name in ("ng12n3", "screen", "i2c-10", "n")] == [
        "ng", "screen", "i2c", "n",
    ]  # fmt: skip


def _device(major: int) -> os.stat_result:
    return os.stat_result((0o020666, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(major, 0)})
