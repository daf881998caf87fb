from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from moma_app.backbones import cgcnn
from moma_app.backbones.base import pool
from moma_app.backbones.cgcnn_graph import (
    CLASSES,
    MAX_NEIGHBORS,
    SCHEMA,
    TIE,
    element_features,
    nearest,
)
from moma_app.backbones.graphs import Graph
from moma_app.backbones.neighbors import find_neighbors
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.structures import Crystal

BACKBONE = cgcnn.backbone()
TIED = (9, 12)  # of the reference structures: the 12th neighbour ties with one that is not equivalent


class Reference:
    """The authors' numbers for 20 structures and 18 extractors; ``../shared/reference/README.md``."""

    def __init__(self, shared):
        self.values = dict(np.load(shared / "reference/cgcnn/cgcnn_phonons.npz"))
        description = json.loads((shared / "reference/cgcnn/cgcnn_phonons.json").read_text())
        index = json.loads((shared / "reference/moe18/index.json").read_text())
        self.names = [module["moma_name"] for module in description["modules"]]
        self.extractors = [
            cgcnn.load_extractor(shared / f"reference/moe18/{name}.safetensors", index[name])
            for name in self.names
        ]
        ptr = self.values["atom_ptr"]
        self.rows = [slice(*pair) for pair in itertools.pairwise(ptr)]
        numbers, coords = self.values["atomic_numbers"], self.values["frac_coords"]
        cells = self.values["cell"]
        self.crystals = [
            Crystal(numbers[rows], cell, coords[rows]) for rows, cell in zip(self.rows, cells, strict=True)
        ]

    def stored_graph(self, rows):
        """The graph that the authors' code made."""
        numbers = self.values["atomic_numbers"][rows]
        return Graph(
            SCHEMA,
            {
                "numbers": numbers,
                "edge_center": np.repeat(np.arange(len(numbers)), MAX_NEIGHBORS),
                "edge_neighbor": self.values["nbr_idx"][rows].reshape(-1),
                "distance": self.values["nbr_dist"][rows].reshape(-1),
            },
        )

    def deviations(self, graphs, structures):
        """Largest deviations of predictions (in units of the property's std) and embeddings."""
        batch = BACKBONE.collate(graphs)
        prediction, embedding = [], []
        for number, extractor in enumerate(self.extractors):
            with torch.no_grad():
                ours = cgcnn.authors_prediction(extractor, batch, standardised=True).numpy()
                in_unit = cgcnn.authors_prediction(extractor, batch).numpy()
                vectors = cgcnn.authors_embedding(extractor.network, batch).numpy()
            wanted = self.values["pred_denormalised"][number][structures]
            prediction += [
                np.abs(ours - self.values["pred_normalised"][number][structures]).max(),
                np.abs(in_unit - wanted).max() / extractor.std,
            ]
            embedding.append(np.abs(vectors - self.values["embedding_conv"][number][structures]).max())
        return max(prediction), max(embedding)


@pytest.fixture(scope="module")
def reference(shared):
    return Reference(shared)


def test_the_authors_numbers_on_the_authors_graphs(reference):
    prediction, embedding = reference.deviations(
        [reference.stored_graph(rows) for rows in reference.rows], slice(None)
    )
    assert prediction < 5e-5
    assert embedding < 2e-4


def test_the_authors_numbers_from_structures(reference):
    chosen = [i for i in range(len(reference.crystals)) if i not in TIED]
    graphs = [BACKBONE.graph(reference.crystals[i]) for i in chosen]
    prediction, embedding = reference.deviations(graphs, chosen)
    assert prediction < 5e-5
    assert embedding < 2e-4


def test_in_double_precision_the_authors_numbers_agree_better(reference):
    batch = BACKBONE.collate([reference.stored_graph(rows) for rows in reference.rows])
    doubled = type(batch)(
        {**batch.tensors, "distance": torch.from_numpy(reference.values["nbr_dist"].reshape(-1))}, batch.ptr
    )
    for number, extractor in enumerate(reference.extractors[:3]):
        network, head = extractor.network.double(), extractor.head.double()
        network.basis.centers.copy_(torch.arange(41, dtype=torch.float64) * 0.2)
        with torch.no_grad():
            ours = head(cgcnn.authors_embedding(network, doubled)).numpy()
        np.testing.assert_allclose(ours, reference.values["pred_normalised_f64"][number], atol=1e-6)
        extractor.network.float(), extractor.head.float()


