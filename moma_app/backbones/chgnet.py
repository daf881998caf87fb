"""CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023)), arranged so that little is computed twice.

The network and its numbers are those of the ``chgnet`` package, v0.3.0; the arithmetic is less:

- The first linear layer of each gated MLP acts on a concatenation such as [v_i, e_ij, v_j]. Its
  matrix is split by blocks, the atom blocks act once per atom and the bond blocks once per
  undirected bond, and the results are gathered and added. No concatenation per edge exists.
- Bonds longer than 3 Å have no angles, so their features never change: only short bonds are updated.
- Core and gate of a gated MLP share one first matrix product.
- The last angle update of the original feeds nothing; it is left out, with its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from moma_app.backbones.algebra import apply_linear, apply_norm, linear, look_up
from moma_app.backbones.base import Backbone, BackboneInfo, Network
from moma_app.backbones.building import GraphBuilder
from moma_app.backbones.chgnet_graph import ATOM_CUTOFF, BOND_CUTOFF, MAX_NUMBER, SCHEMA, build_graphs
from moma_app.backbones.gated import WIDTH, First, GatedTail, Rows, gated_messages
from moma_app.backbones.graphs import Batch, Field, Graph
from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum
from moma_app.errors import DataNotFoundError
from moma_app.native.build import kernels
from moma_app.structures import StructureSet

N_LAYERS = 4
N_RADIAL = 31
N_ANGULAR = 15
ENVELOPE_POWER = 8
LOWER_ATOMS, LOWER_SHORT = "lower_atoms", "lower_short"
"""Fields of features below the last layer, see :meth:`ChgnetNetwork.lower`."""
CHECKPOINT = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"


class RadialBasis(nn.Module):
    """Bessel functions under a polynomial envelope (Gasteiger et al., arXiv 2003.03123, Eq. 7-8)."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.frequencies = nn.Parameter(math.pi * torch.arange(1, N_RADIAL + 1, dtype=torch.float32))

    def forward(self, length: Tensor) -> Tensor:
        """Expand distances in Å, [n] -> [.., n, 31]."""
        p = ENVELOPE_POWER
        x = (length / self.cutoff).unsqueeze(1)
        envelope = (
            1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
        )
        envelope = torch.where(x < 1, envelope, torch.zeros_like(x))
        scale = math.sqrt(2 / self.cutoff) * envelope / length.unsqueeze(1)
        return torch.sin(self.frequencies.unsqueeze(-2) * x) * scale


class AngularBasis(nn.Module):
    """Fourier series of an angle (CHGNet, Eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1, N_ANGULAR + 1, dtype=torch.float32))

    def forward(self, angle: Tensor) -> Tensor:
        """Expand angles in radian, [n] -> [.., n, 31]."""
        phase = angle.unsqueeze(1) * self.frequencies.unsqueeze(-2)
        constant = torch.full_like(phase[..., :1], 1 / math.sqrt(2))
        return torch.cat([constant, phase.sin(), phase.cos()], dim=-1) / math.sqrt(math.pi)


class AtomConv(nn.Module):
    """Messages along all pairs within 6 Å, summed at the central atom (CHGNet, Eq. 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3 * WIDTH, 2 * WIDTH)  # blocks: centre, bond, neighbour
        self.tail = GatedTail(hidden=True)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, atoms: Tensor, bonds: Bonds, index: Index) -> Tensor:
        """Update atom features [.., n_atoms, 64]."""
        center, bond, neighbor = torch.split(self.first.weight, WIDTH, dim=-1)
        first = First(
            p=linear(atoms, center, self.first.bias),
            q=bonds.linear(bond),
            r=linear(atoms, neighbor),
        )
        return atoms + apply_linear(
            gated_messages(index.edges, first, self.tail, bonds.weights, summed=True), self.out
        )


class BondConv(nn.Module):
    """Messages between short bonds that meet at an atom (CHGNet, Eq. 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4 * WIDTH, 2 * WIDTH)  # blocks: first bond, second bond, angle, atom
        self.tail = GatedTail(hidden=True)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, atoms: Tensor, bonds: Bonds, angles: Angles, index: Index) -> Tensor:
        """Return what is added to the short bonds' features, [.., n_short, 64]."""
        first = _first_layer_on_angles(self.first, atoms, bonds, angles, index)
        weights = gather(bonds.short_weights, index.arm_short)
        arms = gated_messages(index.angles, first, self.tail, weights, summed=True) * weights
        return apply_linear(scatter_sum(arms, index.arm_short), self.out)


