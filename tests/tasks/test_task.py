"""Tasks find their data in the user's folders, the cache and the package, in this order."""

import numpy as np
import pytest

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.progress import Warned
from moma_app.tasks import store
from moma_app.tasks.task import get_task, list_tasks, task_file

from .conftest import make_data


def test_the_demo_task_is_always_there():
    task = get_task("elemental_bulk_modulus")
    assert task.available
    data = task.load()
    moduli = dict(zip(data.ids, 10**data.targets, strict=True))
    assert len(data) == 71
    # WIEN2k values of the Delta project, GPa; carbon is graphite there, not diamond
    expected = {"dcdft-Si": 88.5, "dcdft-W": 301.6, "dcdft-Os": 397.3, "dcdft-Cu": 141.3, "dcdft-C": 209.0}
    for name, value in expected.items():
        assert moduli[name] == pytest.approx(value, abs=0.1)
    assert data.spec.unit == "log10(GPa)"
    split = task.split(0)
    assert len(split.train) + len(split.val) + len(split.test) == 71
    assert data.take(split.test).summary()["rows"] == 11


def test_user_folders_come_before_the_cache(home, tmp_path, monkeypatch):
    store.write_task(task_file(home / "data", "mine"), make_data(5))
    assert len(get_task("mine").load()) == 5
    for i in (1, 2):
        store.write_task(task_file(tmp_path / f"d{i}", "mine"), make_data(5 + i))
    monkeypatch.setenv("MOMA_DATA", f"{tmp_path / 'd2'}:{tmp_path / 'd1'}")
    assert len(get_task("mine").load()) == 7


def test_a_file_comes_before_the_embedded_data(home):
    store.write_task(
        task_file(home / "data", "elemental_bulk_modulus"), make_data(5, name="elemental_bulk_modulus")
    )
    assert len(get_task("elemental_bulk_modulus").load()) == 5


def test_missing_data_says_how_to_get_it(home):
    task = get_task("mp_phonons")
    assert not task.available
    with pytest.raises(DataNotFoundError, match=r"moma tasks fetch mp_phonons.*MOMA_DATA"):
        task.load()
    with pytest.raises(DataNotFoundError, match="MOMA_DATA"):
        task.split(0)
    with pytest.raises(DataNotFoundError) as caught:
        get_task("lips_energy").load()
    assert "fetch" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "../../etc/passwd", "", "a/b"])
def test_unknown_tasks_are_refused(name):
    with pytest.raises(UnknownNameError):
        get_task(name)


def test_user_tasks_are_listed_and_suggested(home):
    store.write_task(task_file(home / "data", "my-steel"), make_data(5, name="my-steel"))
    task_file(home / "data", "broken").write_bytes(b"no")
    events = []
    names = [task.name for task in list_tasks(events.append)]
    assert "my-steel" in names
    assert "broken" not in names
    assert [event for event in events if isinstance(event, Warned) and "broken.parquet" in event.message]
    with pytest.raises(UnknownNameError, match="my-steel"):
        get_task("my-steal")
    with pytest.raises(DamagedFileError, match="broken"):
        get_task("broken")
    assert get_task("my-steel").spec.role == "user"


def test_a_copied_file_is_known_by_its_name(home):
    store.write_task(task_file(home / "data", "copy"), make_data(5, name="original"))
    assert get_task("copy").name == "copy"


def test_rows_can_be_taken(home):
    data = make_data(6)
    some = data.take([4, 1])
    assert some.ids == ["m-4", "m-1"]
    assert np.array_equal(some.targets, data.targets[[4, 1]])
    assert np.array_equal(some.structures[1].cell, data.structures[1].cell)
    assert len(data.take([])) == 0
    for bad in ([6], [-1]):
        with pytest.raises(InputError, match="0 to 5"):
            data.take(bad)


def test_forces_follow_their_atoms(shared_data):
    data = get_task("lips_energy").load()
    some = data.take([7, 3])
    ptr = data.structures.ptr
    assert np.array_equal(some.forces[: ptr[8] - ptr[7]], data.forces[ptr[7] : ptr[8]])


def test_the_content_hash_sees_every_change():
    data = make_data(4)
    assert data.content_hash() == make_data(4).content_hash()
    assert data.content_hash() != make_data(5).content_hash()
    assert data.take([1, 0, 2, 3]).content_hash() != data.content_hash()
    data.targets[0] += 1e-12
    assert make_data(4).content_hash() != data.take(range(4)).content_hash()


def test_parts_that_do_not_fit_are_refused():
    from dataclasses import replace

    data = make_data(4)
    with pytest.raises(InputError, match="do not fit"):
        replace(data, ids=["a"])
    with pytest.raises(InputError, match="forces"):
        replace(data, forces=np.zeros((1, 3)))
