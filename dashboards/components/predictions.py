"""Predictions for structures that a user gave: a table with units, the structures in 3D, files that could not be used."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import panel as pn
from panel.viewable import Viewable

from dashboards.components.download import download
from dashboards.components.layout import alert, columns, row
from dashboards.components.table import Table
from dashboards.session import Session
from moma_app.errors import MomaError
from moma_app.plots.crystals.payload import StructurePayload, payload_of
from moma_app.plots.crystals.view import StructureView
from moma_app.structures import Crystal

MOST_REFUSED = 8
"""Refused files that are told one by one."""
MOST_DRAWN = 24
"""Structures of a prediction that the 3D view offers."""
FIELDS = ("file", "formula", "n_atoms", "module", "property", "value", "std", "unit", "test_mae", "note")
"""Columns of the CSV file."""


def prediction_view(session: Session, result: dict[str, Any], *, wide: bool = False) -> Viewable:
    """Return what a run of the unit ``predict`` found.

    Args:
        session: of the page.
        result: of the run.
        wide: table and structures side by side; else below each other.
    """
    rows: list[dict[str, Any]] = result["rows"]
    parts: list[Any] = [_refusals(result["refused"])] if result["refused"] else []
    if rows:
        drawn = drawings(result["structures"])
        view = StructureView(drawn, height=300 if wide else 240)

        def focus(number: int) -> None:
            view.active = min(int(rows[number]["structure"]), len(drawn) - 1)

        table = Table(session, _columns(rows), digits={"Value": 4, "± std": 2, "Test MAE": 3}, on_click=focus)
        table.show([_shown(row) for row in rows])
        save = download(session, "Download CSV", "predictions.csv", lambda: as_csv(rows), icon="download")
        if wide:
            parts.append(
                columns(
                    pn.Column(table, row(save), sizing_mode="stretch_width", margin=0), view, widths=[8, 4]
                )
            )
        else:
            parts += [table, view, row(save)]
    return pn.Column(*parts, sizing_mode="stretch_width", margin=0)


def drawings(structures: Sequence[dict[str, Any]]) -> list[StructurePayload]:
    """Return the structures of a result for the 3D view; one that cannot be drawn is left out."""
    found = []
    for each in structures[:MOST_DRAWN]:
        crystal = Crystal(
            np.array(each["numbers"], dtype=np.int16),
            np.array(each["cell"], dtype=np.float64),
            np.array(each["frac_coords"], dtype=np.float64),
        )
        try:
            found.append(payload_of(crystal, label=each["file"]))
        except MomaError:
            continue
    return found


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return predictions as a CSV file with units."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    optional = {
        "Module": any(row["module"] for row in rows),
        "± std": any(row["std"] is not None for row in rows),
        "Test MAE": any(row["test_mae"] is not None for row in rows),
        "Note": any(row["note"] for row in rows),
    }
    names = ("File", "Formula", "Property", "Value", "± std", "Unit", "Module", "Test MAE", "Note")
    return [name for name in names if optional.get(name, True)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "File": row["file"],
        "Formula": row["formula"],
        "Module": row["module"],
        "Property": row["property"],
        "Value": row["value"],
        "± std": row["std"],
        "Unit": row["unit"],
        "Test MAE": row["test_mae"],
        "Note": row["note"],
    }


def _refusals(refused: Sequence[dict[str, str]]) -> Viewable:
    told = [f"{each['file']}: {each['reason']}" for each in refused[:MOST_REFUSED]]
    if len(refused) > MOST_REFUSED:
        told.append(f"and {len(refused) - MOST_REFUSED:,} more")
    return alert("warning", *told, title=f"{len(refused):,} could not be used", margin=10)
