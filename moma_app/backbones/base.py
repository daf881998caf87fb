"""What a backbone is: structures in, node features out.

A backbone is small on purpose. Abilities that not every architecture has, such as predicting
with its own pre-trained readout, are separate functions of its file, not methods to stub.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from moma_app.backbones.building import GraphBuilder, build_in_chunks
from moma_app.backbones.graphs import Batch, Field, Graph, GraphSet, Schema
from moma_app.backbones.segments import EdgeIndex, scatter_max, scatter_sum
from moma_app.choices import HeadPooling, Layers, Pooling
from moma_app.progress import Listener, silent
from moma_app.structures import Crystal, StructureSet

EMBEDDING = "embedding"
"""Field of a batch that holds crystal embeddings computed beforehand."""


class Network(nn.Module, ABC):
    """The trainable part of a backbone: a graph batch in, features of every atom out.

    After each interaction layer the forward pass calls :meth:`interaction`, which is where
    adapters act. Subclasses hold nothing that is not a parameter or buffer of a module.

    Attributes:
        stackable: the forward pass accepts parameters of several modules at once, with a leading
            dimension (see :mod:`moma_app.backbones.algebra`).
        lower_fields: what :meth:`lower` gives, as fields of a graph; empty if the network cannot
            be cut below its last interaction layer.
        upper_reads: fields of the backbone's graphs that the last layer needs besides.
    """

    stackable: ClassVar[bool] = False
    lower_fields: ClassVar[Mapping[str, Field]] = {}
    upper_reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.adapters = nn.ModuleList()

    @abstractmethod
    def forward(self, batch: Batch) -> list[Tensor]:
        """Return the atom features after every interaction layer, each [n_atoms, width]."""

    def lower(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the last interaction layer starts from; a batch with these fields starts there."""
        raise NotImplementedError

    def last_layer(self) -> list[nn.Module]:
        """Return the parts that belong to the last interaction layer."""
        return []

    def interaction(self, layer: int, features: Tensor) -> Tensor:
        """Pass atom features [n_atoms, width] through the adapter of that layer, if there is one."""
        return self.adapters[layer](features) if len(self.adapters) else features

    def state(self) -> dict[str, Tensor]:
        """Return the backbone's own tensors, without adapters."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("adapters.")}


@dataclass(frozen=True)
class BackboneInfo:
    """Facts about a backbone that a card or a dashboard shows.

    Attributes:
        name: name in the registry.
        width: length of one layer's atom features.
        n_layers: number of interaction layers.
        default_layers: which layers feed the head unless told otherwise.
        cutoff: radius of the neighbour search in Å; an atom without a neighbour inside is refused.
        citation: where the architecture and weights come from.
        weights_licence: licence of the pre-trained weights.
        trained: the weights are pre-trained; otherwise they are an initialisation, and a module may
            have started from another one.
    """

    name: str
    width: int
    n_layers: int
    default_layers: Layers
    cutoff: float
    citation: str
    weights_licence: str
    trained: bool = True


class Backbone(ABC):
    """Turns structures into graphs, and graphs into node features."""

    info: BackboneInfo
    schema: Schema

    @abstractmethod
    def graph(self, structure: Any) -> Graph:
        """Build the graph of one structure (pymatgen, ASE or ``Crystal``).

        Raises:
            InputError: an element the backbone does not know, or an atom without neighbours.
        """

    @abstractmethod
    def network(self) -> Network:
        """Return a new network without trained weights (initialised from torch's random state)."""

    @abstractmethod
    def pretrained_state(self) -> Mapping[str, Tensor]:
        """Return the pre-trained tensors, named as in :meth:`network`.

        Raises:
            DataNotFoundError: the weights are not on this machine.
        """

    def pretrained(self) -> Network:
        """Return a network with the pre-trained weights, loaded strictly."""
        network = self.network()
        network.load_state_dict(dict(self.pretrained_state()), strict=True)
        return network

    @property
    def fingerprint(self) -> str:
        """Identity of the pre-trained weights: 16 hexadecimal digits over names, shapes, values."""
        return fingerprint(self.pretrained_state())

    @property
    def graph_key(self) -> str:
        """Identity of the graph construction; cached graphs of another key are not reused."""
        return f"{self.info.name}-{self.info.cutoff:g}"

    @property
    def builder(self) -> GraphBuilder:
        """What builds the graphs of many structures: :meth:`graph` for each, unless overridden.

        A backbone that can build many at once overrides it with a function of a module that does not
        import torch, so that processes which only build graphs start quickly.
        """
        return self._graph_of_each

    def _graph_of_each(self, structures: StructureSet) -> GraphSet:
        return GraphSet.pack(self.schema, [self.graph(crystal) for crystal in structures])

    def graphs(self, structures: Iterable[Any], progress: Listener = silent) -> GraphSet:
        """Build the graphs of many structures, in order; in several processes if it would take long.

        Raises:
            StructureRefusedError: as :meth:`graph`; it names the position of the structure.
        """
        return build_in_chunks(self.builder, self.schema, StructureSet.from_any(structures), progress)

    def advice(self, device: torch.device) -> str | None:
        """Return one sentence on what would make this backbone faster on the machine, if there is such."""
        return None

    def collate(self, graphs: Iterable[Graph]) -> Batch:
        """Make one batch of several graphs."""
        packed = GraphSet.pack(self.schema, graphs)
        return packed.batch(range(len(packed)))

    def feature_width(self, layers: Layers) -> int:
        """Length d of a crystal embedding."""
        return self.info.width * (self.info.n_layers if layers == "all" else 1)


def node_features(network: Network, batch: Batch, layers: Layers) -> Tensor:
    """Return the atom features that feed the head: [n_atoms, d].

    ``layers="all"`` puts the features of every interaction layer side by side, the others take
    those of the last.
    """
    return join_layers(network(batch), layers)


def join_layers(outputs: list[Tensor], layers: Layers) -> Tensor:
    """Put the layers' atom features side by side, or take the last: [.., n_atoms, d]."""
    return torch.cat(outputs, dim=-1) if layers == "all" else outputs[-1]


def pooling_of(*, extensive: bool, head: HeadPooling = "mean") -> Pooling:
    """Return how atoms are pooled.

    Args:
        extensive: the property grows with the cell, so that its mean is a sum.
        head: what the head asks for.
    """
    return "sum" if extensive and head == "mean" else head


def pool(features: Tensor, batch: Batch, pooling: Pooling = "mean", gate: Tensor | None = None) -> Tensor:
    """Reduce atom features [.., n_atoms, d] to crystal embeddings [.., n_structures, d].

    Args:
        features: of all atoms.
        batch: says which atoms belong to which crystal.
        pooling: mean, sum or maximum over a crystal's atoms, or their mean weighted by attention.
        gate: for attention, [.., d]: an atom's weight is the softmax over its crystal of its features times this.
    """
    counts = batch.n_atoms
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    atoms = EdgeIndex(owner, len(counts), is_sorted=True)
    if pooling == "max":
        return scatter_max(features, atoms)
    if pooling == "attention":
        assert gate is not None, "attention needs a gate"
        scores = (features * gate.unsqueeze(-2)).sum(-1, keepdim=True)
        weights = (scores - scatter_max(scores.detach(), atoms).index_select(-2, owner)).exp()
        return scatter_sum(weights * features, atoms) / scatter_sum(weights, atoms)
    summed = scatter_sum(features, atoms)
    return summed if pooling == "sum" else summed / counts.unsqueeze(1)


def embed_atoms(
    outputs: list[Tensor],
    batch: Batch,
    layers: Layers,
    pooling: Pooling = "mean",
    gate: Tensor | None = None,
) -> Tensor:
    """Reduce the atom features of every layer to crystal embeddings [.., n_structures, d].

    A softplus acts on means, so that it does not see the size of the cell; a sum is then the mean
    times the number of atoms.
    """
    features = join_layers(outputs, layers)
    if layers != "last-softplus":
        return pool(features, batch, pooling, gate)
    if pooling != "sum":
        return F.softplus(pool(features, batch, pooling, gate))
    return F.softplus(pool(features, batch, "mean")) * batch.n_atoms.unsqueeze(1)


def crystal_embedding(
    network: Network,
    batch: Batch,
    layers: Layers,
    pooling: Pooling = "mean",
    gate: Tensor | None = None,
) -> Tensor:
    """Return crystal embeddings [n_structures, d] of a batch; those that it carries already, if any."""
    if EMBEDDING in batch.tensors:
        return batch[EMBEDDING]
    return embed_atoms(network(batch), batch, layers, pooling, gate)


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """Hash the names, types, shapes and values of tensors; the order of names does not matter."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{array.dtype}|{tuple(array.shape)}|".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def as_crystal(structure: Any) -> Crystal:
    """Convert a structure of another library, once, at the edge."""
    return Crystal.from_any(structure)
