"""Energy counters as the kernel shows them, in a folder of their own: counters that run over, or may not be read."""

from __future__ import annotations

import pytest
import torch

from moma_app.training.energy import energy_used

CPU = torch.device("cpu")


@pytest.fixture
def counters(tmp_path):
    for package, start in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 9_000_000)):
        folder = tmp_path / package
        folder.mkdir()
        (folder / "energy_uj").write_text(f"{start}\n")
        (folder / "max_energy_range_uj").write_text("10000000\n")
    part = tmp_path / "intel-rapl:0:0"  # cores of package 0, which are in its count
    part.mkdir()
    (part / "energy_uj").write_text("1\n")
    return tmp_path


def test_packages_are_added_and_a_counter_may_begin_anew(counters):
    with energy_used(CPU, counters) as energy:
        (counters / "intel-rapl:0" / "energy_uj").write_text("8000000\n")
        (counters / "intel-rapl:1" / "energy_uj").write_text("2000000\n")
    assert energy.watt_hours == pytest.approx((3e6 + 3e6) / 3.6e9)


def test_a_machine_that_does_not_tell(counters, tmp_path):
    with energy_used(CPU, tmp_path / "absent") as energy:
        pass
    assert energy.watt_hours is None
    with energy_used(CPU, counters) as energy:
        (counters / "intel-rapl:1" / "energy_uj").write_text("garbage")
    assert energy.watt_hours is None
