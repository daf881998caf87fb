"""Rows that a backbone cannot make graphs of are left out, named and counted; the fit goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moma_app.backbones.refused import cached_usable_graphs, refused_structures
from moma_app.errors import InputError
from moma_app.progress import Note
from moma_app.tasks.splits import Split
from moma_app.training.fit_rows import select_rows
from moma_app.training.recipe import Recipe
from moma_app.training.storage import choose_storage
from moma_app.training.train_module import train_module

ALONE = [3, 17, 20]


@pytest.fixture
def sparse(elements):
    """Elements of which three are so thin that no atom sees another."""
    cells = elements.structures.cells.copy()
    cells[ALONE] *= 10
    return replace(elements, structures=replace(elements.structures, cells=cells))


@pytest.fixture
def split():
    return Split(np.arange(14), np.arange(14, 18), np.arange(18, 24), 0, "own")


def test_refused_structures_are_found_with_their_reasons(chgnet, sparse):
    refused = refused_structures(chgnet, sparse.structures)
    assert list(refused) == ALONE
    assert all("no neighbour within 6 Å" in reason for reason in refused.values())
    assert refused_structures(chgnet, sparse.structures.take([0, 1])) == {}


def test_the_graphs_of_the_others_are_as_if_there_were_no_others(chgnet, sparse, elements, tmp_path):
    told = []
    graphs, usable = cached_usable_graphs(chgnet, sparse.structures, tmp_path, told.append)
    assert set(range(24)) - set(usable) == set(ALONE)
    alone = chgnet.graphs(elements.structures.take(usable))
    for name, array in alone.arrays.items():
        np.testing.assert_array_equal(graphs.arrays[name], array)
    (note,) = (event.message for event in told if isinstance(event, Note))
    assert note.startswith(
        "3 of 24 structures left out, which chgnet cannot make graphs of. The first: Atom 0"
    )


def test_rows_keep_their_places(chgnet, sparse, split):
    rows = select_rows(sparse, split, Recipe("own"), chgnet)
    assert (rows.refused, rows.excluded, len(rows.graphs)) == (3, 0, 21)
    for part in ("train", "val", "test"):
        kept = [row for row in getattr(split, part) if row not in ALONE]
        assert rows.used[getattr(rows, part)].tolist() == kept


def test_a_part_without_usable_rows_is_an_error(chgnet, sparse, split):
    with pytest.raises(InputError, match="chgnet can use no validation structure"):
        select_rows(sparse, replace(split, val=np.array([17])), Recipe("own"), chgnet)


def test_a_module_is_trained_on_the_rest_and_its_card_says_so(sparse, split, tmp_path):
    recipe = Recipe("own").changed({"fit.epochs": 1, "fit.head_epochs": 0, "head.hidden": 16})
    module = train_module(sparse, split, recipe, name="thin", checkpoints=tmp_path, device="cpu")
    data = module.card.data
    assert (data.rows_train, data.rows_val, data.rows_test, data.rows_refused) == (13, 3, 5, 3)
    assert data.left_out == "3 rows, of which the backbone cannot make graphs"
    stored = choose_storage(module, sparse, split.test, device="cpu").module.card
    assert stored.metrics.test_mae == pytest.approx(module.card.metrics.test_mae, rel=5e-3)
