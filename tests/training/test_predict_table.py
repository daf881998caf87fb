"""Predictions as a table: the same numbers as the predictor's, named, with units, ranked."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from module_factory import real_module, with_head

from moma_app import predict
from moma_app.errors import InputError
from moma_app.hub import Hub
from moma_app.training.predictor import Predictor, PredictorInfo
from moma_app.training.readout import HeadReadout

NAMES = ("Cu", "Al", "Fe")


@pytest.fixture(scope="module")
def module():
    return with_head(real_module("mp_kvrh", 1))


@pytest.fixture(scope="module")
def predictor(module):
    """A predictor of that module's own head."""
    card = module.card
    parts = module.head()
    readout = HeadReadout(*_head(card, parts))
    info = PredictorInfo(
        target=card.target,
        backbone=card.backbone,
        fingerprint=card.fingerprint,
        kind="full",
        layers=card.layers,
        pooling="mean",
        readout=readout.config(),
        start=module.name,
        metrics={"mae": 0.2},
    )
    return Predictor(info, module.parameters(), readout)


def _head(card, parts):
    from moma_app.backbones.registry import get_backbone
    from moma_app.training.model import TargetScale, load_head

    width = get_backbone(card.backbone).feature_width(card.layers)
    return load_head(width, card.head.config, parts), TargetScale(card.head.mean, card.head.std)


def metals():
    return [bulk(name) for name in NAMES]


def test_table_has_what_the_predictor_says(predictor):
    table = predict(metals(), predictor, labels=NAMES)
    plain = predictor.predict(metals())
    np.testing.assert_allclose(table["prediction"], plain.values)
    assert table["structure"].tolist() == list(NAMES)
    assert table["formula"].tolist() == list(NAMES)
    assert table["unit"].unique().tolist() == [plain.unit]
    assert table["std"].isna().all(), "a head knows no uncertainty"
    assert table["test_mae"].unique().tolist() == [0.2]
    assert plain.to_dataframe()["prediction"].tolist() == plain.values.tolist()


@pytest.mark.parametrize(("best", "sign"), [("lowest", 1), ("highest", -1)])
def test_the_best_comes_first(predictor, best, sign):
    values = predict(metals(), predictor, best=best)["prediction"]
    assert (np.diff(sign * values) >= 0).all()


def test_pymatgen_ase_and_files_agree(predictor, tmp_path):
    from pymatgen.io.ase import AseAtomsAdaptor

    copper = bulk("Cu")
    path = tmp_path / "copper.cif"
    structure = AseAtomsAdaptor.get_structure(copper)
    path.write_text(structure.to(fmt="cif", symprec=None))
    forms = (copper, structure, path, str(path), path.read_text())
    values = [predictor.predict(form).values[0] for form in forms]
    np.testing.assert_allclose(values, values[0], rtol=1e-4)
    assert predict(path, predictor)["structure"].tolist() == ["copper.cif"]


def test_a_saved_predictor_is_named_by_its_folder(predictor, tmp_path):
    predictor.save(str(tmp_path / "kvrh"))
    np.testing.assert_allclose(
        predict(metals(), tmp_path / "kvrh")["prediction"], predict(metals(), predictor)["prediction"]
    )


def test_a_hub_says_each_property(module, tmp_path):
    hub = Hub(tmp_path)
    hub.add(module)
    hub.add(with_head(real_module("mp_gvrh", 2), seed=3))
    table = predict(metals(), hub, best="highest")
    assert len(table) == 6
    assert table.groupby("property")["prediction"].apply(lambda x: x.is_monotonic_decreasing).all()
    assert set(table["module"]) == {"mp_kvrh", "mp_gvrh"}
    assert predict(metals(), hub, modules=["mp_gvrh"])["module"].unique().tolist() == ["mp_gvrh"]


def test_errors_name_the_structure(predictor):
    with pytest.raises(InputError, match=r"Structure 1: .*not an object of type int"):
        predict([bulk("Cu"), 5], predictor)
    with pytest.raises(InputError, match=r"Structure 1: There is no file nowhere\.cif"):
        predictor.predict([bulk("Cu"), "nowhere.cif"])
    with pytest.raises(InputError, match="no structure to predict"):
        predict([], predictor)
    with pytest.raises(InputError, match="lowest or highest, not 'best'"):
        predict(metals(), predictor, best="best")
