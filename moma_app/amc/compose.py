"""Algorithm 1 of the MoMa paper: encode, estimate, weigh, merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app import __version__
from moma_app.amc.estimates import LeaveOut, estimate_all, stored_neighbours
from moma_app.amc.merge import merge_modules
from moma_app.amc.result import AMCResult
from moma_app.amc.reweigh import reweigh
from moma_app.amc.scoring import standardise
from moma_app.amc.select import usable_modules
from moma_app.amc.stored import StoredNeighbours
from moma_app.amc.weighting import weigh
from moma_app.backbones.base import Backbone, Network, pooling_of
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.registry import get_backbone
from moma_app.choices import Layers, Pooling, Weighting
from moma_app.errors import InputError, MomaError
from moma_app.hub.encode import Encoded, encode_modules
from moma_app.hub.hub import Hub
from moma_app.hub.module import Module, network_from
from moma_app.progress import Listener, Note, Warned, WeightsSolved, silent
from moma_app.runtime import pick_device, prepare
from moma_app.structures import StructureSet
from moma_app.tasks.splits import Split, few_shot

if TYPE_CHECKING:
    import pandas as pd

    from moma_app.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Composition:
    """A composed module, with the result that explains it.

    Attributes:
        result: scores and weights.
        modules: those that took part, in the result's order.
        embeddings: of the train rows by each module that took part, {name: float32 [m, d]}.
        neighbours: of the train rows by each of these modules; K or T may change with them.
        split: the rows used.
    """

    result: AMCResult
    modules: tuple[Module, ...]
    embeddings: dict[str, Tensor]
    neighbours: StoredNeighbours
    split: Split

    def __repr__(self) -> str:
        return repr(self.result).replace("<AMCResult ", "<Composition ", 1)

    def _repr_html_(self) -> str:
        from moma_app.amc.display import result_html

        return result_html(self.result, "Composition")

    def to_dataframe(self) -> pd.DataFrame:
        """Return the table of modules, see :meth:`moma_app.amc.result.AMCResult.to_dataframe`."""
        return self.result.to_dataframe()

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The merged parameters, named as in a module's file; the files are read when this is first asked for.

        Raises:
            NoSharedStartError: modules with weight do not share an initialisation; they can be mixed.
            DamagedFileError: a module's file has changed since.
        """
        return merge_modules(self.modules, [score.weight for score in self.result.modules])

    def experts(self) -> dict[Module, float]:
        """Return the modules that carry weight, and their weights."""
        weighed = zip(self.modules, self.result.modules, strict=True)
        return {module: score.weight for module, score in weighed if score.weight > 0}

    def reweighed(
        self, *, k: int | None = None, temperature: float | None = None, modules: Sequence[str] | None = None
    ) -> Composition:
        """Return the composition with another K, T or set of modules; nothing is encoded anew.

        Raises:
            InputError, UnknownNameError: as :func:`moma_app.amc.reweigh.reweigh`.
        """
        result = reweigh(self.neighbours, self.result, k=k, temperature=temperature, modules=modules)
        kept = {score.module for score in result.modules}
        return replace(
            self,
            result=result,
            modules=tuple(module for module in self.modules if module.name in kept),
            embeddings={name: embedding for name, embedding in self.embeddings.items() if name in kept},
        )

    def network(self) -> Network:
        """Return the backbone's network with the composed parameters; raises as :attr:`tensors`."""
        return network_from(get_backbone(self.result.backbone), self.result.kind, self.tensors)


