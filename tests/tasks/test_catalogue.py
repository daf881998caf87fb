"""The catalogue names every task of the papers, and agrees with the stored data."""

import json
import subprocess
import sys

import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.tasks.catalogue import catalogue, get_spec
from moma_app.tasks.specs import TaskSpec, is_safe_name, spec_from_metadata

UPSTREAM = [
    "mp_eform",
    "mp_bandgap",
    "mp_gvrh",
    "mp_kvrh",
    "n_e_cond",
    "p_e_cond",
    "n_th_cond",
    "p_th_cond",
    "n_Seebeck",
    "p_Seebeck",
    "n_avg_eff_mass",
    "p_avg_eff_mass",
    "castelli_eform",
    "jarvis_eform",
    "jarvis_dielectric_opt",
    "jarvis_bandgap",
    "jarvis_gvrh",
    "jarvis_kvrh",
]
DOWNSTREAM = [
    "expt_bandgap",
    "expt_eform",
    "jarvis_2d_dielectric_opt",
    "jarvis_2d_eform",
    "jarvis_2d_exfoliation",
    "jarvis_2d_gap_opt",
    "jarvis_3d_eps_tbmbj",
    "jarvis_3d_gap_tbmbj",
    "mp_dielectric",
    "mp_elastic_anisotropy",
    "mp_eps_electronic",
    "mp_eps_total",
    "mp_phonons",
    "mp_poisson_ratio",
    "mp_poly_electronic",
    "mp_poly_total",
    "piezoelectric_tensor",
    "jarvis_2d_gap_tbmbj",
    "jarvis_2d_dielectric_tbmbj",
]
EXTRA = [
    "castelli_gap",
    "mp_is_metal",
    "mp_spacegroup",
    "oqmd_eform",
    "lips_energy",
    "elemental_bulk_modulus",
]
QM9 = [
    f"qm9_{key}" for key in ["mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "u0", "u", "h", "g", "cv"]
]


def test_names_are_those_of_the_papers():
    assert set(catalogue()) == {*UPSTREAM, *DOWNSTREAM, *EXTRA, *QM9}
    assert len(UPSTREAM) == 18
    assert all(get_spec(name).role == "upstream" for name in UPSTREAM)
    assert all(get_spec(name).role == "downstream" for name in DOWNSTREAM)
    assert get_spec("elemental_bulk_modulus").role == "demo"


@pytest.mark.parametrize("spec", catalogue().values(), ids=lambda spec: spec.name)
def test_every_task_is_described(spec):
    assert is_safe_name(spec.name)
    assert "doi:10." in spec.citation
    assert spec.property
    assert spec.family != "other"
    assert spec.source is not None
    if spec.source.provider in {"matminer", "torch_geometric"}:
        assert spec.source.parts


def test_matminer_knows_every_dataset_and_column():
    from matminer.datasets import get_dataset_attribute

    for spec in catalogue().values():
        if spec.source.provider != "matminer":
            continue
        parts = [*spec.source.parts, *([spec.source.structures_from] if spec.source.structures_from else [])]
        for part in parts:
            columns = get_dataset_attribute(part.dataset, "columns")
            wanted = [*part.columns, *([part.id_column] if part.id_column else [])]
            assert set(wanted) <= set(columns), (spec.name, part.dataset)
        assert spec.source.rows == get_dataset_attribute(spec.source.parts[0].dataset, "num_entries")
        first = get_dataset_attribute(spec.source.parts[0].dataset, "columns")
        assert all(condition.column in first for condition in spec.source.where)


def test_extensive_molecular_properties_are_flagged():
    extensive = {name for name in QM9 if get_spec(name).extensive}
    assert set(QM9) - extensive == {"qm9_mu", "qm9_homo", "qm9_lumo", "qm9_gap"}


def test_catalogue_agrees_with_the_index_of_the_shared_data(shared_data):
    index = json.loads((shared_data / "index.json").read_text())
    for name, stored in index.items():
        spec = get_spec(name)
        assert (spec.role, spec.unit, spec.transform) == (
            stored["role"],
            stored["unit"],
            stored["transform"],
        ), name
        assert spec.kind == stored.get("kind", "regression")
        full = stored.get("full_rows")
        if full is not None and stored.get("matminer") != "ricci_boltztrap_mp_tabular":
            assert spec.published_rows == full, name
        elif full is not None:  # the papers used a part of this dataset
            assert spec.source.rows == full


def test_unknown_name_suggests_what_is_close():
    with pytest.raises(UnknownNameError, match=r"did you mean .*mp_phonons"):
        get_spec("mp_phonon")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", ".hidden", "-x", "ä", "x" * 101, "nul\0"])
def test_unsafe_names_are_refused(name):
    assert not is_safe_name(name)
    with pytest.raises(ValueError, match="task name"):
        TaskSpec(name=name, role="user", property="p")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"transform": "cube"}, "no transform called 'cube'"),
        ({"role": "king"}, "not usable"),
        ({"kind": "classification"}, "n_classes"),
        ({"kind": "classification", "classes": ["a", "b"], "transform": "ln"}, "no transform"),
        ({"classes": 1, "kind": "classification"}, "not usable"),
    ],
)
def test_impossible_metadata_is_refused(meta, message):
    with pytest.raises(InputError, match=message):
        spec_from_metadata({"name": "x", **meta})


def test_metadata_round_trip():
    spec = TaskSpec(
        name="x", role="user", property="p", kind="classification", n_classes=2, classes=("a", "b")
    )
    assert spec_from_metadata(spec.to_metadata()) == spec


def test_importing_the_package_is_cheap():
    code = "import sys, moma_app.tasks; print([m for m in ('torch', 'pymatgen', 'pandas', 'ase', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    import moma_app.tasks as room

    for name in room.__all__:
        assert getattr(room, name) is not None
    with pytest.raises(AttributeError):
        room.nothing  # noqa: B018
