"""Recipes: everything that decides how a model is trained, as a file that can be kept and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from moma_app.choices import Layers
from moma_app.errors import InputError, UnknownNameError
from moma_app.files import named_toml, toml_names
from moma_app.training.settings import FitConfig, HeadConfig

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """How a module or predictor is trained.

    Attributes:
        name: for the card.
        layers: which interaction layers feed the head; ``None`` takes the backbone's default.
        max_atoms: larger training and validation cells are left out; test cells never are.
        sampling: ``inverse-frequency`` evens out a skewed target (30 bins, as Chang et al. 2022).
        exclude_structures_of: tasks whose structures are left out of training and validation, see
            :mod:`moma_app.tasks.exclusion`.
        head: shape of the head.
        fit: the loop's settings.
    """

    name: str
    layers: Layers | None = None
    max_atoms: int | None = None
    sampling: Literal["uniform", "inverse-frequency"] = "uniform"
    exclude_structures_of: tuple[str, ...] = ()
    head: HeadConfig = field(default_factory=HeadConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {**dataclasses.asdict(self), "head": self.head.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from :meth:`to_dict`.

        Raises:
            InputError: a setting is unknown.
        """
        try:
            parts = {"head": HeadConfig(**data["head"]), "fit": FitConfig(**data["fit"])}
            excluded = tuple(data.get("exclude_structures_of", ()))
            return cls(**{**data, **parts, "exclude_structures_of": excluded})
        except (TypeError, KeyError) as exc:
            raise InputError(f"This is no recipe of this version of moma-app: {exc}.") from exc

    def changed(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with some settings changed.

        Args:
            settings: values by name as a recipe's file has it, such as ``max_atoms``,
                ``head.hidden`` or ``fit.learning_rate``.

        Raises:
            UnknownNameError: there is no such setting.
            InputError: a value is of the wrong type.
        """
        known = recipe_settings()
        for name in settings:
            if name not in known:
                raise UnknownNameError("setting of a recipe", name, known)
        own, head, fit = _by_part(settings)
        return self._replaced(
            _checked(Recipe, own, "A recipe"),
            _checked(HeadConfig, head, "A recipe's head"),
            _checked(FitConfig, fit, "A recipe's fit"),
        )

    def replaced(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with settings changed that are known to be right: :meth:`changed` without its checks."""
        return self._replaced(*_by_part(settings))

    def _replaced(self, own: dict[str, Any], head: dict[str, Any], fit: dict[str, Any]) -> Recipe:
        return dataclasses.replace(
            self,
            **own,
            head=dataclasses.replace(self.head, **head),
            fit=dataclasses.replace(self.fit, **fit),
        )

    def values(self) -> dict[str, Any]:
        """Return all settings by name, as :meth:`changed` takes them."""
        nested = dataclasses.asdict(self)
        parts = {part: nested.pop(part) for part in ("head", "fit")}
        return nested | {f"{part}.{key}": value for part, own in parts.items() for key, value in own.items()}

    def with_fit(self, **changes: Any) -> Recipe:
        """Return the recipe with some settings of the loop changed; ``None`` changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, fit=dataclasses.replace(self.fit, **given))


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return toml_names(FOLDER)


def recipe_settings() -> list[str]:
    """Return the names of all settings of a recipe, as :meth:`Recipe.changed` takes them."""
    own = [each.name for each in dataclasses.fields(Recipe) if each.name not in ("head", "fit")]
    parts = {"head": HeadConfig, "fit": FitConfig}
    return own + [f"{part}.{each.name}" for part, cls in parts.items() for each in dataclasses.fields(cls)]


def _by_part(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a recipe's own settings, those of its head, and those of its fit."""
    parts: dict[str, dict[str, Any]] = {"": {}, "head": {}, "fit": {}}
    for name, value in settings.items():
        part, _, key = name.rpartition(".")
        parts[part][key] = value
    return parts[""], parts["head"], parts["fit"]


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe that comes with the package, or a TOML file of the user's.

    Raises:
        UnknownNameError: neither a known name nor a file.
        InputError: the file is not TOML, or a setting is unknown or of the wrong type.
    """
    path, table = named_toml(FOLDER, name, "recipe")
    table.setdefault("name", path.stem)
    head = _build(HeadConfig, table.pop("head", {}), f"{path} [head]")
    fit = _build(FitConfig, table.pop("fit", {}), f"{path} [fit]")
    recipe: Recipe = _build(Recipe, {**table, "head": head, "fit": fit}, str(path))
    return recipe


def _build(cls: type[Any], values: dict[str, Any], where: str) -> Any:
    return cls(**_checked(cls, values, where))


def _checked(cls: type[Any], values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return settings whose names and types are right.

    Raises:
        InputError: one is not.
    """
    from pydantic import TypeAdapter, ValidationError

    kinds = get_type_hints(cls)
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for name, value in plain.items():
        if name not in kinds:
            raise InputError(f"{where}: {UnknownNameError('setting', name, kinds)}")
        try:
            TypeAdapter(kinds[name]).validate_python(value, strict=True)
        except ValidationError as exc:
            reason = exc.errors()[0]["msg"]
            raise InputError(
                f"{where}: {name} cannot be {value!r}: {reason[0].lower()}{reason[1:]}."
            ) from exc
    return plain
