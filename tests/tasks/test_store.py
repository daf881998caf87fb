"""Task files keep everything, and a broken one is named with its column."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from moma_app.errors import DamagedFileError
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks import store
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import TaskSpec

from .conftest import make_data


@st.composite
def task_data(draw):
    sizes = draw(st.lists(st.integers(1, 5), max_size=6))
    finite = st.floats(-100, 100, width=32)
    crystals = [
        Crystal(
            draw(hnp.arrays(np.int16, size, elements=st.integers(1, 118))),
            draw(hnp.arrays(np.float64, (3, 3), elements=finite)),
            draw(hnp.arrays(np.float64, (size, 3), elements=finite)),
        )
        for size in sizes
    ]
    n = len(sizes)
    forces = draw(hnp.arrays(np.float64, (sum(sizes), 3), elements=finite)) if draw(st.booleans()) else None
    return TaskData(
        spec=TaskSpec(name="some", role="user", property="p", unit="eV"),
        ids=draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=n, max_size=n)),
        rows=draw(hnp.arrays(np.int32, n)),
        structures=StructureSet.from_any(crystals),
        targets=draw(hnp.arrays(np.float64, n, elements=st.floats(allow_nan=False, allow_infinity=False))),
        forces=forces,
        metadata={"origin": "drawn"},
    )


@settings(max_examples=40, deadline=None)
@given(data=task_data())
def test_what_is_written_is_read(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("store") / "some.parquet"
    store.write_task(path, data)
    back = store.read_task(path)
    assert back.content_hash() == data.content_hash()
    assert back.ids == data.ids
    assert np.array_equal(back.rows, data.rows)
    assert back.spec == data.spec
    assert (back.forces is None) == (data.forces is None)
    assert back.metadata["origin"] == "drawn"
    assert back.metadata["rows"] == len(data)
    assert np.array_equal(store.read_rows(path), data.rows)


def test_the_written_schema_is_that_of_the_shared_files(tmp_path, shared_data):
    theirs = pq.read_schema(shared_data / "tasks" / "mp_phonons.parquet")
    store.write_task(tmp_path / "mine.parquet", make_data())
    ours = pq.read_schema(tmp_path / "mine.parquet")
    assert ours.equals(theirs)
    assert set(json.loads(ours.metadata[b"moma_task"])) >= {"name", "role", "unit", "transform", "rows"}


def test_every_shared_file_loads(shared_data):
    index = json.loads((shared_data / "index.json").read_text())
    paths = sorted((shared_data / "tasks").glob("*.parquet"))
    assert len(paths) == len(index) - 2  # the index lists Chang's two extra tasks, which have no file
    for path in paths:
        data = store.read_task(path)
        stored = index[path.stem]
        assert len(data) == stored["rows"], path.stem
        assert data.targets.mean() == pytest.approx(stored["mean"], abs=1e-5)
        assert data.spec.unit == stored["unit"]
        assert (data.structures.cells.shape, data.targets.dtype) == ((len(data), 3, 3), np.float64)
        if path.stem == "lips_energy":
            assert data.forces.shape == (len(data.structures.numbers), 3)


def test_a_stored_file_has_the_last_word_over_the_catalogue(tmp_path):
    path = tmp_path / "mp_phonons.parquet"
    data = make_data(4, name="mp_phonons")
    store.write_task(path, data)
    spec = store.read_task(path).spec
    assert (spec.unit, spec.transform) == ("eV", None)
    assert spec.published_rows == 1265


def _rewrite(path, change):
    """Write a good file, then let ``change`` spoil its table."""
    store.write_task(path, make_data(5))
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)


def _replace(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def _list(values, kind):
    return pa.array(values, type=pa.list_(kind))


CHANGES = {
    "missing column": ("target", lambda t: t.drop_columns(["target"])),
    "text for numbers": ("target", lambda t: _replace(t, "target", pa.array(["a"] * 5))),
    "NaN target": ("target", lambda t: _replace(t, "target", pa.array([0.0, 1, float("nan"), 2, 3]))),
    "empty target": ("target", lambda t: _replace(t, "target", pa.array([0.0, None, 1, 2, 3]))),
    "no such element": ("numbers", lambda t: _replace(t, "numbers", _list([[3, 200]] * 5, pa.int16()))),
    "no atoms": ("numbers", lambda t: _replace(t, "numbers", _list([[]] * 5, pa.int16()))),
    "too few coordinates": ("frac_coords", lambda t: _replace(t, "frac_coords", _list([[0.0]] * 5, pa.float32()))),
    "empty coordinate": (
        "frac_coords", lambda t: _replace(t, "frac_coords", _list([[0.0] * 5 + [None]] * 5, pa.float32()))),
    "infinite cell": ("cell", lambda t: _replace(t, "cell", _list([[float("inf")] * 9] * 5, pa.float64()))),
    "cell of eight": ("cell", lambda t: _replace(t, "cell", _list([[1.0] * 8] * 5, pa.float64()))),
    "empty id": ("material_id", lambda t: _replace(t, "material_id", pa.array(["a", None, "b", "c", "d"]))),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_broken_column_is_named(tmp_path, case):
    column, change = CHANGES[case]
    path = tmp_path / "broken.parquet"
    _rewrite(path, change)
    with pytest.raises(DamagedFileError, match=rf"broken\.parquet, column {column}: "):
        store.read_task(path)


def test_class_outside_of_the_classes_is_damage(tmp_path):
    data = make_data(4, kind="classification", n_classes=2)
    store.write_task(tmp_path / "c.parquet", data)
    with pytest.raises(DamagedFileError, match="none of the 2 classes"):
        store.read_task(tmp_path / "c.parquet")


def test_damaged_bytes_are_found(tmp_path):
    path = tmp_path / "mine.parquet"
    store.write_task(path, make_data(200))
    good, before = path.read_bytes(), store.read_task(path).content_hash()
    for position in range(8, len(good) - 8, max(1, len(good) // 150)):
        spoiled = bytearray(good)
        spoiled[position] ^= 0xFF
        path.write_bytes(bytes(spoiled))
        try:
            data = store.read_task(path)
        except DamagedFileError:
            continue
        assert data.content_hash() == before
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DamagedFileError, match=r"mine\.parquet is damaged"):
        store.read_task(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"x\.parquet"):
        store.read_metadata(path)


def test_parquet_without_a_task_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DamagedFileError, match="moma_task"):
        store.read_task(tmp_path / "x.parquet")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.parquet"
    store.write_task(path, make_data(5))
    before = path.read_bytes()

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        store.write_task(path, make_data(6))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []
