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
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from moma_app.backbones.base import Backbone, BackboneInfo, Network, as_crystal, check_elements
from moma_app.backbones.chgnet_graph import ATOM_CUTOFF, BOND_CUTOFF, SCHEMA, build_graph
from moma_app.backbones.graphs import Batch, Graph
from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum
from moma_app.errors import DataNotFoundError

WIDTH = 64
N_LAYERS = 4
N_RADIAL = 31
N_ANGULAR = 15
MAX_NUMBER = 94
ENVELOPE_POWER = 8
CHECKPOINT = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"


class RadialBasis(nn.Module):
    """Bessel functions under a polynomial envelope (Gasteiger et al., arXiv 2003.03123, Eq. 7-8)."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.frequencies = nn.Parameter(math.pi * torch.arange(1, N_RADIAL + 1, dtype=torch.float32))

    def forward(self, length: Tensor) -> Tensor:
        """Expand distances in Å, [n] -> [n, 31]."""
        p = ENVELOPE_POWER
        x = (length / self.cutoff).unsqueeze(1)
        envelope = (
            1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
        )
        envelope = torch.where(x < 1, envelope, torch.zeros_like(x))
        scale = math.sqrt(2 / self.cutoff) * envelope / length.unsqueeze(1)
        return torch.sin(self.frequencies * x) * scale


class AngularBasis(nn.Module):
    """Fourier series of an angle (CHGNet, Eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1, N_ANGULAR + 1, dtype=torch.float32))

    def forward(self, angle: Tensor) -> Tensor:
        """Expand angles in radian, [n] -> [n, 31]."""
        phase = angle.unsqueeze(1) * self.frequencies
        constant = torch.full_like(angle, 1 / math.sqrt(2)).unsqueeze(1)
        return torch.cat([constant, phase.sin(), phase.cos()], dim=1) / math.sqrt(math.pi)


class GatedTail(nn.Module):
    """What follows the first linear layer of a gated MLP: silu(norm(core)) · sigmoid(norm(gate))."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self.core = nn.Linear(WIDTH, WIDTH) if hidden else None
        self.gate = nn.Linear(WIDTH, WIDTH) if hidden else None
        self.core_norm = nn.LayerNorm(WIDTH)
        self.gate_norm = nn.LayerNorm(WIDTH)

    def forward(self, first: Tensor) -> Tensor:
        """Map the first layer's output [n, 128] (core, then gate) to [n, 64]."""
        core, gate = first[:, :WIDTH], first[:, WIDTH:]
        if self.core is not None and self.gate is not None:
            core, gate = self.core(F.silu(core)), self.gate(F.silu(gate))
        return F.silu(self.core_norm(core)) * torch.sigmoid(self.gate_norm(gate))


class AtomConv(nn.Module):
    """Messages along all pairs within 6 Å, summed at the central atom (CHGNet, Eq. 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3 * WIDTH, 2 * WIDTH)  # blocks: centre, bond, neighbour
        self.tail = GatedTail(hidden=True)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, weights: Tensor, index: Index) -> Tensor:
        """Update atom features [n_atoms, 64] from bond features and bond weights [n_bonds, 64]."""
        center, bond, neighbor = torch.split(self.first.weight, WIDTH, dim=1)
        first = gather(F.linear(atoms, center, self.first.bias), index.edge_center)
        first = first + gather(F.linear(bonds, bond), index.edge_bond)
        first = first + gather(F.linear(atoms, neighbor), index.edge_neighbor)
        messages = self.tail(first) * gather(weights, index.edge_bond)
        update: Tensor = self.out(scatter_sum(messages, index.edge_center))
        return atoms + update


class BondConv(nn.Module):
    """Messages between short bonds that meet at an atom (CHGNet, Eq. 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4 * WIDTH, 2 * WIDTH)  # blocks: first bond, second bond, angle, atom
        self.tail = GatedTail(hidden=True)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, weights: Tensor, index: Index) -> Tensor:
        """Update short-bond features [n_short, 64] from angle features [n_angles, 64]."""
        first = _first_layer_on_angles(self.first, atoms, bonds, angles, index)
        arm_weights = gather(weights, index.arm_short)
        messages = self.tail(first) * gather(arm_weights, index.angle_second)
        arms = scatter_sum(messages, index.angle_first) * arm_weights
        update: Tensor = self.out(scatter_sum(arms, index.arm_short))
        return bonds + update


