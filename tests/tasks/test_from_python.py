"""Structures and a column of numbers become a task, checked row by row as a file is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError, StructureRefusedError
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks import Task, get_task, import_structures
from moma_app.tasks.any_structures import named_structures, structures_of
from moma_app.tasks.own_splits import set_split
from moma_app.tasks.report import ImportRefusedError

from .conftest import rock_salt

N = 8


@pytest.fixture
def crystals():
    return [rock_salt(3 + i, a=5 + i / 10) for i in range(N)]


@pytest.fixture
def cif_files(tmp_path, crystals):
    paths = [tmp_path / f"salt-{i}.cif" for i in range(N)]
    for path, crystal in zip(paths, crystals, strict=True):
        path.write_text(crystal.to_pymatgen().to(fmt="cif"))
    return paths


def test_pymatgen_ase_crystals_paths_and_text_give_the_same_task(crystals, cif_files):
    forms = {
        "crystals": crystals,
        "pymatgen": [c.to_pymatgen() for c in crystals],
        "ase": [c.to_pymatgen().to_ase_atoms() for c in crystals],
        "paths": cif_files,
        "names": [str(path) for path in cif_files],
        "text": [path.read_text() for path in cif_files],
        "dictionaries": [c.to_pymatgen().as_dict() for c in crystals],
        "set": StructureSet.from_any(crystals),
    }
    for name, structures in forms.items():
        data = Task.from_structures(structures, np.arange(N), name=name, unit="eV").load()
        assert [reduced(c) for c in data.structures] == [reduced(c) for c in crystals], name
        assert data.targets.tolist() == list(range(N))
        assert data.spec.unit == "eV"


def reduced(crystal):
    return sorted(crystal.numbers.tolist()), round(crystal.volume, 3)


def test_ids_are_those_of_files_or_of_the_index(crystals, cif_files):
    assert Task.from_structures(cif_files, range(N), name="a", unit="eV").load().ids[0] == "salt-0"
    table = pd.DataFrame({"structure": crystals, "gap": range(N)}, index=[f"mp-{i}" for i in range(N)])
    task = Task.from_structures(table["structure"], table["gap"], name="b", unit="eV")
    assert task.load().ids == list(table.index)
    assert Task.from_structures(crystals, range(N), name="c", unit="eV").load().ids[1] == "c-2"
    own = Task.from_structures(crystals, range(N), name="d", unit="eV", ids=range(100, 100 + N))
    assert own.load().ids[0] == "100"


def test_columns_of_another_order_are_refused(crystals):
    table = pd.DataFrame({"structure": crystals, "gap": range(N)}, index=[f"mp-{i}" for i in range(N)])
    with pytest.raises(InputError, match=r"different indexes, first in row 1 \('mp-0' and 'mp-7'\)"):
        Task.from_structures(table["structure"], table["gap"][::-1], name="b", unit="eV")


def test_the_task_is_there_afterwards_with_its_transform(crystals):
    task = Task.from_structures(
        crystals, [10.0**i for i in range(N)], name="mine", unit="GPa", transform="log10", property="hardness"
    )
    assert task == get_task("mine")
    assert task.spec.unit == "log10(GPa)"
    assert task.spec.property == "hardness"
    np.testing.assert_allclose(task.load().targets, range(N))
    assert len(task.split(0).train) == N - 2


def test_words_become_classes(crystals):
    words = ["metal", "insulator"] * (N // 2)
    task = Task.from_structures(crystals, words, name="m", unit="", kind="classification")
    assert task.load().spec.classes == ("insulator", "metal")
    assert task.to_dataframe()["class"].tolist() == words


@pytest.mark.parametrize(
    ("place", "structure", "target", "said"),
    [
        (2, None, 1.0, r"row 3 \(x-3\): no structure given"),
        (0, float("nan"), 1.0, r"row 1 \(x-1\): no structure given"),
        (4, "nowhere.cif", 1.0, r"row 5 \(x-5\): There is no file nowhere.cif"),
        (
            4,
            17,
            1.0,
            r"row 5 \(x-5\): A structure must be a pymatgen Structure or an ASE Atoms, not an object of type int",
        ),
        (1, "ok", float("nan"), r"row 2 \(x-2\): the target is nan"),
        (1, "ok", "soft", r"row 2 \(x-2\): the target 'soft' is not a number"),
        (1, "ok", None, r"row 2 \(x-2\): no target given"),
        (3, "close", 1.0, r"row 4 \(x-4\): atoms closer than 0.5 Å"),
    ],
)
def test_errors_name_the_row(crystals, place, structure, target, said):
    targets = [1.0 + i for i in range(N)]
    targets[place] = target
    structures = list(crystals)
    if structure == "close":
        structures[place] = rock_salt(a=0.5)
    elif structure != "ok":
        structures[place] = structure
    with pytest.raises(ImportRefusedError, match=said):
        Task.from_structures(structures, targets, name="x", unit="eV")
    assert not get_names() & {"x"}, "nothing was written"


def get_names():
    from moma_app.tasks.task import task_names

    return set(task_names())


def test_bad_rows_are_left_out_if_asked_and_reported(crystals):
    structures = [*crystals[:3], None, *crystals[4:]]
    said = []
    task = Task.from_structures(structures, range(N), name="x", unit="eV", strict=False, progress=said.append)
    assert len(task.load()) == N - 1
    assert any("row 4" in event.describe() for event in said)
    report = import_structures(structures, range(N), name="y", unit="eV")
    assert report.to_dataframe()[["row", "id", "reason"]].to_dict("records") == [
        {"row": 4, "id": "y-4", "reason": "no structure given"}
    ]


def test_numbers_that_do_not_fit(crystals):
    with pytest.raises(InputError, match="8 structures and 7 targets do not fit together"):
        Task.from_structures(crystals, range(N - 1), name="x", unit="eV")
    with pytest.raises(InputError, match="no structure to learn from"):
        Task.from_structures([], [], name="x", unit="eV")
    with pytest.raises(InputError, match="duplicate id, first in row 1"):
        Task.from_structures(crystals, range(N), name="x", unit="eV", ids=["same"] * N)


def test_a_notebook_can_be_run_again(crystals):
    first = Task.from_structures(crystals, range(N), name="x", unit="eV")
    set_split(first, seeds=2)
    written = first.path.stat().st_mtime_ns
    assert Task.from_structures(crystals, range(N), name="x", unit="eV") == first
    assert first.path.stat().st_mtime_ns == written, "equal rows are not written again"
    assert first.split(0).origin == "own", "the split that was set stays"
    for changed in ({"targets": range(1, N + 1)}, {"unit": "meV"}, {"structures": crystals[::-1]}):
        given = {"structures": crystals, "targets": range(N), "unit": "eV", **changed}
        with pytest.raises(InputError, match="There is a task x already"):
            Task.from_structures(name="x", **given)
    changed = Task.from_structures(crystals, range(1, N + 1), name="x", unit="eV", overwrite=True)
    assert changed.load().targets[0] == 1
    assert changed.split(0).origin == "random"


def test_the_catalogue_is_not_overwritten(crystals):
    with pytest.raises(InputError, match="name of a task of the catalogue"):
        Task.from_structures(crystals, range(N), name="mp_phonons", unit="eV", overwrite=True)


def test_own_parts_become_the_split(crystals):
    parts = ["train"] * (N - 2) + ["val", "test"]
    split = Task.from_structures(crystals, range(N), name="x", unit="eV", parts=parts).split(0)
    assert (split.origin, len(split.train), split.test.tolist()) == ("own", N - 2, [N - 1])


def test_dry_run_writes_nothing(crystals):
    report = import_structures(crystals, range(N), name="x", unit="eV", dry_run=True)
    assert report.n_accepted == N
    assert report.task is None
    assert "x" not in get_names()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=N))
def test_targets_come_back_as_they_were_given(targets):
    crystals = [rock_salt(3 + i, a=5 + i / 10) for i in range(len(targets))]
    task = Task.from_structures(crystals, targets, name="any", unit="eV", overwrite=True)
    table = task.to_dataframe()
    assert table["target"].tolist() == targets
    assert table.columns.tolist() == ["id", "formula", "n_atoms", "target"]
    assert table.attrs == {"task": "any", "property": "any", "unit": "eV"}
    assert table["n_atoms"].tolist() == [2] * len(targets)


def test_molecules_and_slabs_of_ase_are_taken():
    report = import_structures(
        [molecule("H2O"), bulk("Cu"), molecule("CH4")], [1, 2, 3], name="mixed", unit="eV"
    )
    assert report.n_accepted == 3
    assert any("2 molecules" in note for note in report.notes)


def test_one_structure_is_a_list_of_one(crystals, cif_files):
    pymatgen = crystals[0].to_pymatgen()
    for single in (crystals[0], pymatgen, pymatgen.to_ase_atoms(), cif_files[0], str(cif_files[0])):
        assert len(structures_of(single)) == 1
    assert len(StructureSet.from_any(pymatgen)) == 1
    assert structures_of(crystals[0])[0].numbers.tolist() == [3, 17]


def test_errors_name_the_position(crystals):
    for convert in (structures_of, StructureSet.from_any, named_structures):
        with pytest.raises(
            StructureRefusedError, match=r"Structure 2: .*not an object of type int"
        ) as caught:
            convert([*crystals[:2], 7])
        assert caught.value.position == 2
    with pytest.raises(StructureRefusedError, match=r"Structure 0: There is no file nowhere\.cif"):
        structures_of("nowhere.cif")


def test_names_of_structures(crystals, cif_files, tmp_path):
    assert [s.label for s in named_structures(crystals[:2])] == ["0", "1"]
    assert [s.label for s in named_structures(pd.Series(crystals[:2], index=["a", "b"]))] == ["a", "b"]
    assert [s.label for s in named_structures(tmp_path)] == [path.name for path in cif_files]
    assert [s.label for s in named_structures(crystals[:2], labels=["p", "q"])] == ["p", "q"]
    with pytest.raises(InputError, match="1 labels were given for 2 structures"):
        named_structures(crystals[:2], labels=["p"])


def test_a_file_with_several_structures_is_no_row(crystals, tmp_path):
    from ase.io import write

    path = tmp_path / "both.xyz"
    write(path, [c.to_pymatgen().to_ase_atoms() for c in crystals[:2]], format="extxyz")
    with pytest.raises(StructureRefusedError, match=r"both\.xyz holds 2 structures, one is expected"):
        structures_of([path])
    assert [s.label for s in named_structures(path)] == ["both.xyz#1", "both.xyz#2"]


def test_a_crystal_is_one_line():
    assert repr(Crystal.from_any(bulk("Cu"))) == "<Crystal Cu: 1 atom>"
    assert repr(StructureSet.from_any([bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6)])) == (
        "<StructureSet of 2 structures, 3 atoms>"
    )