def compose(
    task: Task,
    hub: Hub | None = None,
    split: int = 0,
    *,
    shots: int | None = None,
    seed: int = 0,
    k: int = 5,
    temperature: float = 0.2,
    modules: list[str] | None = None,
    kind: Literal["full", "adapter"] = "full",
    weighting: Weighting = "amc",
    backbone_name: str | None = None,
    graph_folder: Path | None = None,
    device: str = "auto",
    encoder: Encoder | None = None,
    progress: Listener = silent,
) -> Composition:
    """Compose a module for a task from the modules of a hub (MoMa, Algorithm 1).

    Only train rows are looked at. A module that is damaged, or whose predictions are not
    finite, is left out with a warning that names it.

    Args:
        task: the small task, regression.
        hub: the modules; by default the user's hub and the built-in one.
        split: seed of the task's split.
        shots: use so many train rows only, drawn by ``seed``.
        seed: of what is drawn at random.
        k, temperature: of the kNN estimate (Eq. 1).
        modules: names of the modules to consider; all of ``kind`` by default.
        kind: full modules or adapters; they cannot be mixed.
        weighting: how the weights are chosen, see :mod:`moma_app.amc.weighting`; ``random`` draws by
            ``seed``, ``split`` and the task's name.
        backbone_name: consider modules of this backbone; by default that of the hub, if all
            modules share one.
        graph_folder: cache of graphs.
        device: where to encode.
        encoder: encodes the train rows; by default :func:`encode_here`.
        progress: gets ``ModuleEncoded`` for each module, then ``WeightsSolved``.

    Raises:
        InputError: no usable module, a classification task, or too few train rows for K.
        DataNotFoundError: the task's data is not on this machine.
    """
    if task.spec.kind == "classification":
        raise InputError(
            f"Task {task.name} is a classification; AMC's kNN estimate is defined for numbers only."
        )
    prepare()
    chosen, skipped = usable_modules(Hub.open() if hub is None else hub, modules, kind, backbone_name)
    for name, reason in skipped.items():
        progress(Warned(message=f"Module {name} is left out: {reason}"))
    backbone = get_backbone(chosen[0].card.backbone)
    layers = chosen[0].card.layers
    data = task.load(progress)
    parts = task.split(split)
    if shots is not None:
        parts = few_shot(parts, shots, seed)
    targets = data.targets[parts.train]
    if targets.min() == targets.max():  # rounding may leave a std that is not quite zero
        raise InputError(
            f"Task {task.name}: all {len(targets)} training targets are equal, there is nothing to learn."
        )
    scale = standardise(targets)
    machine = pick_device(device)
    if advice := backbone.advice(machine):
        progress(Note(message=advice))
    leave_out = LeaveOut(skipped, progress)
    sound = [module for module in chosen if leave_out.unless_sound(module, backbone)]
    encoded = (encoder or encode_here)(
        EncodingTask(
            task=task.name,
            modules=tuple(sound),
            backbone=backbone,
            structures=data.structures,
            rows=parts.train,
            layers=layers,
            pooling=pooling_of(extensive=task.spec.extensive),
            graph_folder=graph_folder,
            device=machine,
            on_error=leave_out,
            progress=progress,
        )
    )
    estimates = estimate_all(
        encoded,
        total=len(sound),
        scale=scale,
        k=k,
        temperature=temperature,
        device=machine,
        progress=progress,
        leave_out=leave_out,
    )
    if not estimates:
        raise InputError("No module of the hub could be used: " + "; ".join(skipped.values()))
    table = np.stack([each.predictions for each in estimates], axis=1)
    solution = weigh(
        table,
        scale.values,
        weighting,
        names=[each.module.name for each in estimates],
        draw=(seed, split, *task.name.encode()),
    )
    weights = dict(zip([each.module.name for each in estimates], solution.weights.tolist(), strict=True))
    progress(WeightsSolved(weights=weights, objective=solution.objective, fraction=1.0))
    result = AMCResult(
        task=task.name,
        property=task.spec.property,
        unit=task.spec.unit,
        modules=[each.scored(weights[each.module.name], targets, scale) for each in estimates],
        objective=solution.objective,
        status=solution.status,
        k=k,
        temperature=temperature,
        split=split,
        shots=shots,
        seed=seed,
        split_origin=parts.origin,
        train_ids=[data.ids[i] for i in parts.train],
        train_targets=targets.tolist(),
        backbone=backbone.info.name,
        fingerprint=chosen[0].card.fingerprint,
        kind=kind,
        layers=layers,
        skipped=skipped,
        weighting=weighting,
        made_with=f"moma-app {__version__}",
    )
    return Composition(
        result,
        tuple(each.module for each in estimates),
        {each.module.name: each.embedding for each in estimates},
        stored_neighbours(estimates, result, parts.train),
        parts,
    )


@dataclass(frozen=True, eq=False)
class EncodingTask:
    """What an encoder is asked: the embeddings of some structures by each of several modules.

    Attributes:
        task: name of the task that the structures belong to.
        modules: of one kind, sound, of this backbone.
        backbone: builds the graphs.
        structures: of the task; ``rows`` are positions in it.
        rows: which to encode, int64 [m].
        layers, pooling: what makes up an embedding.
        graph_folder: cache of graphs.
        device: where to encode.
        on_error: to be called with a module that cannot be loaded, which is then left out.
        progress: listener.
    """

    task: str
    modules: tuple[Module, ...]
    backbone: Backbone
    structures: StructureSet
    rows: NDArray[np.int64]
    layers: Layers
    pooling: Pooling
    graph_folder: Path | None
    device: torch.device
    on_error: Callable[[Module, MomaError], None]
    progress: Listener


Encoder = Callable[[EncodingTask], Iterator[Encoded]]
"""Yields each module's embeddings [m, d] as soon as they are there, in any order."""


def encode_here(asked: EncodingTask) -> Iterator[Encoded]:
    """Encode in this process, several modules in one pass."""
    graphs = cached_graphs(asked.backbone, asked.structures, asked.graph_folder, asked.progress)
    return encode_modules(
        asked.modules,
        asked.backbone,
        graphs,
        asked.rows,
        layers=asked.layers,
        pooling=asked.pooling,
        device=asked.device,
        on_error=asked.on_error,
        progress=asked.progress,
    )
