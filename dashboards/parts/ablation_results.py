"""What an ablation found: a radar chart and a table of the methods' errors against AMC's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards.parts.experiment_results import ResultsPart
from dashboards.parts.experiment_words import mean_text, method_label, percent_text
from dashboards.session import Session
from moma_app.plots.radar_values import MethodErrors
from moma_app.plots.text import with_unit

if TYPE_CHECKING:
    from moma_app.experiments.ablation import Ablation
    from moma_app.experiments.plan import Row
    from moma_app.experiments.results import CellResult

HEIGHT = 460
REFERENCE = "amc"


@dataclass(frozen=True)
class AblationView:
    """What is shown.

    Attributes:
        methods: errors of the methods, AMC first.
        units: by task.
        columns, lines: of the table.
    """

    methods: list[MethodErrors]
    units: dict[str, str]
    columns: list[str]
    lines: list[dict[str, str]]

    @property
    def drawable(self) -> bool:
        """Whether there is something to compare."""
        return bool(self.methods) and any(error > 0 for error in self.methods[0].errors.values())


class AblationResults(ResultsPart[AblationView]):
    """The results of an ablation."""

    name = "ablation"

    def __init__(self, session: Session) -> None:
        super().__init__(session, height=HEIGHT)

    def prepare(self, plan: Ablation, rows: Sequence[Row], results: Sequence[CellResult]) -> AblationView:
        """Return what is to be shown."""
        methods = [REFERENCE, *(name for name in plan.methods if name != REFERENCE)]
        return AblationView(
            [errors_of(name, rows) for name in methods],
            {row["task"]: row["unit"] for row in rows},
            columns_of(methods),
            lines_of(methods, rows),
        )

    def present(self, view: AblationView) -> None:
        """Show it in the page."""
        from moma_app.plots import radar

        if view.drawable:
            shown = [method for method in view.methods if method.errors]
            self._figure.show(lambda mode: radar(shown, units=view.units, mode=mode))
        else:
            self._figure.clear(
                "The chart appears with the first finished cell of AMC, to which the others are compared."
            )
        self.fill(view.columns, view.lines)


def errors_of(method: str, rows: Sequence[Row]) -> MethodErrors:
    """Return a method's line of the radar chart from an ablation's table."""
    own = [row for row in rows if row["method"] == method]
    return MethodErrors(
        method=method_label(method),
        errors={row["task"]: row["mae"] for row in own},
        spreads={row["task"]: row["mae_std"] for row in own if row["mae_std"] is not None},
        differences={row["task"]: row["difference"] for row in own if row["difference"] is not None},
    )


def columns_of(methods: Sequence[str]) -> list[str]:
    """Return the columns of the table."""
    reference, *others = map(method_label, methods)
    return ["Dataset", f"{reference}: test MAE", *others, "Lowest error", "Fits"]


def lines_of(methods: Sequence[str], rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the table's lines: one for each task with differences to AMC, and one for all of them."""
    columns = columns_of(methods)
    lines: list[dict[str, str]] = []
    best: list[str] = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = {row["method"]: row for row in rows if row["task"] == task}
        best.append(lowest(own.values()))
        reference = own.get(REFERENCE)
        line = {
            "Dataset": with_unit(task, next(iter(own.values()))["unit"]),
            columns[1]: "–" if reference is None else mean_text(reference["mae"], reference["mae_std"]),
            "Lowest error": method_label(best[-1]) if len(own) > 1 else "–",
            "Fits": str(max(row["n"] for row in own.values())),
        }
        for name, column in zip(methods[1:], columns[2:], strict=False):
            row = own.get(name)
            line[column] = "–" if row is None else percent_text(row["difference"], row["difference_std"])
        lines.append(line)
    return [*lines, *_over_all(methods, columns, rows, best)] if len(lines) > 1 else lines


def lowest(rows: Iterable[Row]) -> str:
    """Return the method with the lowest mean error of those with most fits: means over other rows tell nothing."""
    listed = list(rows)
    most = max(row["n"] for row in listed)
    found: str = min((row for row in listed if row["n"] == most), key=lambda row: row["mae"])["method"]
    return found


def _over_all(
    methods: Sequence[str], columns: Sequence[str], rows: Sequence[Row], best: Sequence[str]
) -> list[dict[str, str]]:
    """Return lines for all tasks together: the mean difference, and how often a method is worse than AMC."""
    from moma_app.experiments.ablation import summarise

    found = {summary.method: summary for summary in summarise(rows)}
    blank = dict.fromkeys(columns, "")
    mean = {
        **blank,
        "Dataset": f"Mean of {len(best)} datasets",
        "Lowest error": f"{method_label(REFERENCE)} in {best.count(REFERENCE)} of {len(best)}",
    }
    worse = {**blank, "Dataset": "Worse than AMC in"}
    for name, column in zip(methods[1:], columns[2:], strict=False):
        summary = found.get(name)
        mean[column] = "–" if summary is None else percent_text(summary.difference)
        worse[column] = "–" if summary is None else f"{summary.worse_in} of {summary.tasks}"
    return [mean, worse]
