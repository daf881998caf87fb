"""Units of work for tests, installed as a package of their own: see ``plugin`` in conftest."""

from __future__ import annotations

import os
import time
from pathlib import Path

from moma_app.errors import InputError
from moma_app.progress import Note, Step


def nap(context, *, steps, pause=0.02, fail_at=None, marker=None):
    """Count, telling every step; from a checkpoint if there is one."""
    checkpoint = context.checkpoints / "count.ckpt"
    start = int(checkpoint.read_text()) if context.resuming and checkpoint.is_file() else 0
    context.checkpoints.mkdir(parents=True, exist_ok=True)
    context.facts(begun_at=start)
    for number in range(start, steps):
        time.sleep(pause)
        if number == fail_at:
            raise InputError("Step too far.")
        checkpoint.write_text(str(number + 1))
        context.progress(Step(what="naps", done=number + 1, total=steps, fraction=(number + 1) / steps))
        context.progress(Note(message=f"nap {number}"))
    return {"metrics": {"naps": steps, "begun_at": start}, "pid": os.getpid()}


def deaf(context, *, seconds):
    """Hear nothing."""
    time.sleep(seconds)
    return {}


def break_(context):
    """Have a bug."""
    return {"metrics": {}["there is none"]}


def die(context, *, marker):
    """Take the worker down, on the first attempt only where a mark can be left."""
    if not Path(marker).exists():
        if Path(marker).parent.is_dir():
            Path(marker).write_text("dead")
        os._exit(9)
    return {"metrics": {"survived": 1}}


def many(context, *, pieces):
    """Spread pieces."""
    found = dict(context.spread(piece, list(range(pieces))))
    return {
        "values": [found[number][0] for number in range(pieces)],
        "pids": sorted({pid for _, pid in found.values()}),
    }


def many_slow(context, *, pieces):
    """Spread pieces that take long."""
    return {"values": [value for _, value in context.spread(slow_piece, list(range(pieces)))]}


def slow_piece(number, progress):
    """Take long, and tell of it."""
    for step in range(600):
        time.sleep(0.1)
        progress(Step(what="slow", done=step, total=600))
    return number


def piece(number, progress):
    """Be one of many."""
    time.sleep(0.05)
    return number**2, os.getpid()


def threads(context):
    """Say how many threads PyTorch has."""
    import torch

    return {"threads": torch.get_num_threads()}


def publish(context, *, target, overwrite=False, die=False):
    """Put a file somewhere, and perhaps die before anybody knows."""
    path = Path(target)
    if path.exists() and not context.may_replace(path, overwrite=overwrite):
        raise InputError(f"{path} exists already.")
    context.may_replace(path, overwrite=overwrite)
    path.write_text("result")
    if die and not (context.folder / "died").exists():
        (context.folder / "died").touch()
        os._exit(9)
    return {}


def ranks(context, *, folder):
    """Be one of several processes, and stay."""
    Path(folder, str(os.getpid())).touch()
    while not context.stop():
        time.sleep(0.1)
    return {}


def where(context):
    """Say what the worker knows."""
    from moma_app.config import get_settings

    settings = get_settings()
    return {"home": str(settings.home), "shared": context.shared, "carried": str(context.carried or "")}


def spread(context, *, chunk):
    """Encode a task's structures in chunks on all workers, and compare with this process alone."""
    import numpy as np
    import torch

    from moma_app.amc.compose import EncodingTask, encode_here
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.hub import Hub
    from moma_app.tasks import get_task
    from moma_app.work.encoding import SpreadEncoder

    told = []
    data = get_task("elemental_bulk_modulus").load()
    modules = tuple(Hub.open("builtin").select(["castelli_eform", "mp_bandgap", "mp_gvrh", "mp_kvrh"]))
    asked = EncodingTask(
        task="elemental_bulk_modulus",
        modules=modules,
        backbone=get_backbone("chgnet"),
        structures=data.structures,
        rows=np.arange(49),
        layers="all",
        pooling="mean",
        graph_folder=get_settings().graph_folder,
        device=torch.device("cpu"),
        on_error=lambda *_: None,
        progress=told.append,
    )
    here = {encoded.module.name: encoded.embeddings for encoded in encode_here(asked)}
    steps = len(told)
    there = {
        e.module.name: e.embeddings
        for e in SpreadEncoder(context, "builtin", "cpu", chunk=chunk, least=1)(asked)
    }
    largest = max(float((here[n] - there[n]).abs().max() / here[n].abs().max()) for n in here)
    return {"largest_difference": largest, "pieces": len(told) - steps}
