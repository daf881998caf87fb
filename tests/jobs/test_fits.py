"""Real fits as runs: resumed, repeated and shared by processes, they give the same numbers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from moma_app.jobs.events import read
from moma_app.jobs.jobs import Jobs
from moma_app.progress import EpochEnded, Event, Step
from moma_app.tasks import get_task
from moma_app.training.recipe import load_recipe
from moma_app.work.cell import cell_spec
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC
from moma_app.work.encode import encode_spec
from moma_app.work.finetune import finetune_spec
from moma_app.work.repeating import differences
from moma_app.work.train import train_spec

TASK = "elemental_bulk_modulus"


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("finetune").with_fit(epochs=4, head_epochs=2)


class StopAfter:
    """Press Ctrl-C when an epoch has ended."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == self.epoch:
            raise KeyboardInterrupt


def test_a_resumed_and_a_repeated_fit_give_the_numbers_of_an_undisturbed_one(inline, recipe):
    spec = finetune_spec(get_task(TASK), recipe, amc=AMC("builtin"), device="cpu")
    undisturbed = inline.run(spec)
    told = [row["id"] for row in undisturbed.result["analysis"]["rows"]]
    assert told == undisturbed.result["fit"]["ids"], "where the errors are is told with the fit"
    with pytest.raises(KeyboardInterrupt):
        inline.run(spec, StopAfter(2))
    stopped = inline.store.runs(limit=1)[0]
    resumed = inline.run(spec, run_id=stopped.id)
    repeated = inline.run(inline.rerun(undisturbed.run_id))
    epochs = [
        e.event.epoch
        for e in read(inline.folder(stopped.id) / "events.jsonl")
        if isinstance(e.event, EpochEnded)
    ]
    assert epochs == [1, 2, 3, 4], "the resumed fit does not begin anew"
    first, *others = (inline.store.get(o.run_id) for o in (undisturbed, resumed, repeated))
    assert first.metrics["test_mae"] > 0
    for other in others:
        assert differences(first, other) == {}
        assert other.facts == first.facts
    assert {"data_hash", "hub_hash", "seed", "hardware"} <= set(first.facts)
    assert inline.store.history(stopped.id, "val_error") == inline.store.history(
        undisturbed.run_id, "val_error"
    )
    kept = inline.store.artefacts(undisturbed.run_id)
    assert {"composition.json", "report.html", "predictor/predictor.json"} <= set(kept)


@pytest.mark.parametrize(
    "stage", ["structures encoded", "epochs of the head alone", "Gaussian process, student-t noise"]
)
def test_every_long_stage_can_be_stopped(inline, recipe, stage):
    """Cancelling must not wait for a stage to end: each tells its steps, and a step is where it ends."""
    heard: list[Step] = []

    def cancel(event: Event) -> None:
        if isinstance(event, Step) and event.what == stage:
            heard.append(event)
            running = next(record for record in inline.store.runs() if record.state == "running")
            inline.folder(running.id).joinpath("cancel").touch()
            time.sleep(0.5)  # longer than the recorder takes to see it

    task = get_task(TASK)
    if stage.startswith("Gaussian"):
        bare = compose_spec(task, instant=True, bare=True, device="cpu")
        spec = cell_spec(bare, learner="instant", method="bare")
    else:
        spec = finetune_spec(task, recipe, start="backbone", device="cpu")
    outcome = inline.run(spec, cancel)
    assert outcome.state == "cancelled"
    assert len(heard) == 1


def test_two_processes_of_one_run_train_the_module_of_one(inline, recipe, tmp_path):
    """The job layer starts them with torchrun; the parent keeps the record."""
    task = get_task(TASK)
    head = dataclasses.replace(recipe.head, dropout=0.0)  # its random numbers are each process's own
    plain = dataclasses.replace(recipe.with_fit(epochs=1, head_epochs=0), head=head)
    weights = []
    for devices in (1, 2):
        spec = train_spec(
            task, plain, name=f"by{devices}", device="cpu", devices=devices, hub=tmp_path / "hub"
        )
        heard: list[Event] = []
        outcome = inline.run(spec, heard.append)
        assert outcome.state == "finished", outcome.message
        assert sum(isinstance(event, EpochEnded) for event in heard) == 1
        record = inline.record(outcome.run_id)
        assert record.metrics["val_error"] > 0
        assert {"data_hash", "seed", "hardware"} <= set(record.facts)
        (file,) = (tmp_path / "hub").glob(f"by{devices}-*.safetensors")
        weights.append(load_file(file))
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4)
    assert "2 processes" in json.loads((tmp_path / "hub" / "by2.json").read_text())["hardware"]["device"]


def test_a_fit_of_several_processes_that_fails_says_so(inline, recipe):
    hot = recipe.with_fit(epochs=1, head_epochs=0, learning_rate=1e9)
    outcome = inline.run(train_spec(get_task(TASK), hot, device="cpu", devices=2))
    assert outcome.state == "failed"
    assert "smaller learning rate" in outcome.message


def test_cells_and_encodings_are_units_too(inline):
    task = get_task(TASK)
    inner = compose_spec(task, amc=AMC("builtin"), seed=1, shots=20, instant=True, device="cpu")
    cell = inline.run(cell_spec(inner, learner="instant", method="amc"))
    row = cell.result["row"]
    assert (row["task"], row["learner"], row["seed"], row["shots"]) == (TASK, "instant", 1, 20)
    assert row["mae"] == cell.result["metrics"]["test_mae"] > 0
    assert {"objective", "composed_proxy_mae"} <= cell.result["metrics"].keys()
    assert "composition.json" in inline.store.artefacts(cell.run_id)
    encoded = inline.run(encode_spec(task, "mp_kvrh", hub="builtin", device="cpu"))
    assert (encoded.result["rows"], encoded.result["width"]) == (71, 256)
    assert "embeddings.safetensors" in inline.store.artefacts(encoded.run_id)


def test_torchrun_by_hand_keeps_one_record(home, tmp_path):
    """Every process runs the command; the first keeps the record and answers, the other is silent."""
    command = [
        "-m",
        "moma_app",
        "hub",
        "train",
        TASK,
        "--device",
        "cpu",
        "--epochs",
        "1",
        "--name",
        "shared",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "shared"
    with Jobs() as jobs:
        (record,) = jobs.store.runs()
    assert record.state == "finished"
    assert record.metrics["test_mae"] > 0