class AngleUpdate(nn.Module):
    """New angle features from the two bonds and the atom between (CHGNet, Eq. 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4 * WIDTH, 2 * WIDTH)
        self.tail = GatedTail(hidden=False)

    def forward(self, atoms: Tensor, bonds: Bonds, angles: Angles, index: Index) -> Tensor:
        """Return what is added to the angle features, [.., n_angles, 64]."""
        first = _first_layer_on_angles(self.first, atoms, bonds, angles, index)
        return gated_messages(index.angles, first, self.tail, summed=False)


def _first_layer_on_angles(
    layer: nn.Linear, atoms: Tensor, bonds: Bonds, angles: Angles, index: Index
) -> First:
    """Split a linear layer on [bond of first arm, bond of second arm, angle, atom] by its blocks."""
    first, second, angle, atom = torch.split(layer.weight, WIDTH, dim=-1)
    at_center = gather(linear(atoms, atom, layer.bias), index.arm_center)
    x, x_weight = angles.factors(angle)
    return First(
        p=gather(linear(bonds.short, first), index.arm_short) + at_center,
        q=gather(linear(bonds.short, second), index.arm_short),
        x=x,
        x_weight=x_weight,
    )


class Bonds:
    """Bond features: E basis for every bond, and what was added to the short ones since.

    Args:
        basis: expanded lengths, [.., n_bonds, 31].
        embedding: the matrix E, [.., 64, 31].
        weights: factors on messages along a bond, [.., n_bonds, 64].
        short_bond: which bonds are short, int64 [n_short].
        short_weights: factors on messages between short bonds, [.., n_short, 64].
        added: what was added to the short bonds' features, [.., n_short, 64]; nothing yet if ``None``.
    """

    def __init__(
        self,
        *,
        basis: Tensor,
        embedding: Tensor,
        weights: Tensor,
        short_bond: Tensor,
        short_weights: Tensor,
        added: Tensor | None = None,
    ) -> None:
        self.basis = basis
        self.embedding = embedding
        self.weights = weights
        self.short_bond = short_bond
        self.short_weights = short_weights
        self.added = added
        self.short_start = linear(look_up(basis, short_bond), embedding)

    @property
    def short(self) -> Tensor:
        """Features of the short bonds, [.., n_short, 64]."""
        return self.short_start if self.added is None else self.short_start + self.added

    def add(self, update: Tensor) -> None:
        """Update the short bonds' features."""
        self.added = update if self.added is None else self.added + update

    def linear(self, weight: Tensor) -> Tensor:
        """Apply a matrix [.., 128, 64] to all bonds' features; (W E) basis needs half the work of W (E basis)."""
        table = linear(self.basis, weight @ self.embedding)
        if self.added is None:
            return table
        change = linear(self.added, weight)
        if change.dim() > table.dim():
            table = table.expand(len(change), -1, -1).clone()
        return table.index_add_(-2, self.short_bond, change)


