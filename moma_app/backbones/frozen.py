"""Features that do not change while only the layers above them train: computed once, kept in the graphs.

A batch then carries them as further fields, and a network starts from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import Network
from moma_app.backbones.batching import cost, evaluation_batches, rows_for
from moma_app.backbones.graphs import Batch, Field, GraphSet, Schema
from moma_app.choices import precision_setting
from moma_app.errors import InputError
from moma_app.progress import Listener, Step, silent
from moma_app.runtime import arithmetic, prepare


def below_last_layer(
    network: Network,
    graphs: GraphSet,
    rows: NDArray[np.integer[Any]],
    device: torch.device | str = "cpu",
    progress: Listener = silent,
) -> GraphSet:
    """Return graphs that hold what the last interaction layer starts from, and what it reads besides.

    Raises:
        InputError: the network does not say what its last layer needs.
    """
    if not network.lower_fields:
        raise InputError("This backbone cannot train its last layer alone: it does not say what that needs.")
    return with_features(
        graphs,
        rows,
        network.lower,
        fields=network.lower_fields,
        keep=network.upper_reads,
        device=device,
        progress=progress,
    )


def with_features(
    graphs: GraphSet,
    rows: NDArray[np.integer[Any]],
    compute: Callable[[Batch], Mapping[str, Tensor]],
    *,
    fields: Mapping[str, Field],
    keep: Collection[str],
    device: torch.device | str = "cpu",
    progress: Listener = silent,
) -> GraphSet:
    """Return graphs with computed fields beside those of ``keep``; other fields are left out.

    Args:
        graphs: to start from.
        rows: graphs to compute the fields for; those of others are NaN, so that a mistake shows.
        compute: gives the fields of a batch. They may belong to the scope ``structure``.
        fields: their declaration.
        keep: names of fields of ``graphs`` that are still needed.
        device: where to compute.
        progress: gets a ``Step`` after each batch.
    """
    prepare()
    ptr = {**graphs.ptr, "structure": np.arange(len(graphs) + 1)}
    computed = {
        name: np.full((int(ptr[field.scope][-1]), *field.shape), np.nan, dtype=field.dtype)
        for name, field in fields.items()
    }
    limit = rows_for(torch.device(device))
    done = 0
    with torch.inference_mode(), arithmetic(precision_setting(), torch.device(device)):
        for batch in evaluation_batches(np.asarray(rows), cost(graphs), max_rows=limit):
            values = compute(graphs.batch(batch).to(device))
            for name, field in fields.items():
                begins, ends = ptr[field.scope][batch], ptr[field.scope][batch + 1]
                parts = np.split(values[name].float().cpu().numpy(), np.cumsum(ends - begins)[:-1])
                for begin, end, part in zip(begins, ends, parts, strict=True):
                    computed[name][begin:end] = part
            done += len(batch)
            share = done / len(rows)
            progress(Step(what="features below computed", done=done, total=len(rows), fraction=share))
    schema = Schema({**{name: graphs.schema.fields[name] for name in keep}, **fields})
    arrays = {**{name: graphs.arrays[name] for name in keep}, **computed}
    return GraphSet(schema, arrays, {scope: ptr[scope] for scope in schema.scopes})
