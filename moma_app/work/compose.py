"""Unit ``compose``: weights of a hub's modules for a task, and an instant predictor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.work.composing import AMC
from moma_app.work.finetune import PREDICTOR

if TYPE_CHECKING:
    from moma_app.tasks.task import Task

QUICK = 12_000_000
"""Bytes of a task's structures times modules up to which a composition is quick: some ten minutes of one core."""


def compose_spec(
    task: Task,
    *,
    amc: AMC | None = None,
    split: int = 0,
    shots: int | None = None,
    seed: int = 0,
    instant: bool = False,
    mix: bool = False,
    bare: bool = False,
    device: str = "auto",
    output: Path | None = None,
    overwrite: bool = False,
) -> RunSpec:
    """Describe a composition as a run.

    Args:
        task: the small task.
        amc: hub, modules, K and T.
        split: seed of the split.
        shots: use so many train rows only.
        seed: draws those rows.
        instant: also fit and test a Gaussian process on the composed module's features.
        mix: with ``instant``, on the features of all modules that carry weight, side by side, each
            module's distances gated by its weight; nothing is merged.
        bare: with ``instant``, use the bare backbone and compose nothing.
        device: where to encode.
        output: folder for the instant predictor, besides the run's own copy.
        overwrite: replace a predictor in ``output``.

    Raises:
        NoSharedStartError: modules that do not share an initialisation would have to be merged.
    """
    amc = amc or AMC()
    composes = not (instant and bare)
    if composes:
        amc = amc.settled()
    if composes and instant and not mix:
        amc.check_mergeable()
    files = {name: Blob.of(path) for name, path in task.files().items()}
    size = sum(blob.size for place, blob in files.items() if place.startswith("tasks/"))
    modules = len(amc.modules or ()) if composes else 1
    return RunSpec(
        unit="compose",
        arguments={
            "task": task.name,
            "amc": amc.to_dict(),
            "split": split,
            "shots": shots,
            "seed": seed,
            "instant": instant,
            "bare": bare,
            "device": device,
            **({"mix": True} if mix else {}),  # not named otherwise: older runs are equal work
        },
        publish={"output": None if output is None else str(output.absolute()), "overwrite": overwrite},
        name=f"{'instant predictor' if instant else 'compose'} for {task.name}",
        task=task.name,
        needs=Needs(gpus=1 if device == "cuda" else 0, quick=size * modules <= QUICK),
        files={**files, **(amc.files() if composes else {})},
    )


def compose(
    context: Context,
    *,
    task: str,
    amc: dict[str, Any],
    split: int,
    shots: int | None,
    seed: int,
    instant: bool,
    bare: bool,
    device: str,
    mix: bool = False,
    output: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do what :func:`compose_spec` describes.

    Returns:
        ``composition`` (an ``AMCResult`` or ``None``), ``fit`` (the instant predictor's
        ``FitReport`` or ``None``) and its ``analysis``, ``metrics`` and ``published``, where the
        predictor went.
    """
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.plots.analysis_values import ErrorAnalysis
    from moma_app.plots.report import write_report
    from moma_app.tasks import get_task
    from moma_app.training.analysis import analyse
    from moma_app.training.instant import fit_instant
    from moma_app.training.start import Start
    from moma_app.work.composing import compose_for
    from moma_app.work.machine import use_machine

    device = use_machine(device, context)
    source = get_task(task)
    settings = AMC.from_dict(amc)
    composition, fit, analysis, published = None, None, None, None
    metrics: dict[str, float] = {}
    if not (instant and bare):
        composition = compose_for(context, source, settings, split, shots=shots, seed=seed, device=device)
        metrics["objective"] = composition.result.objective
    result = None if composition is None else composition.result
    if instant:
        if composition is None:
            start = Start.bare(get_backbone(settings.backbone or "chgnet"))
        else:
            start = Start.mixed(composition) if mix else Start.composed(composition)
        predictor, fit = fit_instant(
            source,
            start,
            split,
            shots=shots,
            seed=seed,
            graph_folder=get_settings().graph_folder,
            device=device,
            progress=context.progress,
        )
        context.facts(data_hash=predictor.info.data_hash, seed=seed)
        analysis = analyse(fit, source.load(), source.split(split).test)
        metrics |= {f"test_{name}": value for name, value in fit.metrics.items()}
        predictor.save(context.artefacts / PREDICTOR, overwrite=True)
        if output is not None and context.shared:
            predictor.save(Path(output), overwrite=context.may_replace(Path(output), overwrite=overwrite))
            published = output
    write_report(
        context.artefacts / "report.html",
        title=f"Composition for {source.name}",
        result=result,
        fits=[fit] if fit else [],
        analysis=None if analysis is None else ErrorAnalysis.from_dict(analysis),
    )
    return {
        "composition": None if result is None else result.to_dict(),
        "fit": None if fit is None else fit.to_dict(),
        "analysis": analysis,
        "metrics": metrics,
        "published": published,
    }
