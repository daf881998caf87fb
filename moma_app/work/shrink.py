"""Stores the modules of a hub in half precision, where their test errors allow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.errors import InputError, MomaError
from moma_app.progress import Listener, Step, Warned, silent

if TYPE_CHECKING:
    from moma_app.hub.hub import Hub
    from moma_app.hub.module import Module


def shrink(
    hub: Hub,
    names: Sequence[str] | None = None,
    *,
    tolerance: float,
    graph_folder: Path | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> Iterator[dict[str, Any]]:
    """Store modules in half precision, and yield what became of each.

    A module's test error is measured on the test rows of its own task and split, which must be on this
    machine. It supersedes the one in float32 (a patch: ``1.0.0`` becomes ``1.0.1``).

    Args:
        hub: whose first folder is worked on.
        names: which modules; by default all that are in float32. Of these one whose test rows are not
            here is left out with a warning; a named one raises.
        tolerance: largest relative change of the test MAE, or of the accuracy.
        graph_folder: cache of graphs.
        device: where to predict.
        progress: listener.

    Yields:
        ``name``, ``version``, ``storage``, ``error_float32``, ``error``, ``change``, ``size_before`` and
        ``size`` of each module.

    Raises:
        InputError: a named module is in half precision already, or its test rows are not those on its card.
        DataNotFoundError: the data of a named module's task is not on this machine.
        DamagedFileError: a module does not agree with its card.
    """
    chosen = hub.select(None if names is None else list(names))
    if names is None:
        chosen = [module for module in chosen if module.card.storage == "float32"]
    for done, module in enumerate(chosen, 1):
        try:
            yield _shrunk(
                hub,
                module,
                tolerance=tolerance,
                graph_folder=graph_folder,
                device=device,
                progress=progress,
            )
        except MomaError as exc:
            if names is not None:
                raise
            progress(Warned(message=f"Left in float32: {exc}"))
        progress(Step(what="modules", done=done, total=len(chosen), fraction=done / len(chosen)))


def _shrunk(
    hub: Hub,
    module: Module,
    *,
    tolerance: float,
    graph_folder: Path | None,
    device: str,
    progress: Listener,
) -> dict[str, Any]:
    from moma_app.tasks import get_task
    from moma_app.training.storage import choose_storage

    module.verify()
    card = module.card
    task = get_task(card.target.task)
    data = task.load(progress)
    if data.content_hash() != card.data.hash:
        raise InputError(
            f"Module {card.name!r}: the rows of task {task.name} on this machine are not those that it was trained on, "
            "so its test error cannot be measured."
        )
    rows = task.split(card.data.split_seed).test
    choice = choose_storage(
        module,
        data,
        rows,
        tolerance=tolerance,
        graph_folder=graph_folder,
        device=device,
        progress=progress,
    )
    stored = module
    if choice.module.card.storage != "float32":
        why = f"stored in {choice.chosen.storage}: test error changed by {choice.chosen.change:.3%}"
        stored = hub.add(choice.module, overwrite=True, why=why)
    return {
        "name": card.name,
        "version": stored.card.version,
        "storage": stored.card.storage,
        "error_float32": choice.trials[0].figure,
        "error": choice.chosen.figure,
        "change": choice.chosen.change,
        "size_before": card.size,
        "size": stored.card.size,
    }
