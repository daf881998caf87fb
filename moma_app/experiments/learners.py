"""The learners that come with the package; see :mod:`moma_app.experiments.registry`."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import Field

from moma_app.experiments.registry import Asked, Learner, Options, Size
from moma_app.jobs.spec import RunSpec

ENCODING = 0.008
"""Seconds to encode one structure with one module on two CPU cores (docs/performance.md)."""
STARTING = 4.0
"""Seconds that a run takes besides its work."""


class FinetuneOptions(Options):
    """Settings of the learner ``finetune``."""

    recipe: str = Field(default="finetune", description="A recipe's name or TOML file.")
    epochs: int | None = Field(default=None, ge=1, description="Upper limit; by default the recipe's.")
    learning_rate: float | None = Field(default=None, gt=0, description="Peak learning rate.")
    max_atoms: int | None = Field(default=None, ge=1, description="Leave larger training cells out.")
    changes: dict[str, Any] = Field(
        default={}, description="Other settings of the recipe, such as fit.weight_decay."
    )


def _instant(asked: Asked) -> RunSpec:
    from moma_app.work.compose import compose_spec

    return compose_spec(
        asked.task,
        amc=asked.amc,
        split=asked.split,
        shots=asked.shots,
        seed=asked.seed,
        instant=True,
        bare=asked.start == "backbone",
    )


def _finetune(asked: Asked) -> RunSpec:
    from moma_app.training.recipe import load_recipe
    from moma_app.work.finetune import finetune_spec

    chosen = asked.options
    assert isinstance(chosen, FinetuneOptions)
    recipe = load_recipe(chosen.recipe).with_fit(
        seed=asked.seed, epochs=chosen.epochs, learning_rate=chosen.learning_rate
    )
    recipe = recipe.changed(chosen.changes)
    if chosen.max_atoms is not None:
        recipe = dataclasses.replace(recipe, max_atoms=chosen.max_atoms)
    return finetune_spec(
        asked.task,
        recipe,
        start=asked.start,
        split=asked.split,
        shots=asked.shots,
        amc=asked.amc,
        backbone=asked.amc.backbone or "chgnet",
    )


def _weights(asked: Asked) -> RunSpec:
    from moma_app.work.compose import compose_spec

    return compose_spec(
        asked.task, amc=asked.amc, split=asked.split, shots=asked.shots, seed=asked.seed, instant=False
    )


def _encoding_seconds(size: Size) -> float:
    return STARTING + ENCODING * size.train * size.modules


def _instant_seconds(size: Size, _: Options) -> float:
    process = 20 * (size.train / 1000) ** 2
    return _encoding_seconds(size) + ENCODING * size.rows + process


def _finetune_seconds(size: Size, options: Options) -> float:
    assert isinstance(options, FinetuneOptions)
    return _encoding_seconds(size) + 0.03 * size.train * (options.epochs or 40)


instant = Learner(
    "instant",
    "Instant predictor",
    "A Gaussian process on the frozen features: an answer within a minute or two.",
    _instant,
    _instant_seconds,
)
finetune = Learner(
    "finetune",
    "Fine-tuning",
    "All weights of the start are trained further with a new head.",
    _finetune,
    _finetune_seconds,
    starts=frozenset({"composed", "backbone", "scratch"}),
    options=FinetuneOptions,
)
weights = Learner(
    "weights",
    "Weights only",
    "The composition's weights and proxy errors, without a predictor.",
    _weights,
    lambda size, _: _encoding_seconds(size),
    starts=frozenset({"composed"}),
)
