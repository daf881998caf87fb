"""One of each object that a notebook shows, with words of somebody's choice in every free text."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from module_factory import make_card, make_module

from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.hub.card import Card, EpochRecord, Hardware, Metrics, Reference, Target
from moma_app.hub.hub import Hub
from moma_app.jobs.record import Record
from moma_app.jobs.table import RunList
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks.data import TaskData
from moma_app.tasks.report import ImportReport, Refusal
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.task import Task
from moma_app.training.model import Head, TargetScale
from moma_app.training.outcome import Curve, FitReport
from moma_app.training.predictor import Prediction, Predictor, PredictorInfo
from moma_app.training.readout import HeadReadout

WEIGHTS = {"mp_kvrh": 0.61, "mp_gvrh": 0.27, "castelli_eform": 0.12, "mp_bandgap": 0.0, "expt_eform": 0.0}


def crystal(number: int = 11, other: int = 17, a: float = 5.6) -> Crystal:
    """Rock salt with two atoms in the cell."""
    cell = a / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Crystal(np.array([number, other], np.int16), cell, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]))


def composition(words: str = "bulk modulus", modules: int = 5) -> AMCResult:
    """A result with five modules, and more without weight if asked."""
    random = np.random.default_rng(0)
    names = [*WEIGHTS, *(f"module_{i}" for i in range(modules - len(WEIGHTS)))]
    scores = [
        ModuleScore(
            module=name,
            task=name,
            property=f"{words} of {name}",
            unit="eV",
            weight=WEIGHTS.get(name, 0.0),
            proxy_mae=0.2 + 0.03 * i,
            proxy_mae_standardised=0.5 + 0.07 * i,
            proxy_mse_standardised=0.4 + 0.1 * i,
            predictions=random.normal(size=40).tolist(),
        )
        for i, name in enumerate(names)
    ]
    return AMCResult(
        task="mp_dielectric",
        property=words,
        unit="log10(GPa)",
        modules=scores,
        objective=0.401,
        status="optimal",
        k=5,
        temperature=0.2,
        split=0,
        shots=None,
        seed=0,
        split_origin="published",
        train_ids=[f"mp-{i}" for i in range(40)],
        train_targets=random.normal(size=40).tolist(),
        backbone="chgnet",
        fingerprint="0123456789abcdef",
        kind="full",
        layers="all",
        skipped={"qm9": f"its file is damaged: {words}"},
    )


def card(name: str = "mp_kvrh", words: str = "bulk modulus (Voigt-Reuss-Hill)", **changes: Any) -> Card:
    """A card with everything on it."""
    curve = tuple(
        EpochRecord(
            epoch=i,
            train_error=0.1 + math.exp(-i / 6),
            val_error=0.14 + math.exp(-i / 5) + 0.002 * max(0, i - 15),
            learning_rate=1e-3,
        )
        for i in range(30)
    )
    values = {
        "target": Target(task=name, property=words, unit="log10(GPa)"),
        "metrics": Metrics(test_mae=0.071, test_mad=0.29, test_r2=0.91, val_error=0.08),
        "references": (Reference(name="scratch", mae=0.12),),
        "curve": curve,
        "hardware": Hardware(
            device="CPU, 2 cores", seconds=1834.0, trainable_parameters=411_776, total_parameters=412_525
        ),
        "citation": f"de Jong et al., Sci. Data 2, 150009 (2015); {words}",
        "note": words,
        "size": 1_650_000,
    }
    return make_card(name, **{**values, **changes})


def hub(folder: Path, words: str = "bulk modulus (Voigt-Reuss-Hill)") -> Hub:
    """A folder with three modules and a damaged one."""
    found = Hub(folder)
    for name, error in (("mp_kvrh", 0.071), ("mp_gvrh", 0.12), ("castelli_eform", 0.3)):
        full = card(name, words, metrics=Metrics(test_mae=error, test_mad=0.29))
        changes = {key: getattr(full, key) for key in ("target", "metrics", "curve")}
        found.add(make_module(name, **changes), overwrite=True)
    (folder / "broken.json").write_text('{"name": "broken"')
    return found


def task(words: str = "the gap") -> Task:
    """A task whose data is nowhere."""
    return Task(TaskSpec(name="mine", role="user", property=words, unit="eV", citation=words, note=words))


def data(words: str = "the gap", n: int = 60) -> TaskData:
    """Rows of a task in memory."""
    return TaskData(
        spec=TaskSpec(name="mine", role="user", property=words, unit="eV"),
        ids=[f"{words[:9]}-{i}" for i in range(n)],
        rows=np.arange(n, dtype=np.int32),
        structures=StructureSet.from_any([crystal(3 + i % 8, a=4 + 0.02 * i) for i in range(n)]),
        targets=np.random.default_rng(1).gamma(2.0, 0.7, n),
        metadata={"origin": words},
    )


def classes(words: str = "metal") -> TaskData:
    """Rows with classes."""
    rows = data(words, 12)
    spec = TaskSpec(
        name="metals",
        role="user",
        kind="classification",
        property=words,
        unit="class",
        n_classes=2,
        classes=(words, "other"),
    )
    return TaskData(spec, rows.ids, rows.rows, rows.structures, (np.arange(12) % 3 == 0).astype(float))


def fit(words: str = "composed module", **changes: Any) -> FitReport:
    """A fine-tuning with a learning curve and a test row that is off."""
    random = np.random.default_rng(2)
    true = random.normal(1.5, 0.6, 60)
    predicted = true + random.normal(0, 0.15, 60)
    predicted[7] += 1.1
    epochs = list(range(1, 25))
    values: dict[str, Any] = {
        "label": words,
        "start": "composed",
        "task": "mp_dielectric",
        "property": words,
        "unit": "log10(GPa)",
        "split": 0,
        "shots": None,
        "seed": 0,
        "metrics": {"mae": 0.151, "rmse": 0.22, "r2": 0.88, "mad": 0.47, "n": 60.0},
        "ids": [f"{words[:9]}-{i}" for i in range(60)],
        "targets": true.tolist(),
        "predicted": predicted.tolist(),
        "std": [0.2] * 60,
        "curve": Curve(
            epochs,
            [0.1 + math.exp(-i / 4) for i in epochs],
            [0.16 + math.exp(-i / 3) for i in epochs],
            [1e-3] * len(epochs),
        ),
        "best_epoch": 21,
        "seconds": 82.4,
        "hardware": "CPU, 2 cores",
    }
    return FitReport(**{**values, **changes})


def predictor(words: str = "composed module") -> Predictor:
    """A predictor with an untrained head and no network."""
    info = PredictorInfo(
        target=Target(task="mp_dielectric", property=words, unit="log10(GPa)"),
        backbone="chgnet",
        fingerprint="0123456789abcdef",
        kind="full",
        layers="all",
        pooling="mean",
        readout={"type": "head"},
        start=words,
        weights={name: weight for name, weight in WEIGHTS.items() if weight},
        metrics={"mae": 0.151, "r2": 0.88, "mad": 0.47, "n": 60.0},
    )
    return Predictor(info, {}, HeadReadout(Head(4), TargetScale(0.0, 1.0)))


def prediction(unit: str = "log10(GPa)") -> Prediction:
    """Predictions with uncertainties."""
    return Prediction(np.linspace(0.5, 2.5, 20), np.linspace(0.05, 0.2, 20), unit)


def record(words: str = "finetune mp_dielectric", state: str = "finished", **changes: Any) -> Record:
    """A run."""
    values: dict[str, Any] = {
        "id": "3f9c1a2b" * 4,
        "name": words,
        "unit": "finetune",
        "state": state,
        "task": "mp_dielectric",
        "message": words if state in ("failed", "interrupted") else "",
        "created": 1.76e9,
        "started": 1.76e9 + 2,
        "ended": 1.76e9 + 128,
        "host": "node7",
        "attempts": 2,
        "metrics": {"test_mae": 0.151, "val_error": 0.16},
        "parameters": {"task": "mp_dielectric", "recipe": words},
        "facts": {"seed": "0", "hardware": "CPU, 2 cores"},
    }
    return Record(**{**values, **changes})


def runs(words: str = "finetune mp_dielectric") -> RunList:
    """Runs in all states."""
    return RunList(
        record(words, state, id=f"{i}f9c1a2b" * 4)
        for i, state in enumerate(("finished", "failed", "cancelled", "interrupted"))
    )


def imported(words: str = "the gap") -> ImportReport:
    """An import with refused rows."""
    rows = data(words)
    return ImportReport(
        name="mine",
        task=None,
        n_read=62,
        refused=[Refusal(3, "x", words, "unparsable"), Refusal(9, "y", "no target given", "target missing")],
        notes=[words],
        unit="eV",
        data=rows,
    )


def everything(folder: Path) -> dict[str, Callable[..., Any]]:
    """Return what makes each object, from words."""

    def opened(words: str = "bulk modulus") -> Hub:
        return hub(folder / str(abs(hash(words))), words)

    return {
        "Hub": opened,
        "Module": lambda words="bulk modulus": make_module(
            "mp_kvrh", **{key: getattr(card("mp_kvrh", words), key) for key in ("target", "curve", "note")}
        ),
        "Card": lambda words="bulk modulus": card("mp_kvrh", words),
        "AMCResult": composition,
        "many modules": lambda words="bulk modulus": composition(words, modules=20),
        "Task": task,
        "TaskData": data,
        "classes": classes,
        "ImportReport": imported,
        "FitReport": fit,
        "Predictor": predictor,
        "Prediction": prediction,
        "failed run": lambda words="it ran out of memory": record(words, "failed"),
        "run": record,
        "running": lambda words="train mp_kvrh": record(words, "running", ended=None),
        "RunList": runs,
    }
