"""How a hub is built: which modules, by which recipes, from which rows; one TOML file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moma_app.errors import InputError
from moma_app.files import named_toml, toml_names
from moma_app.hub.card import module_name

if TYPE_CHECKING:
    from typing import Self

    from moma_app.training.recipe import Recipe

FOLDER = Path(__file__).parent / "hubs"
Kind = Literal["full", "adapter"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipes(_Strict):
    """The recipe of training by the kind of machine: names or TOML files."""

    cpu: str
    cuda: str


class Group(_Strict):
    """Modules that are trained alike."""

    tasks: tuple[str, ...] = Field(min_length=1, description="A module for each of these tasks.")
    kinds: tuple[Kind, ...] = Field(default=("full",), min_length=1)
    changes: dict[str, Any] = Field(default={}, description="Settings of the recipe that differ for these.")


@dataclass(frozen=True)
class Order:
    """One module to be trained.

    Attributes:
        name: of the module.
        task, kind: what is trained.
        recipe: how.
    """

    name: str
    task: str
    kind: Kind
    recipe: Recipe


class HubRecipe(_Strict):
    """All that decides a hub's modules."""

    name: str
    version: str = Field(default="1.0.0", description="Semantic version of the hub.")
    summary: str = ""
    backbone: str = "chgnet"
    split: int = Field(default=0, ge=0, description="Seed of the split of every task.")
    recipe: Recipes
    scratch: bool = Field(
        default=False, description="Also fit the same network from random weights, to compare with."
    )
    exclude_structures_of: tuple[str, ...] = Field(
        default=(), description="Tasks whose structures are left out of training and validation."
    )
    full: dict[str, Any] = Field(
        default={}, description="Settings of the recipe that differ for full modules."
    )
    adapter: dict[str, Any] = Field(default={}, description="The same for adapters.")
    modules: tuple[Group, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [module_name(task, kind) for task, kind, _ in self._each()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"module {twice[0]} is named twice")
        return self

    def _each(self) -> Iterator[tuple[str, Kind, dict[str, Any]]]:
        for group in self.modules:
            for kind in group.kinds:
                for task in group.tasks:
                    yield task, kind, {**(self.full if kind == "full" else self.adapter), **group.changes}

    def orders(self, device: str) -> list[Order]:
        """Return the modules to be trained, in the file's order, full ones first.

        Args:
            device: ``cuda`` takes the recipe for GPUs, any other the one for CPUs.

        Raises:
            UnknownNameError: a recipe or one of its settings does not exist.
            InputError: a value cannot be used.
        """
        from moma_app.training.recipe import load_recipe

        chosen = load_recipe(self.recipe.cuda if device == "cuda" else self.recipe.cpu)
        shared = {"exclude_structures_of": list(self.exclude_structures_of)}
        orders = [
            Order(
                module_name(task, kind),
                task,
                kind,
                chosen.changed({**shared, **changes}).with_fit(trainable=kind),
            )
            for task, kind, changes in self._each()
        ]
        return sorted(orders, key=lambda order: order.kind != "full")

    @classmethod
    def load(cls, name: str | Path) -> HubRecipe:
        """Read a hub's recipe that comes with the package, or a TOML file of the user's.

        Raises:
            UnknownNameError: neither a known name nor a file.
            InputError: the file is not TOML, or a value cannot be used.
        """
        path, table = named_toml(FOLDER, name, "hub recipe")
        try:
            return cls.model_validate(table)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            reason = str(first["msg"]).removeprefix("Value error, ")
            raise InputError(f"The hub recipe {path}: {where}: {reason}.") from exc


def hub_recipe_names() -> list[str]:
    """Return the names of the hub recipes that come with the package."""
    return toml_names(FOLDER)
