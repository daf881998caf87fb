"""Crystal embeddings by all built-in modules."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from moma_app.backbones.registry import get_backbone
from moma_app.bench.flops import counts_of, forward_flop
from moma_app.bench.inputs import read_inputs
from moma_app.bench.job import Job
from moma_app.bench.work import reference
from moma_app.bench.work.base import COMPARED, Work, first
from moma_app.bench.work.encode import Predictor
from moma_app.hub import Hub
from moma_app.hub.encode import encode, encode_modules
from moma_app.hub.module import Module


def builtin_modules(n: int | None = None) -> list[Module]:
    """Return the built-in full modules of CHGNet, or ``n`` modules, copies under new names among them."""
    hub = Hub.open("builtin")
    found = [module for module in (hub[name] for name in hub) if module.card.kind == "full"]
    found = [module for module in found if module.card.backbone == "chgnet"]
    if n is None:
        return found
    return [
        Module(base.card.model_copy(update={"name": f"{base.name}-{copy}"}), base.path)
        for copy, base in ((i // len(found), found[i % len(found)]) for i in range(n))
    ]


def ours(job: Job) -> Work:
    """Encode all structures with all modules in one pass."""
    structures, _ = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs(structures)
    modules = builtin_modules(job.sizes.modules)

    def run(rows: Any = None) -> list[Tensor]:
        encoded = encode_modules(
            modules, backbone, graphs, rows, layers="all", pooling="mean", device=job.device
        )
        return [item.embeddings for item in encoded]

    facts: dict[str, Any] = {"modules": len(modules)}

    def compare() -> list[float]:
        """Note how far the embeddings are from those of one module after another."""
        rows = first(graphs, COMPARED)
        together = run(rows)
        alone = [encode(module, backbone, graphs, rows, layers="all") for module in modules]
        facts["difference from one by one"] = max(
            float((a - b).abs().max() / b.abs().max()) for a, b in zip(together, alone, strict=True)
        )
        return []

    return Work(
        run,
        units=len(graphs),
        warm_up=lambda: run(first(graphs, COMPARED)),
        answer=compare,
        gflop=len(modules) * forward_flop(counts_of(graphs)) / 1e9,
        facts=facts,
    )


def theirs(job: Job) -> Work:
    """Run the package's ``predict_graph`` once for each module.

    Always with the package's own parameters: their values do not change the time.
    """
    structures, _ = read_inputs(job.inputs)
    model = reference.load_model(job.device)
    graphs = reference.convert(model, structures)
    n_modules = len(builtin_modules(job.sizes.modules))
    predictor = Predictor(job.device)

    def run() -> None:
        for _ in range(n_modules):
            predictor.predict(model, graphs)

    return Work(
        run,
        units=len(graphs),
        warm_up=lambda: predictor.choose_batch_size(model, graphs),
        facts=predictor.facts,
    )