class Angles:
    """Angle features: E basis, and what was added to it.

    Args:
        basis: expanded angles, [.., n_angles, 31].
        embedding: the matrix E, [.., 64, 31].
    """

    def __init__(self, basis: Tensor, embedding: Tensor) -> None:
        self.basis = basis
        self.embedding = embedding
        self.features: Tensor | None = None

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and matrix whose product is the matrix [.., 128, 64] applied to the angles."""
        if self.features is None:
            return self.basis, weight @ self.embedding
        return self.features, weight

    def add(self, update: Tensor) -> None:
        """Update the features."""
        before = linear(self.basis, self.embedding) if self.features is None else self.features
        self.features = before + update


class Index:
    """Which rows belong together, made once for a batch and used by every layer."""

    def __init__(self, batch: Batch) -> None:
        n_atoms, n_bonds = batch.n_atoms_total, len(batch["bond_length"])
        self.edges = Rows(
            i=EdgeIndex(batch["edge_center"], n_atoms, is_sorted=True),
            j=EdgeIndex(batch["edge_bond"], n_bonds),
            k=EdgeIndex(batch["edge_neighbor"], n_atoms),
            ptr=batch.ptr["edge"],
        )
        if "angle" not in batch.tensors:  # features below the last layer are given, it has no angles
            return
        n_short, n_arms = len(batch["short_bond"]), len(batch["arm_short"])
        self.angles = Rows(
            i=EdgeIndex(batch["angle_first"], n_arms, is_sorted=True),
            j=EdgeIndex(batch["angle_second"], n_arms),
            k=None,
            ptr=batch.ptr["angle"],
        )
        self.arm_center = EdgeIndex(batch["arm_center"], n_atoms, is_sorted=True)
        self.arm_short = EdgeIndex(batch["arm_short"], n_short)


class ChgnetNetwork(Network):
    """CHGNet's interaction layers; atom features after each of the four atom convolutions."""

    stackable = True
    lower_fields: ClassVar[Mapping[str, Field]] = {
        LOWER_ATOMS: Field("atom", "float32", shape=((N_LAYERS - 1) * WIDTH,)),
        LOWER_SHORT: Field("short", "float32", shape=(WIDTH,)),
    }
    upper_reads = ("numbers", "edge_center", "edge_neighbor", "edge_bond", "bond_length", "short_bond")
    fixed = ("pair_basis.frequencies", "short_basis.frequencies", "angle_basis.frequencies")

    def __init__(self) -> None:
        super().__init__()
        self.atom_embedding = nn.Embedding(MAX_NUMBER, WIDTH)
        self.pair_basis = RadialBasis(ATOM_CUTOFF)
        self.short_basis = RadialBasis(BOND_CUTOFF)
        self.angle_basis = AngularBasis()
        self.bond_embedding = nn.Linear(N_RADIAL, WIDTH, bias=False)
        self.pair_weights = nn.Linear(N_RADIAL, WIDTH, bias=False)
        self.short_weights = nn.Linear(N_RADIAL, WIDTH, bias=False)
        self.angle_embedding = nn.Linear(2 * N_ANGULAR + 1, WIDTH, bias=False)
        self.atom_convs = nn.ModuleList(AtomConv() for _ in range(N_LAYERS))
        self.bond_convs = nn.ModuleList(BondConv() for _ in range(N_LAYERS - 1))
        self.angle_updates = nn.ModuleList(AngleUpdate() for _ in range(N_LAYERS - 2))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return atom features [n_atoms, 64] after each layer; the last is normalised (readout norm)."""
        index = Index(batch)
        bonds = self._bonds(batch)
        lower = batch.tensors if LOWER_ATOMS in batch.tensors else self._lower(batch, bonds, index)
        bonds.added = lower[LOWER_SHORT]
        *earlier, atoms = torch.split(lower[LOWER_ATOMS], WIDTH, dim=-1)
        last = self.interaction(N_LAYERS - 1, self.atom_convs[-1](atoms, bonds, index))
        return [*earlier, atoms, apply_norm(last, self.norm)]

    def lower(self, batch: Batch) -> dict[str, Tensor]:
        """Return atom features of all layers but the last, and what was added to the short bonds."""
        return self._lower(batch, self._bonds(batch), Index(batch))

    def last_layer(self) -> list[nn.Module]:
        """Return the last atom convolution and the norm after it."""
        return [self.atom_convs[-1], self.norm]

    def _bonds(self, batch: Batch) -> Bonds:
        length, short_bond = batch["bond_length"], batch["short_bond"]
        pair_basis = self.pair_basis(length)
        return Bonds(
            basis=pair_basis,
            embedding=self.bond_embedding.weight,
            weights=apply_linear(pair_basis, self.pair_weights),
            short_bond=short_bond,
            short_weights=apply_linear(self.short_basis(length[short_bond]), self.short_weights),
        )

    def _lower(self, batch: Batch, bonds: Bonds, index: Index) -> dict[str, Tensor]:
        atoms = look_up(self.atom_embedding.weight, batch["numbers"] - 1)
        angles = Angles(self.angle_basis(batch["angle"]), self.angle_embedding.weight)
        has_angles = len(batch["angle"]) > 0
        outputs = []
        for layer, atom_conv in enumerate(self.atom_convs[:-1]):
            atoms = self.interaction(layer, atom_conv(atoms, bonds, index))
            outputs.append(atoms)
            if has_angles:
                bonds.add(self.bond_convs[layer](atoms, bonds, angles, index))
                if layer < len(self.angle_updates):
                    angles.add(self.angle_updates[layer](atoms, bonds, angles, index))
        added = torch.zeros_like(bonds.short) if bonds.added is None else bonds.added
        rank = max(output.dim() for output in outputs)
        outputs = [output.expand(*outputs[-1].shape[: rank - 2], -1, -1) for output in outputs]
        return {LOWER_ATOMS: torch.cat(outputs, dim=-1), LOWER_SHORT: added}


class ChgnetBackbone(Backbone):
    """CHGNet with the weights that the ``chgnet`` package carries (v0.3.0, trained on MPtrj)."""

    schema = SCHEMA
    info = BackboneInfo(
        name="chgnet",
        width=WIDTH,
        n_layers=N_LAYERS,
        default_layers="all",
        cutoff=ATOM_CUTOFF,
        citation="Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3",
        weights_licence="BSD-3-Clause-LBNL",
    )

    def graph(self, structure: Any) -> Graph:
        """Build the atom and bond graph of one structure."""
        return build_graphs(StructureSet.from_any([structure]))[0]

    @property
    def builder(self) -> GraphBuilder:
        """Builds the graphs of many structures together."""
        return build_graphs

    def advice(self, device: torch.device) -> str | None:
        """Say so if the compiled kernels could not be built."""
        if device.type != "cpu":
            return None
        found = kernels()
        return found.about if found.missing else None

    def network(self) -> ChgnetNetwork:
        """Return a network with random weights."""
        return ChgnetNetwork()

    def pretrained_state(self) -> Mapping[str, Tensor]:
        """Return the interaction layers' tensors of CHGNet v0.3.0."""
        return _pretrained_state()


