"""The user's own files become tasks; every bad row is refused with its number and reason."""

import json

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError, UnknownNameError
from moma_app.progress import Step, Warned
from moma_app.tasks import store
from moma_app.tasks.importing import import_task
from moma_app.tasks.parsing import StructureError, parse_structure
from moma_app.tasks.report import ImportRefusedError
from moma_app.tasks.task import get_task, task_file
from moma_app.tasks.validation import check_structure

from .conftest import rock_salt

SALT = rock_salt().to_pymatgen()
CIF, POSCAR, JSON = SALT.to(fmt="cif"), SALT.to(fmt="poscar"), SALT.to_json()
P1 = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{atoms}
"""


def cif(*atoms, a=4.0):
    return P1.format(a=a, atoms="\n".join(atoms))


def table(tmp_path, rows, name="mine.csv", columns=("id", "structure", "gap")):
    path = tmp_path / name
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, index=False)
    return path


def good(n=3):
    return [[f"g{i}", (CIF, POSCAR, JSON)[i % 3], 0.5 + i] for i in range(n)]


def import_gap(path, **options):
    return import_task(path, target="gap", unit="eV", **options)


def test_formats_are_told_apart_row_by_row(home, tmp_path):
    events = []
    report = import_gap(table(tmp_path, good(6)), progress=events.append)
    assert (report.n_read, report.n_accepted, report.refused) == (6, 6, [])
    assert report.name == "mine"
    data = report.task.load()
    assert data.ids == [f"g{i}" for i in range(6)]
    assert data.targets.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    for i in range(6):
        assert sorted(data.structures[i].numbers) == [11, 17]
        assert data.structures[i].volume == pytest.approx(5.6**3 / 4, rel=1e-4)
    assert get_task("mine").load().content_hash() == data.content_hash()
    assert report.target_summary["n"] == 6
    assert any(isinstance(event, Step) and event.fraction == 1 for event in events)
    assert json.dumps(report.to_dict())
    assert task_file(home / "data", "mine").is_file()


BAD = {
    "unparsable": [("data_x\n_cell_length_a 3", 1), ("nonsense", 1), ("", 1), ('{"a": 1}', 1), ("{broken", 1), ("a\n1.0\nx", 1),
                   (CIF + CIF.replace("data_", "data_second"), 1), (POSCAR.replace("Na Cl\n", ""), 1),
                   (POSCAR.replace("1 1", "1 7"), 1), (POSCAR.replace("1 1", "1"), 1), ('{"sites": []}', 1),
                   (JSON.replace("0.5", "NaN"), 1)],
    "disordered": [(cif("A Na 0 0 0 0.5", "B Cl 0.5 0.5 0.5 1"), 1), (cif("A Na 0 0 0 0.7", "B K 0 0 0 0.7"), 1),
                   (JSON.replace('"occu": 1', '"occu": 0.5'), 1)],
    "unknown element": [(cif("A Qq 0 0 0 1", "B Cl 0.5 0.5 0.5 1"), 1), (cif("A Xx 0 0 0 1", "B Cl 0.5 0.5 0.5 1"), 1),
                        (POSCAR.replace("Na Cl", "Na Jj"), 1), (JSON.replace('"element": "Na"', '"element": "Vac"'), 1)],
    "atoms too close": [(cif("A Na 0 0 0 1", "B Cl 0.1 0 0 1"), 1), (cif("A Na 0.01 0 0 1", "B Cl 0.99 0 0 1"), 1),
                        (cif("A Na 0 0 0 1", a=0.4), 1), (json.dumps({"lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]},
                         "sites": [{"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0]}] * 2}), 1)],
    "isolated atom": [(cif("A Na 0 0 0 1", a=9.0), 1), (cif("A Na 0 0 0 1", "B Cl 0.1 0 0 1", "C K 0.5 0.5 0.5 1", a=20.0), 1)],
    "no volume": [(json.dumps({"lattice": {"matrix": [[4, 0, 0], [4, 0, 0], [0, 0, 4]]},
                               "sites": [{"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0]}]}), 1),
                  (json.dumps({"lattice": {"matrix": [[0, 0, 0], [0, 4, 0], [0, 0, 4]]},
                               "sites": [{"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0]}]}), 1)],
    "target missing": [(CIF, ""), (CIF, None)],
    "target not a number": [(CIF, "large"), (CIF, "1,5")],
    "target not finite": [(CIF, "nan"), (CIF, "inf"), (CIF, "-inf")],
    "transform undefined": [(CIF, 0.0), (CIF, -2)],
}  # fmt: skip
CASES = [(code, i) for code, cases in BAD.items() for i in range(len(cases))]


@pytest.mark.parametrize(("code", "which"), CASES)
def test_a_bad_row_is_refused_with_its_reason(tmp_path, code, which):
    content, target = BAD[code][which]
    events = []
    report = import_gap(
        table(tmp_path, [good()[0], ["bad", content, target], good()[1]]),
        transform="log10",
        progress=events.append,
    )
    (refusal,) = report.refused
    assert (refusal.row, refusal.id, refusal.code) == (2, "bad", code), refusal
    assert refusal.reason
    assert "Traceback" not in refusal.reason
    assert "\n" not in refusal.reason
    assert [event.message for event in events if isinstance(event, Warned)] == [str(refusal)]
    data = report.task.load()
    assert data.ids == ["g0", "g1"]
    assert data.rows.tolist() == [0, 2]
    assert data.spec.unit == "log10(eV)"
    assert np.allclose(10**data.targets, [0.5, 1.5])


def test_duplicate_ids_are_refused(tmp_path):
    rows = [*good(2), ["g0", CIF, 1.0]]
    (refusal,) = import_gap(table(tmp_path, rows)).refused
    assert (refusal.row, refusal.code) == (3, "duplicate id")
    assert "first in row 1" in refusal.reason


def test_strict_refuses_the_file_for_one_row(home, tmp_path):
    path = table(tmp_path, [*good(5), ["bad", "x", 1]])
    with pytest.raises(ImportRefusedError, match=r"1 of 6 rows are refused.*row 6 \(bad\)") as caught:
        import_gap(path, strict=True)
    assert caught.value.report.counts() == {"unparsable": 1}
    assert caught.value.report.to_dict()["written"] is False
    assert not (home / "data").exists()
    assert import_gap(table(tmp_path, good(5), "fine.csv"), strict=True).n_accepted == 5


def test_a_file_without_a_good_row_is_refused(home, tmp_path):
    with pytest.raises(ImportRefusedError, match="no row can be used"):
        import_gap(table(tmp_path, [["a", "x", 1], ["b", CIF, "?"]]))
    assert not (home / "data").exists()


def test_names_are_guarded(home, tmp_path):
    path = table(tmp_path, good())
    for name in ("../../evil", "a/b", "", ".x", "a b"):
        with pytest.raises(InputError, match="letters, digits"):
            import_gap(path, name=name)
    with pytest.raises(InputError, match="catalogue"):
        import_gap(path, name="mp_phonons")
    import_gap(path, name="own")
    with pytest.raises(InputError, match="already"):
        import_gap(path, name="own")
    assert import_gap(table(tmp_path, good(5)), name="own", overwrite=True).n_read == 5
    assert len(get_task("own").load()) == 5
    assert import_gap(table(tmp_path, good(), "my data (2).csv")).name == "my_data_2"
    assert sorted(p.name for p in (home / "data" / "tasks").glob("*.parquet")) == [
        "my_data_2.parquet",
        "own.parquet",
    ]


def records():
    return [{"id": name, "structure": content, "gap": gap} for name, content, gap in good(4)]


def test_json_and_parquet_tables(tmp_path):
    rows = records()
    rows[2]["structure"] = json.loads(JSON)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    (tmp_path / "c.json").write_text(json.dumps(columns))
    split = {"columns": list(columns), "index": [0, 1, 2, 3], "data": [list(row.values()) for row in rows]}
    (tmp_path / "d.json").write_text(json.dumps(split))
    pd.DataFrame(records()).to_json(tmp_path / "e.json")
    pd.DataFrame(records()).to_parquet(tmp_path / "f.parquet")
    hashes = {import_gap(tmp_path / name).task.load().content_hash() for name in
              ("a.json", "b.jsonl", "c.json", "d.json", "e.json", "f.parquet")}  # fmt: skip
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "no rows"), ("x.csv", b"id,structure,gap\n", "no rows"), ("x.csv", b"\xff\xfe\x00", "UTF-8"),
        ("x.csv", b'id,structure,gap\n1,"abc', "no valid CSV"), ("x.json", b"{", "no valid JSON"),
        ("x.json", b"3", "no table"), ("x.json", b"[1, 2]", "no table"), ("x.json", b'{"a": [1], "b": [1, 2]}', "no table"),
        ("x.json", b"[" * 100_000, "no valid JSON"), ("x.jsonl", b"{}\nx\n", "line 2"), ("x.jsonl", b"[1]\n", "line 1"),
        ("x.parquet", b"PAR1", "Parquet"), ("x.db", b"nothing", "ASE database"), ("x.txt", b"a", "ending"),
        ("x.xyz", b"hello\n", "no xyz file"), ("x.xyz", b"\xff\xff", "UTF-8"),
        ("x.db", b"SQLite format 3\0" + b"\0" * 200, "ASE database"),
    ],
)  # fmt: skip
def test_unreadable_files_are_refused_in_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        import_gap(tmp_path / name)


def test_missing_files_columns_and_transforms_are_named(tmp_path):
    path = table(tmp_path, good())
    with pytest.raises(InputError, match="no file"):
        import_gap(tmp_path / "nothing.csv")
    with pytest.raises(UnknownNameError, match="gap"):
        import_task(path, target="gaps", unit="eV")
    with pytest.raises(UnknownNameError, match="log10"):
        import_gap(path, transform="log")
    with pytest.raises(UnknownNameError, match="structure"):
        import_gap(path, structure="struct")
    other = table(tmp_path, good(), "other.csv", columns=("id", "shape", "gap"))
    with pytest.raises(InputError, match="no column of structures"):
        import_gap(other)
    assert import_gap(other, structure="shape").n_accepted == 3


def test_rows_without_ids_get_names(tmp_path):
    path = table(tmp_path, [[CIF, 1.0], [CIF, 2.0]], columns=("cif", "gap"))
    report = import_gap(path)
    assert report.task.load().ids == ["mine-1", "mine-2"]
    assert any("no id" in note for note in report.notes)


def test_paths_lead_only_into_the_folder_of_the_table(tmp_path):
    folder = tmp_path / "set"
    (folder / "cifs").mkdir(parents=True)
    (folder / "cifs" / "a.cif").write_text(CIF)
    (tmp_path / "outside.cif").write_text(CIF)
    rows = [
        ["a", "cifs/a.cif", 1],
        ["b", "../outside.cif", 1],
        ["c", str(tmp_path / "outside.cif"), 1],
        ["d", "no.cif", 1],
        ["e", "", 1],
    ]
    path = table(folder, rows, columns=("id", "path", "gap"))
    report = import_gap(path)
    assert [refusal.id for refusal in report.refused] == ["b", "c", "d", "e"]
    assert "leads out" in report.refused[0].reason
    wide = import_gap(path, root=tmp_path, name="wide")
    assert [refusal.id for refusal in wide.refused] == ["a", "b", "d", "e"]


def test_a_folder_in_the_cgcnn_convention(tmp_path):
    folder = tmp_path / "cgcnn-set"
    folder.mkdir()
    (folder / "one.cif").write_text(CIF)
    (folder / "two.vasp").write_text(POSCAR)
    (folder / "three").mkdir()
    (folder / "three" / "POSCAR").write_text(POSCAR)
    (folder / "atom_init.json").write_text("{}")
    (folder / "id_prop.csv").write_text("one,1.0\ntwo,2.0\nthree,3\nfour,4\n../mine,5\none,6\ntwo\n")
    report = import_gap(folder)
    assert report.name == "cgcnn-set"
    assert report.task.load().ids == ["one", "two", "three"]
    assert [(r.row, r.code) for r in report.refused] == [
        (4, "unparsable"), (5, "unparsable"), (6, "duplicate id"), (7, "duplicate id"),
    ]  # fmt: skip
    (folder / "id_prop.csv").write_text("id,gap\none,1.0\n")
    assert import_gap(folder, overwrite=True, strict=True).n_read == 1
    (folder / "id_prop.csv").unlink()
    with pytest.raises(InputError, match="id_prop"):
        import_gap(folder, name="other")


def ase_frames():
    frames = [bulk("Cu", a=3.6 + 0.01 * i) * (2, 1, 1) for i in range(3)] + [molecule("H2O")]
    for i, atoms in enumerate(frames):
        atoms.info.update(gap=float(i), id=f"f{i}")
        forces = np.full((len(atoms), 3), 0.1 * i)
        atoms.calc = SinglePointCalculator(atoms, energy=-3.0 - i, forces=forces)
    return frames


def test_extxyz_with_named_values_and_energies(tmp_path):
    path = tmp_path / "frames.extxyz"
    write(path, ase_frames(), format="extxyz")
    report = import_gap(path)
    assert report.task.load().ids == ["f0", "f1", "f2", "f3"]
    assert any("1 molecules" in note and "12 Å" in note for note in report.notes)
    energies = import_task(path, target="energy", unit="eV", name="energies", extensive=True).task.load()
    assert energies.targets.tolist() == [-3, -4, -5, -6]
    assert energies.forces[-1].tolist() == pytest.approx([0.3] * 3)
    assert energies.spec.extensive
    assert report.task.load().forces is None


def test_a_broken_frame_costs_only_itself(tmp_path):
    path = tmp_path / "frames.xyz"
    write(path, ase_frames(), format="extxyz")
    text = path.read_text().replace("Cu       0.0", "Qq       0.0", 1)
    path.write_text(text + "2\ngap=1 id=short\nH 0 0 0\n")
    report = import_gap(path)
    assert [(r.row, r.code) for r in report.refused] == [(1, "unknown element"), (5, "unparsable")]
    path.write_text(text + "what\n")
    assert "line" in import_gap(path, overwrite=True).refused[1].reason


@pytest.mark.parametrize("ending", ["db", "json"])
def test_ase_databases(tmp_path, ending):
    path = tmp_path / f"base.{ending}"
    with connect(str(path)) as database:
        for i, atoms in enumerate(ase_frames()):
            database.write(atoms, gap=float(i), name=f"d{i}")
        database.write(Atoms("Cu", cell=[3, 3, 3], pbc=True), name="without")
        database.write(
            Atoms("X2", positions=[[0, 0, 0], [0, 0, 1.0]], cell=[3, 3, 3], pbc=True), gap=1.0, name="dummy"
        )
        database.write(Atoms("Cu", pbc=True), gap=1.0, name="flat")
    report = import_gap(path)
    assert report.task.load().ids == ["d0", "d1", "d2", "d3"]
    assert {r.id: r.code for r in report.refused} == {
        "without": "target missing", "dummy": "unknown element", "flat": "no volume",
    }  # fmt: skip
    energies = import_task(path, target="energy", unit="eV", name="energies")
    assert energies.n_accepted == 4
    assert energies.task.load().forces.shape == (9, 3)


def test_slabs_and_pymatgen_molecules_get_vacuum(tmp_path):
    slab = Atoms(
        "Cu2",
        positions=[[0, 0, 0], [1.3, 1.3, 1.8]],
        cell=[2.6, 2.6, 0],
        pbc=[True, True, False],
        info={"gap": 1.0},
    )
    write(tmp_path / "slab.extxyz", [slab], format="extxyz")
    report = import_gap(tmp_path / "slab.extxyz")
    assert any("open directions" in note for note in report.notes)
    assert report.task.load().structures[0].cell[2, 2] > 20
    sites = [{"species": [{"element": e, "occu": 1}], "xyz": [x, 0, 0]} for e, x in (("C", 0.0), ("O", 1.13))]
    rows = [["co", json.dumps({"@class": "Molecule", "sites": sites}), 1.0]]
    report = import_gap(table(tmp_path, rows, "molecules.csv"))
    assert any("vacuum" in note for note in report.notes)


def test_json_cannot_run_code(tmp_path):
    """pymatgen's decoder would import and call what the JSON names; ours reads data only."""
    evil = json.loads(JSON)
    evil["sites"][0]["properties"] = {
        "x": {"@module": "os", "@class": "system", "command": f"touch {tmp_path}/pwned"}
    }
    evil["sites"][1]["properties"] = {"x": {"@module": "subprocess", "@callable": "run", "@bound": None}}
    (tmp_path / "evil.json").write_text(json.dumps([{"id": "a", "structure": evil, "gap": 1.0}]))
    assert import_gap(tmp_path / "evil.json").n_accepted == 1
    assert not (tmp_path / "pwned").exists()