def test_the_neighbour_distances_are_the_authors(reference):
    for rows, crystal in zip(reference.rows, reference.crystals, strict=True):
        distance = BACKBONE.graph(crystal).arrays["distance"].reshape(-1, MAX_NEIGHBORS)
        np.testing.assert_allclose(distance, reference.values["nbr_dist"][rows], atol=TIE)


def test_element_features_are_the_authors(reference):
    ours = element_features()[reference.values["atom_fea_Z"] - 1]
    np.testing.assert_array_equal(ours, reference.values["atom_fea"])


def test_embeddings_of_a_whole_task_agree_where_no_tie_matters(reference, shared):
    from crystals import read_crystals

    stored = np.load(shared / "reference/amc/amc.npz")
    usable = [
        place
        for place, row in enumerate(stored["mp_phonons__train_rows"])
        if row < 100 and not stored["mp_phonons__graph_tie_sensitive"][place]
    ]
    crystals = read_crystals(shared / "data/tasks/mp_phonons.parquet", 100, max_atoms=1000)
    graphs = [BACKBONE.graph(crystals[stored["mp_phonons__train_rows"][place]]) for place in usable]
    batch = BACKBONE.collate(graphs)
    assert len(usable) > 50
    for number in (0, 9, 17):
        with torch.no_grad():
            ours = cgcnn.authors_embedding(reference.extractors[number].network, batch).numpy()
        np.testing.assert_allclose(ours, stored["mp_phonons__embedding"][number][usable], atol=2e-3)


def test_each_element_is_in_one_class_of_each_known_property():
    features = element_features()
    assert features.shape == (100, 92)
    blocks = np.split(features, np.cumsum(list(CLASSES.values()))[:-1], axis=1)
    for name, block in zip(CLASSES, blocks, strict=True):
        assert set(block.sum(axis=1)) <= {0, 1}, name
        if name in {"group", "period", "covalent_radius", "valence_electrons", "ionization_energy", "block"}:
            assert (block.sum(axis=1) == 1).all(), name
    oxygen = features[7]
    assert oxygen.nonzero()[0].tolist() == [16, 20, 34, 37, 51, 64, 74, 79, 86]


def test_twelve_nearest_neighbours(crystals):
    for crystal in crystals:
        graph = BACKBONE.graph(crystal)
        pairs = find_neighbors(crystal, 8.0)
        for atom in range(len(crystal)):
            expected = np.sort(pairs.distance[pairs.center == atom])[:MAX_NEIGHBORS]
            np.testing.assert_allclose(
                graph.arrays["distance"][graph.arrays["edge_center"] == atom], expected
            )


def test_ties_do_not_depend_on_the_order_of_atoms_or_the_setting_of_the_cell():
    # An anion of this antiperovskite has 2 Ca nearby, then 4 O, 4 F and 4 Ti at one distance: two too many.
    coords = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    numbers = np.array([20, 22, 8, 9, 8], dtype=np.int16)
    crystal = Crystal(numbers, 4 * np.eye(3), coords)
    network = BACKBONE.pretrained().eval()
    random = np.random.default_rng(0)
    embeddings = []
    for _ in range(6):
        order = random.permutation(5)
        turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
        moved = Crystal(numbers[order], crystal.cell @ turn, coords[order] + random.random(3))
        batch = BACKBONE.collate([BACKBONE.graph(moved)])
        embeddings.append(pool(network(batch)[-1], batch).detach().numpy())
    np.testing.assert_allclose(np.concatenate(embeddings), embeddings[0].repeat(6, axis=0), rtol=1e-5)


