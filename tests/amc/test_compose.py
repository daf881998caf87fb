"""Algorithm 1 from a task and a hub to a composed module, on real networks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from module_factory import make_module, real_module

from moma_app.amc.compose import compose
from moma_app.amc.knn import knn_predictions
from moma_app.amc.merge import merge_modules
from moma_app.amc.result import AMCResult
from moma_app.amc.reweigh import reweigh
from moma_app.amc.weights import optimize_weights
from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, InputError, UnknownNameError
from moma_app.hub import Hub
from moma_app.hub.importing import import_hub
from moma_app.hub.module import Module
from moma_app.progress import ModuleEncoded, Warned, WeightsSolved
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.splits import random_split
from moma_app.tasks.task import Task, get_task
from moma_app.training.describe import target_of

NAMES = ["castelli_eform", "mp_bandgap", "mp_gvrh"]


@pytest.fixture(scope="session")
def real_modules():
    return [real_module(name, seed, backbone="chgnet") for seed, name in enumerate(NAMES)]


@pytest.fixture
def hub(tmp_path, real_modules):
    hub = Hub(tmp_path / "hub")
    for module in real_modules:
        hub.add(module)
    return hub


@pytest.fixture(scope="module")
def task():
    return get_task("elemental_bulk_modulus")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


def spoil(module, change):
    """Change a tensor file and give it a card that says it is as it should be."""
    state = {name: tensor.clone() for name, tensor in module.memory.items()}
    change(state)
    return Module(module.card, memory=state)


@pytest.fixture(scope="module")
def events():
    return []


@pytest.fixture(scope="module")
def composition(tmp_path_factory, real_modules, task, graphs, events):
    hub = Hub(tmp_path_factory.mktemp("hub"))
    for module in real_modules:
        hub.add(module)
    return compose(task, hub, k=4, temperature=0.5, graph_folder=graphs, progress=events.append)


class TestEndToEnd:
    def test_each_number_recomputed(self, composition, task, real_modules):
        result, data = composition.result, task.load()
        train = task.split(0).train
        targets = data.targets[train]
        std = targets.std()
        assert result.train_ids == [data.ids[i] for i in train]
        assert result.train_targets == targets.tolist()
        backbone = get_backbone("chgnet")
        batch = backbone.graphs(data.structures).batch(train)
        columns = []
        for module, score in zip(real_modules, result.modules, strict=True):
            with torch.no_grad():
                embedding = crystal_embedding(module.network(backbone).eval(), batch, "all")
            torch.testing.assert_close(composition.embeddings[module.name], embedding, rtol=1e-4, atol=1e-4)
            predictions = knn_predictions(composition.embeddings[module.name], targets, 4, 0.5)
            columns.append(predictions)
            np.testing.assert_allclose(score.predictions, predictions, rtol=1e-12)
            assert score.proxy_mae == pytest.approx(np.abs(predictions - targets).mean())
            assert score.proxy_mae_standardised == pytest.approx(score.proxy_mae / std)
            assert score.proxy_mse_standardised == pytest.approx(
                ((predictions - targets) ** 2).mean() / std**2
            )
        solution = optimize_weights(np.stack(columns, axis=1), targets)
        np.testing.assert_allclose(list(result.weights.values()), solution.weights, atol=1e-9)
        assert result.objective == pytest.approx(solution.objective / std**2)

    def test_the_modules_are_those_of_the_hub_in_its_order(self, composition):
        result = composition.result
        assert [score.module for score in result.modules] == NAMES == list(result.weights)
        assert sum(result.weights.values()) == pytest.approx(1)
        assert all(len(score.sha256) == 64 for score in result.modules)
        assert result.best_single.proxy_mae == min(score.proxy_mae for score in result.modules)
        assert (result.backbone, result.kind, result.layers) == ("chgnet", "full", "all")
        assert result.fingerprint == get_backbone("chgnet").fingerprint
        assert (result.k, result.temperature, result.split, result.shots) == (4, 0.5, 0, None)
        assert result.skipped == {}

    def test_the_objective_is_no_worse_than_that_of_any_module(self, composition):
        result = composition.result
        assert result.objective <= min(score.proxy_mse_standardised for score in result.modules) + 1e-9

    def test_the_composed_module_is_the_weighted_average(self, composition, real_modules):
        expected = merge_modules(real_modules, list(composition.result.weights.values()))
        assert composition.tensors.keys() == expected.keys()
        for name, tensor in composition.tensors.items():
            assert torch.equal(tensor, expected[name])
        state = composition.network().state()
        assert {f"backbone.{name}" for name in state} == composition.tensors.keys()
        assert all(torch.equal(tensor, expected[f"backbone.{name}"]) for name, tensor in state.items())

    def test_events_come_in_order(self, composition, events):
        encoded = [event for event in events if isinstance(event, ModuleEncoded)]
        assert [event.module for event in encoded] == NAMES
        assert [event.index for event in encoded] == [0, 1, 2]
        assert {event.total for event in encoded} == {3}
        assert [event.fraction for event in encoded] == pytest.approx([1 / 3, 2 / 3, 1])
        for event, score in zip(encoded, composition.result.modules, strict=True):
            assert event.proxy_mae == pytest.approx(score.proxy_mae)
            assert event.proxy_mae_standardised == pytest.approx(score.proxy_mae_standardised)
        assert isinstance(events[-1], WeightsSolved)
        assert events[-1].weights == composition.result.weights
        assert events[-1].objective == composition.result.objective
        assert sum(isinstance(event, WeightsSolved) for event in events) == 1

    def test_the_result_survives_json(self, composition):
        result = composition.result
        text = result.to_json()
        assert AMCResult.from_json(text) == result
        assert json.loads(text)["format"] == 1
        again = AMCResult.from_json(text)
        assert again.weights == result.weights
        assert again.to_json() == text

    def test_the_table_has_the_heaviest_module_first(self, composition):
        table = composition.result.to_dataframe()
        assert sorted(table["module"]) == NAMES
        assert table["weight"].is_monotonic_decreasing
        assert "proxy MAE (log10(GPa))" in table


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{}", '{"format": 1}', '{"format": 2, "modules": []}', '{"format": 1, "modules": 3}'],
)
def test_a_result_that_is_none_is_refused(text):
    with pytest.raises(DamagedFileError, match=r"x\.json"):
        AMCResult.from_json(text, "x.json")


def test_twice_the_same(hub, task):
    first, second = (compose(task, hub, split=2) for _ in range(2))
    assert first.result.weights == second.result.weights
    for name in first.tensors:
        assert torch.equal(first.tensors[name], second.tensors[name])
    plain = [replace(s, seconds=0.0) for s in first.result.modules]
    assert plain == [replace(s, seconds=0.0) for s in second.result.modules]


def test_the_order_in_which_modules_are_named_does_not_matter(hub, task, graphs):
    here = compose(task, hub, modules=NAMES, graph_folder=graphs).result
    there = compose(task, hub, modules=[*NAMES[::-1], NAMES[0]], graph_folder=graphs).result
    assert list(there.weights) == NAMES[::-1], "a name given twice counts once"
    assert there.weights == pytest.approx(here.weights, abs=1e-12)


def test_a_module_alone_is_returned_bit_for_bit(hub, task, graphs, real_modules):
    composition = compose(task, hub, modules=["mp_gvrh"], graph_folder=graphs)
    assert composition.result.weights == {"mp_gvrh": 1.0}
    for name, tensor in composition.tensors.items():
        assert torch.equal(tensor, real_modules[2].memory[name])


class TestModulesThatCannotBeUsed:
    def others_are_used(self, hub, task, graphs, reason, *, skipped="bad", names=NAMES):
        events = []
        result = compose(task, hub, graph_folder=graphs, progress=events.append).result
        assert list(result.weights) == names
        assert list(result.skipped) == [skipped]
        assert reason in result.skipped[skipped]
        warnings = [event.message for event in events if isinstance(event, Warned)]
        assert len(warnings) == 1
        assert f"Module {skipped} is left out" in warnings[0]
        assert reason in warnings[0]
        assert AMCResult.from_json(result.to_json()) == result

    def test_a_flipped_byte(self, hub, task, graphs):
        path = hub["mp_bandgap"].path
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
        self.others_are_used(
            hub, task, graphs, "SHA-256", skipped="mp_bandgap", names=["castelli_eform", "mp_gvrh"]
        )

    def test_a_missing_file(self, hub, task, graphs):
        hub["mp_bandgap"].path.unlink()
        self.others_are_used(
            hub, task, graphs, "is missing", skipped="mp_bandgap", names=["castelli_eform", "mp_gvrh"]
        )

    def test_an_unreadable_card(self, hub, task, graphs):
        (hub.folders[0] / "bad.json").write_bytes(b"\xff\xfe\x00")
        self.others_are_used(hub, task, graphs, "bad.json cannot be read")

    def test_tensors_that_are_not_numbers(self, hub, task, graphs, real_modules):
        def fill(state):
            for tensor in state.values():
                if tensor.is_floating_point():
                    tensor.fill_(torch.nan)

        hub.add(spoil(real_module("bad", 7, backbone="chgnet"), fill))
        self.others_are_used(hub, task, graphs, "not finite")

    def test_a_network_that_died(self, hub, task, graphs):
        """All parameters zero: its embeddings are zero, or not finite, but no ranking of rows."""

        def fill(state):
            for tensor in state.values():
                if tensor.is_floating_point():
                    tensor.zero_()

        hub.add(spoil(real_module("bad", 7, backbone="chgnet"), fill))
        self.others_are_used(hub, task, graphs, "its embeddings are not finite, or zero")

    def test_tensors_that_do_not_fit_the_backbone(self, hub, task, graphs):
        hub.add(spoil(real_module("bad", 7, backbone="chgnet"), lambda state: state.popitem()))
        self.others_are_used(hub, task, graphs, "does not fit its backbone")

    def test_a_module_of_other_pretrained_weights(self, hub, task, graphs):
        hub.add(real_module("bad", 7, backbone="chgnet", fingerprint="f" * 16))
        self.others_are_used(hub, task, graphs, "other pre-trained weights")

    def test_the_weights_installed_here_count_not_the_majority(self, hub, task, graphs):
        for name in NAMES[1:]:
            hub.add(real_module(name, 7, backbone="chgnet", fingerprint="f" * 16), overwrite=True)
        result = compose(task, hub, graph_folder=graphs).result
        assert list(result.weights) == NAMES[:1]
        assert list(result.skipped) == NAMES[1:]

    def test_a_module_with_other_layers(self, hub, task, graphs):
        hub.add(real_module("bad", 7, backbone="chgnet", layers="last"))
        self.others_are_used(hub, task, graphs, "other layers")

    def test_modules_of_another_kind_are_not_considered(self, hub, task, graphs):
        hub.add(real_module("adapted", 7, "adapter", backbone="chgnet"))
        result = compose(task, hub, graph_folder=graphs).result
        assert list(result.weights) == NAMES
        assert result.skipped == {}

    def test_nothing_but_foreign_modules(self, tmp_path, task):
        hub = Hub(tmp_path)
        hub.add(real_module("bad", 7, backbone="chgnet", fingerprint="f" * 16))
        with pytest.raises(
            InputError, match=r"No module of the hub could be used: .*'bad' was made for chgnet"
        ):
            compose(task, hub)

    def test_nothing_but_damage(self, tmp_path, task):
        hub = Hub(tmp_path)
        hub.add(make_module("bad"))
        (tmp_path / "bad.json").write_text("{")
        with pytest.raises(InputError, match=r"no usable module of kind 'full'.*bad is left out: The card"):
            compose(task, hub)


class TestRefusals:
    def test_an_empty_hub(self, tmp_path, task):
        with pytest.raises(
            InputError, match=r"has no usable module of kind 'full': train or pull some first"
        ):
            compose(task, Hub(tmp_path))

    def test_an_unknown_module(self, hub, task):
        with pytest.raises(UnknownNameError, match=r"no module called 'mp_gvrhh': did you mean mp_gvrh"):
            compose(task, hub, modules=["mp_gvrhh"])

    def test_a_named_module_of_another_kind(self, hub, task):
        hub.add(real_module("adapted", 7, "adapter", backbone="chgnet"))
        with pytest.raises(
            InputError, match=r"'adapted' is of kind 'adapter', but 'full' modules were asked for"
        ):
            compose(task, hub, modules=["mp_gvrh", "adapted"])

    def test_several_backbones_without_a_choice(self, hub, task, graphs):
        hub.add(real_module("other", 1, backbone="cgcnn"))
        with pytest.raises(
            InputError, match=r"several backbones \(cgcnn, chgnet\): choose one with --backbone"
        ):
            compose(task, hub)
        result = compose(task, hub, backbone_name="cgcnn", graph_folder=graphs).result
        assert (list(result.weights), result.backbone) == (["other"], "cgcnn")
        named = compose(task, hub, backbone_name="cgcnn", modules=["other", "mp_gvrh"], graph_folder=graphs)
        assert named.result.skipped == {"mp_gvrh": "its backbone is chgnet, not cgcnn"}

    def test_a_classification(self, hub):
        spec = TaskSpec(
            name="is_metal", role="user", property="metal or not", kind="classification", n_classes=2
        )
        with pytest.raises(
            InputError, match=r"is_metal is a classification; AMC's kNN estimate is defined for"
        ):
            compose(Task(spec), hub)

    def test_more_neighbours_than_rows(self, hub, task, graphs):
        with pytest.raises(InputError, match=r"K = 5 neighbours need at least 6 training structures.*are 4"):
            compose(task, hub, shots=4, graph_folder=graphs)

    @pytest.mark.parametrize("value", [0.1, 3.0])
    def test_equal_targets(self, hub, value):
        data = get_task("elemental_bulk_modulus").load()
        data = replace(data, targets=np.full(len(data), value))
        with pytest.raises(InputError, match=r"all \d+ training targets are equal"):
            compose(GivenTask(data), hub)


@dataclass(frozen=True, eq=False)
class GivenTask:
    """A task whose data is at hand."""

    data: TaskData

    @property
    def spec(self):
        return self.data.spec

    @property
    def name(self):
        return self.data.spec.name

    def load(self, progress=None):
        return self.data

    def split(self, seed):
        return random_split(len(self.data), seed)


def test_few_shots(hub, task, graphs):
    whole = compose(task, hub, graph_folder=graphs)
    few = compose(task, hub, shots=12, seed=3, graph_folder=graphs)
    assert len(few.result.train_ids) == 12
    assert set(few.result.train_ids) < set(whole.result.train_ids)
    assert (few.result.shots, few.result.seed) == (12, 3)
    assert few.split.test.tolist() == whole.split.test.tolist()
    again = compose(task, hub, shots=12, seed=3, graph_folder=graphs)
    assert again.result.train_ids == few.result.train_ids
    other = compose(task, hub, shots=12, seed=4, graph_folder=graphs)
    assert other.result.train_ids != few.result.train_ids


def test_only_train_rows_matter(hub):
    """Targets and structures of the other rows may be anything."""
    data = get_task("elemental_bulk_modulus").load()
    split = random_split(len(data), 0)
    held_out = np.concatenate([split.val, split.test])
    rows = np.arange(len(data))
    rows[held_out] = split.train[0]
    changed = data.take(rows)
    targets = changed.targets.copy()
    targets[held_out] = 1e9
    here = compose(GivenTask(data), hub, modules=NAMES[:2]).result
    there = compose(GivenTask(replace(changed, targets=targets)), hub, modules=NAMES[:2]).result
    assert there.weights == pytest.approx(here.weights, abs=1e-6)
    assert there.objective == pytest.approx(here.objective, rel=1e-6)


def test_an_extensive_property_sums_over_atoms(hub, graphs):
    data = get_task("elemental_bulk_modulus").load()
    summed = replace(data, spec=data.spec.model_copy(update={"extensive": True}))
    per_atom = compose(GivenTask(data), hub, graph_folder=graphs)
    total = compose(GivenTask(summed), hub, graph_folder=graphs)
    n_atoms = torch.from_numpy(data.structures.n_atoms[per_atom.split.train]).unsqueeze(1)
    assert n_atoms.max() > 1
    for name, embedding in per_atom.embeddings.items():
        torch.testing.assert_close(total.embeddings[name], embedding * n_atoms, rtol=1e-4, atol=1e-4)


def test_adapters(tmp_path, task, graphs):
    hub = Hub(tmp_path)
    modules = [
        hub.add(real_module(name, seed, "adapter", backbone="chgnet", noise=3.0))
        for seed, name in enumerate(NAMES[:2])
    ]
    composition = compose(task, hub, kind="adapter", graph_folder=graphs)
    result = composition.result
    assert result.kind == "adapter"
    assert list(result.weights) == NAMES[:2]
    assert all(name.startswith("adapters.") for name in composition.tensors)
    expected = merge_modules(modules, list(result.weights.values()))
    network = composition.network()
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    backbone = get_backbone("chgnet")
    assert all(torch.equal(network.state()[k], v) for k, v in backbone.pretrained_state().items())
    with pytest.raises(InputError, match="no usable module of kind 'full'"):
        compose(task, hub)


@pytest.fixture(scope="module")
def others(shared, tmp_path_factory):
    """The hub of the 18 extractors of Chang et al."""
    folder = tmp_path_factory.mktemp("others") / "moe18"
    import_hub(
        "moe18", shared / "reference/moe18", lambda name: target_of(get_task(name).spec), hub=str(folder)
    )
    return Hub(folder)


@pytest.mark.parametrize("name", ["mp_phonons", "mp_poisson_ratio", "mp_poly_total"])
def test_the_authors_weights_from_structures(reference, shared, others, monkeypatch, graphs, name):
    """The imported modules on real tasks, our own neighbour search included; tolerances of the reference."""
    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    task = get_task(name)
    composition = compose(task, others, modules=reference.order, graph_folder=graphs)
    rows = task.load().rows[composition.split.train]
    np.testing.assert_array_equal(rows, reference(name, "train_rows"))
    for temperature in ("T0.2", "T1"):
        result = reweigh(composition.neighbours, composition.result, k=5, temperature=float(temperature[1:]))
        mae = [score.proxy_mae_standardised for score in result.modules]
        np.testing.assert_allclose(mae, reference(name, f"mae_{temperature}"), rtol=0, atol=0.02)
        theirs = reference.tasks[name][temperature]["full"]["objective"]
        assert result.objective == pytest.approx(theirs, abs=0.003)
        np.testing.assert_allclose(
            list(result.weights.values()), reference(name, f"w_{temperature}_full"), rtol=0, atol=0.08
        )
        if temperature == "T0.2":
            assert result.weights == composition.result.weights
    if name == "mp_phonons":
        insensitive = ~reference(name, "graph_tie_sensitive")
        for module, embeddings in zip(reference.order, reference(name, "embedding"), strict=True):
            ours = composition.embeddings[module].numpy()
            np.testing.assert_allclose(ours[insensitive], embeddings[insensitive], rtol=0, atol=2e-3)