def test_classes_from_numbers_words_and_truth_values(tmp_path):
    def classes(values, name):
        rows = [[f"c{i}", CIF, value] for i, value in enumerate(values)]
        return import_gap(table(tmp_path, rows, f"{name}.csv"), kind="classification").task.load()

    numbers = classes([2, 0, 1, 2], "numbers")
    assert numbers.targets.tolist() == [2, 0, 1, 2]
    assert (numbers.spec.n_classes, numbers.spec.classes) == (3, ())
    words = classes(["metal", "insulator", "metal"], "words")
    assert words.targets.tolist() == [1, 0, 1]
    assert words.spec.classes == ("insulator", "metal")
    assert words.summary()["target"]["classes"] == {"insulator": 1, "metal": 2}
    assert classes([True, False], "truth").spec.classes == ("False", "True")
    assert store.read_spec(get_task("words").path).kind == "classification"
    for values, message in (([0.5, 1.5], "no class"), ([1, 1], "classes"), ([0, 99999], "classes")):
        with pytest.raises(InputError, match=message):
            classes(values, "bad")
    with pytest.raises(InputError, match="no transform"):
        import_gap(table(tmp_path, good()), kind="classification", transform="ln")


def test_imported_real_structures_stay_the_same(shared_data, tmp_path):
    data = get_task("mp_poisson_ratio").load().take(range(0, 1181, 60))
    rows = [
        [data.ids[i], data.structures[i].to_pymatgen().to(fmt="poscar"), data.targets[i]]
        for i in range(len(data))
    ]
    back = import_gap(table(tmp_path, rows)).task.load()
    assert np.allclose(back.targets, data.targets)
    for i in range(len(data)):
        assert np.allclose(back.structures[i].cell, data.structures[i].cell, atol=1e-5)
        assert np.array_equal(np.sort(back.structures[i].numbers), np.sort(data.structures[i].numbers))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([CIF, POSCAR, JSON]),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.sampled_from(["", "9" * 30, "-", "nan", "1e308", "{", "\n", "Xx", "\0", "'", "é"]),
        ),
        max_size=4,
    ),
)
def test_damaged_texts_raise_nothing_but_a_reason(text, damages):
    """Whatever stands in a row, the answer is a structure or one clause, never a traceback."""
    for where, what in damages:
        place = int(where * len(text))
        text = text[:place] + what + text[place + 1 :]
    reason = "none"
    try:
        check_structure(parse_structure(text).crystal)
    except StructureError as exc:
        reason = str(exc)
    assert reason
    assert "\n" not in reason
