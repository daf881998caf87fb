"""Learning rates of a model's parts: lower layers may learn more slowly than upper ones."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from moma_app.backbones.base import Network
from moma_app.training.model import PropertyModel
from moma_app.training.settings import FitConfig

_LAYER = re.compile(r"\.(\d+)\.")


def parameter_groups(model: PropertyModel, config: FitConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: each with its peak rate, and weight decay on matrices only."""
    head_rate = config.joint_head_learning_rate if config.head_epochs else config.head_learning_rate
    heights = layer_heights(model.network)
    top = max(heights.values(), default=0)
    named = [
        (parameter, config.learning_rate * config.layer_decay ** (top - heights[name]))
        for name, parameter in model.network.named_parameters()
    ]
    named += [(parameter, head_rate) for parameter in model.head.parameters()]
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter, rate in named:
        if parameter.requires_grad:
            groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate,
            "initial_lr": rate,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (rate, decays), parameters in groups.items()
    ]


def layer_heights(network: Network) -> dict[str, int]:
    """Return how high each parameter stands: 0 for embeddings, then 1 for the first interaction layer, and so on.

    A network keeps its layers in lists, so a parameter's name has the number of its layer; what
    belongs to the last layer without such a number is what ``last_layer`` names.
    """
    heights = {
        name: int(found[1]) + 1 if (found := _LAYER.search(name)) else 0
        for name, _ in network.named_parameters()
    }
    top = max(heights.values(), default=0)
    last = {id(parameter) for part in network.last_layer() for parameter in part.parameters()}
    return {
        name: top if id(parameter) in last else heights[name]
        for name, parameter in network.named_parameters()
    }
