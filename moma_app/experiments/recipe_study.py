"""A study of recipes: one setting changed at a time, judged by the validation rows; test rows stay unseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from moma_app.experiments.cells import Cell
from moma_app.experiments.methods import get_method
from moma_app.experiments.plan import Plan, Row, check_task
from moma_app.experiments.results import CellResult
from moma_app.experiments.statistics import percent, spread
from moma_app.files import named_toml, toml_names
from moma_app.tasks import get_task
from moma_app.training.recipe import load_recipe
from moma_app.work.composing import AMC

FOLDER = Path(__file__).parent / "studies"
LEARNER = "finetune"
BASE = "base"
VAL = "val_error"


class RecipeStudy(Plan):
    """A base recipe, and variants of it that each change one thing, on several tasks.

    A bare start with a module's recipe is the training of a full module.
    """

    name: ClassVar[str] = "recipe"

    learners: tuple[str, ...] = Field(default=(LEARNER,), description="Always the fine-tuning.")
    recipe: str = Field(default="finetune", description="A recipe's name or TOML file.")
    method: str = Field(default="bare", description="What each fit starts from.")
    shots: int | None = Field(default=None, ge=1, description="Use so many training rows only.")
    base: dict[str, Any] = Field(default={}, description="Settings of the recipe that all variants share.")
    vary: dict[str, tuple[Any, ...]] = Field(
        default={}, description="Other values of a setting, by its name, such as fit.learning_rate."
    )
    together: tuple[dict[str, Any], ...] = Field(
        default=(), description="Variants that change several settings at once."
    )

    @field_validator("learners")
    @classmethod
    def _only_fits(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if values != (LEARNER,):
            raise ValueError("a study of recipes is about fine-tuning only")
        return values

    def variants(self) -> dict[str, dict[str, Any]]:
        """Return the changes to the base recipe by the variant's name; the base itself comes first."""
        single = [{name: value} for name, values in self.vary.items() for value in values]
        return {
            BASE: {},
            **{", ".join(f"{k} = {v}" for k, v in each.items()): each for each in (*single, *self.together)},
        }

    def cells(self) -> list[Cell]:
        """Return the cells, by task, variant, split and seed."""
        for task in self.tasks:
            check_task(task)
        load_recipe(self.recipe).changed(self.base)
        if get_method(self.method).start == "composed":
            amc = self.composition()
        else:
            amc = AMC(backbone=self.backbone or "chgnet")
        return [
            Cell(
                task,
                LEARNER,
                self.method,
                split,
                seed,
                self.shots,
                amc,
                {"recipe": self.recipe, "changes": {**self.base, **changes}},
                group=name,
            )
            for task in self.tasks
            for name, changes in self.variants().items()
            for split in self.splits
            for seed in self.seeds
        ]

    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return a line for each task and variant.

        ``val_error`` and ``val_error_std`` are over splits and seeds, in the task's unit; ``difference``
        is the mean difference to the base in % of the base's error on the same split and seed: negative
        is better. ``seconds`` is the mean time of a fit.
        """
        rows: list[Row] = []
        for task in self.tasks:
            found = {
                (result.cell.group, result.cell.split, result.cell.seed): result
                for result in results
                if result.cell.task == task
            }
            for name in self.variants():
                own = {place[1:]: result for place, result in found.items() if place[0] == name}
                errors = spread([result.metrics[VAL] for result in own.values()])
                if errors is None:
                    continue
                differences = [
                    percent(result.metrics[VAL], found[(BASE, *place)].metrics[VAL])
                    for place, result in own.items()
                    if (BASE, *place) in found
                ]
                relative = spread([each for each in differences if each is not None])
                rows.append(
                    {
                        "task": task,
                        "unit": get_task(task).spec.unit,
                        "variant": name,
                        "val_error": errors.mean,
                        "val_error_std": errors.std,
                        "n": errors.n,
                        "difference": None if relative is None else relative.mean,
                        "difference_std": None if relative is None else relative.std,
                        "seconds": sum(result.seconds for result in own.values()) / len(own),
                        "hardware": ", ".join(sorted({result.hardware for result in own.values()})),
                    }
                )
        return rows

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """Read a study that comes with the package, or a TOML file of the user's.

        Raises:
            UnknownNameError: neither a known name nor a file, or a setting does not exist.
            InputError: the file is not TOML, or a value cannot be used.
        """
        _, table = named_toml(FOLDER, name, "study")
        return cls.make(**table)


def study_names() -> list[str]:
    """Return the names of the studies that come with the package."""
    return toml_names(FOLDER)


def ranking(rows: Sequence[Row]) -> list[Row]:
    """Return the variants by their mean difference over the tasks that have both them and the base, best first."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["difference"] is not None and row["variant"] != BASE:
            found.setdefault(row["variant"], []).append(row["difference"])
    ranked = [
        {"variant": name, "difference": sum(values) / len(values), "tasks": len(values)}
        for name, values in found.items()
    ]
    return sorted(ranked, key=lambda row: row["difference"])


def markdown_lines(rows: Sequence[Row]) -> list[str]:
    """Return a table of variants by tasks in Markdown: the base's errors, and the others' differences to it in %."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    cells = {(row["variant"], row["task"]): row for row in rows}
    lines = [f"| change | {' | '.join(tasks)} | mean |", f"|---|{'---:|' * (len(tasks) + 1)}"]
    base = [cells.get((BASE, task)) for task in tasks]
    errors = ["–" if row is None else f"{row['val_error']:.4g} {row['unit']}" for row in base]
    lines.append(f"| {BASE} | {' | '.join(errors)} | |")
    for each in ranking(rows):
        shown = []
        for task in tasks:
            row = cells.get((each["variant"], task))
            shown.append("–" if row is None or row["difference"] is None else f"{row['difference']:+.1f}%")
        lines.append(f"| `{each['variant']}` | {' | '.join(shown)} | {each['difference']:+.1f}% |")
    return lines
