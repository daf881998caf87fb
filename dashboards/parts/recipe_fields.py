"""The settings of a recipe as a form sees them: label, description, limits; from texts to values and back."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from moma_app.errors import InputError, UnknownNameError
from moma_app.training.recipe import Recipe, load_recipe, recipe_names
from moma_app.training.settings import FitConfig, HeadConfig

USUAL = (
    "fit.epochs",
    "fit.learning_rate",
    "fit.batch_size",
    "fit.early_stopping",
    "fit.seed",
    "max_atoms",
)
"""What a scientist changes; the rest is behind a fold."""
SEED = "fit.seed"
_OWNERS: dict[str, type[Any]] = {"": Recipe, "fit.": FitConfig, "head.": HeadConfig}
_NO_SETTINGS = {"name", "fit", "head", "head.outputs"}
"""Containers, and what the task decides."""
_DECIDED = {"fit.trainable": {"adapter"}, "fit.loss": {"cross-entropy"}}
"""Choices that the kind of the modules and of the task decide."""
_LABELS = {
    "fit.epochs": "Epochs (at most)",
    "fit.early_stopping": "Patience (epochs)",
    "fit.plateau_patience": "Plateau patience (epochs)",
    "fit.batch_size": "Batch (structures)",
    "fit.batch_edges": "Batch (edges, at most)",
    "fit.layer_decay": "Rate of a lower layer (share)",
    "fit.min_batches": "Batches per epoch (at least)",
    "fit.warmup": "Warm-up (share of steps)",
    "fit.final_fraction": "Final rate (share of peak)",
    "fit.ema_decay": "EMA decay",
    "fit.head_epochs": "Head epochs",
    "max_atoms": "Max. cell (atoms)",
    "head.hidden": "Head width",
    "head.depth": "Head layers",
    "head.dropout": "Head dropout (share)",
    "head.pooling": "Head pooling",
    "exclude_structures_of": "Leave out structures of (datasets)",
    "head.activation": "Head activation",
}


@dataclass(frozen=True)
class Range:
    """Values that a number may have; an open end is left out itself."""

    low: float = 0.0
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Say whether a value lies in the range."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        return (
            low
            if self.high == math.inf
            else f"{low} and {'less than' if self.open_high else 'at most'} {self.high:g}"
        )


_ONE, _RATE, _SHARE = Range(1), Range(open_low=True), Range(high=1)
_BELOW_ONE = Range(high=1, open_high=True)
_RANGES = {
    "max_atoms": _ONE,
    "fit.epochs": _ONE,
    "fit.learning_rate": _RATE,
    "fit.head_learning_rate": _RATE,
    "fit.joint_head_learning_rate": _RATE,
    "fit.batch_size": _ONE,
    "fit.batch_edges": _ONE,
    "fit.layer_decay": Range(high=1, open_low=True),
    "fit.early_stopping": _ONE,
    "fit.warmup": _SHARE,
    "fit.final_fraction": _SHARE,
    "fit.ema_decay": _BELOW_ONE,
    "fit.gradient_clip": _RATE,
    "head.hidden": _ONE,
    "head.dropout": _BELOW_ONE,
}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        path: where it stands in a recipe: ``max_atoms``, ``fit.epochs``.
        label: with its unit.
        description: one sentence.
        choices: values of a named choice; empty for a number.
        whole: a number without decimals.
        optional: may be empty.
        range: of a number.
        several: names with spaces between them.
    """

    path: str
    label: str
    description: str
    choices: tuple[str, ...]
    whole: bool
    optional: bool
    range: Range
    several: bool = False

    @property
    def name(self) -> str:
        """The setting's own name in words, without unit."""
        return self.path.rpartition(".")[2].replace("_", " ")

    def show(self, value: Any) -> str:
        """Return a value as the form shows it; empty for none."""
        if self.several:
            return " ".join(value)
        return "" if value is None else str(value)

    def read(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            InputError: it stands for none.
        """
        text = text.strip()
        if self.several:
            return tuple(text.split())
        if not text and self.optional:
            return None
        if self.choices:
            if text not in self.choices:
                raise UnknownNameError(f"choice of {self.label}", text, self.choices)
            return text
        value = self._number(text)
        if not (math.isfinite(value) and self.range.holds(value)):
            raise InputError(f"{self.label} must be {self.range}, not {text}.")
        return value

    def _number(self, text: str) -> int | float:
        try:
            return int(text) if self.whole else float(text)
        except ValueError as exc:
            kind = "whole number" if self.whole else "number"
            raise InputError(
                f"{self.label} must be a {kind}, not {text!r}." if text else f"{self.label} is empty."
            ) from exc


@cache
def settings() -> Mapping[str, Setting]:
    """Return all settings by path: the usual ones first, then in the order of the classes."""
    found = {
        setting.path: setting
        for prefix, owner in _OWNERS.items()
        for setting in _settings_of(owner, prefix)
        if setting.path not in _NO_SETTINGS
    }
    return {path: found[path] for path in [*USUAL, *(path for path in found if path not in USUAL)]}


def _settings_of(owner: type[Any], prefix: str) -> Iterable[Setting]:
    kinds, texts = get_type_hints(owner), attribute_texts(owner)
    for field in dataclasses.fields(owner):
        path = prefix + field.name
        several = get_origin(kinds[field.name]) is tuple
        plain = several or get_origin(kinds[field.name]) is Literal
        options = () if plain else get_args(kinds[field.name])
        kind = next((part for part in options if part is not NoneType), kinds[field.name])
        named = get_args(kind) if get_origin(kind) is Literal else ()
        yield Setting(
            path=path,
            label=_LABELS.get(path, field.name.replace("_", " ").capitalize()),
            description=texts.get(field.name, ""),
            choices=tuple(choice for choice in named if choice not in _DECIDED.get(path, ())),
            whole=kind is int,
            optional=NoneType in options,
            range=_RANGES.get(path, Range()),
            several=several,
        )


def attribute_texts(owner: type[Any]) -> dict[str, str]:
    """Return what a class's docstring says under "Attributes", by name, as sentences."""
    _, _, part = (inspect.getdoc(owner) or "").partition("Attributes:\n")
    texts: dict[str, str] = {}
    for match in re.finditer(r"^    (\w[\w, ]*): (.+?)(?=^    \w|\Z)", part, re.MULTILINE | re.DOTALL):
        text = " ".join(match[2].replace("``", "").split())
        for name in match[1].split(","):
            texts[name.strip()] = text[0].upper() + text[1:]
    return texts


@cache
def known_recipe(name: str) -> Recipe:
    """Return a recipe that comes with the package; reading one checks every setting, which takes a while.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names())
    return load_recipe(name)


def values_of(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's settings by path."""
    values = recipe.values()
    return {path: values[path] for path in settings()}


def changes_between(recipe: Recipe, other: Recipe) -> list[str]:
    """Return the settings in which another recipe differs, as an address has them: ``fit.epochs:5``."""
    before, after = values_of(recipe), values_of(other)
    return [
        f"{path}:{settings()[path].show(value)}" for path, value in after.items() if value != before[path]
    ]


def with_changes(recipe: Recipe, changes: Iterable[str]) -> Recipe:
    """Return a recipe with the settings of an address changed, see :func:`changes_between`.

    Raises:
        UnknownNameError: there is no such setting.
        InputError: a value cannot be used.
    """
    values: dict[str, Any] = {}
    for change in changes:
        path, _, text = change.partition(":")
        if path not in settings():
            raise UnknownNameError("setting", path, settings())
        values[path] = settings()[path].read(text)
    return recipe.replaced(values)
