"""Weights for another K, T or set of modules from stored neighbours, against whole compositions."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_factory import real_module

from moma_app.amc.compose import compose
from moma_app.amc.knn import knn_predictions
from moma_app.amc.nearest import nearest_rows
from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.amc.reweigh import reweigh
from moma_app.amc.stored import LARGEST, MOST, StoredNeighbours, neighbours_to_keep
from moma_app.amc.weights import optimize_weights
from moma_app.errors import (
    DamagedFileError,
    DataNotFoundError,
    IncompatibleError,
    InputError,
    UnknownNameError,
)
from moma_app.hub import Hub
from moma_app.tasks.task import get_task

NAMES = ["castelli_eform", "mp_bandgap", "mp_gvrh"]


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """A function that composes the same task from the same hub, with other settings."""
    hub = Hub(tmp_path_factory.mktemp("hub"))
    for seed, name in enumerate(NAMES):
        hub.add(real_module(name, seed, backbone="chgnet"))
    graphs = tmp_path_factory.mktemp("graphs")
    return lambda **how: compose(get_task("elemental_bulk_modulus"), hub, graph_folder=graphs, **how)


@pytest.fixture(scope="module")
def composition(composed):
    return composed()


def untimed(result: AMCResult) -> AMCResult:
    return replace(result, modules=[replace(score, seconds=0) for score in result.modules])


class TestEqualsAWholeComposition:
    @pytest.mark.parametrize(
        "how",
        [
            {},
            {"k": 1},
            {"k": 32},
            {"temperature": 1.0},
            {"temperature": 1e-3},
            {"modules": ["castelli_eform", "mp_gvrh"]},
            {"k": 9, "temperature": 0.05},
        ],
        ids=str,
    )
    def test_to_the_last_digit(self, composed, composition, how):
        again = reweigh(composition.neighbours, composition.result, **how)
        assert untimed(again) == untimed(composed(**how).result)

    def test_but_for_the_rounding_of_an_encoding_with_one_module_alone(self, composed, composition):
        how = {"k": 9, "modules": ["mp_bandgap"]}
        (again,) = reweigh(composition.neighbours, composition.result, **how).modules
        (whole,) = composed(**how).result.modules
        assert (again.weight, whole.weight) == (1, 1)
        np.testing.assert_allclose(again.predictions, whole.predictions, rtol=1e-5)

    @pytest.mark.parametrize("weighting", ["random", "best-single", "select-average"])
    def test_by_another_rule_for_the_weights(self, composed, weighting):
        first = composed(weighting=weighting, seed=3)
        again = reweigh(first.neighbours, first.result, k=3)
        assert untimed(again) == untimed(composed(weighting=weighting, seed=3, k=3).result)

    def test_after_a_round_trip_through_files(self, composition, tmp_path):
        path = tmp_path / "neighbours.safetensors"
        composition.neighbours.save(path)
        result = AMCResult.from_json(composition.result.to_json())
        again = reweigh(StoredNeighbours.load(path), result, k=8)
        assert again == reweigh(composition.neighbours, composition.result, k=8)

    def test_the_composition_itself_is_not_changed(self, composition):
        before = composition.result.to_json()
        reweigh(composition.neighbours, composition.result, k=2, modules=["mp_gvrh"])
        assert composition.result.to_json() == before


def made_up(
    embeddings: list[np.ndarray], targets: np.ndarray, kept: int
) -> tuple[StoredNeighbours, AMCResult]:
    """Neighbours and a result of embeddings, without a task or a hub."""
    m, names = len(targets), tuple(f"module {number}" for number in range(len(embeddings)))
    found = [nearest_rows(table, kept) for table in embeddings]
    stored = StoredNeighbours(
        task="t",
        modules=names,
        sha256=names,
        ids=tuple(f"row {row}" for row in range(m)),
        rows=np.arange(m, dtype=np.int32),
        targets=targets,
        indices=np.stack([each.indices.astype(np.int32) for each in found]),
        similarities=np.stack([each.similarities for each in found]),
    )
    scores = [ModuleScore(name, "t", "p", "u", 0.0, 0.0, 0.0, 0.0, [0.0] * m, sha256=name) for name in names]
    result = AMCResult(
        *(
            "t",
            "p",
            "u",
            scores,
            0.0,
            "",
            kept,
            0.2,
            0,
            None,
            0,
            "random",
            list(stored.ids),
            targets.tolist(),
        ),
        *("b", "f", "full", "all"),
    )
    return stored, result


@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(8, 40),
    modules=st.integers(1, 5),
    k=st.integers(1, 7),
    temperature=st.floats(0.01, 10),
    ties=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_agrees_with_the_equations_applied_to_embeddings(seed, m, modules, k, temperature, ties):
    random = np.random.default_rng(seed)
    embeddings = [random.standard_normal((m, 3)) for _ in range(modules)]
    if ties:
        embeddings = [np.round(table) + np.array([4.0, 0, 0]) for table in embeddings]
    targets = random.standard_normal(m) * 3 + 7
    stored, result = made_up(embeddings, targets, 7)
    again = reweigh(stored, result, k=k, temperature=temperature)
    scaled = (targets - targets.mean()) / targets.std()
    columns = [knn_predictions(table, scaled, k, temperature) for table in embeddings]
    for score, column in zip(again.modules, columns, strict=True):
        np.testing.assert_allclose(score.predictions, column * targets.std() + targets.mean(), rtol=1e-10)
        error = np.abs(np.array(score.predictions) - targets).mean()
        assert score.proxy_mae == pytest.approx(error)
        assert score.proxy_mae_standardised == pytest.approx(error / targets.std())
    solution = optimize_weights(np.stack(columns, axis=1), scaled)
    np.testing.assert_allclose(list(again.weights.values()), solution.weights, atol=1e-7)
    assert again.objective == pytest.approx(solution.objective)
    assert (again.k, again.temperature) == (k, temperature)


def test_eighteen_modules_and_five_thousand_rows_take_a_blink():
    random = np.random.default_rng(0)
    embeddings = [random.standard_normal((5000, 8), dtype=np.float32) for _ in range(18)]
    stored, result = made_up(embeddings, random.standard_normal(5000), 8)
    reweigh(stored, result)
    started = time.perf_counter()
    reweigh(stored, result, k=5, temperature=0.5, modules=[f"module {number}" for number in range(17)])
    assert time.perf_counter() - started < 0.2


class TestWhy:
    def test_an_estimate_is_the_mean_of_its_neighbours_by_their_weights(self, composition):
        stored, result = composition.neighbours, composition.result
        again = reweigh(stored, result, k=4, temperature=0.1)
        targets = np.array(result.train_targets)
        for score in again.modules:
            for row in (0, 17, 48):
                found = stored.neighbours(score.module, row, k=4, temperature=0.1)
                assert len(found) == 4
                assert row not in [neighbour.row for neighbour in found]
                assert [n.similarity for n in found] == sorted((n.similarity for n in found), reverse=True)
                assert sum(neighbour.weight for neighbour in found) == pytest.approx(1)
                estimate = sum(neighbour.weight * targets[neighbour.row] for neighbour in found)
                assert estimate == pytest.approx(score.predictions[row])

    def test_rows_lead_back_to_the_structures(self, composition):
        data = get_task("elemental_bulk_modulus").load()
        stored = composition.neighbours
        assert [data.ids[position] for position in stored.rows] == list(stored.ids)
        assert data.targets[stored.rows].tolist() == stored.targets.tolist()

    @pytest.mark.parametrize("row", [-1, 49])
    def test_there_is_no_such_row(self, composition, row):
        with pytest.raises(InputError, match=f"no training row {row}: there are 49"):
            composition.neighbours.neighbours("mp_gvrh", row, k=5, temperature=0.2)


class TestRefused:
    def test_more_neighbours_than_were_kept(self, composition):
        assert composition.neighbours.k_max == MOST
        with pytest.raises(
            InputError, match=r"K = 33 is more than the 32 neighbours .* compose anew with K = 33"
        ):
            reweigh(composition.neighbours, composition.result, k=33)

    def test_more_neighbours_than_rows(self, composition):
        with pytest.raises(InputError, match="need at least 50 training structures"):
            reweigh(composition.neighbours, composition.result, k=49)

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"k": 0}, "K must be"),
            ({"temperature": 0.0}, "must be positive"),
            ({"modules": []}, "No module is left"),
        ],
        ids=str,
    )
    def test_settings_without_meaning(self, composition, how, words):
        with pytest.raises(InputError, match=words):
            reweigh(composition.neighbours, composition.result, **how)

    def test_a_module_that_took_no_part(self, composition):
        with pytest.raises(UnknownNameError, match="did you mean mp_gvrh"):
            reweigh(composition.neighbours, composition.result, modules=["mp_gvr"])
        with pytest.raises(UnknownNameError, match="did you mean mp_gvrh"):
            composition.neighbours.neighbours("mp_gvr", 0, k=1, temperature=1)

    def test_neighbours_of_another_composition(self, composed, composition):
        with pytest.raises(IncompatibleError, match="not of this composition"):
            reweigh(composed(split=1).neighbours, composition.result)
        only = composed(modules=["mp_gvrh"])
        with pytest.raises(IncompatibleError, match="not of this composition"):
            reweigh(only.neighbours, composition.result)
        assert reweigh(composition.neighbours, only.result).weights == {"mp_gvrh": 1.0}


class TestFile:
    @pytest.fixture
    def path(self, composition, tmp_path):
        path = tmp_path / "neighbours.safetensors"
        composition.neighbours.save(path)
        return path

    def test_comes_back_whole(self, composition, path):
        before, after = composition.neighbours, StoredNeighbours.load(path)
        assert (after.task, after.modules, after.sha256, after.ids) == (
            *(before.task, before.modules, before.sha256, before.ids),
        )
        for name in ("rows", "targets", "indices", "similarities"):
            assert getattr(after, name).dtype == getattr(before, name).dtype
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))

    def test_that_is_cut_short_or_none_is_refused(self, path):
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedFileError, match="compose anew"):
            StoredNeighbours.load(path)
        path.write_bytes(b"no safetensors")
        with pytest.raises(DamagedFileError, match="compose anew"):
            StoredNeighbours.load(path)
        path.unlink()
        with pytest.raises(DataNotFoundError, match="compose anew"):
            StoredNeighbours.load(path)

    @pytest.mark.parametrize(
        "change",
        [
            {"indices": lambda a: np.where(a == a.max(), 49, a).astype(a.dtype)},
            {"similarities": lambda a: np.where(a == a.max(), np.nan, a)},
            {"targets": lambda a: a[:-1]},
            {"indices": lambda a: a[:, :, :-1]},
        ],
        ids=["row that is none", "nan", "too few targets", "other shape"],
    )
    def test_whose_content_makes_no_sense_is_refused(self, path, change):
        from safetensors import safe_open
        from safetensors.numpy import load_file, save_file

        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
        arrays = load_file(path)
        arrays |= {name: np.ascontiguousarray(edit(arrays[name])) for name, edit in change.items()}
        save_file(arrays, path, metadata=metadata)
        with pytest.raises(DamagedFileError, match="compose anew"):
            StoredNeighbours.load(path)

    def test_of_another_format_is_refused(self, path):
        from safetensors.numpy import load_file, save_file

        save_file(load_file(path), path, metadata={"format": "7"})
        with pytest.raises(DamagedFileError, match="another version"):
            StoredNeighbours.load(path)


class TestHowManyAreKept:
    @pytest.mark.parametrize(
        ("k", "m", "modules", "kept"),
        [(5, 5000, 18, 32), (5, 20, 4, 19), (40, 5000, 18, 40), (5, 5000, 40, 20), (5, 5000, 400, 5)],
    )
    def test_as_many_as_is_affordable_but_always_k(self, k, m, modules, kept):
        assert neighbours_to_keep(k, m, modules) == kept

    def test_the_file_of_a_usual_hub_stays_small(self):
        kept = neighbours_to_keep(5, 5000, 18)
        assert 18 * 5000 * kept * 12 < LARGEST == 50e6
