"""Unit ``finetune``: compose if asked for, train a predictor, test it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.work.composing import AMC
from moma_app.work.train import excluded_files

if TYPE_CHECKING:
    from moma_app.tasks.task import Task
    from moma_app.training.recipe import Recipe

PREDICTOR = "predictor"
"""Folder of the predictor among a run's artefacts."""


def finetune_spec(
    task: Task,
    recipe: Recipe,
    *,
    start: str = "composed",
    split: int = 0,
    shots: int | None = None,
    amc: AMC | None = None,
    backbone: str = "chgnet",
    device: str = "auto",
    devices: int = 1,
    strategy: str = "auto",
    output: Path | None = None,
    overwrite: bool = False,
) -> RunSpec:
    """Describe a fine-tuning as a run.

    Args:
        task: the small task.
        recipe: how to train; its seed also draws the few-shot rows.
        start: ``composed``, ``backbone``, ``scratch`` or a module's name.
        split: seed of the split.
        shots: use so many train rows only.
        amc: of a composed start; its hub is also where a named module is looked for.
        backbone: of a bare or scratch start.
        device, devices, strategy: where to train, and in how many processes.
        output: folder for the predictor, besides the run's own copy.
        overwrite: replace a predictor in ``output``.

    Raises:
        NoSharedStartError: the modules of a composed start do not share an initialisation.
    """
    amc = amc or AMC()
    uses_hub = start not in ("backbone", "scratch")
    if start == "composed":
        amc = amc.settled()
        amc.check_mergeable()
    elif uses_hub:
        amc = AMC(amc.hub, [start])
    files = {name: Blob.of(path) for name, path in {**task.files(), **excluded_files(recipe)}.items()}
    return RunSpec(
        unit="finetune",
        arguments={
            "task": task.name,
            "start": start,
            "recipe": recipe.to_dict(),
            "split": split,
            "shots": shots,
            "amc": amc.to_dict() if uses_hub else None,
            "backbone": backbone,
            "device": device,
            "strategy": strategy,
        },
        publish={"output": None if output is None else str(output.absolute()), "overwrite": overwrite},
        name=f"fine-tune {task.name} from {start}",
        task=task.name,
        needs=Needs(gpus=devices if device == "cuda" else 0, processes=devices),
        files={**files, **(amc.files() if uses_hub else {})},
    )


def finetune(
    context: Context,
    *,
    task: str,
    start: str,
    recipe: dict[str, Any],
    split: int,
    shots: int | None,
    amc: dict[str, Any] | None,
    backbone: str,
    device: str,
    strategy: str,
    output: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do what :func:`finetune_spec` describes.

    Returns:
        ``fit`` (a ``FitReport``), its ``analysis``, ``composition`` (an ``AMCResult`` or ``None``), ``metrics`` and
        ``published``, where the predictor went.
    """
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.plots.analysis_values import ErrorAnalysis
    from moma_app.plots.report import write_report
    from moma_app.tasks import get_task
    from moma_app.training.analysis import analyse
    from moma_app.training.finetune import finetune as train
    from moma_app.training.recipe import Recipe
    from moma_app.training.start import Start
    from moma_app.work.composing import compose_for, open_hub
    from moma_app.work.machine import share_of, use_machine

    device = use_machine(device, context)
    source = get_task(task)
    chosen = Recipe.from_dict(recipe)
    result = None
    if start == "composed":
        composition = compose_for(
            context,
            source,
            AMC.from_dict(amc or {}),
            split,
            shots=shots,
            seed=chosen.fit.seed,
            device=device,
        )
        result = composition.result
        begin = Start.composed(composition)
    elif start in ("backbone", "scratch"):
        begin = Start.bare(get_backbone(backbone), scratch=start == "scratch")
    else:
        begin = Start.module(open_hub(context, AMC.from_dict(amc or {}).hub)[start])
    predictor, fit = train(
        source,
        begin,
        chosen,
        split,
        shots=shots,
        checkpoints=context.checkpoints,
        graph_folder=get_settings().graph_folder,
        device=device,
        parallel=share_of(strategy),
        resume=context.resuming,
        progress=context.progress,
        stop=context.stop,
    )
    context.facts(data_hash=predictor.info.data_hash, seed=chosen.fit.seed)
    predictor.save(context.artefacts / PREDICTOR, overwrite=True)
    analysis = analyse(fit, source.load(), source.split(split).test)
    write_report(
        context.artefacts / "report.html",
        title=f"Predictor for {source.name}",
        result=result,
        fits=[fit],
        analysis=ErrorAnalysis.from_dict(analysis),
    )
    published = None
    if output is not None and context.shared:
        predictor.save(Path(output), overwrite=context.may_replace(Path(output), overwrite=overwrite))
        published = output
    return {
        "fit": fit.to_dict(),
        "analysis": analysis,
        "composition": None if result is None else result.to_dict(),
        "metrics": {
            **{f"test_{name}": value for name, value in fit.metrics.items()},
            **({} if fit.curve is None else {"val_error": min(fit.curve.val_error)}),
        },
        "published": published,
    }
