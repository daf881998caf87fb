"""What kNN and merging keep in memory, measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEASURE = """
import sys
from pathlib import Path
sys.path.insert(0, TESTS)
import numpy as np
import torch

torch.set_num_threads(1)

def peak(what="VmHWM"):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024

def extra(work):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    work()
    print(peak() - before)
"""


def extra_bytes(code: str, *arguments: str) -> int:
    """Bytes by which ``extra(...)`` of the code raises the peak of its process, mapped files included."""
    script = f"TESTS = {str(Path(__file__).parents[1])!r}" + MEASURE + code
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_merging_holds_a_few_tensors_and_a_bounded_part_of_each_file(tmp_path: Path):
    for number in range(18):  # of a million parameters, 72 MB in all
        tensors = {f"backbone.{i}": torch.full((50_000,), float(i + number)) for i in range(20)}
        save_file(tensors, tmp_path / f"{number}.safetensors")
    used = extra_bytes(
        """
from module_factory import make_module
from moma_app.amc.merge import merge_to_file
from moma_app.hub import reader
from moma_app.hub.module import Module

reader.MAPPED_BYTES = 400_000  # two tensors
card = make_module().card
modules = [Module(card, Path(sys.argv[1]) / f"{number}.safetensors") for number in range(18)]
extra(lambda: merge_to_file(modules, np.full(18, 1 / 18), Path(sys.argv[1]) / "merged.safetensors"))
""",
        str(tmp_path),
    )
    assert used < 30e6, f"{used / 1e6:.0f} MB for modules of 72 MB"


def test_neighbours_are_found_without_the_matrix_of_all_pairs():
    used = extra_bytes(
        """
from moma_app.amc.nearest import nearest_rows

rows = torch.randn(12_000, 8)
extra(lambda: nearest_rows(rows, 5))
"""
    )
    assert used < 100e6, f"{used / 1e6:.0f} MB where all similarities would take 576 MB"
