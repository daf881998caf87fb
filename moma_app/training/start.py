"""What a fit starts from: a composed module, a mixture of modules, a single one, the bare backbone, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from moma_app.backbones.adapters import attach_adapters
from moma_app.backbones.base import Backbone, Network
from moma_app.backbones.mixture import gates
from moma_app.choices import Layers
from moma_app.errors import InputError
from moma_app.hub.mixing import mixture_from, tensors_of_experts
from moma_app.hub.module import Module, network_from
from moma_app.text import brief

if TYPE_CHECKING:
    from typing import Literal

    import numpy as np
    from numpy.typing import NDArray

    from moma_app.amc.compose import Composition


@dataclass(frozen=True, eq=False)
class Start:
    """What a fit starts from.

    Attributes:
        name: ``composed``, ``mixture``, ``backbone``, ``scratch`` or a module's name.
        label: for people.
        backbone: name in the registry.
        kind: which parameters ``tensors`` holds.
        layers: which interaction layers feed the readout.
        tensors: with prefix; empty for the bare backbone and for scratch.
        weights: composition weights by module.
        hashes: SHA-256 of the tensor files of the modules that ``tensors`` come from, by name; empty for
            a module that was never saved.
        experts: names of the modules that stand side by side in a mixture; empty for one network.
    """

    name: str
    label: str
    backbone: str
    kind: Literal["full", "adapter"]
    layers: Layers
    tensors: dict[str, Tensor]
    weights: dict[str, float]
    hashes: dict[str, str] = field(default_factory=dict)
    experts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, f"{self.name}: {self.label}, {self.kind}, {self.backbone}")

    @classmethod
    def bare(cls, backbone: Backbone, *, scratch: bool = False) -> Start:
        """Start from the pre-trained backbone, or from random weights."""
        name, label = ("scratch", "from scratch") if scratch else ("backbone", "bare backbone")
        return cls(name, label, backbone.info.name, "full", backbone.info.default_layers, {}, {})

    @classmethod
    def module(cls, module: Module) -> Start:
        """Start from one module of the hub."""
        card = module.card
        return cls(
            module.name,
            f"module {module.name}",
            card.backbone,
            card.kind,
            card.layers,
            module.parameters(),
            {},
            {module.name: card.sha256} if card.sha256 else {},
        )

    @classmethod
    def composed(cls, composition: Composition) -> Start:
        """Start from the module that AMC composed.

        Raises:
            NoSharedStartError: its modules do not share an initialisation; see :meth:`mixed`.
        """
        result = composition.result
        return cls(
            "composed",
            "composed module",
            result.backbone,
            result.kind,
            result.layers,
            composition.tensors,
            result.weights,
            {score.module: score.sha256 for score in result.modules if score.weight and score.sha256},
        )

    def with_new_adapters(self) -> Start:
        """Return the bare backbone as the start of adapters, which are new.

        Raises:
            InputError: this is no bare backbone.
        """
        if self.name != "backbone":
            raise InputError(
                f"New adapters need the bare backbone as their start, which is no {self.name}: "
                "compose adapter modules, or train all weights."
            )
        return replace(self, kind="adapter")

    @classmethod
    def mixed(cls, composition: Composition) -> Start:
        """Start from the modules that AMC gives weight, each with its own parameters, gated by the weights."""
        result, experts = composition.result, composition.experts()
        return cls(
            "mixture",
            f"mixture of {len(experts)} module{'s' if len(experts) != 1 else ''}",
            result.backbone,
            result.kind,
            result.layers,
            tensors_of_experts(list(experts)),
            result.weights,
            {score.module: score.sha256 for score in result.modules if score.weight and score.sha256},
            tuple(module.name for module in experts),
        )

    def importance(self, backbone: Backbone) -> NDArray[np.float64] | None:
        """Return the share of each feature in a squared distance [d], or ``None`` where all count alike."""
        if not self.experts:
            return None
        return gates([self.weights[name] for name in self.experts], backbone.info, self.layers)

    def network(self, backbone: Backbone) -> Network:
        """Return the network to start from; ``scratch`` and new adapters draw from torch's random state."""
        if self.name == "scratch":
            return backbone.network()
        if self.experts:
            return mixture_from(backbone, self.kind, self.tensors)
        if self.tensors:
            return network_from(backbone, self.kind, self.tensors)
        network = backbone.pretrained()
        if self.kind == "adapter":
            attach_adapters(network, backbone.info.width, backbone.info.n_layers)
        return network