class AngleUpdate(nn.Module):
    """New angle features from the two bonds and the atom between (CHGNet, Eq. 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4 * WIDTH, 2 * WIDTH)
        self.tail = GatedTail(hidden=False)

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, index: Index) -> Tensor:
        """Update angle features [n_angles, 64]."""
        update: Tensor = self.tail(_first_layer_on_angles(self.first, atoms, bonds, angles, index))
        return angles + update


def _first_layer_on_angles(
    layer: nn.Linear, atoms: Tensor, bonds: Tensor, angles: Tensor, index: Index
) -> Tensor:
    """Apply a linear layer to [bond of first arm, bond of second arm, angle, atom] without building it."""
    first, second, angle, atom = torch.split(layer.weight, WIDTH, dim=1)
    at_first = gather(F.linear(bonds, first), index.arm_short) + gather(
        F.linear(atoms, atom), index.arm_center
    )
    at_second = gather(F.linear(bonds, second), index.arm_short)
    mixed = F.linear(angles, angle, layer.bias)
    return mixed + gather(at_first, index.angle_first) + gather(at_second, index.angle_second)


class Index:
    """Sorted index structures of a batch, made once and used by every layer."""

    def __init__(self, batch: Batch) -> None:
        n_atoms = batch.n_atoms_total
        n_bonds, n_short, n_arms = (
            len(batch["bond_length"]),
            len(batch["short_bond"]),
            len(batch["arm_short"]),
        )
        self.edge_center = EdgeIndex(batch["edge_center"], n_atoms, is_sorted=True)
        self.edge_neighbor = EdgeIndex(batch["edge_neighbor"], n_atoms)
        self.edge_bond = EdgeIndex(batch["edge_bond"], n_bonds)
        self.arm_center = EdgeIndex(batch["arm_center"], n_atoms, is_sorted=True)
        self.arm_short = EdgeIndex(batch["arm_short"], n_short)
        self.angle_first = EdgeIndex(batch["angle_first"], n_arms, is_sorted=True)
        self.angle_second = EdgeIndex(batch["angle_second"], n_arms)


class ChgnetNetwork(Network):
    """CHGNet's interaction layers; atom features after each of the four atom convolutions."""

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
        length, short_bond = batch["bond_length"], batch["short_bond"]
        pair_basis = self.pair_basis(length)
        atoms = self.atom_embedding(batch["numbers"] - 1)
        bonds = self.bond_embedding(pair_basis)
        pair_weights = self.pair_weights(pair_basis)
        has_angles = len(batch["angle"]) > 0
        if has_angles:
            short_weights = self.short_weights(self.short_basis(length[short_bond]))
            angles = self.angle_embedding(self.angle_basis(batch["angle"]))
            short = bonds[short_bond]

        outputs = []
        for layer, atom_conv in enumerate(self.atom_convs):
            atoms = self.interaction(layer, atom_conv(atoms, bonds, pair_weights, index))
            outputs.append(atoms)
            if has_angles and layer < len(self.bond_convs):
                short = self.bond_convs[layer](atoms, short, angles, short_weights, index)
                bonds = bonds.index_copy(0, short_bond, short)
                if layer < len(self.angle_updates):
                    angles = self.angle_updates[layer](atoms, short, angles, index)
        outputs[-1] = self.norm(outputs[-1])
        return outputs


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
        crystal = as_crystal(structure)
        check_elements(crystal.numbers, MAX_NUMBER, self.info.name)
        return build_graph(crystal)

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
