"""Uploads: checked without writing, zip files and workbooks guarded, files looked at before an import."""

import io
import json
import stat
import struct
import zipfile

import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from moma_app.errors import InputError, UnknownNameError
from moma_app.tasks.importing import import_task
from moma_app.tasks.inspecting import inspect_file
from moma_app.tasks.limits import Limits
from moma_app.tasks.report import ImportRefusedError
from moma_app.tasks.task import get_task, split_file

from .conftest import rock_salt

SALT = rock_salt().to_pymatgen()
CIF = SALT.to(fmt="cif")


def import_gap(path, **options):
    return import_task(path, target="gap", unit="eV", **options)


def csv(tmp_path, rows, columns=("id", "cif", "gap"), name="mine.csv"):
    path = tmp_path / name
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, index=False)
    return path


def packed(path, files, **kinds):
    """Write a zip file; ``kinds`` are attributes of the last member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == list(files)[-1]:
                for key, value in kinds.items():
                    setattr(info, key, value)
            archive.writestr(info, content)
    return path


def test_a_dry_run_reports_everything_and_writes_nothing(home, tmp_path):
    rows = [["a", CIF, 1.0], ["b", "nonsense", 2.0], ["c", CIF, "x"], ["d", CIF, 4.0]]
    path = csv(tmp_path, rows)
    report = import_gap(path, dry_run=True)
    assert (report.n_read, report.n_accepted, report.task, report.path) == (4, 2, None, None)
    assert report.data.ids == ["a", "d"]
    assert report.target_summary["max"] == 4.0
    assert not home.exists()
    lines = CIF.count("\n") + 1
    assert [(r.row, r.line, r.id) for r in report.refused] == [(2, 2 + lines, "b"), (3, 3 + lines, "c")]
    assert json.loads(json.dumps(report.to_dict()))["refused"][0]["line"] == 2 + lines
    done = import_gap(path)
    assert [r.line for r in done.refused] == [r.line for r in report.refused]
    with pytest.raises(InputError, match="already"):
        import_gap(path, dry_run=True)


def test_a_dry_run_of_a_file_without_a_good_row_is_a_report_too(tmp_path):
    path = csv(tmp_path, [["a", "x", 1], ["b", CIF, "?"]])
    report = import_gap(path, dry_run=True, strict=True)
    assert report.counts() == {"unparsable": 1, "target not a number": 1}
    assert report.data is None
    with pytest.raises(ImportRefusedError):
        import_gap(path)


def test_lines_of_other_formats(tmp_path):
    record = {"id": "a", "cif": "x", "gap": 1}
    (tmp_path / "a.jsonl").write_text("\n\n" + json.dumps(record) + "\n")
    assert import_gap(tmp_path / "a.jsonl", dry_run=True).refused[0].line == 3
    (tmp_path / "a.json").write_text(json.dumps([record]))
    assert import_gap(tmp_path / "a.json", dry_run=True).refused[0].line is None
    frames = [bulk("Cu"), bulk("Cu")]
    frames[0].info["gap"] = 1.0
    write(tmp_path / "a.extxyz", frames, format="extxyz")
    assert [r.line for r in import_gap(tmp_path / "a.extxyz", dry_run=True).refused] == [4]


def test_a_split_column_becomes_the_tasks_own_split(home, tmp_path):
    parts = ["train", "Train", "VAL", "test", "exam", ""]
    rows = [[f"r{i}", CIF, i, part] for i, part in enumerate(parts)]
    path = csv(tmp_path, rows, ("id", "cif", "gap", "fold"))
    report = import_gap(path, split_column="fold", dry_run=True)
    assert not home.exists()
    assert [(r.id, r.code) for r in report.refused] == [("r4", "split part unknown")]
    assert "2 train, 1 validation and 1 test rows" in report.notes[-1]
    report = import_gap(path, split_column="fold")
    split = report.task.split(4)
    assert (split.origin, split.train.tolist(), split.val.tolist(), split.test.tolist()) == (
        "own", [0, 1], [2], [3],
    )  # fmt: skip
    import_gap(path, overwrite=True)
    assert not split_file(home / "data", "mine").exists(), "the old split is not of the new rows"
    with pytest.raises(InputError, match="part val would be empty"):
        import_gap(csv(tmp_path, [["a", CIF, 1, "train"], ["b", CIF, 1, "test"]], ("id", "cif", "gap", "fold")),
                   split_column="fold", overwrite=True)  # fmt: skip
    assert len(get_task("mine").load()) == 6, "a failed import leaves the older task"
    with pytest.raises(UnknownNameError, match="part"):
        import_gap(path, split_column="part", name="other")
    write(tmp_path / "a.extxyz", bulk("Cu"), format="extxyz")
    with pytest.raises(InputError, match="column of a table"):
        import_gap(tmp_path / "a.extxyz", split_column="fold")


def test_an_uploaded_table_is_called_as_the_user_calls_it_and_reads_no_other_file(tmp_path):
    secret = tmp_path / "other-users.cif"
    secret.write_text(CIF)
    path = csv(tmp_path, [[secret.name, 1.0], [CIF, 2.0]], ("path", "gap"), name="f3a9.csv")
    report = import_gap(path, file_name="My gaps (2).csv", dry_run=True)
    assert report.name == "My_gaps_2"
    assert [r.id for r in report.refused] == ["My gaps (2)-1", "My gaps (2)-2"]
    assert "did not come with the table" in report.refused[0].reason
    (tmp_path / "9c.csv").write_text("")
    with pytest.raises(InputError, match=r"^My gaps\.csv holds no rows"):
        import_gap(tmp_path / "9c.csv", file_name="My gaps.csv")


def test_a_zip_file_in_the_cgcnn_convention(tmp_path):
    files = {
        "set/id_prop.csv": "one,1.0\ntwo,2.0\nthree,3\n../evil,4\n",
        "set/one.cif": CIF,
        "set/two/POSCAR": SALT.to(fmt="poscar"),
        "__MACOSX/set/._one.cif": "litter",
        "set/.DS_Store": "litter",
    }
    report = import_gap(packed(tmp_path / "salts.zip", files))
    assert report.name == "salts"
    assert report.task.load().ids == ["one", "two"]
    assert [(r.row, r.line) for r in report.refused] == [(3, 3), (4, 4)]
    assert "no plain file name" in report.refused[1].reason


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_zip_file_of_a_table_and_the_files_that_it_names(tmp_path, ending):
    frame = pd.DataFrame({"id": ["a", "b", "c", "d"],
                          "path": ["cifs/a.cif", "./cifs\\b.cif", "../c.cif", "/etc/passwd"],
                          "gap": [1.0, 2, 3, 4]})  # fmt: skip
    table = tmp_path / f"table.{ending}"
    {"csv": lambda: frame.to_csv(table, index=False),
     "jsonl": lambda: frame.to_json(table, orient="records", lines=True),
     "parquet": lambda: frame.to_parquet(table),
     "xlsx": lambda: frame.to_excel(table, index=False)}[ending]()  # fmt: skip
    files = {table.name: table.read_bytes(), "cifs/a.cif": CIF, "cifs/b.cif": CIF}
    report = import_gap(packed(tmp_path / "salts.zip", files), dry_run=True)
    assert report.data.ids == ["a", "b"]
    assert [r.id for r in report.refused] == ["c", "d"]


HOSTILE = [
    ({"a/../../evil.cif": CIF}, {}, "leads out of it"),
    ({"/etc/evil.cif": CIF}, {}, "leads out of it"),
    ({"..\\evil.cif": CIF}, {}, "leads out of it"),
    ({"C:evil.cif": CIF}, {}, "leads out of it"),
    ({"link.cif": "/etc/passwd"}, {"external_attr": (stat.S_IFLNK | 0o777) << 16}, "a link"),
    ({"a.cif": CIF, "b.cif": CIF}, {}, "needs id_prop.csv or one table .*none"),
    ({"a.csv": "id,gap", "b.csv": "id,gap"}, {}, r"it has 2 \(a.csv, b.csv\)"),
    ({".DS_Store": ""}, {}, "holds no files"),
]


@pytest.mark.parametrize(("files", "kinds", "message"), HOSTILE)
def test_hostile_and_useless_zip_files_are_refused(tmp_path, files, kinds, message):
    with pytest.raises(InputError, match=message):
        import_gap(packed(tmp_path / "x.zip", files, **kinds))
    assert [path.name for path in tmp_path.rglob("*")] == ["x.zip"], "nothing was unpacked"


def test_zip_bombs_are_refused_by_what_they_state_and_never_unpacked_beyond_it(tmp_path):
    bomb = packed(tmp_path / "bomb.zip", {"id_prop.csv": "a,1\n", "a.cif": b"\0" * 30_000_000})
    assert bomb.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"would unpack to 30 MB: 10 MB are allowed"):
        import_gap(bomb, limits=Limits(unpacked_bytes=10_000_000))
    with pytest.raises(InputError, match="holds 2 files: 1 are allowed"):
        import_gap(bomb, limits=Limits(members=1))
    with pytest.raises(InputError, match=r"bomb.zip has 0 MB|bomb.zip has \d+ MB"):
        import_gap(bomb, limits=Limits(file_bytes=1000))
    # one that lies of its size in the directory: only so much is read, and its check sum fails
    content = bytearray(bomb.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 100)
    bomb.write_bytes(content)
    (refusal,) = import_gap(bomb, dry_run=True, limits=Limits(unpacked_bytes=10_000_000)).refused
    assert "damaged" in refusal.reason


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_zip_file_is_said_to_be_none(tmp_path, content):
    for ending in ("zip", "xlsx"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"x\.{ending} (is damaged or no zip|holds no files)"):
            import_gap(path)


def test_encrypted_zip_files_are_refused(tmp_path):
    path = packed(tmp_path / "x.zip", {"id_prop.csv": "a,1\n"})
    content = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(sign) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="password"):
        import_gap(path)


def test_excel_workbooks(tmp_path):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "structure": [CIF, CIF, "x"], "gap": [1.5, None, 2]})
    with pd.ExcelWriter(tmp_path / "gaps.xlsx") as writer:
        frame.to_excel(writer, index=False, sheet_name="data")
        frame.to_excel(writer, index=False, sheet_name="other")
    report = import_gap(tmp_path / "gaps.xlsx", dry_run=True)
    assert report.data.ids == ["a"]
    assert report.data.targets.tolist() == [1.5]
    assert [(r.id, r.code, r.line) for r in report.refused] == [
        ("b", "target missing", 3), ("c", "unparsable", 4),
    ]  # fmt: skip
    with pytest.raises(InputError, match="would unpack to"):
        import_gap(tmp_path / "gaps.xlsx", limits=Limits(unpacked_bytes=1000))
    (tmp_path / "bad.xlsx").write_bytes(packed(tmp_path / "x.zip", {"a.txt": "a"}).read_bytes())
    with pytest.raises(InputError, match="no Excel workbook"):
        import_gap(tmp_path / "bad.xlsx")
    twice = io.BytesIO()
    pd.DataFrame([[1, 2]], columns=["gap", "gap"]).to_excel(twice, index=False)
    (tmp_path / "twice.xlsx").write_bytes(twice.getvalue())
    with pytest.raises(InputError, match="two columns of one name"):
        import_gap(tmp_path / "twice.xlsx")


def test_a_table_is_looked_at_before_it_is_imported(tmp_path):
    rows = [["a", CIF, "metal", 1.0, "train"], ["b", CIF, "metal", "", "test"]]
    path = csv(tmp_path, rows, ("mpid", "CIF", "class", "gap", "split"))
    found = inspect_file(path)
    assert (found.form, found.n_rows) == ("table", 2)
    assert (found.structure, found.id, found.split) == ("CIF", "mpid", "split")
    assert found.targets == ("gap", "class")
    assert found.first[0]["CIF"].endswith("…")
    assert found.first[0]["gap"] == "1.0"


def test_other_files_are_looked_at_too(tmp_path):
    atoms = bulk("Cu")
    atoms.info.update(gap=1.0, id="x")
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0)
    write(tmp_path / "a.extxyz", [atoms, atoms], format="extxyz")
    found = inspect_file(tmp_path / "a.extxyz")
    assert (found.form, found.n_rows, found.id) == ("frames", None, "id")
    assert set(found.targets) == {"gap", "energy"}
    with connect(str(tmp_path / "a.db")) as database:
        database.write(atoms, gap=2.0)
    found = inspect_file(tmp_path / "a.db", file_name="base.db")
    assert found.form == "database"
    assert set(found.targets) == {"gap", "energy"}
    files = {"id_prop.csv": "one,1.0\ntwo,x\n", "one.cif": CIF}
    found = inspect_file(packed(tmp_path / "a.zip", files))
    assert (found.form, found.n_rows, found.targets) == ("list", 2, ("value",))
    assert found.first == ({"id": "one", "value": "1.0"}, {"id": "two", "value": "x"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.xyz", b"what", "no xyz file"), ("a.xyz", b"", "no xyz file"), ("a.db", b"", "ASE database"),
     ("a.txt", b"", "ending that is not known"), ("a.csv", b"", "holds no rows"), ("a.zip", b"x", "no zip file")],
)  # fmt: skip
def test_files_that_cannot_be_looked_at_are_refused_in_one_sentence(tmp_path, name, content, message):
    (tmp_path / "f0.tmp").write_bytes(content)
    path = (tmp_path / "f0.tmp").rename(tmp_path / f"f0{name[1:]}")
    with pytest.raises(InputError, match=message) as caught:
        inspect_file(path, file_name=name)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(InputError):
        inspect_file(tmp_path)