def test_among_equal_distances_the_lighter_element_comes_first():
    coords = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    numbers = np.array([3, 30, 10, 20], dtype=np.int16)
    pairs = find_neighbors(Crystal(numbers, 6 * np.eye(3), coords), 5.0)
    chosen = nearest(pairs, numbers, k=3)
    assert numbers[pairs.neighbor[chosen][pairs.center[chosen] == 0]].tolist() == [10, 10, 20]


def test_an_atom_with_fewer_neighbours_has_fewer_edges():
    dimer = Crystal(np.array([7, 7], np.int16), 20 * np.eye(3), np.array([[0, 0, 0], [0.06, 0, 0]]))
    graph = BACKBONE.graph(dimer)
    assert graph.count("edge") == 2
    batch = BACKBONE.collate([graph])
    first, second = BACKBONE.pretrained().eval()(batch)[-1]
    torch.testing.assert_close(first, second)


def test_an_element_beyond_the_table_is_named():
    with pytest.raises(InputError, match=r"'cgcnn' does not know the element Lr \(it knows Z = 1 to 100\)"):
        BACKBONE.graph(Crystal(np.array([103], np.int16), 3 * np.eye(3), np.zeros((1, 3))))


def test_the_common_start_is_the_same_whatever_the_random_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    cgcnn._initial_state.cache_clear()
    first = cgcnn.backbone().fingerprint
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    cgcnn._initial_state.cache_clear()
    assert cgcnn.backbone().fingerprint == first == "32f0b136fd616846"


def test_batch_norm_is_that_of_torch():
    ours, theirs = cgcnn.BatchNorm(5), torch.nn.BatchNorm1d(5)
    for training in (True, True, False):
        rows = 3 * torch.randn(20, 5) + 1
        torch.testing.assert_close(ours.train(training)(rows), theirs.train(training)(rows))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_frozen_batch_norm_keeps_its_statistics():
    norm = cgcnn.BatchNorm(5).train().requires_grad_(requires_grad=False)
    rows = 3 * torch.randn(20, 5) + 1
    assert torch.equal(norm(rows), norm.eval()(rows))
    assert not norm.running_mean.any()


def test_training_on_a_single_atom_is_possible(crystals):
    (single,) = [crystal for crystal in crystals if len(crystal) == 1]
    outputs = BACKBONE.pretrained().train()(BACKBONE.collate([BACKBONE.graph(single)]))
    assert all(output.isfinite().all() for output in outputs)


@pytest.fixture
def authors_state():
    state = dict(cgcnn.CgcnnNetwork().state_dict()) | dict(cgcnn.ExtractorHead().state_dict())
    counters = {
        f"convs.{i}.{norm}.num_batches_tracked": torch.tensor(7) for i in range(4) for norm in ("bn1", "bn2")
    }
    return state | counters


def test_an_extractor_has_54_tensors(authors_state):
    network, head = cgcnn.convert_state(authors_state)
    assert len(authors_state) == 54
    assert len(network) == 42
    assert sorted(head) == ["conv_to_fc.bias", "conv_to_fc.weight", "fc_out.bias", "fc_out.weight"]


def test_tensors_that_do_not_fit_are_all_named(authors_state):
    del authors_state["embedding.bias"]
    authors_state["convs.4.bn1.weight"] = torch.ones(128)
    authors_state["fc_out.bias"] = torch.ones(2)
    with pytest.raises(IncompatibleError) as caught:
        cgcnn.convert_state(authors_state)
    message = str(caught.value)
    assert "missing: embedding.bias" in message
    assert "unknown: convs.4.bn1.weight" in message
    assert "of another shape: fc_out.bias" in message


def test_a_file_that_is_no_extractor_is_refused(tmp_path, authors_state):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(DamagedFileError, match="not a readable safetensors file"):
        cgcnn.load_extractor(path, {"normalizer": {"mean": 0, "std": 1}})
    save_file(authors_state, path)
    with pytest.raises(DamagedFileError, match="no normaliser"):
        cgcnn.load_extractor(path, {"normalizer": {"mean": 0}})
    assert cgcnn.load_extractor(path, {"normalizer": {"mean": 2, "std": 3}}).std == 3
