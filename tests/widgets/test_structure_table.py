"""The StructureTable as a kernel drives it."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from moma_app.errors import InputError
from moma_app.tasks import get_task
from moma_app.training.predictor import Prediction
from moma_app.widgets import StructureTable

TASK = "elemental_bulk_modulus"

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def data():
    return get_task(TASK).load()


@pytest.fixture
def table(data):
    values = data.targets + np.linspace(-0.2, 0.3, len(data))
    prediction = Prediction(values, np.full(len(data), 0.1), "log10(GPa)")
    widget = StructureTable(
        data.structures, prediction, labels=data.ids, targets=data.targets.tolist(), property="bulk modulus"
    )
    yield widget
    widget.close()


def test_the_first_structure_is_chosen_and_others_can_be(table, data):
    heard = []
    table.on_select(heard.append)
    assert table.selected.label == data.ids[0]
    table.list.value = 5
    assert table.selected.label == data.ids[5]
    assert table.selected.target == data.targets[5]
    assert table.selected.unit == "log10(GPa)"
    assert heard == [table.selected]
    assert data.ids[5] in table._sent.value, "the frame is told which structure to show"


def test_search_and_order_keep_what_is_chosen(table, data):
    table.list.value = 7
    chosen = table.selected
    table.order.value = "Highest first"
    values = [row.value for row in table.found]
    assert values == sorted(values, reverse=True)
    assert table.selected is chosen
    table.order.value = "Largest error first"
    errors = [abs(row.value - row.target) for row in table.found]
    assert errors == sorted(errors, reverse=True)
    table.text.value = chosen.label
    assert chosen in table.found
    assert table.selected is chosen
    table.text.value = "no such structure"
    assert table.selected is None
    assert "Nothing was found" in table._head.value


def test_columns_stand_below_one_another(table):
    lines = [label for label, _ in table.list.options]
    assert len({len(line) for line in lines}) == 1
    assert " " not in lines[0], "a list would join plain spaces"


def test_it_takes_what_a_prediction_run_returned():
    from moma_app.structures import Crystal

    crystal = Crystal.from_any(bulk("NaCl", "rocksalt", 5.64))
    row = {
        "file": EVIL,
        "formula": "NaCl",
        "n_atoms": 2,
        "module": "m",
        "property": "p",
        "value": 1.0,
        "std": None,
    }
    result = {
        "rows": [{**row, "unit": "eV", "test_mae": 0.1, "note": "", "structure": 0}],
        "structures": [
            {
                "numbers": crystal.numbers.tolist(),
                "cell": crystal.cell.tolist(),
                "frac_coords": crystal.frac_coords.tolist(),
            }
        ],
    }
    table = StructureTable(result)
    assert table.selected.formula == "NaCl"
    assert len(table.selected.structure) == 2
    for page in (table._head.value, table._frame.value, table._sent.value, table.to_html()):
        assert EVIL not in page
    table.close()
    with pytest.raises(InputError, match="no result of a prediction"):
        StructureTable({"rows": [{}], "structures": []})


def test_structures_and_predictions_must_go_together():
    atoms = [bulk("Cu"), bulk("Al")]
    with pytest.raises(InputError, match="2 structures, but 1 labels"):
        StructureTable(atoms, labels=["a"])
    with pytest.raises(InputError, match="must be a pymatgen Structure"):
        StructureTable(["Cu"])


def test_structures_without_predictions_and_none_at_all():
    table = StructureTable([bulk("Cu"), bulk("Al")])
    assert [row.formula for row in table.rows] == ["Cu", "Al"]
    assert "Highest first" not in table.order.options
    table.close()
    empty = StructureTable([])
    assert empty.selected is None
    assert empty.error is None
    empty.close()


def test_where_nothing_runs_there_are_rows_and_a_picture(table, data):
    table.list.value = 3
    page = table._repr_mimebundle_()["text/html"]
    assert data.ids[3] in page
    assert "<circle" in page
    assert "<script" not in page
    assert "iframe" not in page
