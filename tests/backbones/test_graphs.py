from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.backbones.graphs import Field, Graph, GraphSet, Schema
from moma_app.errors import IncompatibleError

SCHEMA = Schema(
    {
        "numbers": Field("atom", "int16"),
        "position": Field("atom", "float32", shape=(3,)),
        "pair": Field("edge", "int32", refers_to="atom", shape=(2,)),
        "angle_edge": Field("angle", "int32", refers_to="edge"),
    }
)


def make_graph(n_atoms, n_edges, n_angles, seed):
    random = np.random.default_rng(seed)
    return Graph(
        SCHEMA,
        {
            "numbers": random.integers(1, 90, n_atoms),
            "position": random.normal(size=(n_atoms, 3)),
            "pair": random.integers(0, n_atoms, (n_edges, 2)),
            "angle_edge": random.integers(0, max(n_edges, 1), n_angles if n_edges else 0),
        },
    )


graphs = st.builds(
    make_graph, st.integers(1, 4), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(graphs, min_size=1, max_size=5), st.data())
def test_a_batch_holds_each_graph_with_its_indices_shifted(chosen, data):
    order = data.draw(st.lists(st.integers(0, len(chosen) - 1), max_size=6))
    batch = GraphSet.pack(SCHEMA, chosen).batch(order)
    assert len(batch) == len(order)
    assert batch.n_atoms.tolist() == [chosen[i].count("atom") for i in order]
    assert batch.n_atoms_total == sum(chosen[i].count("atom") for i in order)
    for place, i in enumerate(order):
        rows = {scope: slice(batch.ptr[scope][place], batch.ptr[scope][place + 1]) for scope in SCHEMA.scopes}
        for name, field in SCHEMA.fields.items():
            shift = batch.ptr[field.refers_to][place].item() if field.refers_to else 0
            expected = chosen[i].arrays[name].astype(field.dtype)
            np.testing.assert_array_equal(batch[name][rows[field.scope]].numpy() - shift, expected)


def test_integers_are_int64_and_floats_keep_their_type():
    batch = GraphSet.pack(SCHEMA, [make_graph(2, 3, 1, 0)]).batch([0])
    assert {name: t.dtype for name, t in batch.tensors.items()} == {
        "numbers": torch.int64,
        "position": torch.float32,
        "pair": torch.int64,
        "angle_edge": torch.int64,
    }


def test_batching_does_not_change_the_packed_graphs():
    packed = GraphSet.pack(SCHEMA, [make_graph(2, 3, 1, 0), make_graph(3, 2, 2, 1)])
    before = {name: values.copy() for name, values in packed.arrays.items()}
    batch = packed.batch([1, 0])
    for tensor in batch.tensors.values():
        tensor.zero_()
    for name, values in before.items():
        np.testing.assert_array_equal(packed.arrays[name], values)


def test_no_graphs_make_an_empty_set():
    packed = GraphSet.pack(SCHEMA, [])
    assert len(packed) == 0
    assert len(packed.batch([])) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distance": Field("edge", "float32")}, "needs a field of scope 'atom'"),
        (
            {"numbers": Field("atom", "int16"), "bond": Field("atom", "int32", refers_to="bond")},
            "'bond' refers to 'bond', which no field belongs to",
        ),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(fields, message):
    with pytest.raises(TypeError, match=message):
        Schema(fields)


def test_a_field_of_indices_must_hold_integers():
    with pytest.raises(TypeError, match="must hold integers, not float32"):
        Field("edge", "float32", refers_to="atom")


def test_a_graph_with_missing_or_unknown_fields_is_refused():
    arrays = dict(make_graph(2, 1, 1, 0).arrays)
    with pytest.raises(TypeError, match="A graph needs the fields"):
        Graph(SCHEMA, {**arrays, "charge": np.zeros(2)})
    del arrays["pair"]
    with pytest.raises(TypeError, match="A graph needs the fields"):
        Graph(SCHEMA, arrays)


def test_fields_of_one_scope_must_agree_in_length():
    arrays = {**make_graph(2, 1, 1, 0).arrays, "numbers": np.ones(3, dtype=np.int16)}
    with pytest.raises(TypeError, match=r"scope 'atom' differ in length.*'numbers': 3, 'position': 2"):
        Graph(SCHEMA, arrays)


def test_graphs_of_different_schemas_are_not_packed_together():
    other = Schema({"numbers": Field("atom", "int16")})
    with pytest.raises(IncompatibleError, match="different backbones"):
        GraphSet.pack(SCHEMA, [Graph(other, {"numbers": np.ones(2)})])