@cache
def package_state() -> dict[str, Tensor]:
    """Read the state dict of CHGNet v0.3.0 from the installed ``chgnet`` package.

    Raises:
        DataNotFoundError: the package, or its weights file, is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("chgnet")
    path = Path(spec.origin).parent / CHECKPOINT if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DataNotFoundError(
            "The CHGNet v0.3.0 weights come with the Python package 'chgnet', which is not installed here: "
            "run pip install chgnet."
        )
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = checkpoint["model"]["state_dict"]
    return state


@cache
def _pretrained_state() -> dict[str, Tensor]:
    return convert_state(package_state())


def convert_state(package: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and stack the package's tensors into those of :class:`ChgnetNetwork`."""
    basis = "bond_basis_expansion.rbf_expansion"
    state = {
        "atom_embedding.weight": package["atom_embedding.embedding.weight"],
        "pair_basis.frequencies": package[f"{basis}_ag.frequencies"],
        "short_basis.frequencies": package[f"{basis}_bg.frequencies"],
        "angle_basis.frequencies": package["angle_basis_expansion.fourier_expansion.frequencies"],
        "bond_embedding.weight": package["bond_embedding.weight"],
        "pair_weights.weight": package["bond_weights_ag.weight"],
        "short_weights.weight": package["bond_weights_bg.weight"],
        "angle_embedding.weight": package["angle_embedding.weight"],
        "norm.weight": package["readout_norm.weight"],
        "norm.bias": package["readout_norm.bias"],
    }
    groups = [
        ("atom_conv_layers", "twoBody_atom", "atom_convs", N_LAYERS, True),
        ("bond_conv_layers", "twoBody_bond", "bond_convs", N_LAYERS - 1, True),
        ("angle_layers", "twoBody_bond", "angle_updates", N_LAYERS - 2, False),
    ]
    for theirs, mlp, ours, count, hidden in groups:
        first = 0 if hidden else 1  # without a hidden layer, the only linear one follows a dropout
        for layer in range(count):
            source, target = f"{theirs}.{layer}.{mlp}", f"{ours}.{layer}"
            for kind in ("weight", "bias"):
                core, gate = (
                    package[f"{source}.mlp_{half}.layers.{first}.{kind}"] for half in ("core", "gate")
                )
                state[f"{target}.first.{kind}"] = torch.cat([core, gate])
                state[f"{target}.tail.core_norm.{kind}"] = package[f"{source}.bn1.{kind}"]
                state[f"{target}.tail.gate_norm.{kind}"] = package[f"{source}.bn2.{kind}"]
                if hidden:
                    for half in ("core", "gate"):
                        state[f"{target}.tail.{half}.{kind}"] = package[
                            f"{source}.mlp_{half}.layers.3.{kind}"
                        ]
            if hidden:
                state[f"{target}.out.weight"] = package[f"{theirs}.{layer}.mlp_out.layers.1.weight"]
    return state


class EnergyReadout(nn.Module):
    """CHGNet's own energy prediction on top of the normalised last atom features.

    Used to check the network against the package; AMC has no need of it.
    """

    def __init__(self) -> None:
        super().__init__()
        package = package_state()
        self.reference = nn.Parameter(package["composition_model.fc.weight"].reshape(-1).clone())
        sizes = [(0, WIDTH), (2, WIDTH), (4, WIDTH), (7, 1)]
        layers = [nn.Linear(WIDTH, out) for _, out in sizes]
        self.layers = nn.ModuleList(layers)
        with torch.no_grad():
            for (number, _), layer in zip(sizes, layers, strict=True):
                layer.weight.copy_(package[f"mlp.layers.{number}.weight"])
                layer.bias.copy_(package[f"mlp.layers.{number}.bias"])

    def forward(self, features: Tensor, batch: Batch) -> Tensor:
        """Return the energy per atom in eV, [n_structures], from atom features [n_atoms, 64]."""
        from moma_app.backbones.base import pool

        for layer in self.layers[:-1]:
            features = F.silu(layer(features))
        site = self.layers[-1](features) + self.reference[batch["numbers"] - 1].unsqueeze(1)
        return pool(site, batch, "mean").squeeze(1)


def backbone() -> ChgnetBackbone:
    """Return the backbone; the entry point of the registry."""
    return ChgnetBackbone()
