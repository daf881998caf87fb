"""Unit ``encode``: the crystal embeddings of a task's structures by one module, kept as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.work.composing import AMC, open_hub

if TYPE_CHECKING:
    from moma_app.tasks.task import Task

EMBEDDINGS = "embeddings.safetensors"
"""Artefact: tensor ``embeddings`` float32 [m, d]; the ids of the rows are in its metadata."""


def encode_spec(task: Task, module: str, *, hub: str | None = None, device: str = "auto") -> RunSpec:
    """Describe an encoding as a run.

    Args:
        task: whose structures, all of them.
        module: name of the module.
        hub: a hub's name or folder, ``builtin``, or ``None`` for the user's and the built-in one.
        device: where to encode.
    """
    amc = AMC(hub, [module]).settled()
    return RunSpec(
        unit="encode",
        arguments={"task": task.name, "module": module, "hub": amc.hub, "device": device},
        name=f"encode {task.name} with {module}",
        task=task.name,
        needs=Needs(gpus=1 if device == "cuda" else 0),
        files={**{place: Blob.of(path) for place, path in task.files().items()}, **amc.files()},
    )


def encode(context: Context, *, task: str, module: str, hub: str | None, device: str) -> dict[str, Any]:
    """Do what :func:`encode_spec` describes, in chunks on all workers of the cluster.

    Returns:
        ``rows`` and ``width`` of the embeddings, which are the artefact ``embeddings.safetensors``.
    """
    import json

    import numpy as np
    from safetensors.torch import save_file

    from moma_app.amc.compose import EncodingTask
    from moma_app.backbones.base import pooling_of
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.errors import MomaError
    from moma_app.hub.module import Module
    from moma_app.runtime import pick_device
    from moma_app.tasks import get_task
    from moma_app.work.encoding import SpreadEncoder
    from moma_app.work.machine import use_machine

    def fail(_: Module, error: MomaError) -> None:
        raise error

    device = use_machine(device, context)
    chosen = open_hub(context, hub)[module]
    chosen.verify()
    data = get_task(task).load(context.progress)
    (encoded,) = SpreadEncoder(context, hub, device)(
        EncodingTask(
            task=task,
            modules=(chosen,),
            backbone=get_backbone(chosen.card.backbone),
            structures=data.structures,
            rows=np.arange(len(data), dtype=np.int64),
            layers=chosen.card.layers,
            pooling=pooling_of(extensive=data.spec.extensive),
            graph_folder=get_settings().graph_folder,
            device=pick_device(device),
            on_error=fail,
            progress=context.progress,
        )
    )
    context.facts(data_hash=data.content_hash(), module_sha256=chosen.card.sha256)
    context.artefacts.mkdir(parents=True, exist_ok=True)
    embeddings = encoded.embeddings.contiguous()
    save_file(
        {"embeddings": embeddings}, context.artefacts / EMBEDDINGS, metadata={"ids": json.dumps(data.ids)}
    )
    rows, width = embeddings.shape
    return {"rows": rows, "width": width, "metrics": {"seconds": encoded.seconds}}
