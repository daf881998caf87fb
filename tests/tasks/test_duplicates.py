"""Structures that stand twice are found whatever cell describes them, and different ones are told apart."""

import csv
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import CancelledError, InputError
from moma_app.jobs.context import Context
from moma_app.progress import Step
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks import store
from moma_app.tasks.data import TaskData
from moma_app.tasks.duplicates import DuplicateReport, confirmed, find_duplicates
from moma_app.tasks.fingerprint import WAVES, distances, fingerprint
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.task import get_task, task_file
from moma_app.work.examine import examine, examine_spec

from .conftest import rock_salt

PEROVSKITE = Crystal(
    np.array([38, 22, 8, 8, 8], np.int16),
    np.diag([3.9, 3.95, 4.1]),
    np.array([[0.0, 0, 0], [0.5, 0.5, 0.53], [0.5, 0.5, 0.02], [0.5, 0, 0.51], [0, 0.5, 0.5]]),
)


def apart(one, other):
    return float(distances(fingerprint(one)[None], fingerprint(other)[None])[0, 0])


@st.composite
def descriptions(draw):
    """Another cell, origin, orientation and order of the same crystal."""
    whole = st.integers(-1, 1)
    matrix = np.array(draw(st.lists(st.lists(whole, min_size=3, max_size=3), min_size=3, max_size=3)))
    if not 1 <= abs(round(np.linalg.det(matrix))) <= 3:
        matrix = np.diag([1, 2, 1])
    atoms = make_supercell(
        Atoms(PEROVSKITE.numbers, scaled_positions=PEROVSKITE.frac_coords, cell=PEROVSKITE.cell, pbc=True),
        matrix,
    )
    atoms.rotate(draw(st.floats(0, 360)), (1, 2, 3), rotate_cell=True)
    atoms.translate(draw(st.lists(st.floats(-5, 5), min_size=3, max_size=3)))
    return Crystal.from_any(atoms[draw(st.permutations(range(len(atoms))))])


@settings(max_examples=40, deadline=None)
@given(descriptions(), st.floats(0.8, 1.3))
def test_a_fingerprint_does_not_depend_on_the_cell_its_place_or_its_scale(other, scale):
    assert apart(PEROVSKITE, other) < 1e-6
    assert apart(PEROVSKITE, replace(other, cell=other.cell * scale)) < 1e-6


def test_a_fingerprint_is_the_sum_over_pairs():
    """Two atoms by hand: CsCl, all neighbours of a large block."""
    a = 4.0
    crystal = Crystal(np.array([55, 17], np.int16), np.eye(3) * a, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]))
    steps = np.arange(-4, 5)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3) * a
    reach = 3 * (a**3 / 2) ** (1 / 3)
    expected = np.zeros((WAVES, 2, 2))
    for (i, j), shift in {(0, 0): 0.0, (1, 1): 0.0, (0, 1): a / 2, (1, 0): -a / 2}.items():
        r = np.linalg.norm(grid + shift, axis=1)
        x = r[(r > 1e-9) & (r < reach)] / reach
        expected[:, j, i] = [((1 - x**2) ** 2 * np.cos(m * np.pi * x)).sum() / 2 for m in range(WAVES)]
    assert np.allclose(fingerprint(crystal), expected.ravel())


def test_a_fingerprint_changes_smoothly_and_tells_forms_apart():
    shift = np.zeros((5, 3))
    shift[1, 2] = 1e-4
    moved = replace(PEROVSKITE, frac_coords=PEROVSKITE.frac_coords + shift)
    assert 0 < apart(PEROVSKITE, moved) < 1e-3
    swapped = replace(PEROVSKITE, numbers=np.array([22, 38, 8, 8, 8], np.int16))
    assert apart(PEROVSKITE, swapped) > 0.1
    salts = [
        Crystal.from_any(bulk("NaCl", form, a=5.6)) for form in ("rocksalt", "cesiumchloride", "zincblende")
    ]
    assert min(apart(salts[i], salts[j]) for i in range(3) for j in range(i)) > 0.2
    metals = [Crystal.from_any(bulk("Fe", form, a=3)) for form in ("fcc", "bcc", "hcp", "sc")]
    assert min(apart(metals[i], metals[j]) for i in range(4) for j in range(i)) > 0.05


def test_large_cells_are_done_in_pieces(monkeypatch):
    whole = fingerprint(PEROVSKITE)
    monkeypatch.setattr("moma_app.tasks.fingerprint._AT_ONCE", 300)
    assert np.allclose(fingerprint(PEROVSKITE), whole)


def task_of(name, crystals, unit="eV", **spec):
    data = TaskData(
        TaskSpec(name=name, role="user", property="p", unit=unit, **spec),
        [f"{name}-{i}" for i in range(len(crystals))],
        np.arange(len(crystals), dtype=np.int32),
        StructureSet.from_any(crystals),
        np.arange(len(crystals), dtype=float),
    )
    store.write_task(task_file_of(name), data)
    return get_task(name)


