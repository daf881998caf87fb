"""What defines a run, and what does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.jobs.blobs import Blob, lay_out
from moma_app.jobs.registry import get_unit, unit_names
from moma_app.jobs.spec import Needs, RunSpec

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4), st.integers(0, 8), st.integers(-3, 3))
def test_a_specification_travels_as_json(arguments, gpus, priority):
    spec = RunSpec(
        "compose", arguments, needs=Needs(gpus=gpus), priority=priority, files={"a": Blob("/a", "0" * 64, 1)}
    )
    back = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert back == spec
    assert back.digest == spec.digest


def test_where_results_go_and_who_is_first_do_not_define_a_run():
    one = RunSpec("u", {"a": 1})
    assert one.digest == RunSpec("u", {"a": 1}, publish={"output": "/x"}, priority=9, name="n").digest
    assert one.digest != RunSpec("u", {"a": 2}).digest
    assert one.digest != RunSpec("v", {"a": 1}).digest
    assert one.digest != RunSpec("u", {"a": 1}, files={"f": Blob("/f", "1" * 64, 1)}).digest


def test_the_place_of_a_file_does_not_define_a_run_but_its_content_does(tmp_path):
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    digests = {name: RunSpec("u", files={"f": Blob.of(tmp_path / name)}).digest for name in ("a", "b", "c")}
    assert digests["a"] == digests["b"] != digests["c"]


def test_impossible_needs_are_refused():
    for bad in ({"gpus": -1}, {"memory_gb": -0.5}, {"processes": 0}):
        with pytest.raises(InputError):
            Needs(**bad)
    assert Needs().to_dask() == {}
    assert Needs(gpus=2, memory_gb=16).to_dask() == {"GPU": 2.0, "MEMORY": 16.0}


def test_a_record_of_something_else_is_no_specification():
    with pytest.raises(InputError, match="no specification"):
        RunSpec.from_dict({"unit": "u", "surprise": 1})


def test_a_record_of_a_stranger_cannot_point_out_of_its_folder():
    good = Blob("/f", "1" * 64, 1)
    for place in ("../../.bashrc", "/etc/passwd", "tasks/../../x", ""):
        with pytest.raises(InputError):
            RunSpec("u", files={place: good})
    for sha256 in ("../up", "1" * 63, "G" * 64):
        with pytest.raises(InputError):
            Blob("/f", sha256, 1)


def test_only_declared_functions_are_units():
    assert {"cell", "compose", "encode", "finetune", "train-module"} <= set(unit_names())
    for evil in ("os:system", "os.system", "moma_app.jobs.store:RunStore"):
        with pytest.raises(UnknownNameError):
            get_unit(evil)


def test_a_file_that_changed_since_is_not_used(tmp_path):
    path = tmp_path / "data"
    path.write_text("before")
    blob = Blob.of(path)
    assert lay_out({"tasks/x": blob}, {}, tmp_path / "store", tmp_path / "here") is None
    path.write_text("after!")
    with pytest.raises(DataNotFoundError, match="not the file that the run was defined with"):
        lay_out({"tasks/x": blob}, {}, tmp_path / "store", tmp_path / "here")
    path.unlink()
    with pytest.raises(DataNotFoundError, match="lacks"):
        lay_out({"tasks/x": blob}, {}, tmp_path / "store", tmp_path / "here")


def test_a_carried_file_lies_in_its_place_and_is_kept_once(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"content")
    blob = Blob.of(path)
    path.unlink()
    for run in ("one", "two"):
        folder = lay_out(
            {"tasks/x.parquet": blob}, {blob.sha256: b"content"}, tmp_path / "store", tmp_path / run
        )
        assert (folder / "tasks" / "x.parquet").read_bytes() == b"content"
    assert len(list((tmp_path / "store").rglob("content.parquet"))) == 1
    with pytest.raises(DamagedFileError):
        blob.keep(b"tampered", tmp_path / "other")
    assert not list((tmp_path / "other").rglob("*.parquet"))
