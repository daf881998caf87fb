"""The part of a report that says where a fit's errors are."""

from __future__ import annotations

import math

from moma_app.markup import Child, Markup, element, table
from moma_app.plots.analysis_values import ErrorAnalysis, WorstRow
from moma_app.plots.page import Figure
from moma_app.plots.periodic import periodic_table
from moma_app.plots.sizes import error_by_size
from moma_app.plots.text import column, with_unit


def errors_section(analysis: ErrorAnalysis, label: str, unit: str, drawn: dict[str, Figure]) -> Markup:
    """Return errors by element and cell size, and the worst structures, and draw what belongs to them.

    Args:
        analysis: of one fit.
        label: of the fit.
        unit: of the errors.
        drawn: takes the figures by the id of their place.
    """
    parts: list[Child] = [element("h2", f"Where the errors are ({label})")]
    errors = {item.element: item.mae for item in analysis.by_element if math.isfinite(item.mae)}
    if errors:
        counts = {item.element: item.n for item in analysis.by_element}
        drawn["elements"] = Figure(
            *(
                periodic_table(errors, "Mean absolute error", unit, counts=counts, mode=mode)
                for mode in ("light", "dark")
            )
        )
        note = "Mean over the test structures that hold the element; a structure counts for each of its elements."
        parts += [
            element("h3", "By element"),
            element("div", id="elements", class_="figure"),
            element("p", note, class_="note"),
        ]
    if any(math.isfinite(row.error) and row.n_atoms > 0 for row in analysis.rows):
        drawn["sizes"] = Figure(
            *(error_by_size(analysis.rows, unit, mode=mode) for mode in ("light", "dark"))
        )
        parts += [element("h3", "By size of the cell"), element("div", id="sizes", class_="figure")]
    if analysis.worst:
        parts += [element("h3", "Largest errors"), _worst_table(analysis.worst, unit)]
    return element("section", *parts)


def _worst_table(rows: list[WorstRow], unit: str) -> Markup:
    columns: dict[str, list[str]] = {
        "Structure": [row.id for row in rows],
        "Formula": [row.formula or "–" for row in rows],
        "Atoms": [f"{row.n_atoms:,}" for row in rows],
        with_unit("True", unit): column([row.true for row in rows]),
        with_unit("Predicted", unit): column([row.predicted for row in rows]),
        with_unit("Error", unit): column([row.error for row in rows]),
    }
    return table(columns, zip(*columns.values(), strict=True), numbers=(2, 3, 4, 5))
