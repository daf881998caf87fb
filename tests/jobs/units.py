"""Units of work for tests, installed as a package of their own: see ``plugin`` in conftest."""

from __future__ import annotations

import os
import time

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
    """Take the worker down on the first attempt."""
    if not os.path.exists(marker):
        with open(marker, "w") as stream:
            stream.write("dead")
        os._exit(9)
    return {"metrics": {"survived": 1}}


def many(context, *, pieces):
    """Spread pieces."""
    found = dict(context.spread(piece, list(range(pieces))))
    return {
        "values": [found[number][0] for number in range(pieces)],
        "pids": sorted({pid for _, pid in found.values()}),
    }


def piece(number):
    """Be one of many."""
    time.sleep(0.05)
    return number**2, os.getpid()


def where(context):
    """Say what the worker knows."""
    from moma_app.config import get_settings

    settings = get_settings()
    return {"home": str(settings.home), "shared": context.shared, "carried": str(context.carried or "")}
