"""From task to predictor and back from disk; modules that predict their own property."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moma_app.amc.compose import compose
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.hub import Hub
from moma_app.hub.storage import stored_as
from moma_app.tasks import get_task, random_split
from moma_app.training.finetune import finetune
from moma_app.training.hub_predictions import predict_with_hub
from moma_app.training.instant import fit_instant
from moma_app.training.predictor import CARD, TENSORS, Predictor
from moma_app.training.recipe import load_recipe
from moma_app.training.start import Start
from moma_app.training.train_module import train_module

TASK = "elemental_bulk_modulus"


@pytest.fixture(scope="module")
def instant(chgnet):
    return fit_instant(get_task(TASK), Start.bare(chgnet), device="cpu")


@pytest.fixture(scope="module")
def tuned(chgnet, tmp_path_factory):
    recipe = load_recipe("finetune").with_fit(epochs=2)
    return finetune(
        get_task(TASK), Start.bare(chgnet), recipe, checkpoints=tmp_path_factory.mktemp("ckpt"), device="cpu"
    )


@pytest.fixture(scope="module")
def adapted(chgnet, tmp_path_factory):
    """New adapters in the bare backbone, and a head with attention."""
    changes = {"fit.trainable": "adapter", "fit.epochs": 2, "fit.head_epochs": 0, "head.pooling": "attention"}
    recipe = load_recipe("finetune").changed(changes)
    return finetune(
        get_task(TASK), Start.bare(chgnet), recipe, checkpoints=tmp_path_factory.mktemp("ckpt"), device="cpu"
    )


@pytest.fixture(scope="module", params=["instant", "tuned", "adapted"])
def made(request):
    return request.getfixturevalue(request.param)


def test_a_report_states_the_errors_of_its_predictions(made):
    _, report = made
    difference = np.array(report.predicted) - np.array(report.targets)
    assert report.metrics["mae"] == pytest.approx(np.abs(difference).mean())
    assert report.metrics["n"] == len(report.ids) == 11
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_loaded_predictor_gives_the_same_numbers(made, tmp_path, elements):
    predictor, _ = made
    folder = predictor.save(tmp_path / "predictor")
    before = predictor.predict(elements.structures, device="cpu")
    after = Predictor.load(folder).predict(elements.structures.to_pymatgen(), device="cpu")
    np.testing.assert_array_equal(before.values, after.values)
    assert (before.std is None) == (after.std is None)
    if before.std is not None:
        np.testing.assert_array_equal(before.std, after.std)
        assert (before.std > 0).all()
    assert before.unit == after.unit == "log10(GPa)"


def test_predictions_of_test_rows_are_those_of_the_report(made):
    predictor, report = made
    task = get_task(TASK)
    rows = task.split(0).test
    values = predictor.predict(task.load().structures.take(rows), device="cpu").values
    np.testing.assert_allclose(values, report.predicted, atol=2e-5)


def test_a_predictor_of_other_weights_is_refused(made, tmp_path, elements):
    folder = made[0].save(tmp_path / "predictor")
    card = json.loads((folder / CARD).read_text())
    card["fingerprint"] = "0" * 16
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(IncompatibleError, match="install the same backbone version"):
        Predictor.load(folder).predict(elements.structures)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "card", "key"])
def test_a_damaged_predictor_is_named(instant, tmp_path, damage):
    folder = instant[0].save(tmp_path / "predictor")
    path = folder / TENSORS
    content = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "cut":
            path.write_bytes(content[:100])
        case "remove":
            path.unlink()
        case "card":
            (folder / CARD).write_text("{")
        case "key":
            (folder / CARD).write_text(json.dumps({**json.loads((folder / CARD).read_text()), "x": 1}))
    with pytest.raises(DamagedFileError, match="predictor"):
        Predictor.load(folder)


def test_saving_replaces_only_predictors_and_only_if_allowed(instant, tmp_path):
    predictor, _ = instant
    folder = predictor.save(tmp_path / "predictor")
    with pytest.raises(InputError, match="exists already"):
        predictor.save(folder)
    predictor.save(folder, overwrite=True)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "draft.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        predictor.save(other, overwrite=True)
    assert (other / "draft.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["predictor", "thesis"]


def test_an_empty_folder_is_no_predictor(tmp_path):
    with pytest.raises(InputError, match="no predictor"):
        Predictor.load(tmp_path)


def test_new_adapters_need_a_bare_backbone(chgnet, adapted, tmp_path):
    predictor, _ = adapted
    assert predictor.info.kind == "adapter"
    assert all(name.startswith("adapters.") for name in predictor.parameters)
    assert predictor.readout.head.attention.abs().sum() > 0, "attention was trained"
    recipe = load_recipe("finetune").changed({"fit.trainable": "adapter"})
    with pytest.raises(InputError, match="New adapters need the bare backbone"):
        finetune(get_task(TASK), Start.bare(chgnet, scratch=True), recipe, checkpoints=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("kind", "pooling"), [("full", "mean"), ("adapter", "mean"), ("full", "attention"), ("adapter", "max")]
)
def test_a_trained_module_has_a_true_card_and_predicts(kind, pooling, elements, tmp_path, chgnet):
    recipe = load_recipe("short-cpu").with_fit(epochs=2, batch_size=8).changed({"head.pooling": pooling})
    module = train_module(
        elements, random_split(len(elements), 0), recipe, kind=kind, checkpoints=tmp_path, device="cpu"
    )
    hub = Hub(tmp_path / "hub")
    stored = hub.add(module)
    card = stored.card
    assert card.name == (TASK if kind == "full" else f"{TASK}-adapter")
    assert (card.data.rows_train, card.data.rows_val, card.data.rows_test) == (16, 4, 4)
    assert [record.epoch for record in card.curve] == [1, 2]
    assert card.hardware is not None
    assert card.hardware.trainable_parameters < card.hardware.total_parameters
    assert card.fingerprint == chgnet.fingerprint
    if kind == "adapter":
        assert card.size < 0.4 * 1.6e6

    prediction = predict_with_hub(hub, elements.structures, device="cpu")[0]
    test = random_split(len(elements), 0).test
    mae = np.abs(prediction.values[test] - elements.targets[test]).mean()
    assert mae == pytest.approx(card.metrics.test_mae, rel=1e-4)
    assert prediction.unit == "log10(GPa)"
    start = Start.module(stored)
    assert start.network(chgnet) is not None


def test_a_predictor_names_the_modules_it_was_made_from(tmp_path):
    """Their hashes find them later, when the hub has newer ones."""
    builtin = Hub.open("builtin")
    names = ["mp_gvrh", "mp_kvrh"]
    hub = Hub(tmp_path / "hub")
    for name in names:
        hub.put(builtin[name])
    hub.release()
    composition = compose(get_task(TASK), hub, device="cpu")
    starts = {"composed": Start.composed(composition), "mp_kvrh": Start.module(hub["mp_kvrh"])}
    used = {"composed": [n for n in names if composition.result.weights[n]], "mp_kvrh": ["mp_kvrh"]}
    hashes = {name: hub[name].card.sha256 for name in names}
    for name in names:
        hub.add(stored_as(hub[name], "float32"), overwrite=True)
    for start, modules in used.items():
        predictor, _ = fit_instant(get_task(TASK), starts[start], device="cpu")
        loaded = Predictor.load(predictor.save(tmp_path / start))
        assert loaded.info.modules == {name: hashes[name] for name in modules}
        for name, sha256 in loaded.info.modules.items():
            assert (hub.find(sha256).name, hub.find(sha256).superseded_by) == (name, hub[name].card.version)
            assert hub[name].card.version != builtin[name].card.version


def test_a_predictor_of_an_older_version_has_no_hashes(instant, tmp_path):
    folder = instant[0].save(tmp_path / "predictor")
    card = json.loads((folder / CARD).read_text())
    assert card.pop("modules") == {}
    (folder / CARD).write_text(json.dumps(card))
    assert Predictor.load(folder).info.modules == {}
