"""CGCNN (Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)) as Chang et al. train it.

Settings and extractors: Chang et al., npj Comput. Mater. 8, 242 (2022), github.com/rees-c/MoE
(MIT License). The network's tensors have the names of theirs, so that an extractor is read by
splitting it into network and head (:func:`convert_state`).

The linear layer of a convolution acts on [v_i, v_j, e_ij]. Its matrix is split by these blocks:
the atom blocks act once per atom, the results are gathered and added, and no concatenation per
edge exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from moma_app.backbones.base import (
    Backbone,
    BackboneInfo,
    Network,
    crystal_embedding,
)
from moma_app.backbones.building import GraphBuilder
from moma_app.backbones.cgcnn_graph import (
    CUTOFF,
    N_ELEMENT_FEATURES,
    SCHEMA,
    build_graphs,
    element_features,
)
from moma_app.backbones.graphs import Batch, Field, Graph
from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum
from moma_app.errors import DamagedFileError, IncompatibleError
from moma_app.structures import StructureSet

WIDTH = 64
N_LAYERS = 4
N_GAUSSIANS = 41
GAUSSIAN_STEP = 0.2
HEAD_WIDTH = 32
LOWER_ATOMS = "lower_atoms"
"""Field of features below the last convolution, see :meth:`CgcnnNetwork.lower`."""
SEED = 123
"""Seed of the common initialisation, see :meth:`CgcnnBackbone.pretrained_state`."""


class GaussianBasis(nn.Module):
    """exp(-(d - μ)²/0.2²) at μ = 0, 0.2, …, 8 Å."""

    centers: Tensor

    def __init__(self) -> None:
        super().__init__()
        centers = torch.arange(N_GAUSSIANS, dtype=torch.float64) * GAUSSIAN_STEP
        self.register_buffer("centers", centers.to(torch.float32), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances in Å, [n] -> [n, 41]."""
        return torch.exp(-(((distance.unsqueeze(1) - self.centers) / GAUSSIAN_STEP) ** 2))


class BatchNorm(nn.Module):
    """Batch normalisation whose state can be averaged, and which stays as it is when frozen.

    Two differences from ``nn.BatchNorm1d``. It does not count batches: that number differs
    between any two modules, and means nothing for their average. And a layer whose weight needs
    no gradient is frozen: it keeps and uses its running statistics in training mode too, as a
    backbone under adapters must. So does a batch of a single row, which has no variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise each column of [n, width]."""
        learns = self.training and self.weight.requires_grad and len(rows) > 1
        return F.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, training=learns, momentum=0.1
        )


class Convolution(nn.Module):
    """Gated messages from the nearest neighbours (Xie and Grossman, Eq. 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_full = nn.Linear(2 * WIDTH + N_GAUSSIANS, 2 * WIDTH)  # blocks: centre, neighbour, distance
        self.bn1 = BatchNorm(2 * WIDTH)
        self.bn2 = BatchNorm(WIDTH)

    def forward(self, atoms: Tensor, basis: Tensor, center: EdgeIndex, neighbor: EdgeIndex) -> Tensor:
        """Update atom features [n_atoms, 64] along edges with distance features [n_edges, 41]."""
        of_center, of_neighbor, of_edge = torch.split(self.fc_full.weight, [WIDTH, WIDTH, N_GAUSSIANS], dim=1)
        full = F.linear(basis, of_edge, self.fc_full.bias)
        full = full + gather(F.linear(atoms, of_center), center)
        full = full + gather(F.linear(atoms, of_neighbor), neighbor)
        gate, core = self.bn1(full).chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core)
        return F.softplus(atoms + self.bn2(scatter_sum(messages, center)))


class CgcnnNetwork(Network):
    """CGCNN up to its last convolution; atom features after each of the four."""

    elements: Tensor
    lower_fields: ClassVar[Mapping[str, Field]] = {
        LOWER_ATOMS: Field("atom", "float32", shape=((N_LAYERS - 1) * WIDTH,))
    }
    upper_reads = tuple(SCHEMA.fields)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("elements", torch.tensor(element_features()), persistent=False)
        self.basis = GaussianBasis()
        self.embedding = nn.Linear(N_ELEMENT_FEATURES, WIDTH)
        self.convs = nn.ModuleList(Convolution() for _ in range(N_LAYERS))

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return atom features [n_atoms, 64] after each convolution."""
        lower = batch.tensors if LOWER_ATOMS in batch.tensors else self.lower(batch)
        earlier = list(torch.split(lower[LOWER_ATOMS], WIDTH, dim=1))
        last = self.convs[-1](earlier[-1], *self._edges(batch))
        return [*earlier, self.interaction(N_LAYERS - 1, last)]

    def lower(self, batch: Batch) -> dict[str, Tensor]:
        """Return the atom features after all convolutions but the last, side by side."""
        edges = self._edges(batch)
        atoms = self.embedding(self.elements[batch["numbers"] - 1])
        outputs = []
        for layer, conv in enumerate(self.convs[:-1]):
            atoms = self.interaction(layer, conv(atoms, *edges))
            outputs.append(atoms)
        return {LOWER_ATOMS: torch.cat(outputs, dim=1)}

    def last_layer(self) -> list[nn.Module]:
        """Return the last convolution."""
        return [self.convs[-1]]

    def _edges(self, batch: Batch) -> tuple[Tensor, EdgeIndex, EdgeIndex]:
        center = EdgeIndex(batch["edge_center"], batch.n_atoms_total, is_sorted=True)
        neighbor = EdgeIndex(batch["edge_neighbor"], batch.n_atoms_total)
        return self.basis(batch["distance"]), center, neighbor


