"""Two processes with half a batch each train like one with the whole batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch

FIT = """
import sys, numpy as np, torch
from pathlib import Path
from moma_app.backbones.registry import get_backbone
from moma_app.tasks import get_task
from moma_app.training.fit_module import FitData
from moma_app.training.loop import fit
from moma_app.training.settings import FitConfig
from moma_app.training.model import Head, HeadConfig, PropertyModel, TargetScale

torch.set_num_threads(1)
folder, devices = Path(sys.argv[1]), int(sys.argv[2])
data = get_task("elemental_bulk_modulus").load()
data = data.take(np.argsort(data.structures.n_atoms, kind="stable")[:20])
backbone = get_backbone("chgnet")
torch.manual_seed(0)
model = PropertyModel(backbone.pretrained(), Head(256, HeadConfig(hidden=8)), "all")
fit_data = FitData(backbone.graphs(data.structures), data.targets, np.arange(16), np.arange(16, 20))
config = FitConfig(epochs=2, batch_size=8, ema_decay=0.5)
scale = TargetScale.of(torch.from_numpy(data.targets[:16]))
result = fit(model, fit_data, scale, config, folder / "ckpt", device="cpu", devices=devices)
torch.save({"state": model.state_dict(), "curve": [e.val_error for e in result.curve],
            "train": [e.train_error for e in result.curve]}, folder / "out.pt")
"""


def test_two_processes_give_the_weights_of_one(tmp_path):
    script = tmp_path / "fit_script.py"
    script.write_text(FIT)
    results = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(devices)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that on a hang both processes can be ended
        )
        try:
            output, _ = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{devices} processes did not finish: one waits for the other")
        assert process.returncode == 0, output
        results.append(torch.load(folder / "out.pt", weights_only=True))
    one, two = results
    torch.testing.assert_close(two["curve"], one["curve"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(two["train"], one["train"], rtol=1e-4, atol=1e-5)
    for name, tensor in one["state"].items():
        torch.testing.assert_close(
            two["state"][name], tensor, rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}"
        )
