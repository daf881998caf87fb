from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from moma_app.backbones import building
from moma_app.backbones.building import build_in_chunks
from moma_app.backbones.chgnet_graph import SCHEMA, build_graphs
from moma_app.errors import CancelledError, StructureRefusedError
from moma_app.structures import Crystal, StructureSet

ALONE = partial(build_in_chunks, build_graphs, SCHEMA, processes=1)
HELPED = partial(build_in_chunks, build_graphs, SCHEMA, processes=2)
FAR = Crystal(np.array([8], np.int16), 30 * np.eye(3), np.zeros((1, 3)))


@pytest.fixture(scope="module")
def structures(crystals, ideal_crystals):
    return StructureSet.from_any([*crystals, *ideal_crystals])


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(building, "CHUNK_ATOMS", 8)


@pytest.fixture
def helpers_always(monkeypatch, small_chunks):
    """Other processes help from the third chunk on; count how many pools are started."""
    started = []
    start = building._pool
    monkeypatch.setattr(building, "WORTH_SECONDS", 0)
    monkeypatch.setattr(building, "_pool", lambda helpers: started.append(helpers) or start(helpers))
    return started


def assert_equal(ours, expected):
    for name, values in expected.arrays.items():
        assert ours.arrays[name].dtype == values.dtype == np.dtype(SCHEMA.fields[name].dtype)
        np.testing.assert_array_equal(ours.arrays[name], values, err_msg=name)
    for scope, ptr in expected.ptr.items():
        np.testing.assert_array_equal(ours.ptr[scope], ptr, err_msg=scope)


@pytest.mark.parametrize("atoms", [1, 5, 13, 10**6])
def test_chunks_do_not_change_the_graphs(structures, monkeypatch, atoms):
    monkeypatch.setattr(building, "CHUNK_ATOMS", atoms)
    assert_equal(ALONE(structures), build_graphs(structures))


def test_other_processes_do_not_change_the_graphs(structures, helpers_always):
    many = structures.take(np.arange(120) % len(structures))
    assert_equal(HELPED(many), build_graphs(many))
    assert helpers_always == [1]


def test_a_short_task_is_done_alone(structures, monkeypatch, small_chunks):
    monkeypatch.delattr(building, "_pool")
    assert_equal(HELPED(structures), build_graphs(structures))


def test_the_first_refused_structure_is_named_whoever_builds(crystals, helpers_always):
    structures = StructureSet.from_any([*crystals * 3, FAR, *crystals, FAR])
    for build in (ALONE, HELPED):
        with pytest.raises(StructureRefusedError, match="Structure 18: Atom 0 has no neighbour") as caught:
            build(structures)
        assert caught.value.position == 18


def test_progress_ends_with_the_whole(structures, small_chunks):
    events = []
    ALONE(structures, events.append)
    done = [event.done for event in events]
    assert done == sorted(set(done))
    assert len(done) > 2
    assert (done[-1], events[-1].total, events[-1].fraction) == (12, 12, 1)


def test_a_listener_that_stops_the_work_ends_the_other_processes(structures, helpers_always, monkeypatch):
    start, ended = building._pool, []

    @contextmanager
    def watch(helpers):
        try:
            with start(helpers) as pool:
                yield pool
        finally:
            ended.append(pool)

    monkeypatch.setattr(building, "_pool", watch)

    def stop(event):
        if event.done > 40:
            raise CancelledError

    with pytest.raises(CancelledError):
        HELPED(structures.take(np.arange(120) % len(structures)), stop)
    assert len(ended) == 1


def test_another_process_builds_the_same(structures):
    with building._pool(1) as pool:
        built, refused = (
            pool.submit(building._build, build_graphs, crystals).result(timeout=60)
            for crystals in (structures, StructureSet.from_any([FAR]))
        )
    assert_equal(built, build_graphs(structures))
    assert refused is None


def test_helpers_that_cannot_build_are_done_without(structures, helpers_always):
    class Local:
        """Cannot travel to another process."""

        def __call__(self, crystals):
            return build_graphs(crystals)

        def __reduce__(self):
            raise TypeError

    ours = build_in_chunks(Local(), SCHEMA, structures, processes=2)
    assert_equal(ours, build_graphs(structures))
    assert helpers_always == [1]


def test_no_structures_make_no_graphs():
    assert len(ALONE(StructureSet.from_any([]))) == 0


def test_a_script_without_main_guard_is_run_once_and_leaves_no_process_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import numpy as np
from moma_app.backbones import building, chgnet_graph
from moma_app.structures import Crystal, StructureSet

print("started")
building.CHUNK_ATOMS = 2
building.WORTH_SECONDS = 0
crystal = Crystal(np.array([26, 26], np.int16), 2.87 * np.eye(3), np.array([[0, 0, 0], [0.5] * 3]))
structures = StructureSet.from_any([crystal] * 200)
graphs = building.build_in_chunks(chgnet_graph.build_graphs, chgnet_graph.SCHEMA, structures, processes=2)
print(len(graphs))
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["started", "200"], done.stderr
    assert not done.stderr


def test_processes_that_build_do_without_torch():
    code = (
        "import sys, moma_app.backbones.chgnet_graph, moma_app.backbones.cgcnn_graph, moma_app.backbones.building\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
