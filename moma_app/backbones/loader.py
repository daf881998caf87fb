"""Batches one ahead of the network, in page-locked memory where a GPU waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

K = TypeVar("K")
B = TypeVar("B")


class Loader(Generic[K, B]):
    """Iterate over batches; on a GPU a thread makes the next one while the network computes.

    A thread is enough: making a batch of flat arrays takes some milliseconds, nearly all of it in
    NumPy copies that do not hold Python's lock. Worker processes would have to send what they
    make, and would run a user's script again. On a CPU there is nothing to overlap with, since
    the network uses all cores.

    Args:
        keys: of the batches, in order.
        make: gives the batch of a key.
        pin: copies a batch to page-locked memory.
        device: where the batches will go.
    """

    def __init__(
        self,
        keys: Sequence[K],
        make: Callable[[K], B],
        pin: Callable[[B], B],
        device: torch.device,
    ) -> None:
        self.keys = keys
        self.make = make
        self.pin = pin
        self.device = device

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[B]:
        if self.device.type != "cuda":
            yield from map(self.make, self.keys)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="moma-loader") as pool:
            waiting: Future[B] | None = None
            for key in self.keys:
                following = pool.submit(self._make_pinned, key)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _make_pinned(self, key: K) -> B:
        return self.pin(self.make(key))
