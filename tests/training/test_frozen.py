"""What is frozen is computed once, and the fit is the same as with the whole network in every step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from moma_app.backbones.base import EMBEDDING, Network
from moma_app.backbones.frozen import below_last_layer
from moma_app.backbones.registry import get_backbone
from moma_app.errors import InputError
from moma_app.training import loop
from moma_app.training.fit_module import FitData
from moma_app.training.frozen import with_frozen_features
from moma_app.training.loop import fit
from moma_app.training.model import Head, PropertyModel
from moma_app.training.settings import FitConfig

CPU = torch.device("cpu")
CONFIG = FitConfig(epochs=2, batch_size=8, min_batches=2, learning_rate=1e-3)


@pytest.mark.parametrize("name", ["chgnet", "cgcnn"])
def test_the_last_layer_continues_from_the_frozen_features(name, elements):
    backbone = get_backbone(name)
    network, graphs = backbone.pretrained().eval(), backbone.graphs(elements.structures)
    rows = np.array([1, 5, 17, 3])
    frozen = below_last_layer(network, graphs, rows)
    with torch.no_grad():
        whole, upper = network(graphs.batch(rows)), network(frozen.batch(rows))
    assert len(upper) == backbone.info.n_layers
    for ours, expected in zip(upper, whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_rows_that_were_not_asked_for_are_nan(chgnet, graphs):
    network = chgnet.pretrained().eval()
    frozen = below_last_layer(network, graphs, np.array([0, 1]))
    with torch.no_grad():
        assert network(frozen.batch([0, 1]))[-1].isfinite().all()
        assert network(frozen.batch([2]))[-1].isnan().any()


def test_angles_are_not_needed_any_more(chgnet, graphs):
    frozen = below_last_layer(chgnet.pretrained().eval(), graphs, np.arange(4))
    assert "angle" not in frozen.schema.fields
    assert "arm" not in frozen.schema.scopes


@pytest.mark.parametrize("trainable", ["last", "head"])
@pytest.mark.parametrize("name", ["chgnet", "cgcnn"])
def test_a_fit_on_kept_features_is_the_fit_without_them(
    name, trainable, elements, scale, tmp_path, monkeypatch
):
    backbone = get_backbone(name)
    data = FitData(backbone.graphs(elements.structures), elements.targets, np.arange(16), np.arange(16, 20))

    def fitted(folder):
        torch.manual_seed(0)
        model = PropertyModel(backbone.pretrained(), Head(backbone.feature_width("all")), "all")
        before = {key: value.clone() for key, value in model.network.state_dict().items()}
        config = dataclasses.replace(CONFIG, trainable=trainable)
        result = fit(model, data, scale, config, tmp_path / folder, device="cpu")
        changed = {k for k, v in model.network.state_dict().items() if not torch.equal(v, before[k])}
        return model, result, changed

    kept, result, changed = fitted("kept")
    monkeypatch.setattr(loop, "with_frozen_features", lambda *arguments: arguments[1])
    whole, expected, _ = fitted("whole")
    assert result.best_val_error == pytest.approx(expected.best_val_error, rel=1e-3)
    for (key, ours), theirs in zip(kept.state_dict().items(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4, msg=key)
    if trainable == "head":
        assert not changed
    else:
        assert changed
        last = {"chgnet": ("atom_convs.3.", "norm."), "cgcnn": ("convs.3.",)}[name]
        assert all(key.startswith(last) for key in changed)


def test_steps_of_a_head_see_embeddings_alone(new_model, fit_data):
    frozen = with_frozen_features(new_model(), fit_data, "head", CPU)
    assert set(frozen.graphs.schema.fields) == {"numbers", EMBEDDING}
    assert with_frozen_features(new_model(), fit_data, "full", CPU) is fit_data


def test_a_backbone_that_cannot_be_cut_says_so(new_model, fit_data, monkeypatch):
    model = new_model()
    monkeypatch.setattr(type(model.network), "lower_fields", Network.lower_fields)
    with pytest.raises(InputError, match="last layer alone"):
        with_frozen_features(model, fit_data, "last", CPU)