def task_file_of(name):
    from moma_app.config import get_settings

    return task_file(get_settings().cache_folder, name)


SALT = rock_salt()
CUBIC = Crystal.from_any(bulk("NaCl", "rocksalt", a=5.6, cubic=True))
WIDE = rock_salt(a=5.8)  # 11% more volume


@pytest.fixture
def three(home):
    """A task that repeats itself, one with the same unit, one with another."""
    return (
        task_of("ours", [SALT, rock_salt(3, 9, 4), CUBIC, WIDE, PEROVSKITE]),
        task_of("theirs", [WIDE, rock_salt(a=5.62), rock_salt(19, 17)]),
        task_of("moduli", [PEROVSKITE], unit="GPa"),
    )


def test_rows_are_found_within_the_task_and_in_others(three):
    ours, *others = three
    report = find_duplicates(ours.load(), [*others, ours])
    found = [(p.position, p.task, p.other_position, p.other_target) for p in report.pairs]
    assert found == [
        (2, "ours", 0, 0.0), (0, "theirs", 1, 1.0), (2, "theirs", 1, 1.0), (3, "theirs", 0, 0.0),
        (4, "moduli", 0, None),
    ]  # fmt: skip
    exact = {(p.id, p.other_id) for p in report.pairs if p.identical}
    assert exact == {("ours-3", "theirs-0"), ("ours-4", "moduli-0")}
    assert [(c.task, c.rows, c.repeated) for c in report.compared] == [
        ("ours", 5, 1), ("theirs", 3, 3), ("moduli", 1, 1),
    ]  # fmt: skip
    assert DuplicateReport.from_dict(json.loads(json.dumps(report.to_dict()))).pairs == report.pairs
    assert len(report.to_dict(2)["pairs"]) == 2
    assert report.to_dict(2)["n_pairs"] == 5


def test_the_matcher_can_be_asked(three):
    ours, theirs, _ = three
    pairs = find_duplicates(ours.load(), [theirs]).pairs
    assert confirmed(pairs[1], ours.load(), theirs.load()).same is True
    assert confirmed(replace(pairs[1], other_position=2), ours.load(), theirs.load()).same is False


def test_many_rows_of_one_formula_are_compared_in_blocks(home, monkeypatch):
    crystals = [rock_salt(a=5.6 + 0.001 * (i % 7)) for i in range(40)]
    data = task_of("one", crystals).load()
    whole = find_duplicates(data).pairs
    assert len(whole) == 39
    monkeypatch.setattr("moma_app.tasks.duplicates._BLOCK", 6)
    assert find_duplicates(data).pairs == whole


def test_progress_is_told_and_can_stop_the_search(three):
    ours, *others = three
    events = []
    find_duplicates(ours.load(), others, events.append)
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert {event.what for event in events if isinstance(event, Step)} == {
        "comparing with ours", "comparing with theirs", "comparing with moduli", "comparing tasks",
    }  # fmt: skip
    assert events[-1].fraction == 1

    def stop(event):
        if event.what.endswith("theirs"):
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        find_duplicates(ours.load(), others, stop)


def test_the_unit_keeps_all_pairs_as_a_table(three, tmp_path):
    ours, *_ = three
    spec = examine_spec(ours, ["theirs", "moduli", "ours"], confirm=2)
    assert spec.arguments["others"] == ["theirs", "moduli"]
    assert sorted(spec.files) == ["tasks/moduli.parquet", "tasks/ours.parquet", "tasks/theirs.parquet"]
    result = examine(Context(tmp_path / "run"), **spec.arguments)
    assert result["metrics"] == {"repeated_rows": 4, "pairs": 5}
    report = DuplicateReport.from_dict(json.loads(json.dumps(result))["report"])
    assert [pair.same for pair in report.pairs].count(True) == 2
    assert [pair.distance for pair in report.pairs] == sorted(pair.distance for pair in report.pairs)
    with (tmp_path / "run" / "artefacts" / "duplicates.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["other_id"] for row in rows][-1] == "moduli-0"
    with pytest.raises(InputError, match="mp_phonons is not on this machine"):
        examine_spec(ours, ["mp_phonons"])


def test_real_tasks_overlap_as_their_files_say(shared_data):
    """By the data's README, 122 of the 177 test structures stand in mp_gvrh and mp_kvrh; we ask for more likeness."""
    task = get_task("mp_poisson_ratio")
    test = task.load().take(task.split(0).test)
    begun = time.process_time()
    report = find_duplicates(test, [get_task("mp_gvrh"), get_task("mp_kvrh")])
    assert time.process_time() - begun < 15
    itself, shear, bulk_modulus = report.compared
    assert itself.repeated <= 2
    assert shear.repeated == bulk_modulus.repeated, "both tasks have the same structures"
    assert 105 <= shear.repeated <= 122
