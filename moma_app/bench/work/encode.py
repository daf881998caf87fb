"""Crystal embeddings by one module."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from moma_app.backbones.registry import get_backbone
from moma_app.bench.flops import counts_of, forward_flop
from moma_app.bench.inputs import read_inputs
from moma_app.bench.job import Job
from moma_app.bench.work import reference
from moma_app.bench.work.base import COMPARED, Work, first
from moma_app.bench.work.device import finish
from moma_app.hub.encode import encode

BATCH_SIZES = {"cpu": (16, 32), "cuda": (16, 64, 256)}
"""The package's default is 16; the fastest of these on a sample is taken."""
SAMPLE = {"cpu": 64, "cuda": 512}


def ours(job: Job) -> Work:
    """Encode with the features of all layers, as composing does."""
    structures, _ = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs(structures)

    def run(rows: Any = None) -> Tensor:
        return encode(None, backbone, graphs, rows, layers="all", device=job.device)

    def answer() -> list[list[float]]:
        last = run(first(graphs, COMPARED))[:, -backbone.info.width :]
        features: list[list[float]] = last.tolist()
        return features

    return Work(
        run,
        units=len(graphs),
        warm_up=lambda: run(first(graphs, COMPARED)),
        answer=answer,
        gflop=forward_flop(counts_of(graphs)) / 1e9,
    )


def theirs(job: Job) -> Work:
    """Encode with the package's ``predict_graph``, for the energy alone and the crystal features."""
    structures, _ = read_inputs(job.inputs)
    model = reference.load_model(job.device)
    graphs = reference.convert(model, structures)
    predictor = Predictor(job.device)

    def run() -> None:
        predictor.predict(model, graphs)

    return Work(
        run,
        units=len(graphs),
        warm_up=lambda: predictor.choose_batch_size(model, graphs),
        answer=lambda: reference.crystal_features(model, graphs[:COMPARED]),
        facts=predictor.facts,
    )


class Predictor:
    """The package's ``predict_graph`` at the batch size that suits it best.

    Attributes:
        facts: the batch size, once it is chosen.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.facts: dict[str, Any] = {"batch size": BATCH_SIZES[device][0]}

    def choose_batch_size(self, model: Any, graphs: list[Any]) -> None:
        """Time the candidates on a sample, after a first call, and keep the fastest."""
        sample = graphs[: SAMPLE[self.device]]
        self.predict(model, sample[:COMPARED])
        seconds = {}
        for size in BATCH_SIZES[self.device]:
            self.facts["batch size"] = size
            started = time.perf_counter()
            self.predict(model, sample)
            seconds[size] = time.perf_counter() - started
        self.facts["batch size"] = min(seconds, key=lambda size: seconds[size])

    def predict(self, model: Any, graphs: list[Any]) -> None:
        """Predict energies and crystal features of all graphs."""
        model.predict_graph(graphs, task="e", return_crystal_feas=True, batch_size=self.facts["batch size"])
        finish(self.device)
