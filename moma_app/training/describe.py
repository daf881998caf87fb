"""A predictor's description, shared by all ways to make one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moma_app.backbones.base import pooling_of
from moma_app.backbones.registry import get_backbone
from moma_app.choices import HeadPooling, Layers
from moma_app.hub.card import Target
from moma_app.tasks.splits import few_shot
from moma_app.training.outcome import FitReport
from moma_app.training.predictor import PredictorInfo
from moma_app.training.start import Start

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.specs import TaskSpec
    from moma_app.tasks.splits import Split
    from moma_app.tasks.task import Task


def rows_for(task: Task, split: int, shots: int | None, seed: int) -> Split:
    """Return the split's rows, with few-shot sampling if asked for."""
    parts = task.split(split)
    return parts if shots is None else few_shot(parts, shots, seed)


def predictor_info(
    data: TaskData,
    parts: Split,
    start: Start,
    layers: Layers,
    report: FitReport,
    *,
    head: HeadPooling = "mean",
) -> PredictorInfo:
    """Describe the predictor that a fit has made; ``head`` says how its head pools atoms."""
    backbone = get_backbone(start.backbone)
    return PredictorInfo(
        target=target_of(data.spec),
        backbone=backbone.info.name,
        fingerprint=backbone.fingerprint,
        kind=start.kind,
        layers=layers,
        pooling=pooling_of(extensive=data.spec.extensive, head=head),
        readout={},
        start=report.start,
        weights=start.weights,
        modules=start.hashes,
        experts=start.experts,
        metrics=report.metrics,
        split=parts.seed,
        shots=report.shots,
        seed=report.seed,
        data_hash=data.content_hash(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def target_of(spec: TaskSpec) -> Target:
    """Return what a card says of a task's target."""
    return Target(
        task=spec.name,
        property=spec.property,
        unit=spec.unit,
        transform=spec.transform,
        kind=spec.kind,
        n_classes=spec.n_classes,
        extensive=spec.extensive,
    )
