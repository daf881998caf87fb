from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moma_app.backbones.batching import MAX_ROWS, ROW_BYTES, evaluation_batches, rows_for

costs_of_structures = st.lists(st.integers(1, 100), min_size=1, max_size=40)


@given(costs_of_structures, st.integers(1, 8), st.integers(1, 150))
def test_batches_keep_to_both_limits_and_a_large_structure_goes_alone(values, max_structures, max_rows):
    costs = np.array(values)
    batches = evaluation_batches(np.arange(len(costs)), costs, max_structures, max_rows)
    assert sorted(np.concatenate(batches)) == list(range(len(costs)))
    for batch in batches:
        assert len(batch) <= max_structures
        assert len(batch) == 1 or costs[batch].sum() <= max_rows
    sizes = costs[np.concatenate(batches)]
    assert (np.diff(sizes) <= 0).all()


def test_on_a_cpu_the_limit_is_the_same_everywhere():
    assert rows_for(torch.device("cpu")) == MAX_ROWS


@pytest.mark.parametrize(("free", "idle", "rows"), [(1e9, 0, 41_666), (1e9, 1e9, 83_333), (0, 0, 1)])
def test_on_a_gpu_half_of_the_free_memory_is_used(monkeypatch, free, idle, rows):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (int(free), 10**12))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 10**6)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 10**6 + int(idle))
    assert rows_for(torch.device("cuda")) == rows
    assert rows * ROW_BYTES <= max(ROW_BYTES, (free + idle) / 2)
