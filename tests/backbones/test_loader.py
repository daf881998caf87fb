"""Batches one ahead, in order, with errors where they belong."""

from __future__ import annotations

import threading

import pytest
import torch

from moma_app.backbones.loader import Loader


def loader(keys, make, device):
    return Loader(keys, make, lambda batch: ("pinned", batch), torch.device(device))


def test_on_a_cpu_batches_are_made_when_they_are_asked_for():
    made = []
    batches = iter(loader([3, 1, 2], lambda key: made.append(key) or key, "cpu"))
    assert next(batches) == 3
    assert made == [3]
    assert list(batches) == [1, 2]


def test_for_a_gpu_one_is_made_ahead_in_another_thread_and_pinned():
    """The device is only named: no GPU is needed to see what the loader does."""
    threads, second = set(), threading.Event()

    def make(key):
        threads.add(threading.current_thread())
        if key == 1:
            second.set()
        return key

    batches = iter(loader([0, 1, 2], make, "cuda"))
    assert next(batches) == ("pinned", 0)
    assert second.wait(10)
    assert list(batches) == [("pinned", 1), ("pinned", 2)]
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_batches_and_errors(device):
    assert list(loader([], int, device)) == []
    assert len(loader([1, 2], int, device)) == 2
    with pytest.raises(ZeroDivisionError):
        list(loader([1, 0], lambda key: 1 // key, device))
