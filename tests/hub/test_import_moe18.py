"""The extractors of Chang et al. as a hub: the real ones, and folders in which something is wrong."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from module_factory import extractor_folder, independent_module, make_module, small_state
from safetensors.torch import load_file, save_file

from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.cgcnn_graph import MAX_NEIGHBORS, SCHEMA
from moma_app.backbones.graphs import Graph, GraphSet
from moma_app.backbones.registry import get_backbone
from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, IncompatibleError, InputError, MomaError, UnknownNameError
from moma_app.hub import Hub
from moma_app.hub.encode import encode_modules
from moma_app.hub.importing import SOURCES, import_hub
from moma_app.hub.moe18 import NAMES
from moma_app.structures import Crystal
from moma_app.tasks import get_task
from moma_app.training.describe import target_of
from moma_app.training.hub_predictions import predict_with_hub


def of_catalogue(name):
    return target_of(get_task(name).spec)


def imported(folder, **how):
    return import_hub("moe18", folder, of_catalogue, **how)


@pytest.fixture(autouse=True)
def _home_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))


@pytest.fixture
def source(tmp_path):
    return extractor_folder(tmp_path / "source")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def change_index(folder, change):
    path = folder / "index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


def change_tensors(folder, change, name="mp_gvrh"):
    path = folder / f"{name}.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


class TestWhatIsImported:
    def test_a_hub_of_its_own_with_cards_that_say_where_it_is_from(self, source):
        place, modules = imported(source)
        assert place == get_settings().hubs_folder / "moe18"
        hub = Hub.open("moe18")
        assert {module.name for module in modules} == set(hub) == NAMES
        assert [len(found) for found in hub.check()] == [18, 0]
        index = json.loads((source / "index.json").read_text())
        for card in hub.cards():
            spec, entry = get_task(card.name).spec, index[card.name]
            assert (card.target.task, card.target.property, card.target.unit) == (
                spec.name,
                spec.property,
                spec.unit,
            )
            assert (card.backbone, card.kind, card.layers) == ("cgcnn", "full", "last-softplus")
            assert card.independent
            assert card.metrics.val_error == entry["best_val_mae"]
            assert card.metrics.test_mae is None
            assert (card.data.rows_train, card.data.hash) == (None, "")
            assert (card.head.mean, card.head.std) == tuple(entry["normalizer"].values())
            assert (card.licence, card.created) == ("MIT", entry["file"][:10])
            assert "8, 242 (2022)" in card.citation
            assert "initialisation of its own" in card.note
            assert "imported with moma-app" in card.made_with

    def test_the_tensors_are_the_authors(self, source):
        imported(source)
        for module in Hub.open("moe18").select(["mp_gvrh", "n_Seebeck"]):
            theirs = load_file(source / f"{module.name}.safetensors")
            network = module.network(get_backbone("cgcnn")).state()
            assert all(torch.equal(tensor, theirs[name]) for name, tensor in network.items())
            head = module.head()
            assert torch.equal(head["layers.3.weight"], theirs["fc_out.weight"])

    def test_importing_twice_gives_the_same_files(self, source, tmp_path):
        first, _ = imported(source)
        second, _ = imported(source, hub=str(tmp_path / "again"))
        assert content(first) == content(second)
        with pytest.raises(InputError, match=r"already has castelli_eform, .* and more: .*--overwrite"):
            imported(source)
        imported(source, overwrite=True)
        assert content(first) == content(second)

    def test_into_a_hub_that_has_others(self, source, tmp_path):
        hub = Hub(tmp_path / "mine")
        hub.add(make_module("own"))
        imported(source, hub=str(tmp_path / "mine"))
        assert set(hub) == NAMES | {"own"}

    def test_if_one_cannot_be_written_none_is_there(self, source, tmp_path):
        hub = Hub(tmp_path / "mine")
        hub.add(make_module("own"))
        (tmp_path / "mine" / "mp_kvrh.json").mkdir()  # nothing can replace it
        with pytest.raises(InputError, match="cannot be written to"):
            imported(source, hub=str(tmp_path / "mine"), overwrite=True)
        assert set(hub) == {"own", "mp_kvrh"}
        assert not list((tmp_path / "mine").glob("mp_gvrh*"))

    def test_what_is_replaced_is_replaced_wholly(self, source, tmp_path):
        hub = Hub(tmp_path / "mine")
        hub.add(independent_module("mp_kvrh", 1))
        with pytest.raises(InputError, match="already has mp_kvrh:"):
            imported(source, hub=str(tmp_path / "mine"))
        assert set(hub) == {"mp_kvrh"}
        imported(source, hub=str(tmp_path / "mine"), overwrite=True)
        assert hub["mp_kvrh"].card.independent
        assert hub.check()[1] == []

    def test_a_module_of_another_backbone_is_not_replaced(self, source, tmp_path):
        hub = Hub(tmp_path / "mine")
        hub.add(make_module("mp_kvrh", small_state(1)))
        with pytest.raises(IncompatibleError, match="of backbone chgnet, this one is of cgcnn"):
            imported(source, hub=str(tmp_path / "mine"), overwrite=True)
        assert set(hub) == {"mp_kvrh"}
        assert hub["mp_kvrh"].card.backbone == "chgnet"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("spoil", "error", "words"),
        [
            (lambda f: (f / "index.json").unlink(), InputError, r"18 extractors.*it has no index\.json"),
            (lambda f: (f / "index.json").write_text("{"), DamagedFileError, r"index\.json cannot be read"),
            (
                lambda f: (f / "index.json").write_text("[]"),
                DamagedFileError,
                r"index\.json cannot be read: Input should be",
            ),
            (lambda f: (f / "index.json").write_bytes(b"\xff\xfe"), DamagedFileError, "cannot be read"),
            (
                lambda f: change_index(f, lambda i: i.pop("mp_gvrh")),
                InputError,
                r"index\.json lacks mp_gvrh",
            ),
            (
                lambda f: change_index(f, lambda i: i.update(mp_hvrh=i["mp_gvrh"])),
                InputError,
                "names the unknown mp_hvrh",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"]["normalizer"].pop("std")),
                DamagedFileError,
                r"mp_gvrh\.normalizer\.std: Field required",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"]["normalizer"].update(std=0.0)),
                DamagedFileError,
                r"mp_gvrh\.normalizer\.std: Input should be greater than 0",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"]["normalizer"].update(mean=float("nan"))),
                DamagedFileError,
                r"mp_gvrh\.normalizer\.mean: Input should be a finite number",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"]["normalizer"].update(right_skewed=0.5)),
                DamagedFileError,
                r"mp_gvrh\.normalizer\.right_skewed",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"].update(best_val_mae="small")),
                DamagedFileError,
                r"mp_gvrh\.best_val_mae",
            ),
            (
                lambda f: change_index(f, lambda i: i["mp_gvrh"].update(file="model.pth")),
                DamagedFileError,
                r"mp_gvrh\.file",
            ),
            (
                lambda f: (f / "p_Seebeck.safetensors").unlink(),
                InputError,
                "there is no tensor file of p_Seebeck",
            ),
            (
                lambda f: (f / "other.safetensors").write_bytes(b""),
                InputError,
                "a tensor file of the unknown other",
            ),
            (
                lambda f: (f / "p_Seebeck.safetensors").write_bytes(b"\x80\x04pickle"),
                DamagedFileError,
                r"p_Seebeck\.safetensors is no safetensors file",
            ),
            (
                lambda f: (f / "mp_gvrh.safetensors").write_bytes(
                    (f / "mp_gvrh.safetensors").read_bytes()[:-9]
                ),
                DamagedFileError,
                r"mp_gvrh\.safetensors is no safetensors file, or is cut short",
            ),
            (
                lambda f: change_tensors(f, lambda s: s.pop("fc_out.bias")),
                IncompatibleError,
                r"mp_gvrh\.safetensors: These are not the tensors .* \(missing: fc_out\.bias\)",
            ),
            (
                lambda f: change_tensors(f, lambda s: s.update(extra=torch.ones(1))),
                IncompatibleError,
                r"\(unknown: extra\)",
            ),
            (
                lambda f: change_tensors(f, lambda s: s.update({"embedding.bias": torch.ones(65)})),
                IncompatibleError,
                r"of another shape: embedding\.bias",
            ),
            (
                lambda f: change_tensors(f, lambda s: s["convs.2.bn1.weight"].fill_(torch.nan)),
                DamagedFileError,
                r"mp_gvrh\.safetensors: tensor 'convs\.2\.bn1\.weight' holds what is no finite",
            ),
            (
                lambda f: change_tensors(f, lambda s: s.update({"fc_out.bias": torch.ones(1).half()})),
                DamagedFileError,
                r"tensor 'fc_out\.bias' holds what is no finite 32-bit number",
            ),
        ],
    )
    def test_nothing_is_written(self, source, tmp_path, spoil, error, words):
        mine = Hub(tmp_path / "mine")
        mine.add(make_module("own"))
        before = content(tmp_path / "mine")
        spoil(source)
        with pytest.raises(error, match=words) as caught:
            imported(source)
        assert "\n" not in str(caught.value)
        assert not get_settings().hubs_folder.exists()
        with pytest.raises(MomaError):
            imported(source, hub=str(tmp_path / "mine"), overwrite=True)
        assert content(tmp_path / "mine") == before

    def test_other_files_do_not_matter(self, source):
        (source / "README.md").write_text("From rees-c/MoE.")
        assert len(imported(source)[1]) == 18

    def test_a_wrong_name_or_place(self, source, tmp_path):
        with pytest.raises(UnknownNameError, match=r"no source called 'moe8': did you mean moe18"):
            import_hub("moe8", source, of_catalogue)
        with pytest.raises(InputError, match="There is no folder"):
            imported(tmp_path / "nowhere")
        with pytest.raises(InputError, match="hub builtin comes with MoMa and stays as it is"):
            imported(source, hub="builtin")
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written to"):
            imported(source, hub=str(tmp_path / "file"))

    def test_every_source_says_what_it_is(self):
        assert list(SOURCES) == [source.name for source in SOURCES.values()]
        assert all(source.summary.endswith(".") for source in SOURCES.values())


class TestTheRealOnes:
    @pytest.fixture
    def hub(self, shared):
        return Hub(imported(shared / "reference/moe18")[0])

    @pytest.fixture
    def authors(self, shared):
        arrays = dict(np.load(shared / "reference/cgcnn/cgcnn_phonons.npz"))
        description = json.loads((shared / "reference/cgcnn/cgcnn_phonons.json").read_text())
        return arrays, [module["moma_name"] for module in description["modules"]]

    @pytest.fixture
    def rows(self, authors):
        return [slice(*pair) for pair in itertools.pairwise(authors[0]["atom_ptr"])]

    def test_embeddings_on_the_authors_graphs(self, hub, authors, rows):
        arrays, order = authors
        graphs = [
            Graph(
                SCHEMA,
                {
                    "numbers": arrays["atomic_numbers"][atoms],
                    "edge_center": np.repeat(np.arange(atoms.stop - atoms.start), MAX_NEIGHBORS),
                    "edge_neighbor": arrays["nbr_idx"][atoms].reshape(-1),
                    "distance": arrays["nbr_dist"][atoms].reshape(-1),
                },
            )
            for atoms in rows
        ]
        packed = GraphSet.pack(SCHEMA, graphs)
        backbone = get_backbone("cgcnn")
        found = encode_modules(hub.select(order), backbone, packed, layers="last-softplus")
        for number, encoded in enumerate(found):
            np.testing.assert_allclose(encoded.embeddings, arrays["embedding_conv"][number], atol=2e-4)
        batch = packed.batch(range(len(packed)))
        with torch.no_grad():
            plain = crystal_embedding(hub[order[-1]].network(backbone).eval(), batch, "last").numpy()
        assert np.abs(plain - arrays["embedding_conv"][-1]).max() > 0.1, "the softplus makes a difference"

    def test_predictions_from_structures(self, hub, authors, rows):
        arrays, order = authors
        untied = [number for number in range(len(rows)) if number not in (9, 12)]
        crystals = [
            Crystal(arrays["atomic_numbers"][rows[n]], arrays["cell"][n], arrays["frac_coords"][rows[n]])
            for n in untied
        ]
        found = predict_with_hub(hub, crystals, modules=order, device="cpu")
        for number, prediction in enumerate(found):
            assert prediction.unit == get_task(order[number]).spec.unit
            theirs = arrays["pred_denormalised"][number][untied]
            tolerance = 5e-5 * hub[order[number]].card.head.std + 1e-5 * np.abs(theirs).max()
            np.testing.assert_allclose(prediction.values, theirs, atol=tolerance)