class CgcnnBackbone(Backbone):
    """CGCNN, which has no pre-trained weights: its modules start from one common initialisation."""

    schema = SCHEMA
    info = BackboneInfo(
        name="cgcnn",
        width=WIDTH,
        n_layers=N_LAYERS,
        default_layers="last",
        cutoff=CUTOFF,
        citation="Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), "
        "doi:10.1103/PhysRevLett.120.145301; Chang et al., npj Comput. Mater. 8, 242 (2022), "
        "doi:10.1038/s41524-022-00929-x",
        weights_licence="MIT",
        trained=False,
    )

    def graph(self, structure: Any) -> Graph:
        """Build the graph of the 12 nearest neighbours of one structure."""
        return build_graphs(StructureSet.from_any([structure]))[0]

    @property
    def builder(self) -> GraphBuilder:
        """Builds the graphs of many structures together."""
        return build_graphs

    def network(self) -> CgcnnNetwork:
        """Return a network with random weights."""
        return CgcnnNetwork()

    def pretrained_state(self) -> Mapping[str, Tensor]:
        """Return the common initialisation: random, but the same on every machine and in every session.

        Nobody has pre-trained CGCNN once for all; its modules are trained from scratch. Averages
        of networks are useful only near a common starting point, so all modules of this backbone
        start from these numbers, which play the part of pre-trained weights and give the
        fingerprint. torch's random state is neither read nor changed.
        """
        return _initial_state()


@cache
def _initial_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng(devices=[]):
        network = CgcnnNetwork()
    for layer in network.modules():
        if isinstance(layer, nn.Linear):  # as nn.Linear itself does, from a generator of our own
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return network.state()


class ExtractorHead(nn.Module):
    """What the authors put on top of the last convolution: one hidden layer, then the property."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_to_fc = nn.Linear(WIDTH, HEAD_WIDTH)
        self.fc_out = nn.Linear(HEAD_WIDTH, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Predict the standardised property [n] from the authors' embeddings [n, 64]."""
        hidden: Tensor = F.softplus(self.conv_to_fc(embedding))
        return self.fc_out(hidden).squeeze(1)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that Chang et al. trained for one property, with its head.

    Attributes:
        network: the convolutions, in evaluation mode.
        head: the readout, in evaluation mode.
        mean: mean of the property over the authors' training rows, in the task's unit.
        std: its standard deviation.
    """

    network: CgcnnNetwork
    head: ExtractorHead
    mean: float
    std: float


def authors_embedding(network: Network, batch: Batch) -> Tensor:
    """Return the crystal embeddings of Chang et al., [n_structures, 64].

    They are softplus(mean over atoms of the last convolution's output), hence above ln 2.
    """
    return crystal_embedding(network, batch, "last-softplus", "mean")


def authors_prediction(extractor: Extractor, batch: Batch, *, standardised: bool = False) -> Tensor:
    """Return an extractor's predictions [n_structures], in the task's unit unless ``standardised``."""
    value: Tensor = extractor.head(authors_embedding(extractor.network, batch))
    return value if standardised else value * extractor.std + extractor.mean


def convert_state(authors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split an extractor's tensors into those of :class:`CgcnnNetwork` and :class:`ExtractorHead`.

    The counters of batches (``num_batches_tracked``) are left out: the network has none.

    Raises:
        IncompatibleError: a tensor is missing, unknown or of another shape.
    """
    with torch.device("meta"):  # names and shapes only
        network, head = CgcnnNetwork().state_dict(), ExtractorHead().state_dict()
    counters = {
        f"convs.{layer}.{norm}.num_batches_tracked" for layer in range(N_LAYERS) for norm in ("bn1", "bn2")
    }
    expected = {name: tensor.shape for name, tensor in (network | head).items()}
    missing = expected.keys() - authors.keys()
    unknown = authors.keys() - expected.keys() - counters
    misshapen = {name for name in expected.keys() & authors.keys() if authors[name].shape != expected[name]}
    problems = {"missing": missing, "unknown": unknown, "of another shape": misshapen}
    if any(problems.values()):
        found = "; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in problems.items() if names)
        raise IncompatibleError(f"These are not the tensors of a CGCNN extractor ({found}).")
    return {name: authors[name] for name in network}, {name: authors[name] for name in head}


def load_extractor(path: Path, entry: Mapping[str, Any]) -> Extractor:
    """Read one of the authors' extractors.

    Args:
        path: the tensors, as safetensors.
        entry: what is known of the file; ``entry["normalizer"]`` holds ``mean`` and ``std``.

    Raises:
        DamagedFileError: the file is no safetensors file, or the entry holds no usable normaliser.
        IncompatibleError: the tensors are not those of an extractor.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network_state, head_state = convert_state(load_file(path))
    except SafetensorError as exc:
        raise DamagedFileError(f"{path} is not a readable safetensors file ({exc}).") from exc
    try:
        mean, std = (float(entry["normalizer"][name]) for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as exc:
        raise DamagedFileError(f"The index entry of {path.name} has no normaliser (mean and std).") from exc
    network, head = CgcnnNetwork(), ExtractorHead()
    network.load_state_dict(network_state, strict=True)
    head.load_state_dict(head_state, strict=True)
    return Extractor(network.eval(), head.eval(), mean, std)


def backbone() -> CgcnnBackbone:
    """Return the backbone; the entry point of the registry."""
    return CgcnnBackbone()
